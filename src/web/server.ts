// The one process of the web: fastify, its limits and probes, and the parts that share it.
import { randomBytes } from 'node:crypto';
import cookies from '@fastify/cookie';
import forms from '@fastify/formbody';
import limits from '@fastify/rate-limit';
import fastify, { type FastifyReply, type FastifyRequest } from 'fastify';
import { ExpectedError } from '../errors.ts';
import type { Log } from '../logger.ts';
import type { WebMetrics } from './metrics.ts';
import type { Part } from './part.ts';

export type WebServer = {
  /** The address that it listens on. */
  readonly address: string;
  /** Frees the port once the requests under way are answered, or after five seconds. */
  close(): Promise<void>;
};

/**
 * Serves the parts, the first of which answers unknown addresses. /readyz calls `ready`, which rejects when the service
 * cannot do its work. Throws `usage` if it cannot listen.
 */
export async function serveWeb(options: {
  /** The public address, without a trailing slash. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly log: Log;
  readonly parts: readonly Part[];
  readonly ready: () => Promise<void>;
  /** The proxies whose X-Forwarded-For tells the address of a browser; without one the connection does. */
  readonly trustedProxies?: readonly string[];
  readonly metrics?: Pick<WebMetrics, 'onRequest'>;
}): Promise<WebServer> {
  const { log, parts, host, port, trustedProxies = [] } = options;
  const base = new URL(options.url).pathname.replace(/\/$/, '');
  const [first] = parts;
  if (!first) throw new Error('the web has no part');
  const app = fastify({
    logger: false,
    // The form of a list of removals names each row that is ticked.
    bodyLimit: 64 * 1024,
    trustProxy: trustedProxies.length > 0 ? [...trustedProxies] : false,
    // The reference in the log, in the audit and on the page of a defect. A header of the request has no say.
    genReqId: () => randomBytes(9).toString('base64url'),
    requestIdHeader: false,
    // A slow client must not hold a connection forever. Node needs headersTimeout <= requestTimeout.
    requestTimeout: 10_000,
    http: { headersTimeout: 10_000, connectionsCheckingInterval: 5_000 },
    // No hook runs for an address that is malformed or too long, and nothing catches what is thrown here: it would end the process.
    frameworkErrors: (_error, request, reply) => refuseSafely(first, request, reply),
    routerOptions: { maxParamLength: 500 },
    // A HEAD request would use up the step of the callback.
    exposeHeadRoutes: false,
    // A keep-alive connection must not delay close; a request under way is answered first.
    forceCloseConnections: 'idle',
  });
  await app.register(cookies);
  const untold = { 'x-ratelimit-limit': false, 'x-ratelimit-remaining': false, 'x-ratelimit-reset': false };
  const addHeaders = { ...untold, 'retry-after': true };
  await app.register(limits, { max: requestsAMinute, timeWindow: 60_000, addHeaders, addHeadersOnExceeding: untold });
  // Accept forms only.
  app.removeAllContentTypeParsers();
  await app.register(forms);

  // Log the pattern of the route, never the address: it contains codes and states.
  app.addHook('onResponse', async (request, reply) => {
    const { method, routeOptions, id: reference } = request;
    const route = routeOptions.url ?? 'none';
    const status = reply.statusCode;
    options.metrics?.onRequest({ method, route, status, seconds: reply.elapsedTime / 1000 });
    log.info({ method, route, status, ms: Math.round(reply.elapsedTime), reference }, 'request');
  });
  app.setNotFoundHandler((request, reply) => first.refuseAddress(request, reply));

  // At the root for probes, and below the page's path for a proxy that forwards only that.
  for (const prefix of new Set(['', base])) {
    for (const path of ['livez', 'healthz'])
      app.get(`${prefix}/${path}`, { config: { rateLimit: false } }, async () => 'ok\n');
    app.get(`${prefix}/readyz`, { config: { rateLimit: false } }, async (_request, reply) => {
      const ready = await options.ready().then(
        () => true,
        () => false,
      );
      return reply.status(ready ? 200 : 503).send(ready ? 'ok\n' : 'not ready\n');
    });
  }
  const close = async () => {
    const tooLong = setTimeout(() => app.server.closeAllConnections(), endMs);
    await app.close();
    clearTimeout(tooLong);
  };
  for (const part of parts) await app.register((routes) => part.register(routes), { prefix: base });

  try {
    return { address: await app.listen({ host, port }), close };
  } catch (error) {
    const code = (error as { code?: unknown }).code;
    if (typeof code !== 'string' || !['EADDRINUSE', 'EACCES', 'EADDRNOTAVAIL', 'ENOTFOUND'].includes(code)) throw error;
    throw new ExpectedError('usage', `cannot listen on ${host} port ${port} (${code})`, {
      cure: 'choose others with --host and --port',
      cause: error,
    });
  }
}

function refuseSafely(part: Part, request: FastifyRequest, reply: FastifyReply): void {
  try {
    part.refuseAddress(request, reply);
  } catch {
    reply.status(404).type('text/plain').send('not found\n');
  }
}

/** The time that requests under way get when the process is told to stop, in milliseconds. */
const endMs = 5_000;

/** The requests of one address in a minute; more are answered by 429. */
const requestsAMinute = 600;
