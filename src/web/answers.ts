// The answers that the server of pages gives: a page with its headers, a page that only tells something, a way on.
import type { FastifyReply, FastifyRequest } from 'fastify';
import { contentSecurityPolicy } from './frame.ts';
import { fallbackOf } from './language.ts';
import type { Content } from './page.ts';
import { securityHeaders } from './part.ts';
import { tellings, toldPage } from './tellings.ts';
import { languageOf, type WebLanguage } from './web-language.ts';

export type Answers = {
  /** The path of the public address, without a trailing slash. */
  readonly base: string;
  readonly headers: Readonly<Record<string, string>>;
  /** The attributes of every cookie. */
  readonly cookie: { readonly path: '/'; readonly httpOnly: true; readonly sameSite: 'lax'; readonly secure: boolean };
  /** Returns the language of a request: English for the console, else the reader's. */
  speaks(request: FastifyRequest): WebLanguage;
  send(reply: FastifyReply, status: number, page: string): FastifyReply;
  tell(reply: FastifyReply, status: number, telling: (language: WebLanguage) => Content): FastifyReply;
  notFound(reply: FastifyReply): FastifyReply;
  /** Leads to a path of ours that is encoded already. */
  lead(reply: FastifyReply, path: string): FastifyReply;
  /** Leads to a path of ours. */
  redirect(reply: FastifyReply, path: string): FastifyReply;
};

/** Returns the answers below a public address. */
export function answersOf(url: string, languages: readonly WebLanguage[]): Answers {
  const { pathname, protocol } = new URL(url);
  const base = pathname.replace(/\/$/, '');
  const secure = protocol === 'https:';
  const headers = { ...securityHeaders(secure), 'content-security-policy': contentSecurityPolicy };
  const answers: Answers = {
    base,
    headers,
    cookie: { path: '/', httpOnly: true, sameSite: 'lax', secure },
    speaks: (request) =>
      request.url.startsWith(`${base}/console`) ? fallbackOf(languages) : languageOf(languages, request),
    send: (reply, status, page) => reply.headers(headers).status(status).type('text/html; charset=utf-8').send(page),
    tell: (reply, status, telling) => {
      const language = answers.speaks(reply.request);
      return answers.send(reply, status, toldPage(language, telling(language)));
    },
    notFound: (reply) => answers.tell(reply, 404, (language) => tellings.notFound(language, `${base}/`)),
    lead: (reply, path) => reply.headers(headers).redirect(`${base}${path}`, 303),
    redirect: (reply, path) => answers.lead(reply, encodeURI(path)),
  };
  return answers;
}
