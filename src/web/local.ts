// The way in of `web --local`: an address with a token that is valid once, and for a minute.
import { randomBytes, timingSafeEqual } from 'node:crypto';
import type { FastifyReply } from 'fastify';
import type { Database } from '../store/database/pool.ts';
import { writeAudit } from '../store/feed/audit.ts';
import { endSession } from '../store/web/sessions.ts';
import type { Entrance, Threshold } from './entrance.ts';
import { beginSession, hashOfCookie } from './session.ts';
import { tellings } from './tellings.ts';

export type LocalEntry = {
  /** Returns the path of a new token, and ends the token before it. */
  newPath(): string;
  /** Returns whether this is the token in force, and uses it up. */
  redeem(token: string): boolean;
};

/** The time for which a token is valid, in milliseconds. */
const tokenMs = 60_000;

/** Opens the tokens of the way in; `now` counts milliseconds and never goes back. */
export function openLocalEntry(now: () => number = () => performance.now()): LocalEntry {
  let open: { hash: Buffer; until: number } | undefined;
  return {
    newPath: () => {
      const token = randomBytes(32).toString('base64url');
      open = { hash: hashOfCookie(token), until: now() + tokenMs };
      return `/enter/${token}`;
    },
    redeem: (token) => {
      if (!open || now() >= open.until || !timingSafeEqual(open.hash, hashOfCookie(token))) return false;
      open = undefined;
      return true;
    },
  };
}

/** The person in whose place the operator looks at the portal. */
export type LocalPerson = { readonly tenantId: string; readonly objectId: string; readonly accountId: string };

/**
 * Returns the entrance by the printed address: its browser is the operator, under this actor's name, or sees the portal as
 * `person`. The audit then names both.
 */
export function localEntrance(database: Database, entry: LocalEntry, actor: string, person?: LocalPerson): Entrance {
  let threshold: Threshold | undefined;
  const tell = (reply: FastifyReply, telling: Parameters<Threshold['tell']>[2]) => {
    if (!threshold) throw new Error('the entrance is not registered');
    return threshold.tell(reply, 401, telling);
  };
  const line = { actor, role: 'ops_act', via: 'web' } as const;
  return {
    register: async (app, given) => {
      threshold = given;
      app.get('/enter/:token', async (request, reply) => {
        if (!entry.redeem((request.params as { token: string }).token))
          return given.tell(reply, 401, tellings.openTheAddress);
        const { tenantId = null, objectId = null, accountId = null } = person ?? {};
        const ops = person ? null : 'act';
        const cookie = await beginSession(database, { actor, tenantId, objectId, ops, directoryRole: null });
        const act = person ? 'sign_in.local_as' : 'sign_in.local';
        await writeAudit(database, [{ ...line, tenantId, accountId, act, reference: request.id }]);
        return given.open(reply, cookie, '/');
      });
    },
    ask: (_request, reply) => tell(reply, tellings.openTheAddress),
    // The address that is printed leads to the start, and the form waits in its page.
    askAgain: (_request, reply, _to, form) =>
      tell(reply, (language) => tellings.openTheAddressAndComeBack(language, form)),
    left: '/',
    leave: (cookie, _viewer, reference) =>
      endSession(database, hashOfCookie(cookie), { ...line, act: 'sign_out', reference }),
  };
}
