// Serves the question why the vendor's people look at people of a tenant: before a page, before an act, and its answer, which
// is a form like others: it has a time, and comes back with what was typed.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { asGuid } from '../rules/decode.ts';
import type { Database } from '../store/database/pool.ts';
import { readWithin, TooSlow } from '../store/database/reading.ts';
import { withinTime } from '../store/database/time-limits.ts';
import { tenantName } from '../store/web/sessions.ts';
import { pathOf, type Route } from './access.ts';
import { inTime } from './act-time.ts';
import type { Answers } from './answers.ts';
import type { Entrance } from './entrance.ts';
import { typedOf } from './held-form.ts';
import { markOf } from './html.ts';
import { type FormKeeper, keptForm } from './kept-form.ts';
import { type Asked, type Content, type Page, type SentForm, statementMs, type View, viewOf } from './page.ts';
import { bodyOf, isOwnPage } from './part.ts';
import { giveReason, giving, wayBack } from './reason.ts';
import { auditAsked, auditRefusal } from './request-audit.ts';
import { type Found, hashOfCookie } from './session.ts';
import { reasonElsewhere, reasonForm, tellings } from './tellings.ts';

export type ReasonOptions = {
  readonly database: Database;
  readonly answers: Answers;
  readonly origin: string;
  readonly entrance: Entrance;
  readonly frame: (view: View<unknown>, content: Content) => string;
  /** The time of a statement by which an answer is taken. */
  readonly ms: number;
  /** Keeps the answer over a sign-in: in a cookie of its own, beside the form that waits for the reason. */
  readonly keeper: FormKeeper;
  readonly find: (request: FastifyRequest) => Promise<Found | undefined>;
  readonly askedOf: (request: FastifyRequest, route: Route, found: Found) => Asked | undefined;
};

/** A page, as far as the question that stands in its place needs it. */
type Emptied = Pick<Page, 'empty'>;

/** Returns what the server does about reasons. */
export function reasonsOf({ database, answers, origin, entrance, frame, ms, keeper, find, askedOf }: ReasonOptions) {
  const { tell, send, lead, notFound } = answers;
  const pathOfReason = (tenant: string | undefined) => pathOf(giving.route, { tenant: tenant ?? '' });

  /** Returns the name of a tenant for the question, which does not wait for it; undefined without such a tenant. */
  async function nameOf(tenantId: string): Promise<string | undefined> {
    try {
      return await readWithin(database, statementMs, (read) => tenantName(read, tenantId));
    } catch (error) {
      if (error instanceof TooSlow) return 'this tenant';
      throw error;
    }
  }

  /** Asks why. `to`: where the answer leads; `form`: the answer that comes back, else the one that was kept. */
  async function askReason(
    request: FastifyRequest,
    reply: FastifyReply,
    { empty }: Emptied,
    { form: _ofPage, ...asked }: Asked,
    to: string,
    { status = 200, form }: { readonly status?: number; readonly form?: SentForm } = {},
  ): Promise<FastifyReply> {
    const tenantId = asked.params.tenant ?? '';
    const name = await nameOf(tenantId);
    if (name === undefined) return notFound(reply);
    const kept = form ?? (await keptAnswer(request, reply, asked));
    const view = empty({ ...asked, ...(kept && { form: kept }) });
    return send(reply, status, frame(view, reasonForm(view, { tenantId, name }, to)));
  }

  async function keptAnswer(request: FastifyRequest, reply: FastifyReply, asked: Asked): Promise<SentForm | undefined> {
    const cookie = keeper.cookieOf(request);
    if (cookie === undefined) return undefined;
    const form = await keptForm({ ...asked, path: pathOfReason(asked.params.tenant) }, cookie);
    if (form) keeper.forget(reply);
    return form === 'of another person' ? undefined : form;
  }

  /** Asks why before an act is done, whose form comes back after it. `forms` keeps the form, or else a page holds it. */
  async function askBeforeForm(
    request: FastifyRequest,
    reply: FastifyReply,
    again: Page,
    given: Asked,
    forms: FormKeeper,
  ): Promise<FastifyReply> {
    const path = pathOf(again.route, given.params);
    const typed = typedOf(given.given);
    const asked = { ...given, route: again.route, path, given: {} };
    if (await forms.keep(reply, { path, typed })) return askReason(request, reply, again, asked, path, { status: 422 });
    const view = again.empty(asked);
    return send(reply, 422, frame(view, reasonElsewhere(view, path, { action: request.url, typed })));
  }

  /** Takes the reason for which the vendor's people look at people of a tenant. */
  async function takeReason(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    const found = await find(request);
    if (!found) return askAgain(request, reply);
    const asked = askedOf(request, giving.route, found);
    if (!asked) {
      await auditRefusal(database, request, found.viewer, { act: giving.audit, outcome: 'not_allowed' });
      return notFound(reply);
    }
    const told = (outcome: string, reason?: string) =>
      auditAsked(database, request.id, asked, [{ act: giving.audit, detail: { outcome, reason } }]);
    const back = wayBack(asked.given.to, asked.params.tenant);
    const typed = typedOf(asked.given);
    const showAgain = (status: number, problems: SentForm['problems']) => {
      const empty: Emptied['empty'] = (one) => viewOf(one, {}, new Date());
      return askReason(request, reply, { empty }, asked, back, { status, form: { typed, problems } });
    };
    const { _token: token, _of: of, _back: held } = asked.given;
    if (!isOwnPage(request, origin) || token !== asked.token) {
      await told('not_from_this_page');
      if (!isOwnPage(request, origin) || of !== markOf(asked.viewer)) return tell(reply, 403, tellings.notFromHere);
      const { sessionEnded, back: broughtBack } = asked.language.texts.forms;
      return showAgain(422, [{ message: held === undefined ? sessionEnded : broughtBack }]);
    }
    const given = await inTime(ms, () => giveReason(asked, hashOfCookie(found.cookie), told));
    if (given === undefined) return notFound(reply);
    if (typeof given === 'string') {
      keeper.forget(reply);
      return lead(reply, given);
    }
    await toldInTime(() => told('failed'));
    return showAgain(503, given.problems);
  }

  /** Leaves a line out of the audit where the audit itself is late: nothing was done, and the person gets an answer. */
  async function toldInTime(tell: () => Promise<void>): Promise<void> {
    try {
      await withinTime(statementMs, tell);
    } catch (error) {
      if (!(error instanceof TooSlow)) throw error;
    }
  }

  /** Answers a reason without a session: it comes back after the sign-in, where its page is asked for again. */
  async function askAgain(request: FastifyRequest, reply: FastifyReply): Promise<FastifyReply> {
    if (!isOwnPage(request, origin)) return tell(reply, 403, tellings.notFromHere);
    const { to, ...given } = bodyOf(request);
    const tenant = asGuid((request.params as Record<string, string>).tenant ?? '');
    const typed = typedOf({ ...given, to: wayBack(to, tenant) });
    const isKept = await keeper.keep(reply, { path: pathOfReason(tenant), typed });
    return entrance.askAgain(request, reply, wayBack(to, tenant), { action: request.url, typed }, isKept);
  }

  return { askReason, askBeforeForm, takeReason };
}
