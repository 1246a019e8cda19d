// The steps of a consent: each is good once, in one browser, for one purpose, and none outlives the sign-in that it follows.
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
import { browserHash, type Purpose, readLink, signLink } from './links.ts';
import { Refused } from './refusals.ts';

/** For how long Microsoft may take to send a browser back from the sign-in. */
const signInMs = 15 * 60_000;
/** For how long a finished sign-in is good. No step makes that longer. */
const signedInMs = 30 * 60_000;
/** How many times a token is asked for after one sign-in. */
export const mostTries = 5;

type StepPurpose = Exclude<Purpose, 'invitation'>;

/** The facts of a verified sign-in, for the steps that follow it. */
export type SignedInStep = {
  readonly invitationId: string;
  readonly browser: Buffer;
  readonly tenantId: string;
  readonly adminId: string;
  readonly domain: string | null;
  readonly administrator: boolean;
  readonly tries: number;
};

/** Begins a sign-in; returns the state that goes along to Microsoft. */
export async function startSignIn(
  database: Database,
  step: { invitationId: string; browser: string; nonce: string; verifier: string },
): Promise<string> {
  const opened = await open(database, { ...step, step: 'sign_in', browser: required(step.browser) }, signInMs);
  return sign(database, 'sign_in', opened);
}

/** The first step after a sign-in: from here on its time runs. Returns the link to the page that offers consent. */
export async function startOffer(database: Database, signedIn: SignedInStep): Promise<string> {
  return sign(database, 'offer', await open(database, { ...signedIn, step: 'offer' }, signedInMs));
}

/** Goes on to consent; returns the state that goes along to Microsoft. */
export async function startConsent(database: Database, offer: Step): Promise<string> {
  const opened = await open(database, { ...verified(offer), step: 'consent' }, offer.expires_at);
  return sign(database, 'consent', opened);
}

/**
 * The one step that is left after a try that gave no token. It can be taken to check again or to consent again, once.
 * Undefined when the sign-in has ended or its tries are used up.
 */
export async function startAgain(
  database: Database,
  failed: Step,
): Promise<{ check: string; consent: string } | undefined> {
  const known = verified(failed);
  const tries = known.tries + 1;
  if (tries >= mostTries || failed.expires_at.getTime() <= Date.now()) return undefined;
  const opened = await open(database, { ...known, tries, step: 'offer' }, failed.expires_at);
  return { check: await sign(database, 'check', opened), consent: await sign(database, 'offer', opened) };
}

/** Takes a step that is signed for this purpose; undefined when the link is signed for none or another one. */
export async function take(
  database: Database,
  purpose: StepPurpose,
  link: string,
  cookie: string | undefined,
): Promise<Step | undefined> {
  const mine = await whose(database, purpose, link, cookie);
  if (!mine) return undefined;
  const taken = await takeStep(database, mine);
  if (!taken) throw new Refused('state_used');
  return taken;
}

/** Looks at a step, as often as the browser likes, before it is taken. Throws `Refused` for a link that is not good. */
export async function look(
  database: Database,
  purpose: StepPurpose,
  link: string,
  cookie: string | undefined,
): Promise<Step> {
  const mine = await whose(database, purpose, link, cookie);
  if (!mine) throw new Refused('state_invalid');
  const found = await lookAtStep(database, mine);
  if (!found) throw new Refused('state_used');
  return found;
}

/** The facts of the verified sign-in, in a step that follows it. */
export function verified(step: Step): SignedInStep {
  const { invitation_id: invitationId, browser, tenant_id: tenantId, admin_object_id: adminId } = step;
  if (tenantId === null || adminId === null) throw new Error('a step without a tenant');
  const { domain, administrator, tries } = step;
  return { invitationId, browser, tenantId, adminId, domain, administrator, tries };
}

/** The invitation that a link is signed for. Throws `Refused` unless it is in force. */
export async function invitationOf(database: Database, link: string): Promise<Invitation> {
  const read = readLink(await signingKey(database), 'invitation', link, Date.now());
  if (!read) throw new Refused('no_invitation');
  if (read.expired) throw new Refused('invitation_expired');
  return invitationAgain(database, read.id);
}

/** The invitation that a step follows. Throws `Refused` unless it is in force. */
export async function invitationAgain(database: Database, id: string): Promise<Invitation> {
  const invitation = await findInvitation(database, id);
  if (!invitation) throw new Refused('invitation_withdrawn');
  if (invitation.expired) throw new Refused('invitation_expired');
  return invitation;
}

type Opened = { id: string; expiresAt: Date };

async function open(
  database: Database,
  step: Parameters<typeof openStep>[1],
  end: Parameters<typeof openStep>[2],
): Promise<Opened> {
  const opened = await openStep(database, step, end);
  if (!opened) throw new Refused('invitation_withdrawn');
  return opened;
}

async function sign(database: Database, purpose: StepPurpose, { id, expiresAt }: Opened): Promise<string> {
  return signLink(await signingKey(database), purpose, id, expiresAt);
}

async function whose(database: Database, purpose: StepPurpose, link: string, cookie: string | undefined) {
  const read = readLink(await signingKey(database), purpose, link, Date.now());
  if (!read) return undefined;
  if (read.expired) throw new Refused('state_expired');
  // A check is signed only for a consent that came back from Microsoft, and never for an offer that leads there.
  return { id: read.id, step: purpose === 'check' ? 'offer' : purpose, browser: required(cookie) } as const;
}

function required(cookie: string | undefined): Buffer {
  const browser = browserHash(cookie);
  if (!browser) throw new Refused('cookie_missing');
  return browser;
}
