// The steps of a consent, one function each: invitation, sign-in, consent, first token, registration. No HTTP in here.
import { ExpectedError } from '../errors.ts';
import type { TokenSource } from '../graph/credential.ts';
import type { SignInPage } from '../graph/sign-in.ts';
import type { Log } from '../logger.ts';
import { selectedProperties } from '../rules/mapping.ts';
import type { Settings, SettingsDocument } from '../settings.ts';
import { connectTenant, mayConnect } from '../store/consent.ts';
import {
  findInvitation,
  type Invitation,
  lookAtStep,
  openStep,
  type Step,
  signingKey,
  takeStep,
} from '../store/invitations.ts';
import type { Database } from '../store/pool.ts';
import { settingsInForce } from '../store/settings.ts';
import { firstToken, type Patience } from './first-token.ts';
import { browserHash, readLink, signLink } from './links.ts';
import { connectedPage, notYetPage, offerPage, readingOf, type Site, welcomePage } from './pages.ts';
import { type Refusal, Refused } from './refusals.ts';

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

const stepMs = 15 * 60_000;

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
  const invitation = await invitationOf(parts, link);
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
  const { invitation_id: invitationId } = await invitationOf(parts, link ?? '');
  const goTo = await parts.signIn.begin((kept) =>
    next(parts, { invitationId, step: 'sign_in', browser: required(browser), ...kept }),
  );
  return { goTo };
}

/** What Microsoft sends a browser back with, from a sign-in or from a consent: which of both, `state` says. */
export async function answered(parts: ConsentParts, given: Parameter, browser: string | undefined): Promise<Outcome> {
  const state = given('state') ?? '';
  const step = (await take(parts, 'sign_in', state, browser)) ?? (await take(parts, 'consent', state, browser));
  if (!step) throw new Refused('state_invalid');
  const invitation = await invitationAgain(parts, step.invitation_id);
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
  const { tenantId, objectId: adminId, domain, administrator } = await parts.signIn.finish(code, { nonce, verifier });
  if (tenantId === personalAccounts) throw new Refused('personal_account');
  const { refused, vouched } = await mayConnect(parts.database, invitation.invitation_id, tenantId);
  if (refused) throw new Refused(refusalOf[refused]);
  parts.log.info({ tenantId, adminId, administrator, invitation: invitation.invitation_id }, 'signed in');
  if (!vouched) await requireAdministrator(parts, tenantId, administrator);
  const offered = { invitationId: invitation.invitation_id, browser: step.browser, tenantId, adminId, domain };
  return { goTo: `${parts.site.url}/consent?step=${await next(parts, { ...offered, step: 'offer' })}` };
}

// Everybody with an account of a tenant can sign in to it, guests too, and everybody can write the redirect that says that
// consent was given. So a tenant that the vendor did not name needs a person who is shown to be its administrator, or else
// a consent that was not there yet when the person signed in.
async function requireAdministrator(parts: ConsentParts, tenantId: string, administrator?: boolean): Promise<void> {
  if (administrator) return;
  if (administrator === false) throw new Refused('not_administrator');
  const settings = await settingsInForce(parts.database, tenantId, parts.defaults);
  const now = await firstToken(() => parts.tokens(tenantId, settings), { retries: 0, firstWaitMs: 0 }, parts.signal);
  if (!('failure' in now)) throw new Refused('consented_before');
  if (now.failure.code === 'graph_unavailable') throw now.failure;
}

/** The page from which to go on to consent. */
export async function offer(
  parts: ConsentParts,
  link: string | undefined,
  browser: string | undefined,
): Promise<Outcome> {
  const mine = await whose(parts, 'offer', link ?? '', browser);
  if (!mine) throw new Refused('state_invalid');
  const found = await lookAtStep(parts.database, mine);
  if (!found) throw new Refused('state_used');
  const { tenantId, domain } = verified(found);
  const invitation = await invitationAgain(parts, found.invitation_id);
  const page = offerPage(parts.site, { step: link ?? '', tenantId, domain, customer: customerOf(invitation) });
  return { status: 200, page };
}

/** Sends a browser to Microsoft to consent for the tenant that it signed in to. */
export async function beginConsent(
  parts: ConsentParts,
  link: string | undefined,
  browser: string | undefined,
): Promise<Outcome> {
  const step = await take(parts, 'offer', link ?? '', browser);
  if (!step) throw new Refused('state_invalid');
  const { invitation_id: invitationId } = await invitationAgain(parts, step.invitation_id);
  const known = verified(step);
  const state = await next(parts, { invitationId, step: 'consent', browser: step.browser, ...known });
  return { goTo: parts.signIn.consentUrl(known.tenantId, state) };
}

/** Asks once more for a token, for a consent that had not taken effect. */
export async function check(
  parts: ConsentParts,
  link: string | undefined,
  browser: string | undefined,
): Promise<Outcome> {
  const step = await take(parts, 'check', link ?? '', browser);
  if (!step) throw new Refused('state_invalid');
  const invitation = await invitationAgain(parts, step.invitation_id);
  return startingAgain(parts, invitation, () => connect(parts, step, invitation));
}

async function consented(parts: ConsentParts, step: Step, invitation: Invitation, given: Parameter): Promise<Outcome> {
  if (given('admin_consent')?.toLowerCase() !== 'true') throw new Refused('consent_unconfirmed');
  // Anybody can write a redirect: what it says of the tenant is compared, and never used.
  const named = given('tenant');
  if (named !== undefined && named.toLowerCase() !== step.tenant_id) throw new Refused('tenant_forged');
  return connect(parts, step, invitation);
}

// The proof of a consent is a token, not a redirect.
async function connect(parts: ConsentParts, step: Step, invitation: Invitation): Promise<Outcome> {
  const { database, defaults, log, site } = parts;
  const { tenantId, adminId, domain } = verified(step);
  const settings = await settingsInForce(database, tenantId, defaults);
  const first = await firstToken(() => parts.tokens(tenantId, settings), parts.patience, parts.signal);
  if ('failure' in first) {
    const { code, message } = first.failure;
    log.warn({ tenantId, code, reason: message }, 'no good token after consent');
    const invitationId = invitation.invitation_id;
    const known = { invitationId, browser: step.browser, tenantId, adminId, domain };
    const check = await next(parts, { ...known, step: 'consent' }, 'check');
    const consent = await next(parts, { ...known, step: 'offer' });
    return { status: first.status, page: notYetPage(site, { check, consent, tenantId, ...first }) };
  }
  // Who it was is in the log and in Entra's own: the feed keeps no ids of people beyond their accounts.
  const consent = { invitationId: invitation.invitation_id, tenantId, actor: 'connect' };
  const done = await connectTenant(database, consent, defaults);
  if (done.kind === 'refused') throw new Refused(refusalOf[done.reason]);
  log.info({ tenantId, adminId, how: done.how, missing: first.missing }, 'tenant connected');
  const page = connectedPage(site, { tenantId, domain, customer: customerOf(invitation), missing: first.missing });
  return { status: 200, page };
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

async function invitationOf({ database }: ConsentParts, link: string): Promise<Invitation> {
  const read = readLink(await signingKey(database), 'invitation', link, Date.now());
  if (!read) throw new Refused('no_invitation');
  if (read.expired) throw new Refused('invitation_expired');
  return inForce(await findInvitation(database, read.id));
}

async function invitationAgain({ database }: ConsentParts, id: string): Promise<Invitation> {
  return inForce(await findInvitation(database, id));
}

function inForce(invitation: Invitation | undefined): Invitation {
  if (!invitation) throw new Refused('invitation_withdrawn');
  if (invitation.expired) throw new Refused('invitation_expired');
  return invitation;
}

function customerOf(invitation: Invitation): string {
  return invitation.name ?? invitation.external_ref;
}

/** Keeps the next step and signs the link to it. */
async function next(
  { database }: ConsentParts,
  step: Parameters<typeof openStep>[1],
  purpose: StepPurpose = step.step,
): Promise<string> {
  const opened = await openStep(database, step, stepMs);
  if (!opened) throw new Refused('invitation_withdrawn');
  return signLink(await signingKey(database), purpose, opened.id, opened.expiresAt);
}

// A consent that has to be checked again has come back from Microsoft: its link is none that Microsoft was given.
type StepPurpose = Step['step'] | 'check';

/** Takes a step that is signed for this purpose; undefined when the link is signed for none or another one. */
async function take(
  parts: ConsentParts,
  purpose: StepPurpose,
  link: string,
  cookie: string | undefined,
): Promise<Step | undefined> {
  const mine = await whose(parts, purpose, link, cookie);
  if (!mine) return undefined;
  const taken = await takeStep(parts.database, mine);
  if (!taken) throw new Refused('state_used');
  return taken;
}

async function whose({ database }: ConsentParts, purpose: StepPurpose, link: string, cookie: string | undefined) {
  const read = readLink(await signingKey(database), purpose, link, Date.now());
  if (!read) return undefined;
  if (read.expired) throw new Refused('state_expired');
  return { id: read.id, step: purpose === 'check' ? 'consent' : purpose, browser: required(cookie) } as const;
}

function required(cookie: string | undefined): Buffer {
  const browser = browserHash(cookie);
  if (!browser) throw new Refused('cookie_missing');
  return browser;
}

function verified({ tenant_id: tenantId, admin_object_id: adminId, domain }: Step) {
  if (tenantId === null || adminId === null) throw new Error('a step without a tenant');
  return { tenantId, adminId, domain };
}
