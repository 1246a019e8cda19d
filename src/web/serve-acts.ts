// Runs the acts that page.ts describes: token of forms, reason, audit, and a form that comes back or outlives its session.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { asGuid } from '../rules/decode.ts';
import type { Database } from '../store/database/pool.ts';
import { mayUse, pathOf, wantsReason } from './access.ts';
import type { Answers } from './answers.ts';
import type { Entrance } from './entrance.ts';
import { backField, typedOf } from './held-form.ts';
import { markOf } from './html.ts';
import { comesBack, type FormKeeper } from './kept-form.ts';
import type { Action, Asked, Audited, Page, SentForm } from './page.ts';
import { bodyOf, isOwnPage } from './part.ts';
import { auditAsked, auditRefusal } from './request-audit.ts';
import type { reasonsOf } from './serve-reason.ts';
import type { Found } from './session.ts';
import { tellings } from './tellings.ts';

export type ActsOptions = {
  readonly database: Database;
  readonly answers: Answers;
  /** The origin of the public address. */
  readonly origin: string;
  readonly entrance: Entrance;
  readonly forms: FormKeeper;
  readonly showPage: (
    request: FastifyRequest,
    reply: FastifyReply,
    page: Page,
    asked: Asked,
    status?: number,
  ) => Promise<FastifyReply>;
  readonly askBeforeForm: ReturnType<typeof reasonsOf>['askBeforeForm'];
};

/** Returns what the server does with a form that was sent. */
export function actsOf({ database, answers, origin, entrance, forms, showPage, askBeforeForm }: ActsOptions) {
  const { tell, notFound, redirect } = answers;
  const audit = ({ id }: FastifyRequest, asked: Asked, lines: readonly Audited[]) =>
    auditAsked(database, id, asked, lines);

  /** Answers an act that the viewer may not use. */
  async function refuse(request: FastifyRequest, reply: FastifyReply, { audit: act }: { audit: string }, found: Found) {
    await auditRefusal(database, request, found.viewer, { act, outcome: 'not_allowed' });
    return notFound(reply);
  }

  const isFromPage = (request: FastifyRequest, token: string) =>
    isOwnPage(request, origin) && bodyOf(request)._token === token;

  async function runAction(request: FastifyRequest, reply: FastifyReply, action: Action, asked: Asked) {
    const accountId = asGuid(asked.params.account ?? '') ?? null;
    const told = (outcome: string, more: Omit<Audited, 'act'> = {}) =>
      audit(request, asked, [{ accountId, ...more, act: action.audit, detail: { ...more.detail, outcome } }]);
    if (!isFromPage(request, asked.token)) {
      await told('not_from_this_page');
      return answerForeign(request, reply, action, asked);
    }
    const { again } = action;
    if (wantsReason(again, action.route, asked)) {
      await told('reason_wanted');
      return askBeforeForm(request, reply, again, asked, forms);
    }
    const done = await action.act(asked).catch(async (error: unknown) => {
      await told('failed');
      throw error;
    });
    if (!done) {
      await told('not_found');
      return notFound(reply);
    }
    if ('to' in done) {
      await told('done', done.audited);
      return redirect(reply, done.to);
    }
    const { outcome, status, form, audited } = comesBack(done, typedOf(asked.given));
    await told(outcome, audited);
    return showAgain(request, reply, action.again, asked, form, status);
  }

  /**
   * Answers a form that this session did not make. One that the same person filled in an earlier session comes back, to be
   * sent by a press of its button: it may have stayed open in another tab.
   */
  async function answerForeign(request: FastifyRequest, reply: FastifyReply, { again }: Action, asked: Asked) {
    const { _of: of, [backField]: held } = bodyOf(request);
    if (!isOwnPage(request, origin) || of !== markOf(asked.viewer)) return tell(reply, 403, tellings.notFromHere);
    if (!mayUse(asked.viewer, again.route, asked.params.tenant)) return notFound(reply);
    // The reason comes first, and the form after it.
    if (wantsReason(again, again.route, asked)) return askBeforeForm(request, reply, again, asked, forms);
    const { sessionEnded, back } = asked.language.texts.forms;
    const problems = [{ message: held === undefined ? sessionEnded : back }];
    return showAgain(request, reply, again, asked, { typed: typedOf(asked.given), problems }, 422);
  }

  function showAgain(
    request: FastifyRequest,
    reply: FastifyReply,
    again: Page,
    asked: Asked,
    form: SentForm,
    status: number,
  ) {
    if (!mayUse(asked.viewer, again.route, asked.params.tenant)) return notFound(reply);
    const path = pathOf(again.route, asked.params);
    return showPage(request, reply, again, { ...asked, route: again.route, path, form }, status);
  }

  /** Answers a form without a session: it comes back after the sign-in. */
  async function askAgain(request: FastifyRequest, reply: FastifyReply, { again }: Action) {
    // A page of elsewhere must not fill a form of ours, which the person would then send.
    if (!isOwnPage(request, origin)) return tell(reply, 403, tellings.notFromHere);
    const path = pathOf(again.route, request.params as Record<string, string>);
    const typed = typedOf(bodyOf(request));
    const isKept = await forms.keep(reply, { path, typed });
    return entrance.askAgain(request, reply, path, { action: request.url, typed }, isKept);
  }

  return { isFromPage, refuse, runAction, askAgain };
}
