// The consent page over HTTP: routes, the cookie that ties a sign-in to a browser, and the headers that keep others out.
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
  type Outcome,
  offer,
  type Parameter,
  welcome,
} from './flow.ts';
import { contentSecurityPolicy } from './html.ts';
import { newBrowser } from './links.ts';
import { refusalPage } from './pages.ts';
import { type Refusal, Refused, refusals } from './refusals.ts';

export type ConsentServer = {
  /** Where it listens. */
  readonly address: string;
  /** Ends what is under way and lets go of the port. */
  close(): Promise<void>;
};

/** Serves the consent page. `ready` is asked by /readyz and rejects when the service cannot do its work. */
export async function serveConsent(
  parts: ConsentParts,
  options: { host: string; port: number; authorityHost: string; ready: () => Promise<void> },
): Promise<ConsentServer> {
  const { site, log } = parts;
  const secure = site.url.startsWith('https:');
  const base = new URL(site.url).pathname.replace(/\/$/, '');
  // A name that begins with __Host- is taken by browsers only from this very host, over TLS, for all of its paths.
  const cookie = secure ? '__Host-entra-sync' : 'entra-sync';
  const headers = {
    'content-security-policy': contentSecurityPolicy(options.authorityHost),
    'x-frame-options': 'DENY',
    'x-content-type-options': 'nosniff',
    'referrer-policy': 'no-referrer',
    'cross-origin-opener-policy': 'same-origin',
    'permissions-policy': 'camera=(), geolocation=(), microphone=()',
    'cache-control': 'no-store',
    ...(secure && { 'strict-transport-security': 'max-age=31536000' }),
  };
  const app = fastify({
    logger: false,
    bodyLimit: 16 * 1024,
    // Whoever sends a form letter by letter does not hold a connection for ever. Node minds the first limit only where the
    // one for headers is no longer.
    requestTimeout: 10_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 5_000 },
    // An address that cannot be read, or is too long: no hook runs for it.
    frameworkErrors: (_error, _request, reply) => void refuse(reply.headers(headers), 'no_invitation'),
    routerOptions: { maxParamLength: 500 },
    // A HEAD of a way back would take its step.
    exposeHeadRoutes: false,
    // A connection that a browser keeps open must not hold up the end.
    forceCloseConnections: true,
  });
  await app.register(cookies);
  // Forms alone.
  app.removeAllContentTypeParsers();
  await app.register(forms);

  app.addHook('onRequest', async (_request, reply) => void reply.headers(headers));
  // The pattern of the route, never the address: that holds codes and states.
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
  const refuse = (reply: FastifyReply, refusal: Refusal, detail: { again?: string; code?: string } = {}) =>
    send(reply, { status: refusals[refusal].status, page: refusalPage(site, refusal, detail) });

  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    const refused = asRefused(error) ?? asRefused(describeDatabaseError(error));
    if (refused) {
      const { refusal, microsoftCode: code, again, cause } = refused;
      const reason = cause instanceof Error ? cause.message : undefined;
      log.warn({ refusal, code, reason: cause instanceof Refused ? undefined : reason }, 'refused');
      return refuse(reply, refusal, { ...(code !== undefined && { code }), ...(again !== undefined && { again }) });
    }
    // What fastify itself refuses: a body that is too large, or of a type that no form has.
    if (error.statusCode !== undefined && error.statusCode < 500) return refuse(reply, 'no_invitation');
    log.error({ name: error.name, stack: placesOf(error) }, 'a defect');
    return refuse(reply, 'defect');
  });
  app.setNotFoundHandler((_request, reply) => refuse(reply, 'no_invitation'));

  // At the root for probes of the container, and below the path of the page for a proxy that passes on only that.
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
      send(reply, await welcome(parts, (request.params as { link: string }).link)),
    );
    routes.post('/sign-in', async (request, reply) => {
      requireOwnPage(request, site.url);
      const known = browserOf(request);
      const browser = known !== undefined && /^[\w-]{43}$/.test(known) ? known : newBrowser();
      const outcome = await beginSignIn(parts, field(request.body)('invitation'), browser);
      // Lax: it comes back when Microsoft sends the browser here, and with no form of another page.
      reply.setCookie(cookie, browser, { path: '/', httpOnly: true, sameSite: 'lax', secure, maxAge: 3600 });
      return send(reply, outcome);
    });
    routes.get('/callback', async (request, reply) =>
      send(reply, await answered(parts, field(request.query), browserOf(request))),
    );
    routes.get('/consent', async (request, reply) =>
      send(reply, await offer(parts, field(request.query)('step'), browserOf(request))),
    );
    routes.post('/consent', async (request, reply) => {
      requireOwnPage(request, site.url);
      return send(reply, await beginConsent(parts, field(request.body)('step'), browserOf(request)));
    });
    routes.post('/check', async (request, reply) => {
      requireOwnPage(request, site.url);
      return send(reply, await check(parts, field(request.body)('step'), browserOf(request)));
    });
  }

  const address = await app.listen({ host: options.host, port: options.port });
  return { address, close: () => app.close() };
}

/** The path that Microsoft sends browsers back to: to be registered with the application as a redirect address. */
export const callbackPath = '/callback';

function field(given: unknown): Parameter {
  const values = typeof given === 'object' && given !== null ? (given as Record<string, unknown>) : {};
  // One that is given twice is a list here, and nothing that Microsoft or a form of ours would send.
  return (name) => {
    const value = Object.hasOwn(values, name) ? values[name] : undefined;
    return typeof value === 'string' && value.length <= 8_192 ? value : undefined;
  };
}

// Browsers say where a form stood. `Origin` is "null" for pages that tell no referrer, as ours do, so the newer header comes
// first.
function requireOwnPage({ headers }: FastifyRequest, url: string): void {
  const site = headers['sec-fetch-site'];
  const own = site === undefined ? headers.origin === new URL(url).origin : site === 'same-origin';
  if (!own) throw new Refused('cross_site');
}

// Where a defect happened, without its message, which may quote what a person sent.
function placesOf(error: Error): string[] {
  return (error.stack ?? '')
    .split('\n')
    .filter((line) => line.startsWith('    at '))
    .slice(0, 8)
    .map((line) => line.trim());
}
