// The steps of a consent: each is good once, in one browser, for one purpose, and none outlives the sign-in that it follows.

import type { Database } from '../store/database/pool.ts';
import {
  findInvitation,
  type Invitation,
  lookAtStep,
  openStep,
  type Step,
  signingKey,
  takeStep,
} from '../store/tenants/invitations.ts';
import { browserHash, type Purpose, readLink, signLink } from './links.ts';
import { Refused } from './refusals.ts';

/** For how long Microsoft may take to send a browser back from the sign-in. */
const signInMs = 15 * 60_000;
/** For how long a finished sign-in is good. No step makes that longer. */
const signedInMs = 30 * 60_000;
/** How many times a token is asked for after one sign-in. */
export const maxTries = 5;

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

/** The steps of one request. The key that signs their links was read once. Every method throws `Refused` for a bad link. */
export type Steps = {
  /** The address that an invitation is handed out as. */
  urlOf(site: { readonly url: string }, invitation: Invitation): string;
  /** The invitation that a link is signed for, if it is in force. */
  invitationOf(link: string): Promise<Invitation>;
  /** The invitation that a step follows, if it is in force. */
  invitationAgain(id: string): Promise<Invitation>;
  /** Begins a sign-in; returns the state that goes along to Microsoft. */
  startSignIn(step: { invitationId: string; browser: string; nonce: string; verifier: string }): Promise<string>;
  /** The first step after a sign-in: from here on its time runs. Returns the link to the page that offers consent. */
  startOffer(signedIn: SignedInStep): Promise<string>;
  /** Goes on to consent; returns the state that goes along to Microsoft. */
  startConsent(offer: Step): Promise<string>;
  /**
   * The one step that is left after a try that gave no token. It can be redeemed to check again or to consent again, once.
   * Undefined when the sign-in has ended or its tries are used up.
   */
  startAgain(failed: Step): Promise<{ check: string; consent: string } | undefined>;
  /** Redeems a step that is signed for this purpose; undefined when the link is signed for none or another one. */
  redeem(purpose: StepPurpose, link: string, cookie: string | undefined): Promise<Step | undefined>;
  /** Shows a step, as often as the browser likes, before it is redeemed. */
  peek(purpose: StepPurpose, link: string, cookie: string | undefined): Promise<Step>;
};

/** Opens the steps for one request. */
export async function openSteps(database: Database): Promise<Steps> {
  const key = await signingKey(database);
  const sign = (purpose: StepPurpose, { id, expiresAt }: Opened) => signLink(key, purpose, id, expiresAt);

  function read(purpose: StepPurpose, link: string, cookie: string | undefined) {
    const found = readLink(key, purpose, link, Date.now());
    if (!found) return undefined;
    if (found.expired) throw new Refused('state_expired');
    // A check is signed only for a consent that came back from Microsoft, and never for an offer that leads there.
    return { id: found.id, step: purpose === 'check' ? 'offer' : purpose, browser: required(cookie) } as const;
  }

  async function invitationAgain(id: string): Promise<Invitation> {
    const invitation = await findInvitation(database, id);
    if (!invitation) throw new Refused('invitation_withdrawn');
    if (invitation.expired) throw new Refused('invitation_expired');
    return invitation;
  }

  return {
    urlOf: ({ url }, { invitation_id: id, expires_at: expiresAt }) =>
      `${url}/invitation/${signLink(key, 'invitation', id, expiresAt)}`,
    invitationOf: async (link) => {
      const found = readLink(key, 'invitation', link, Date.now());
      if (!found) throw new Refused('no_invitation');
      if (found.expired) throw new Refused('invitation_expired');
      return invitationAgain(found.id);
    },
    invitationAgain,
    startSignIn: async (step) =>
      sign('sign_in', await open(database, { ...step, step: 'sign_in', browser: required(step.browser) }, signInMs)),
    startOffer: async (signedIn) => sign('offer', await open(database, { ...signedIn, step: 'offer' }, signedInMs)),
    startConsent: async (offer) =>
      sign('consent', await open(database, { ...verified(offer), step: 'consent' }, offer.expires_at)),
    startAgain: async (failed) => {
      const known = verified(failed);
      const tries = known.tries + 1;
      if (tries >= maxTries || failed.expires_at.getTime() <= Date.now()) return undefined;
      const opened = await open(database, { ...known, tries, step: 'offer' }, failed.expires_at);
      return { check: sign('check', opened), consent: sign('offer', opened) };
    },
    redeem: async (purpose, link, cookie) => {
      const own = read(purpose, link, cookie);
      if (!own) return undefined;
      const redeemed = await takeStep(database, own);
      if (!redeemed) throw new Refused('state_used');
      return redeemed;
    },
    peek: async (purpose, link, cookie) => {
      const own = read(purpose, link, cookie);
      if (!own) throw new Refused('state_invalid');
      const found = await lookAtStep(database, own);
      if (!found) throw new Refused('state_used');
      return found;
    },
  };
}

/** The facts of the verified sign-in, in a step that follows it. */
export function verified(step: Step): SignedInStep {
  const { invitation_id: invitationId, browser, tenant_id: tenantId, admin_object_id: adminId } = step;
  if (tenantId === null || adminId === null) throw new Error('a step without a tenant');
  const { domain, administrator, tries } = step;
  return { invitationId, browser, tenantId, adminId, domain, administrator, tries };
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

function required(cookie: string | undefined): Buffer {
  const browser = browserHash(cookie);
  if (!browser) throw new Refused('cookie_missing');
  return browser;
}
