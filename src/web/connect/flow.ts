// The steps of a consent, one function each: invitation, sign-in, consent, first token, registration. No HTTP here.
import { ExpectedError } from '../../errors.ts';
import type { TokenSource } from '../../graph/credential.ts';
import { rolesCure, type SignInPage } from '../../graph/sign-in.ts';
import type { Log } from '../../logger.ts';
import { selectedProperties } from '../../rules/mapping.ts';
import { ownActors } from '../../rules/own-actors.ts';
import type { Settings, SettingsDocument } from '../../settings/settings.ts';
import type { Database } from '../../store/database/pool.ts';
import { settingsInForce } from '../../store/settings/versions.ts';
import { connectTenant, countPeople, mayConnect } from '../../store/tenants/consent.ts';
import type { Invitation, Step } from '../../store/tenants/invitations.ts';
import { rememberRegistration, rememberSignIn } from '../../store/tenants/registrations.ts';
import { firstToken, type Patience } from './first-token.ts';
import type { Site } from './frame.ts';
import { connectedPage, notYetPage, offerPage, waitingPage, welcomePage } from './pages.ts';
import { readingOf } from './reading.ts';
import { type Refusal, Refused } from './refusals.ts';
import { openSteps, type Steps, verified } from './steps.ts';

export type ConsentParts = {
  readonly database: Database;
  readonly defaults: SettingsDocument;
  readonly log: Log;
  readonly site: Site;
  readonly signIn: SignInPage;
  /** Returns the tokens of a tenant, as its cycles will use them. */
  readonly tokens: (tenantId: string, settings: Settings) => TokenSource;
  readonly patience: Patience;
  readonly signal: AbortSignal;
  /** What the same process serves beside it, for the last page. */
  readonly beside?:
    | {
        readonly console: boolean;
        readonly people: boolean;
        /** Returns where an administrator allows the sign-in to it, if the consent does not cover that. */
        readonly allowUrl?: (() => string) | undefined;
      }
    | undefined;
};

/** The answer to a request: a page, or an address to redirect to. */
export type Outcome = { readonly status: number; readonly page: string } | { readonly goTo: string };

/** Returns a parameter of a redirect or form, if it was given exactly once. */
export type Parameter = (name: string) => string | undefined;

/** The path of the redirect address, which the application has to register. */
export const callbackPath = '/callback';

/** The tenant of all personal Microsoft accounts. */
const personalAccounts = '9188040d-6c67-4c5b-b112-36a304b66dad';

/** One request: what the page works with, and its steps. */
type Request = ConsentParts & { readonly steps: Steps };

async function openRequest(parts: ConsentParts): Promise<Request> {
  return { ...parts, steps: await openSteps(parts.database) };
}

/** Answers an invitation with the first page. */
export async function welcome(parts: ConsentParts, link: string): Promise<Outcome> {
  const { steps } = await openRequest(parts);
  const invitation = await steps.invitationOf(link);
  const settings = await settingsInForce(parts.database, invitation.tenant_id, parts.defaults);
  const page = welcomePage(parts.site, {
    customer: customerOf(invitation),
    expiresAt: invitation.expires_at,
    invitation: link,
    reading: readingOf(settings, selectedProperties(settings)),
  });
  return { status: 200, page };
}

/** Sends a browser to Microsoft to sign in. */
export async function beginSignIn(parts: ConsentParts, link: string | undefined, browser: string): Promise<Outcome> {
  const { signIn, steps } = await openRequest(parts);
  const { invitation_id: invitationId } = await steps.invitationOf(link ?? '');
  const goTo = await signIn.begin((kept) => steps.startSignIn({ invitationId, browser, ...kept }));
  return { goTo };
}

/** Handles a redirect from Microsoft, after a sign-in or after a consent, as `state` says. */
export async function answered(parts: ConsentParts, given: Parameter, browser: string | undefined): Promise<Outcome> {
  const state = given('state') ?? '';
  const request = await openRequest(parts);
  const { steps } = request;
  const step = (await steps.redeem('sign_in', state, browser)) ?? (await steps.redeem('consent', state, browser));
  if (!step) throw new Refused('state_invalid');
  const invitation = await steps.invitationAgain(step.invitation_id);
  return startingAgain(request, invitation, async () => {
    // Check for an error first: Microsoft sends `admin_consent=True` even with one.
    refuseErrors(given, step.step);
    return step.step === 'sign_in'
      ? signedIn(request, step, invitation, given('code') ?? '')
      : consented(request, step, invitation, given);
  });
}

async function signedIn(request: Request, step: Step, invitation: Invitation, code: string): Promise<Outcome> {
  const { nonce, code_verifier: verifier } = step;
  if (code === '' || nonce === null || verifier === null) throw new Refused('sign_in_invalid');
  const { database, log, signIn, site, steps } = request;
  const { tenantId, objectId: adminId, domain, administrator } = await signIn.finish(code, { nonce, verifier });
  if (tenantId === personalAccounts) throw new Refused('personal_account');
  const tellsRoles = administrator !== undefined;
  const clientId = signIn.clientId();
  await rememberRegistration(database, clientId, tellsRoles);
  await rememberSignIn(database, { clientId, redirectUri: site.url + callbackPath });
  const { refused, named } = await mayConnect(database, invitation.invitation_id, tenantId);
  if (refused) throw new Refused(refusalOf[refused]);
  log.info({ tenantId, adminId, administrator, invitation: invitation.invitation_id }, 'signed in');
  if (!tellsRoles) log.warn({ cure: rolesCure }, 'id tokens of this registration tell no directory roles');
  // Every user of a tenant can sign in to it, guests too, and can forge the redirect that claims consent. So a tenant
  // that the vendor did not name needs a proven administrator. If tokens do not contain roles, the consent waits for
  // the vendor (connectTenant).
  if (!named && administrator === false) throw new Refused('not_administrator');
  const offered = { invitationId: invitation.invitation_id, browser: step.browser, tenantId, adminId, domain };
  const link = await steps.startOffer({ ...offered, administrator: administrator === true, tries: 0 });
  return { goTo: `${site.url}/consent?step=${link}` };
}

/** Answers with the page that offers consent. */
export async function offer(
  parts: ConsentParts,
  link: string | undefined,
  browser: string | undefined,
): Promise<Outcome> {
  const { database, site, steps } = await openRequest(parts);
  const found = await steps.peek('offer', link ?? '', browser);
  const { tenantId, domain, administrator } = verified(found);
  const invitation = await steps.invitationAgain(found.invitation_id);
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
  const { signIn, steps } = await openRequest(parts);
  const step = await steps.redeem('offer', link ?? '', browser);
  if (!step) throw new Refused('state_invalid');
  await steps.invitationAgain(step.invitation_id);
  const state = await steps.startConsent(step);
  return { goTo: signIn.consentUrl(verified(step).tenantId, state) };
}

/** Requests a token again, for a consent that had not taken effect. */
export async function check(
  parts: ConsentParts,
  link: string | undefined,
  browser: string | undefined,
): Promise<Outcome> {
  const request = await openRequest(parts);
  const step = await request.steps.redeem('check', link ?? '', browser);
  if (!step) throw new Refused('state_invalid');
  const invitation = await request.steps.invitationAgain(step.invitation_id);
  return startingAgain(request, invitation, () => connect(request, step, invitation));
}

async function consented(request: Request, step: Step, invitation: Invitation, given: Parameter): Promise<Outcome> {
  if (given('admin_consent')?.toLowerCase() !== 'true') throw new Refused('consent_unconfirmed');
  // A redirect can be forged: compare its tenant, and never use it.
  const named = given('tenant');
  if (named !== undefined && named.toLowerCase() !== step.tenant_id) throw new Refused('tenant_forged');
  return connect(request, step, invitation);
}

// The proof of a consent is a token, not a redirect. No token shows who gave it.
async function connect(request: Request, step: Step, invitation: Invitation): Promise<Outcome> {
  const { database, defaults, log, site, steps } = request;
  const { tenantId, adminId, domain, administrator } = verified(step);
  const { invitation_id: invitationId } = invitation;
  const settings = await settingsInForce(database, tenantId, defaults);
  const first = await firstToken(() => request.tokens(tenantId, settings), request.patience, request.signal);
  if ('failure' in first) {
    const { failure, status, why, again } = first;
    const { code, message } = failure;
    log.warn({ tenantId, code, reason: message }, 'no good token after consent');
    const next = await steps.startAgain(step);
    const restart = steps.urlOf(site, invitation);
    return { status, page: notYetPage(site, { next, restart, tenantId, domain, why, message, again }) };
  }
  // The logs name the administrator. The feed stores no ids of people beyond their accounts.
  const consent = { invitationId, tenantId, adminId, administrator, actor: ownActors.connect };
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
  return { goTo: `${site.url}/connected?tenant=${steps.linkOfConnected(about, step)}` };
}

/** Answers with the last page, any number of times. */
export async function connected(
  parts: ConsentParts,
  link: string | undefined,
  browser: string | undefined,
): Promise<Outcome> {
  const { database, site, steps } = await openRequest(parts);
  const facts = steps.connectedOf(link ?? '', browser);
  const people = await countPeople(database, facts.tenantId);
  if (people === undefined) throw new Refused('state_expired');
  const reload = `${site.url}/connected?tenant=${link}`;
  const { beside } = parts;
  const ways = {
    console: beside?.console ? `${site.url}/` : undefined,
    people: beside?.people ? `${site.url}/` : undefined,
    allow: beside?.allowUrl?.(),
  };
  return { status: 200, page: connectedPage(site, { ...facts, people, reload, ways }) };
}

const refusalOf = {
  withdrawn: 'invitation_withdrawn',
  expired: 'invitation_expired',
  other_tenant: 'other_tenant',
  other_customer: 'other_customer',
  unassigned: 'unassigned',
} as const satisfies Record<string, Refusal>;

const declined = /^(access_denied|permission_denied|consent_declined)$/;
// The user is not an administrator, and may only request approval (reference-error-codes).
const notAllowedCodes: ReadonlySet<string> = new Set(['65001', '90094', '90093', '90095', '900941', '95105']);
const declinedCode = '65004';

function refuseErrors(given: Parameter, step: Step['step']): void {
  const error = given('error');
  if (error === undefined) return;
  const number = /AADSTS(\d{1,10})/.exec(given('error_description') ?? '')?.[1];
  const code = number === undefined ? /^[a-z_]{1,40}$/.exec(error)?.[0] : `AADSTS${number}`;
  // Microsoft sends access_denied for both, so the number comes first.
  if (number !== undefined && notAllowedCodes.has(number)) throw new Refused('not_allowed', { code });
  if (declined.test(error) || number === declinedCode) throw new Refused('declined', { code });
  throw new Refused(step === 'consent' ? 'consent_refused' : 'sign_in_refused', { code });
}

/** Runs a step. A refusal in it offers a new start with the same invitation. */
async function startingAgain(
  { site, steps }: Request,
  invitation: Invitation,
  work: () => Promise<Outcome>,
): Promise<Outcome> {
  try {
    return await work();
  } catch (error) {
    const refused = asRefused(error);
    if (!refused) throw error;
    const again = steps.urlOf(site, invitation);
    throw new Refused(refused.refusal, { code: refused.microsoftCode, again, cause: error });
  }
}

/** Returns the refusal to show for an error; undefined for an unexpected one. */
export function asRefused(error: unknown): Refused | undefined {
  if (error instanceof Refused) return error;
  if (!(error instanceof ExpectedError)) return undefined;
  const code = /AADSTS\d+/.exec(error.message)?.[0];
  if (error.code === 'graph_unavailable' || error.code === 'proxy_refused')
    return new Refused('microsoft_unavailable', { cause: error });
  if (error.code === 'sign_in_failed' || error.code === 'credential_refused')
    return new Refused('sign_in_invalid', { code, cause: error });
  return new Refused('unavailable', { cause: error });
}

function customerOf(invitation: Invitation): string {
  return invitation.name ?? invitation.external_ref;
}
