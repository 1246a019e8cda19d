// The way in by Microsoft: `/enter` begins a sign-in, `/entered` ends it. A sign-in is bound to its browser by a cookie
// with its state, nonce and verifier, which is signed, valid for 15 minutes, and taken back when the browser returns. Each tab
// has a cookie of its own, so that two tabs of a browser without a session both come in.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { ExpectedError } from '../errors.ts';
import { rolesCure, type SignedIn, type SignInPage } from '../graph/sign-in.ts';
import type { Log } from '../logger.ts';
import { directoryRoleOf, opsOf } from '../rules/viewers.ts';
import type { Database } from '../store/database/pool.ts';
import { writeAudit } from '../store/feed/audit.ts';
import { signingKey } from '../store/tenants/invitations.ts';
import { rememberConsentWanted, rememberRegistration, rememberSignIn } from '../store/tenants/registrations.ts';
import { endSession, lookAtSignIn, type NewSession } from '../store/web/sessions.ts';
import type { Viewer } from './access.ts';
import type { Entrance, Threshold } from './entrance.ts';
import { type EntryRefusal, endedPage, entryRefusalPage, signedOutPage } from './entry-pages.ts';
import { ownPath, readFacts, signFacts } from './links.ts';
import { asViewer, beginSession, hashOfCookie } from './session.ts';
import { languageOf, type WebLanguage } from './web-language.ts';

/** The path of the redirect address, which the application has to register. */
export const enteredPath = '/entered';

type Entering = { readonly state: string; readonly nonce: string; readonly verifier: string; readonly to: string };

const enteringMs = 15 * 60_000;
/** The most sign-ins of a browser that wait for their return, and the characters of its cookies beyond which they are given up. */
const mostBegun = 6;
// Node takes 16 KiB of headers. Beyond it no page answers, this one neither.
const mostCookies = 8_000;
/** The time for which a browser that has signed out is asked for the account again. */
const leftMs = 24 * 3_600_000;

/** The tenant id of every personal Microsoft account. */
const personalTenant = '9188040d-6c67-4c5b-b112-36a304b66dad';

const statusOf: Readonly<Record<EntryRefusal, number>> = {
  ...{ tenant_unknown: 403, personal: 403, guest: 403, suspended: 403, removed: 403, no_account: 403 },
  ...{ nothing_here: 403, consent_wanted: 403, cancelled: 403, stale: 400, failed: 403, unavailable: 503 },
};

export type SignInOptions = {
  readonly database: Database;
  readonly signIn: SignInPage;
  /** The public address, without a trailing slash. */
  readonly url: string;
  readonly languages: readonly WebLanguage[];
  readonly log: Log;
  /** The vendor's own tenant, whose application roles make ops. */
  readonly opsTenant: string | undefined;
  /** Counts a sign-in, or a refusal by its reason. */
  readonly onSignIn: (outcome: 'signed_in' | EntryRefusal) => void;
};

/** Returns the entrance by a sign-in at Microsoft. */
export function signInEntrance(options: SignInOptions): Entrance {
  const { database, signIn, log, opsTenant } = options;
  const { pathname, protocol } = new URL(options.url);
  const base = pathname.replace(/\/$/, '');
  const secure = protocol === 'https:';
  const cookieName = secure ? '__Host-entra-sync-entering' : 'entra-sync-entering';
  // A browser that has signed out: Microsoft would let the same person in again without a question, at the next page.
  const leftName = secure ? '__Host-entra-sync-left' : 'entra-sync-left';
  const cookieFor = (state: string) => `${cookieName}-${state.slice(0, 12)}`;
  const cookie = { path: '/', httpOnly: true, sameSite: 'lax', secure } as const;
  const enterAt = (to: string, other = false) =>
    `${base}/enter?${new URLSearchParams({ ...(to !== '/' && { to }), ...(other && { other: '1' }) })}`;

  const address = () => ({ clientId: signIn.clientId(), redirectUri: options.url + enteredPath });

  let threshold: Threshold | undefined;
  const sendPage = (reply: FastifyReply, status: number, page: string) => {
    if (!threshold) throw new Error('the entrance is not registered');
    return threshold.send(reply.header('vary', 'accept-language'), status, page);
  };
  function refuse(request: FastifyRequest, reply: FastifyReply, refusal: EntryRefusal, to = '/') {
    options.onSignIn(refusal);
    const allow = refusal === 'consent_wanted' ? signIn.signInConsentUrl() : undefined;
    const ways = { again: enterAt(to), other: enterAt(to, true), allow };
    const language = languageOf(options.languages, request);
    return sendPage(reply, statusOf[refusal], entryRefusalPage(language, refusal, ways, request.id));
  }

  async function begin(request: FastifyRequest, reply: FastifyReply) {
    const { to, other } = request.query as Record<string, unknown>;
    const key = await signingKey(database);
    const state = randomBytes(32).toString('base64url');
    let entering = '';
    const quick = other === undefined && request.cookies[leftName] !== '1';
    const address = await signIn
      .begin(async ({ nonce, verifier }) => {
        const facts: Entering = { state, nonce, verifier, to: ownPath(to) };
        entering = signFacts(key, 'entering', facts, new Date(Date.now() + enteringMs));
        return state;
      }, quick)
      .catch((error: unknown) => asRefusal(error));
    if (typeof address !== 'string') return refuse(request, reply, address.refusal);
    const begun = Object.keys(request.cookies).filter((one) => one.startsWith(`${cookieName}-`));
    if (begun.length >= mostBegun || (request.headers.cookie ?? '').length > mostCookies)
      for (const one of begun) reply.clearCookie(one, cookie);
    return reply.setCookie(cookieFor(state), entering, { ...cookie, maxAge: enteringMs / 1000 }).redirect(address, 303);
  }

  /** Returns what the cookie keeps of a sign-in with this state; undefined if it is not of this browser, or too old. */
  async function keptOf(request: FastifyRequest): Promise<Entering | undefined> {
    const { state } = request.query as Record<string, unknown>;
    const kept = typeof state === 'string' ? request.cookies[cookieFor(state)] : undefined;
    if (kept === undefined || typeof state !== 'string') return undefined;
    const found = readFacts<Entering>(await signingKey(database), 'entering', kept, Date.now());
    if (!found || found.expired) return undefined;
    const [mine, given] = [found.facts.state, state].map((one) => Buffer.from(one));
    if (!mine || !given || mine.length !== given.length || !timingSafeEqual(mine, given)) return undefined;
    return found.facts;
  }

  async function end(request: FastifyRequest, reply: FastifyReply) {
    const { code, error, error_description: words, admin_consent: allowed } = request.query as Record<string, unknown>;
    const kept = await keptOf(request);
    if (kept) reply.clearCookie(cookieFor(kept.state), cookie);
    // An administrator who has just allowed the sign-in, and may have begun none, signs in now.
    if (!kept && allowed !== undefined && error === undefined) return reply.redirect(enterAt('/'), 303);
    // The back button, or a tab that came second: the person is in already.
    if (!kept && (await threshold?.isIn(request))) return reply.redirect(`${base}/`, 303);
    if (!kept) return refuse(request, reply, allowed === undefined ? 'stale' : 'cancelled');
    const wanted = consentCode(String(error ?? ''), String(words ?? ''));
    if (wanted !== undefined) return refuseForConsent(request, reply, wanted, kept.to);
    if (error !== undefined) {
      const away = error === 'server_error' || error === 'temporarily_unavailable';
      return refuse(request, reply, away ? 'unavailable' : 'cancelled', kept.to);
    }
    if (typeof code !== 'string' || code.length > 8_192) return refuse(request, reply, 'stale', kept.to);
    const person = await signIn.finish(code, kept).catch((cause: unknown) => asRefusal(cause));
    if ('refusal' in person) {
      const { refusal, reason } = person;
      if (refusal === 'consent_wanted') return refuseForConsent(request, reply, reason, kept.to);
      log.warn({ refusal, reason, reference: request.id }, 'a sign-in failed');
      return refuse(request, reply, refusal, kept.to);
    }
    if (person.tenantId !== personalTenant) await remember(person);
    return letIn(request, reply, person, kept.to);
  }

  /** Keeps what the sign-in has shown of the registration, for `doctor`. */
  async function remember({ administrator }: SignedIn) {
    const tellsRoles = administrator !== undefined;
    await rememberRegistration(database, signIn.clientId(), tellsRoles);
    await rememberSignIn(database, address());
    if (!tellsRoles) log.warn({ cure: rolesCure }, 'id tokens of this registration tell no directory roles');
  }

  async function refuseForConsent(request: FastifyRequest, reply: FastifyReply, code: string, to: string) {
    await rememberConsentWanted(database, { ...address(), code });
    log.warn({ refusal: 'consent_wanted', code, reference: request.id }, 'a sign-in failed');
    return refuse(request, reply, 'consent_wanted', to);
  }

  async function letIn(request: FastifyRequest, reply: FastifyReply, person: SignedIn, to: string) {
    const { tenantId, objectId } = person;
    const actor = `entra:${tenantId}/${objectId}`;
    const ops = opsOf(tenantId, person.appRoles, opsTenant);
    const session = { actor, tenantId, objectId, ops, directoryRole: directoryRoleOf(person.directoryRoles) };
    const found = await lookAtSignIn(database, session);
    const refusal = refusalOf(person, found, (viewer) => threshold?.start(viewer) !== undefined);
    const known = refusal !== 'tenant_unknown' && refusal !== 'personal';
    const line = { actor: found.actor, via: 'web', tenantId: known ? tenantId : null, reference: request.id } as const;
    if (refusal !== undefined) {
      await writeAudit(database, [{ ...line, act: 'sign_in.refused', role: 'none', detail: { why: refusal } }]);
      log.info({ refusal, reference: request.id }, 'a sign-in was refused');
      return refuse(request, reply, refusal, to);
    }
    const roles = typeof found.roles === 'string' ? [] : found.roles;
    // A directory role that gives nothing here, as that of the vendor's own tenant, shortens no session.
    const counts = roles.includes('reader');
    const opened: Omit<NewSession, 'hash'> = { ...session, directoryRole: counts ? session.directoryRole : null };
    const value = await beginSession(database, opened);
    await writeAudit(database, [{ ...line, act: 'sign_in', role: roles[0] ?? 'none', detail: { roles } }]);
    options.onSignIn('signed_in');
    if (!threshold) throw new Error('the entrance is not registered');
    return threshold.open(reply.clearCookie(leftName, cookie), value, to);
  }

  return {
    register: async (app, given) => {
      threshold = given;
      const rateLimit = { max: signInsAMinute, timeWindow: 60_000 };
      app.get('/enter', { config: { rateLimit } }, begin);
      app.get(enteredPath, { config: { rateLimit } }, end);
      app.get('/left', async (request, reply) => {
        // A link to this page signs no one out.
        if (await given.isIn(request)) return reply.redirect(`${base}/`, 303);
        reply.setCookie(leftName, '1', { ...cookie, maxAge: leftMs / 1000 });
        return sendPage(reply, 200, signedOutPage(languageOf(options.languages, request), enterAt('/')));
      });
    },
    ask: (request, reply, to = request.url.slice(base.length)) => reply.redirect(enterAt(to), 303),
    askAgain: (request, reply, to, form, isKept) =>
      sendPage(reply, 401, endedPage(languageOf(options.languages, request), enterAt(to), isKept ? undefined : form)),
    left: '/left',
    leave: async (value, viewer: Viewer, reference) => {
      const { actor, tenantId, roles } = viewer;
      const line = { actor, tenantId, via: 'web', role: roles[0] ?? 'none', act: 'sign_out', reference } as const;
      await endSession(database, hashOfCookie(value), line);
    },
  };
}

// The organization lets only an administrator allow the application (reference-error-codes; 900941: it is thought risky;
// 90095: people may ask for it).
const wantsConsent = /AADSTS(?:65001|90094|90095|900941)(?!\d)/;

/** Returns Microsoft's code where a sign-in lacks an administrator's consent. */
function consentCode(error: string, words: string): string | undefined {
  return wantsConsent.exec(words)?.[0] ?? (error === 'consent_required' ? error : undefined);
}

/** The sign-ins of one address in a minute. */
const signInsAMinute = 30;

function refusalOf(
  person: SignedIn,
  found: Parameters<typeof asViewer>[0],
  hasPages: (viewer: Viewer) => boolean,
): EntryRefusal | undefined {
  if (person.tenantId === personalTenant) return 'personal';
  if (person.guest) return 'guest';
  if (typeof found.roles === 'string') return found.roles;
  const viewer = asViewer(found);
  return viewer && hasPages(viewer) ? undefined : 'nothing_here';
}

function asRefusal(error: unknown): { refusal: EntryRefusal; reason: string } {
  if (!(error instanceof ExpectedError)) throw error;
  const wanted = consentCode('', error.message);
  if (wanted !== undefined) return { refusal: 'consent_wanted', reason: wanted };
  const away = error.code === 'graph_unavailable' || error.code === 'graph_throttled' || error.code === 'proxy_refused';
  return { refusal: away ? 'unavailable' : 'failed', reason: error.code };
}
