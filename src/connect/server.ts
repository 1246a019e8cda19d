// The consent page over HTTP: routes, security headers, and the cookie that ties a sign-in to a browser.
import cookies from '@fastify/cookie';
import forms from '@fastify/formbody';
import fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { describeDatabaseError } from '../store/database/pool.ts';
import {
  answered,
  asRefused,
  beginConsent,
  beginSignIn,
  type ConsentParts,
  check,
  connected,
  type Outcome,
  offer,
  type Parameter,
  welcome,
} from './flow.ts';
import { contentSecurityPolicy, logoPath, logoPolicy, type Site } from './html.ts';
import { chooseLanguage, type Language } from './language.ts';
import { newBrowser } from './links.ts';
import { refusalPage } from './pages.ts';
import { type Refusal, Refused, refusals } from './refusals.ts';

export type ConsentServer = {
  /** The address that it listens on. */
  readonly address: string;
  /** Ends requests under way and frees the port. */
  close(): Promise<void>;
};

/** Serves the consent page. /readyz calls `ready`, which rejects when the service cannot do its work. */
export async function serveConsent(
  all: Omit<ConsentParts, 'site'> & { readonly site: Omit<Site, 'language'>; readonly languages: readonly Language[] },
  options: { host: string; port: number; authorityHost: string; ready: () => Promise<void> },
): Promise<ConsentServer> {
  const { site, log, languages } = all;
  const { logo } = site.brand;
  const secure = site.url.startsWith('https:');
  const base = new URL(site.url).pathname.replace(/\/$/, '');
  // Browsers accept a __Host- cookie only from this host, over TLS, and for all of its paths.
  const cookie = secure ? '__Host-entra-sync' : 'entra-sync';
  const headers = {
    'content-security-policy': contentSecurityPolicy(options.authorityHost, site.brand),
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=()',
    'cache-control': 'no-store',
    vary: 'accept-language',
    ...(secure && { 'strict-transport-security': 'max-age=31536000' }),
  };
  const app = fastify({
    logger: false,
    bodyLimit: 16 * 1024,
    // A slow client must not hold a connection forever. Node needs headersTimeout <= requestTimeout.
    requestTimeout: 10_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 5_000 },
    // No hook runs for an address that is malformed or too long.
    frameworkErrors: (_error, request, reply) => void refuse(request, reply.headers(headers), 'no_invitation'),
    routerOptions: { maxParamLength: 500 },
    // A HEAD request would use up the step of the callback.
    exposeHeadRoutes: false,
    // A keep-alive connection must not delay close.
    forceCloseConnections: true,
  });
  await app.register(cookies);
  // Accept forms only.
  app.removeAllContentTypeParsers();
  await app.register(forms);

  app.addHook('onRequest', async (_request, reply) => void reply.headers(headers));
  // Log the pattern of the route, never the address: it contains codes and states.
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions } = request;
    log.info(
      { method, route: routeOptions.url ?? 'none', status: reply.statusCode, ms: Math.round(reply.elapsedTime) },
      'request',
    );
  });

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

  app.setErrorHandler((error: Error & { statusCode?: number }, request, reply) => {
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
    // Fastify itself refuses a body that is too large, or not a form.
    if (error.statusCode !== undefined && error.statusCode < 500) return refuse(request, reply, 'no_invitation');
    log.error({ name: error.name, stack: placesOf(error) }, 'a defect');
    return refuse(request, reply, 'defect');
  });
  app.setNotFoundHandler((request, reply) => refuse(request, reply, 'no_invitation'));

  // At the root for probes, and below the page's path for a proxy that forwards only that.
  for (const prefix of new Set(['', base])) {
    app.get(`${prefix}/livez`, async () => 'ok\n');
    app.get(`${prefix}/readyz`, async (_request, reply) => {
      const ready = await options.ready().then(
        () => true,
        () => false,
      );
      return reply.status(ready ? 200 : 503).send(ready ? 'ok\n' : 'not ready\n');
    });
  }
  await app.register(
    (routes, _options, done) => {
      addRoutes(routes);
      done();
    },
    { prefix: base },
  );

  function addRoutes(routes: FastifyInstance): void {
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
    routes.get('/callback', async (request, reply) =>
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

  const address = await app.listen({ host: options.host, port: options.port });
  return { address, close: () => app.close() };
}

/** The path of the redirect address, which the application has to register. */
export const callbackPath = '/callback';

function field(given: unknown): Parameter {
  const values = typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : {};
  // A parameter that is given twice is a list here. Neither Microsoft nor our forms send one.
  return (name) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    return typeof value === 'string' && value.length <= 8_192 ? value : undefined;
  };
}

// Pages without a referrer, as ours, send `Origin: null`, so Sec-Fetch-Site comes first.
function requireOwnPage({ headers }: FastifyRequest, url: string): void {
  const site = headers['sec-fetch-site'];
  const own = site === undefined ? headers.origin === new URL(url).origin : site === 'same-origin';
  if (!own) throw new Refused('cross_site');
}

// Returns the stack without the error's message, which may quote input.
function placesOf(error: Error): string[] {
  return (error.stack ?? '')
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 8)
    .map((line) => line.trim());
}
