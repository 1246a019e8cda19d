// The steps of a consent, one function each: invitation, sign-in, consent, first token, registration. No HTTP in here.
import { ExpectedError } from '../errors.ts';
import type { TokenSource } from '../graph/credential.ts';
import { rolesCure, type SignInPage } from '../graph/sign-in.ts';
import type { Log } from '../logger.ts';
import { selectedProperties } from '../rules/mapping.ts';
import type { Settings, SettingsDocument } from '../settings.ts';
import { connectTenant, mayConnect } from '../store/consent.ts';
import { type Invitation, type Step, signingKey } from '../store/invitations.ts';
import type { Database } from '../store/pool.ts';
import { rememberRegistration } from '../store/registrations.ts';
import { settingsInForce } from '../store/settings.ts';
import { firstToken, type Patience } from './first-token.ts';
import { signLink } from './links.ts';
import { connectedPage, notYetPage, offerPage, readingOf, type Site, waitingPage, welcomePage } from './pages.ts';
import { type Refusal, Refused } from './refusals.ts';
import {
  invitationAgain,
  invitationOf,
  look,
  startAgain,
  startConsent,
  startOffer,
  startSignIn,
  take,
  verified,
} from './steps.ts';

export type ConsentParts = {
  readonly database: Database;
  readonly defaults: SettingsDocument;
  readonly log: Log;
  readonly site: Site;
  readonly signIn: SignInPage;
  /** Tokens of a tenant as its cycles will use them. */
  readonly tokens: (tenantId: string, settings: Settings) => TokenSource;
  readonly patience: Patience;
  readonly signal: AbortSignal;
};

/** What a request is answered with: a page, or the address to go on to. */
export type Outcome = { readonly status: number; readonly page: string } | { readonly goTo: string };

/** A parameter of a redirect or form, when it was given once. */
export type Parameter = (name: string) => string | undefined;

/** The tenant that all personal accounts of Microsoft belong to. */
const personalAccounts = '9188040d-6c67-4c5b-b112-36a304b66dad';

/** The address that an invitation is handed out as. */
export async function invitationUrl(
  database: Database,
  site: { url: string },
  invitation: Invitation,
): Promise<string> {
  const key = await signingKey(database);
  return `${site.url}/invitation/${signLink(key, 'invitation', invitation.invitation_id, invitation.expires_at)}`;
}

/** The first page, for whoever holds an invitation. */
export async function welcome(parts: ConsentParts, link: string): Promise<Outcome> {
  const invitation = await invitationOf(parts.database, link);
  const settings = await settingsInForce(parts.database, invitation.tenant_id, parts.defaults);
  const page = welcomePage(parts.site, {
    customer: customerOf(invitation),
    expiresAt: invitation.expires_at,
    invitation: link,
    reading: readingOf(settings, selectedProperties(settings.fields)),
  });
  return { status: 200, page };
}

/** Sends a browser to Microsoft to sign in. */
export async function beginSignIn(parts: ConsentParts, link: string | undefined, browser: string): Promise<Outcome> {
  const { database, signIn } = parts;
  const { invitation_id: invitationId } = await invitationOf(database, link ?? '');
  const goTo = await signIn.begin((kept) => startSignIn(database, { invitationId, browser, ...kept }));
  return { goTo };
}

/** What Microsoft sends a browser back with, from a sign-in or from a consent: which of both, `state` says. */
export async function answered(parts: ConsentParts, given: Parameter, browser: string | undefined): Promise<Outcome> {
  const state = given('state') ?? '';
  const { database } = parts;
  const step = (await take(database, 'sign_in', state, browser)) ?? (await take(database, 'consent', state, browser));
  if (!step) throw new Refused('state_invalid');
  const invitation = await invitationAgain(database, step.invitation_id);
  return startingAgain(parts, invitation, async () => {
    // An error first: beside one, `admin_consent=True` comes all the same.
    refuseErrors(given, step.step);
    return step.step === 'sign_in'
      ? signedIn(parts, step, invitation, given('code') ?? '')
      : consented(parts, step, invitation, given);
  });
}

async function signedIn(parts: ConsentParts, step: Step, invitation: Invitation, code: string): Promise<Outcome> {
  const { nonce, code_verifier: verifier } = step;
  if (code === '' || nonce === null || verifier === null) throw new Refused('sign_in_invalid');
  const { database, log, signIn } = parts;
  const { tenantId, objectId: adminId, domain, administrator } = await signIn.finish(code, { nonce, verifier });
  if (tenantId === personalAccounts) throw new Refused('personal_account');
  const tellsRoles = administrator !== undefined;
  await rememberRegistration(database, signIn.clientId(), tellsRoles);
  const { refused, named } = await mayConnect(database, invitation.invitation_id, tenantId);
  if (refused) throw new Refused(refusalOf[refused]);
  log.info({ tenantId, adminId, administrator, invitation: invitation.invitation_id }, 'signed in');
  if (!tellsRoles) log.warn({ cure: rolesCure }, 'id tokens of this registration tell no directory roles');
  // Everybody with an account of a tenant can sign in to it, guests too, and everybody can write the redirect that says that
  // consent was given. So a tenant that the vendor did not name needs a person who is shown to be its administrator; where
  // roles are not told, the consent waits for the vendor (connectTenant).
  if (!named && administrator === false) throw new Refused('not_administrator');
  const offered = { invitationId: invitation.invitation_id, browser: step.browser, tenantId, adminId, domain };
  const link = await startOffer(database, { ...offered, administrator: administrator === true, tries: 0 });
  return { goTo: `${parts.site.url}/consent?step=${link}` };
}

/** The page from which to go on to consent. */
export async function offer(
  parts: ConsentParts,
  link: string | undefined,
  browser: string | undefined,
): Promise<Outcome> {
  const { database, site } = parts;
  const found = await look(database, 'offer', link ?? '', browser);
  const { tenantId, domain, administrator } = verified(found);
  const invitation = await invitationAgain(database, found.invitation_id);
  const { refused, named } = await mayConnect(database, invitation.invitation_id, tenantId);
  if (refused) throw new Refused(refusalOf[refused]);
  const customer = customerOf(invitation);
  const confirmed = named || administrator;
  const page = offerPage(site, { step: link ?? '', tenantId, domain, customer, confirmed });
  return { status: 200, page };
}

/** Sends a browser to Microsoft to consent for the tenant that it signed in to. */
export async function beginConsent(
  parts: ConsentParts,
  link: string | undefined,
  browser: string | undefined,
): Promise<Outcome> {
  const step = await take(parts.database, 'offer', link ?? '', browser);
  if (!step) throw new Refused('state_invalid');
  await invitationAgain(parts.database, step.invitation_id);
  const state = await startConsent(parts.database, step);
  return { goTo: parts.signIn.consentUrl(verified(step).tenantId, state) };
}

/** Asks once more for a token, for a consent that had not taken effect. */
export async function check(
  parts: ConsentParts,
  link: string | undefined,
  browser: string | undefined,
): Promise<Outcome> {
  const step = await take(parts.database, 'check', link ?? '', browser);
  if (!step) throw new Refused('state_invalid');
  const invitation = await invitationAgain(parts.database, step.invitation_id);
  return startingAgain(parts, invitation, () => connect(parts, step, invitation));
}

async function consented(parts: ConsentParts, step: Step, invitation: Invitation, given: Parameter): Promise<Outcome> {
  if (given('admin_consent')?.toLowerCase() !== 'true') throw new Refused('consent_unconfirmed');
  // Anybody can write a redirect: what it says of the tenant is compared, and never used.
  const named = given('tenant');
  if (named !== undefined && named.toLowerCase() !== step.tenant_id) throw new Refused('tenant_forged');
  return connect(parts, step, invitation);
}

// The proof of a consent is a token, not a redirect. Whose consent it was, no token tells.
async function connect(parts: ConsentParts, step: Step, invitation: Invitation): Promise<Outcome> {
  const { database, defaults, log, site } = parts;
  const { tenantId, adminId, domain, administrator } = verified(step);
  const { invitation_id: invitationId } = invitation;
  const settings = await settingsInForce(database, tenantId, defaults);
  const first = await firstToken(() => parts.tokens(tenantId, settings), parts.patience, parts.signal);
  if ('failure' in first) {
    const { code, message } = first.failure;
    log.warn({ tenantId, code, reason: message }, 'no good token after consent');
    const next = await startAgain(database, step);
    const restart = await invitationUrl(database, site, invitation);
    return { status: first.status, page: notYetPage(site, { next, restart, tenantId, ...first }) };
  }
  // Who it was is in the log and in Entra's own: the feed keeps no ids of people beyond their accounts.
  const consent = { invitationId, tenantId, adminId, administrator, actor: 'connect' };
  const done = await connectTenant(database, consent, defaults);
  if (done.kind === 'refused') throw new Refused(refusalOf[done.reason]);
  const about = { tenantId, domain, customer: customerOf(invitation), missing: first.missing };
  if (done.kind === 'waiting') {
    const cure = `entra-sync tenant approve ${tenantId}`;
    log.warn({ tenantId, adminId, invitation: invitationId, cure }, 'consent waits for approval');
    return { status: 202, page: waitingPage(site, { ...about, until: done.until }) };
  }
  const { how, dropped } = done;
  log.info({ tenantId, adminId, how, missing: first.missing, dropped: dropped.length }, 'tenant connected');
  return { status: 200, page: connectedPage(site, about) };
}

const refusalOf = {
  withdrawn: 'invitation_withdrawn',
  expired: 'invitation_expired',
  other_tenant: 'other_tenant',
  other_customer: 'other_customer',
  unassigned: 'unassigned',
} as const satisfies Record<string, Refusal>;

const declined = /^(access_denied|permission_denied|consent_declined)$/;
// The user declined; the user is no administrator and may only ask for approval (reference-error-codes).
const declinedCodes: ReadonlySet<string> = new Set(['65004', '90094', '90093', '95105']);

function refuseErrors(given: Parameter, step: Step['step']): void {
  const error = given('error');
  if (error === undefined) return;
  const number = /AADSTS(\d{1,10})/.exec(given('error_description') ?? '')?.[1];
  const code = number === undefined ? /^[a-z_]{1,40}$/.exec(error)?.[0] : `AADSTS${number}`;
  const isDeclined = declined.test(error) || (number !== undefined && declinedCodes.has(number));
  throw new Refused(isDeclined ? 'declined' : step === 'consent' ? 'consent_refused' : 'sign_in_refused', { code });
}

/** Runs a step of the flow; whoever is refused in it can start again with the same invitation. */
async function startingAgain(
  parts: ConsentParts,
  invitation: Invitation,
  work: () => Promise<Outcome>,
): Promise<Outcome> {
  try {
    return await work();
  } catch (error) {
    const refused = asRefused(error);
    if (!refused) throw error;
    const again = await invitationUrl(parts.database, parts.site, invitation);
    throw new Refused(refused.refusal, { code: refused.microsoftCode, again, cause: error });
  }
}

/** What an error means to the person at the page; undefined for what is none of the expected ones. */
export function asRefused(error: unknown): Refused | undefined {
  if (error instanceof Refused) return error;
  if (!(error instanceof ExpectedError)) return undefined;
  const code = /AADSTS\d+/.exec(error.message)?.[0];
  if (error.code === 'graph_unavailable') return new Refused('microsoft_unavailable', { cause: error });
  if (error.code === 'sign_in_failed' || error.code === 'credential_refused')
    return new Refused('sign_in_invalid', { code, cause: error });
  return new Refused('unavailable', { cause: error });
}

function customerOf(invitation: Invitation): string {
  return invitation.name ?? invitation.external_ref;
}
