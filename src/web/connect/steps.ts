// The steps of a consent. Each is valid once, in one browser, for one purpose, and no longer than its sign-in.

import type { Database } from '../../store/database/pool.ts';
import {
  findInvitation,
  type Invitation,
  lookAtStep,
  openStep,
  type Step,
  signingKey,
  takeStep,
} from '../../store/tenants/invitations.ts';
import { browserHash, invitationUrl, type Purpose, readFacts, readLink, signFacts, signLink } from '../links.ts';
import { Refused } from './refusals.ts';

/** The time that Microsoft has to send a browser back from the sign-in. */
const signInMs = 15 * 60_000;
/** The time for which a finished sign-in is valid. No step extends it. */
const signedInMs = 30 * 60_000;
/** The time for which the last page can be loaded again: that of the browser's cookie. */
const connectedMs = 60 * 60_000;
/** The number of requests for a token after one sign-in. */
export const maxTries = 5;

type StepPurpose = Exclude<Purpose, 'invitation' | 'connected' | 'entering' | 'form'>;

/** The facts of a connected tenant on the last page. The link of the page carries them, since no step is left. */
export type ConnectedFacts = {
  readonly tenantId: string;
  readonly customer: string;
  readonly domain: string | null;
  readonly missing: readonly string[];
};

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

/** The steps of one request. Every method throws `Refused` for an invalid link. */
export type Steps = {
  /** Returns the address of an invitation. */
  urlOf(site: { readonly url: string }, invitation: Invitation): string;
  /** Returns the invitation of a signed link, if it is valid. */
  invitationOf(link: string): Promise<Invitation>;
  /** Returns the invitation of a step, if it is still valid. */
  invitationAgain(id: string): Promise<Invitation>;
  /** Begins a sign-in; returns the `state` for Microsoft. */
  startSignIn(step: { invitationId: string; browser: string; nonce: string; verifier: string }): Promise<string>;
  /** Begins the time of a sign-in; returns the link to the page that offers consent. */
  startOffer(signedIn: SignedInStep): Promise<string>;
  /** Begins a consent; returns the `state` for Microsoft. */
  startConsent(offer: Step): Promise<string>;
  /**
   * Returns two links to one next step after a try without a token: to check or to consent again. Undefined when the
   * sign-in has expired or its tries are used up.
   */
  startAgain(failed: Step): Promise<{ check: string; consent: string } | undefined>;
  /** Returns the link to the last page, for the browser of the step. */
  linkOfConnected(facts: ConnectedFacts, step: Step): string;
  /** Returns the facts of a link to the last page. */
  connectedOf(link: string, cookie: string | undefined): ConnectedFacts;
  /** Redeems a step that is signed for this purpose; undefined if the link is not. */
  redeem(purpose: StepPurpose, link: string, cookie: string | undefined): Promise<Step | undefined>;
  /** Returns a step without redeeming it, any number of times. */
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
    // Only a consent that came back from Microsoft is signed as a check.
    return { id: found.id, step: purpose === 'check' ? 'offer' : purpose, browser: required(cookie) } as const;
  }

  async function invitationAgain(id: string): Promise<Invitation> {
    const invitation = await findInvitation(database, id);
    if (!invitation) throw new Refused('invitation_withdrawn');
    if (invitation.expired) throw new Refused('invitation_expired');
    return invitation;
  }

  return {
    urlOf: ({ url }, { invitation_id: id, expires_at: expiresAt }) => invitationUrl(key, url, id, expiresAt),
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
    linkOfConnected: (facts, { browser }) =>
      signFacts(
        key,
        'connected',
        { ...facts, browser: browser.toString('base64url') },
        new Date(Date.now() + connectedMs),
      ),
    connectedOf: (link, cookie) => {
      const found = readFacts<ConnectedFacts & { browser: string }>(key, 'connected', link, Date.now());
      if (!found) throw new Refused('state_invalid');
      if (found.expired) throw new Refused('state_expired');
      if (required(cookie).toString('base64url') !== found.facts.browser) throw new Refused('state_used');
      return found.facts;
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

/** Returns the facts of the verified sign-in from a step that follows it. */
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
