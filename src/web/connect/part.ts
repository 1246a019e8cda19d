// The consent page over HTTP: routes, security headers, and the cookie that ties a sign-in to a browser.
import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify';
import { describeDatabaseError } from '../../store/database/pool.ts';
import { chooseLanguage } from '../language.ts';
import { newBrowser } from '../links.ts';
import { isOwnPage, type Part, placesOf, securityHeaders, tooMany } from '../part.ts';
import {
  answered,
  asRefused,
  beginConsent,
  beginSignIn,
  type ConsentParts,
  callbackPath,
  check,
  connected,
  type Outcome,
  offer,
  type Parameter,
  welcome,
} from './flow.ts';
import { contentSecurityPolicy, logoPath, logoPolicy, type Site } from './frame.ts';
import type { Language } from './language.ts';
import { refusalPage } from './pages.ts';
import { type Refusal, Refused, refusals } from './refusals.ts';

/** Returns the part of the web that serves the consent page. `authorityHost`: where its forms may lead. */
export function consentPart(
  all: Omit<ConsentParts, 'site'> & { readonly site: Omit<Site, 'language'>; readonly languages: readonly Language[] },
  authorityHost: string,
): Part {
  const { site, log, languages } = all;
  const { logo } = site.brand;
  const secure = site.url.startsWith('https:');
  // Browsers accept a __Host- cookie only from this host, over TLS, and for all of its paths.
  const cookie = secure ? '__Host-entra-sync' : 'entra-sync';
  const headers = {
    ...securityHeaders(secure),
    'content-security-policy': contentSecurityPolicy(authorityHost, site.brand),
    vary: 'accept-language',
  };

  const send = (reply: FastifyReply, outcome: Outcome) =>
    'goTo' in outcome
      ? reply.redirect(outcome.goTo, 303)
      : reply.status(outcome.status).type('text/html; charset=utf-8').send(outcome.page);
  /** Returns the parts for a request: pages in the language of its reader. */
  const partsFor = ({ headers: { 'accept-language': wanted } }: FastifyRequest): ConsentParts => ({
    ...all,
    site: { ...site, language: chooseLanguage(languages, wanted) },
  });
  const refuse = (
    request: FastifyRequest,
    reply: FastifyReply,
    refusal: Refusal,
    detail: { again?: string; code?: string } = {},
  ) => send(reply, { status: refusals[refusal], page: refusalPage(partsFor(request).site, refusal, detail) });

  const answerError = (error: Error & { statusCode?: number }, request: FastifyRequest, reply: FastifyReply) => {
    const refused = asRefused(error) ?? asRefused(describeDatabaseError(error));
    if (refused) {
      const { refusal, microsoftCode: code, again, cause } = refused;
      const reason = cause instanceof Error ? cause.message : undefined;
      log.warn({ refusal, code, reason: cause instanceof Refused ? undefined : reason }, 'refused');
      return refuse(request, reply, refusal, {
        ...(code !== undefined && { code }),
        ...(again !== undefined && { again }),
      });
    }
    if (error.statusCode === 429) return tooMany(reply);
    // Fastify itself refuses a body that is too large, or not a form.
    if (error.statusCode !== undefined && error.statusCode < 500) return refuse(request, reply, 'no_invitation');
    log.error({ name: error.name, stack: placesOf(error) }, 'a defect');
    return refuse(request, reply, 'defect');
  };

  async function register(routes: FastifyInstance): Promise<void> {
    routes.addHook('onRequest', async (_request, reply) => void reply.headers(headers));
    routes.setErrorHandler(answerError);
    const browserOf = (request: FastifyRequest) => request.cookies[cookie];
    routes.get('/invitation/:link', async (request, reply) =>
      send(reply, await welcome(partsFor(request), (request.params as { link: string }).link)),
    );
    routes.post('/sign-in', async (request, reply) => {
      requireOwnPage(request, site.url);
      const known = browserOf(request);
      const browser = known !== undefined && /^[\w-]{43}$/.test(known) ? known : newBrowser();
      const outcome = await beginSignIn(partsFor(request), field(request.body)('invitation'), browser);
      // Lax: browsers send it on Microsoft's redirect, but not with a form of another site.
      reply.setCookie(cookie, browser, { path: '/', httpOnly: true, sameSite: 'lax', secure, maxAge: 3600 });
      return send(reply, outcome);
    });
    routes.get(callbackPath, async (request, reply) =>
      send(reply, await answered(partsFor(request), field(request.query), browserOf(request))),
    );
    routes.get('/consent', async (request, reply) =>
      send(reply, await offer(partsFor(request), field(request.query)('step'), browserOf(request))),
    );
    routes.get('/connected', async (request, reply) =>
      send(reply, await connected(partsFor(request), field(request.query)('tenant'), browserOf(request))),
    );
    if (logo) {
      routes.get(logoPath, async (_request, reply) => {
        const own = { 'content-security-policy': logoPolicy, 'cache-control': 'max-age=3600' };
        return reply.headers(own).type(logo.type).send(logo.bytes);
      });
    }
    routes.post('/consent', async (request, reply) => {
      requireOwnPage(request, site.url);
      return send(reply, await beginConsent(partsFor(request), field(request.body)('step'), browserOf(request)));
    });
    routes.post('/check', async (request, reply) => {
      requireOwnPage(request, site.url);
      return send(reply, await check(partsFor(request), field(request.body)('step'), browserOf(request)));
    });
  }

  const refuseAddress = (request: FastifyRequest, reply: FastifyReply) =>
    refuse(request, reply.headers(headers), 'no_invitation');
  return { register, refuseAddress };
}

function field(given: unknown): Parameter {
  const values = typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : {};
  // A parameter that is given twice is a list here. Neither Microsoft nor our forms send one.
  return (name) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    return typeof value === 'string' && value.length <= 8_192 ? value : undefined;
  };
}

function requireOwnPage(request: FastifyRequest, url: string): void {
  if (!isOwnPage(request, new URL(url).origin)) throw new Refused('cross_site');
}
