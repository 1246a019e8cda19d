// Serves pages as page.ts describes them: session, access, reason, audit, refusals, headers. Acts are in serve-acts.ts.
import { Readable } from 'node:stream';
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import type { Log } from '../logger.ts';
import { asGuid } from '../rules/decode.ts';
import type { Database } from '../store/database/pool.ts';
import { TooSlow } from '../store/database/reading.ts';
import { mayUse, type Route, type Viewer, wantsReason } from './access.ts';
import { actMs } from './act-time.ts';
import { answerErrors } from './answer-errors.ts';
import { answersOf } from './answers.ts';
import type { Download } from './download.ts';
import type { Entrance } from './entrance.ts';
import { heldOf } from './held-form.ts';
import { formKeeper, keptForm } from './kept-form.ts';
import type { News } from './news-question.ts';
import type { Action, Asked, Audited, Content, Page, SendTest, View } from './page.ts';
import { bodyOf, isOwnPage, type Part, tooMany } from './part.ts';
import type { Picture } from './picture.ts';
import type { Preview } from './preview.ts';
import { giving } from './reason.ts';
import { auditAsked, auditRefusal } from './request-audit.ts';
import { actsOf } from './serve-acts.ts';
import { serveIcon } from './serve-icon.ts';
import { serveLeave } from './serve-leave.ts';
import { answerNews, serveNewsScript } from './serve-news.ts';
import { answerPicture } from './serve-picture.ts';
import { answerPreview, tellInFrame } from './serve-preview.ts';
import { reasonsOf } from './serve-reason.ts';
import { type Found, tokenOfForms, viewerOf } from './session.ts';
import { tellings } from './tellings.ts';
import { chosenTag, languageCookie, type WebLanguage } from './web-language.ts';

export type PagesOptions = {
  readonly database: Database;
  readonly log: Log;
  readonly pages: readonly (Page | Action | Download | Preview | News | Picture)[];
  /** Returns a whole page around a content. */
  readonly frame: (view: View<unknown>, content: Content) => string;
  /** The languages of people; the first one is the console's. */
  readonly languages: readonly WebLanguage[];
  /** The role of the database that the pages of the contract take. */
  readonly contractRole?: string | undefined;
  /** The public address, without a trailing slash. */
  readonly url: string;
  /** The name of the cookie. */
  readonly cookie: string;
  /** The way in: sign-in, or the printed address of `--local`. */
  readonly entrance: Entrance;
  /** Where a viewer starts. */
  readonly start: (viewer: Viewer) => string | undefined;
  /** The public address of the consent page, if it is known. */
  readonly consentUrl?: string | undefined;
  /** Tries the address of a webhook, where this process may send to it. */
  readonly sendTest?: SendTest | undefined;
  /** Set where an operator looks as a person, for `--local --as`. */
  readonly standing?: Viewer['standing'];
  /** The time of a statement of a sign-out and of a reason, in milliseconds; that of acts unless it says otherwise. */
  readonly statementMs?: number;
  /** The only header Host that is answered, for `--local`. */
  readonly onlyHost?: string;
};

/** The pages and acts of one person in a minute; more are answered by 429. */
const requestsAMinute = 300;

/** The photos of one person and of one address in a minute. A list asks for 50, which must take no page from its viewer. */
const photosAMinute = { person: 1_500, address: 6_000 };

/** The time for which a browser keeps the language that was chosen, in milliseconds. */
const languageMs = 365 * 24 * 3_600_000;

/** Returns the part of the web that serves these pages. */
export function pagesPart(options: PagesOptions): Part {
  const { database, log, frame, entrance, onlyHost, consentUrl, statementMs: ms = actMs } = options;
  const { origin } = new URL(options.url);
  const answers = answersOf(options.url, options.languages);
  const { base, headers, cookie: setCookie, speaks, send, tell, notFound, lead, redirect } = answers;
  const served = new Set(options.pages.map(({ route }) => route));
  const forms = formKeeper(database, `${options.cookie}-form`, answers);
  const isPage = ({ method, routeOptions: { url } }: FastifyRequest) =>
    (method === 'GET' && (url === `${base}/` || url === `${base}/enter`)) ||
    options.pages.some(({ kind, route }) => kind === 'page' && `${method} ${url}` === route.replace(' ', ` ${base}`));

  async function find(request: FastifyRequest, counts = true): Promise<Found | undefined> {
    const cookie = request.cookies[options.cookie];
    const viewer = await viewerOf(database, cookie, { counts });
    if (!viewer || cookie === undefined) return undefined;
    return { viewer: options.standing ? { ...viewer, standing: options.standing } : viewer, cookie };
  }

  /** Returns what the request asks for, or undefined if the viewer may not. */
  function askedOf(request: FastifyRequest, route: Route, { viewer, cookie }: Found): Asked | undefined {
    const params = { ...(request.params as Record<string, string>) };
    if (params.tenant !== undefined) {
      const tenant = asGuid(params.tenant);
      if (tenant === undefined) return undefined;
      params.tenant = tenant;
    }
    if (!mayUse(viewer, route, params.tenant)) return undefined;
    const path = (request.url.split('?')[0] ?? '').slice(base.length);
    const given = request.method === 'POST' ? bodyOf(request) : (request.query as Record<string, unknown>);
    const { contractRole, sendTest } = options;
    const language = speaks(request);
    return {
      ...{ database, route, path, params, given, viewer, base, language, contractRole, consentUrl, sendTest, served },
      token: tokenOfForms(cookie),
    };
  }

  const audit = ({ id }: FastifyRequest, asked: Asked, lines: readonly Audited[]) =>
    auditAsked(database, id, asked, lines);

  /** Shows a page, and in it the form of `asked`, if there is one. `onShown`: the form needs no other way back. */
  async function showPage(
    request: FastifyRequest,
    reply: FastifyReply,
    page: Page,
    asked: Asked,
    status = 200,
    onShown = () => {},
  ) {
    return guarded(request, reply, page, asked, async () => {
      const shown = await page.show(asked);
      if (!shown) return notFound(reply);
      if (shown.audited.length > 0) await audit(request, asked, shown.audited);
      onShown();
      return send(reply, status, frame(shown.view, shown.content));
    });
  }

  function sendDownload(request: FastifyRequest, reply: FastifyReply, download: Download, asked: Asked) {
    return guarded(request, reply, download, asked, async () => {
      const begun = await download.begin(asked);
      if (!begun) return notFound(reply);
      await audit(request, asked, [begun.audited]);
      return reply
        .headers({ ...headers, 'content-disposition': `attachment; filename="${download.name}.csv"` })
        .type('text/csv; charset=utf-8')
        .send(Readable.from(begun.lines));
    });
  }

  /** Asks for a reason first where one is wanted, and says so when a statement takes too long. */
  async function guarded(
    request: FastifyRequest,
    reply: FastifyReply,
    one: Page | Download,
    asked: Asked,
    answer: () => Promise<FastifyReply>,
  ): Promise<FastifyReply> {
    if (wantsReason(one, one.route, asked))
      return reasons.askReason(request, reply, one, asked, request.url.slice(base.length));
    try {
      return await answer();
    } catch (error) {
      if (!(error instanceof TooSlow)) throw error;
      log.warn({ route: one.route, reference: request.id }, 'a page took too long');
      const view = one.empty(asked);
      return send(reply, 503, frame(view, tellings.tooSlow(view, request.method === 'POST' ? request.url : undefined)));
    }
  }

  const reasons = reasonsOf({
    ...{ database, answers, origin, entrance, frame, ms, find, askedOf },
    keeper: formKeeper(database, `${options.cookie}-reason`, answers),
  });
  const { askBeforeForm } = reasons;
  const { isFromPage, refuse, runAction, askAgain } = actsOf({
    ...{ database, answers, origin, entrance, forms, showPage, askBeforeForm },
  });

  /** Shows a page, and in it the form that was kept when its session had ended. */
  async function showWithForm(request: FastifyRequest, reply: FastifyReply, page: Page, asked: Asked) {
    const cookie = forms.cookieOf(request);
    const form = cookie === undefined ? undefined : await keptForm(asked, cookie);
    if (form === 'of another person') {
      forms.forget(reply);
      return showPage(request, reply, page, asked);
    }
    // The question for a reason comes first, and the form after it.
    if (!form || wantsReason(page, page.route, asked)) return showPage(request, reply, page, asked);
    return showPage(request, reply, page, { ...asked, form }, 200, () => forms.forget(reply));
  }

  async function register(app: FastifyInstance): Promise<void> {
    // By person, since the people of one organization may share an address.
    const persons = new WeakMap<FastifyRequest, string>();
    const keyGenerator = (request: FastifyRequest) => persons.get(request) ?? '';
    const limitOf = (max: number) => app.createRateLimit({ max, timeWindow: 60_000, keyGenerator });
    const limits = { pages: limitOf(requestsAMinute), photos: limitOf(photosAMinute.person) };
    const asksTooOften = async (request: FastifyRequest, { viewer }: Found, of: keyof typeof limits = 'pages') => {
      persons.set(request, viewer.actor);
      const counted = await limits[of](request);
      return !counted.isAllowed && counted.isExceeded;
    };
    async function showPreview(request: FastifyRequest, reply: FastifyReply, preview: Preview, found?: Found) {
      const language = speaks(request);
      const { signedOut, often } = language.texts.frame;
      if (!found) return tellInFrame(reply, 401, language, signedOut);
      if (await asksTooOften(request, found)) return tellInFrame(reply, 429, language, often);
      const asked = askedOf(request, preview.route, found);
      if (asked) return answerPreview(database, request, reply, preview, asked, isFromPage(request, asked.token));
      if (request.method === 'POST')
        await auditRefusal(database, request, found.viewer, { act: preview.audit, outcome: 'not_allowed' });
      return tellInFrame(reply, 404, language, language.texts.tellings.notFound);
    }
    app.addHook('onRequest', async (request, reply) => {
      reply.headers(headers);
      const tag = chosenTag(options.languages, request);
      if (tag !== undefined) reply.setCookie(languageCookie, tag, { ...setCookie, maxAge: languageMs / 1000 });
      if (onlyHost === undefined || request.headers.host === onlyHost) return undefined;
      return reply.status(421).type('text/plain').send(`this is ${onlyHost}\n`);
    });
    const heldIn = (request: FastifyRequest) => (isOwnPage(request, origin) ? heldOf(request) : undefined);
    app.setErrorHandler(answerErrors({ log, tell, isPage, heldIn }));

    await entrance.register(app, {
      open: (reply, cookie, to) => lead(reply.setCookie(options.cookie, cookie, setCookie), to),
      isIn: async (request) => (await find(request)) !== undefined,
      tell,
      send,
      start: options.start,
    });
    app.post('/leave', serveLeave({ database, answers, origin, entrance, cookie: options.cookie, ms, find }));
    app.get('/', async (request, reply) => {
      const found = await find(request);
      if (!found) return entrance.ask(request, reply);
      const start = options.start(found.viewer);
      return start === undefined ? notFound(reply) : redirect(reply, start);
    });
    app.post(giving.path, reasons.takeReason);
    serveNewsScript(app, headers);
    serveIcon(app, headers);
    for (const one of options.pages) {
      const [method, url = ''] = one.route.split(' ');
      app.route({
        method: method === 'POST' ? 'POST' : 'GET',
        url,
        config: one.kind === 'picture' ? { rateLimit: { max: photosAMinute.address, timeWindow: 60_000 } } : {},
        handler: async (request, reply) => {
          // A page that is only open, without a look at it, must not keep its session.
          const found = await find(request, one.kind !== 'news' && one.kind !== 'picture');
          if (one.kind === 'preview') return showPreview(request, reply, one, found);
          if (found && (await asksTooOften(request, found, one.kind === 'picture' ? 'photos' : 'pages')))
            return tooMany(reply);
          if (one.kind === 'news') return answerNews(reply, headers, one, found && askedOf(request, one.route, found));
          if (one.kind === 'picture')
            return answerPicture(request, reply, one, found && askedOf(request, one.route, found), (asked, lines) =>
              audit(request, asked, lines),
            );
          if (!found) return one.kind === 'action' ? askAgain(request, reply, one) : entrance.ask(request, reply);
          const asked = askedOf(request, one.route, found);
          if (!asked) return one.kind === 'action' ? refuse(request, reply, one, found) : notFound(reply);
          if (one.kind === 'download') return sendDownload(request, reply, one, asked);
          return one.kind === 'page' ? showWithForm(request, reply, one, asked) : runAction(request, reply, one, asked);
        },
      });
    }
  }

  return { register, refuseAddress: (_request, reply) => notFound(reply) };
}
