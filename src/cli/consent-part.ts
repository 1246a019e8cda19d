// The consent page as a part of the web, opened from the environment.
import { openBasics, openConsent } from '../app.ts';
import { describeRegistration } from '../engine/registration.ts';
import type { Log } from '../logger.ts';
import type { Database } from '../store/database/pool.ts';
import { readRegistration } from '../store/tenants/registrations.ts';
import { type BrandOptions, readBrand } from '../web/brand.ts';
import { type ConsentParts, callbackPath } from '../web/connect/flow.ts';
import { readConsentLanguages } from '../web/connect/language.ts';
import { consentPart } from '../web/connect/part.ts';
import type { Part } from '../web/part.ts';
import type { Run } from './command.ts';

/** The time to wait until a new consent shows in a token, in milliseconds. */
export const usualWaitMs = 30_000;

// Four waits, each twice the previous: 1 + 2 + 4 + 8 parts of the whole.
const waits = { retries: 4, parts: 15 };

export type OpenedConsent = {
  readonly part: Part;
  /** The redirect address that the application needs. */
  readonly redirectUri: string;
  /** Describes the registration as sign-ins have shown it. */
  registration(): Promise<ReturnType<typeof describeRegistration>>;
};

/** Opens the consent page at `url`. Throws `usage` for a missing credential or a brand that cannot be used. */
export async function openConsentPart(
  { environment, signal }: Run,
  given: {
    url: string;
    brand: BrandOptions;
    waitMs: number;
    database: Database;
    log: Log;
    beside?: ConsentParts['beside'];
  },
): Promise<OpenedConsent> {
  const { url, waitMs, database, log, beside } = given;
  const { defaults } = openBasics(environment);
  const brand = readBrand(environment.variables, given.brand);
  const languages = await readConsentLanguages();
  const redirectUri = `${url}${callbackPath}`;
  const consent = openConsent(environment, redirectUri);
  const patience = { retries: waitMs === 0 ? 0 : waits.retries, firstWaitMs: waitMs / waits.parts };
  const part = consentPart(
    { database, defaults, log, site: { url, brand }, languages, ...consent, patience, signal, beside },
    consent.authorityHost,
  );
  const registration = async () => describeRegistration(await readRegistration(database, consent.signIn.clientId()));
  return { part, redirectUri, registration };
}
