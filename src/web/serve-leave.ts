// Serves the sign-out. It holds nothing that was typed: without a session the person is out already.
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { Database } from '../store/database/pool.ts';
import { TooSlow } from '../store/database/reading.ts';
import { withinTime } from '../store/database/time-limits.ts';
import type { Answers } from './answers.ts';
import type { Entrance } from './entrance.ts';
import { markOf, postForm } from './html.ts';
import { bodyOf, isOwnPage } from './part.ts';
import { auditRefusal } from './request-audit.ts';
import { type Found, tokenOfForms } from './session.ts';
import { tellings } from './tellings.ts';

export type LeaveOptions = {
  readonly database: Database;
  readonly answers: Answers;
  readonly origin: string;
  readonly entrance: Entrance;
  /** The name of the session's cookie. */
  readonly cookie: string;
  /** The time of a statement of the sign-out. */
  readonly ms: number;
  readonly find: (request: FastifyRequest) => Promise<Found | undefined>;
};

/** Returns what answers a sign-out. One that did not happen says so, with the button to press again. */
export function serveLeave({ database, answers, origin, entrance, cookie, ms, find }: LeaveOptions) {
  const { base, cookie: setCookie, lead, tell } = answers;
  const tellStillIn = (reply: FastifyReply, status: number, found: Found, why: 'late' | 'earlier') => {
    const view = { token: tokenOfForms(found.cookie), viewer: found.viewer, href: (path: string) => base + path };
    return tell(reply, status, (language) =>
      tellings.stillIn(language, why, ms, (button) => postForm(view, '/leave', button)),
    );
  };
  return async (request: FastifyRequest, reply: FastifyReply) => {
    const found = await find(request);
    if (!found) return lead(reply, entrance.left);
    const isOurs = isOwnPage(request, origin);
    const { _token: token, _of: of } = bodyOf(request);
    if (!isOurs || token !== tokenOfForms(found.cookie)) {
      await auditRefusal(database, request, found.viewer, { act: 'sign_out', outcome: 'not_from_this_page' });
      // A tab of an earlier session of the same person may have stayed open.
      return isOurs && of === markOf(found.viewer)
        ? tellStillIn(reply, 422, found, 'earlier')
        : tell(reply, 403, tellings.notFromHere);
    }
    try {
      await withinTime(ms, () => entrance.leave(found.cookie, found.viewer, request.id));
    } catch (error) {
      if (error instanceof TooSlow) return tellStillIn(reply, 503, found, 'late');
      throw error;
    }
    return lead(reply.clearCookie(cookie, setCookie), entrance.left);
  };
}
