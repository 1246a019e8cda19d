// The Graph client: Microsoft's SDK with our own middleware chain (exact link, authentication, telemetry, HTTP).
import {
  Client,
  type Context,
  type Middleware,
  type MiddlewareOptions,
  ResponseType,
  TelemetryHandler,
} from '@microsoft/microsoft-graph-client';
import { ExpectedError } from '../errors.ts';
import type { Access } from './app-credential.ts';
import { BodyNotUtf8, BodyTooLarge, maxGraphBytes, readBody } from './body.ts';
import type { TokenSource } from './credential.ts';
import { networkCode } from './network-code.ts';
import { RequestFailed } from './request-failed.ts';
import { SignInUnavailable } from './sign-in-errors.ts';

export type Answer = { readonly status: number; readonly text: string; readonly headers: Headers };

export type GraphClient = {
  readonly origin: string;
  /** Only gets an access token. Throws what {@link GraphClient.send} throws. */
  signIn(signal: AbortSignal): Promise<void>;
  /** Returns the facts of the last token that was issued; undefined before the first. */
  access(): Access | undefined;
  /**
   * Sends one GET, or the `$batch` of GETs in `batch`, to exactly `url` and returns the answer, whatever its status.
   * An answer beyond `mostBytes` is not read to its end. Calls `onSend` once there is an access token: without one nothing is sent. Throws RequestFailed for network faults
   * and passing sign-in faults, ExpectedError for a foreign URL and a refused sign-in.
   */
  send(
    url: string,
    options: {
      signal: AbortSignal;
      renewToken?: boolean;
      headers?: Record<string, string>;
      batch?: object;
      mostBytes?: number;
      onSend?: () => void;
    },
  ): Promise<Answer>;
};

/** The time limit of one request, with sign-in and body. */
export const defaultRequestTimeoutMs = 60_000;

/**
 * Opens a client for one tenant. The SDK rebuilds links, but they must be used as received
 * (learn.microsoft.com/graph/delta-query-overview), so our first middleware restores the exact link. `before` goes in
 * front of the HTTP edge (for tests).
 */
export function openGraphClient(options: {
  origin: string;
  tokens: TokenSource;
  requestTimeoutMs?: number;
  before?: Middleware;
}): GraphClient {
  const { origin, tokens, requestTimeoutMs = defaultRequestTimeoutMs, before } = options;
  const limited = (signal: AbortSignal) => AbortSignal.any([signal, AbortSignal.timeout(requestTimeoutMs)]);
  const chain = [
    exactRequest(),
    authentication(origin, tokens),
    new TelemetryHandler(),
    ...(before ? [before] : []),
    httpEdge(),
  ];
  chain.forEach((middleware, index) => {
    const next = chain[index + 1];
    if (next) middleware.setNext?.(next);
  });
  const [middleware] = chain;
  const client = Client.initWithMiddleware({
    ...(middleware && { middleware }),
    baseUrl: `${origin}/`,
    customHosts: new Set([new URL(origin).hostname]),
  });
  return {
    origin,
    access: () => tokens.access(),
    signIn: async (signal) => {
      await tokens.token({ signal: limited(signal) }).catch((error: unknown) => {
        throw requestFailure(error, signal, requestTimeoutMs);
      });
    },
    send: async (url, { signal, renewToken = false, headers = {}, batch, mostBytes, onSend }) => {
      requireOrigin(url, origin);
      const exact = new ExactRequest(url, renewToken, onSend);
      const request = client
        .api(url)
        .middlewareOptions([exact])
        .responseType(ResponseType.RAW)
        .headers({ accept: 'application/json', ...headers })
        .options({ signal: limited(signal) });
      try {
        const response: Response = await (batch === undefined ? request.get() : request.post(batch));
        if (exact.failure !== undefined) throw exact.failure;
        const text = await readBody(response.body, mostBytes ?? maxGraphBytes);
        return { status: response.status, text, headers: response.headers };
      } catch (error) {
        throw requestFailure(exact.failure ?? error, signal, requestTimeoutMs);
      }
    },
  };
}

// Travels with one request. The SDK loses the cause of a middleware's error, so the error is kept here.
class ExactRequest implements MiddlewareOptions {
  readonly url: string;
  readonly renewToken: boolean;
  readonly onSend: (() => void) | undefined;
  failure: unknown;

  constructor(url: string, renewToken: boolean, onSend: (() => void) | undefined) {
    this.url = url;
    this.renewToken = renewToken;
    this.onSend = onSend;
  }
}

function exactOf(context: Context): ExactRequest {
  const exact = context.middlewareControl?.getMiddlewareOptions(ExactRequest);
  if (!(exact instanceof ExactRequest)) throw new Error('a request without its exact link');
  return exact;
}

function exactRequest(): Middleware {
  let next: Middleware | undefined;
  return {
    setNext: (middleware) => {
      next = middleware;
    },
    execute: async (context) => {
      const exact = exactOf(context);
      context.request = exact.url;
      try {
        await next?.execute(context);
      } catch (error) {
        exact.failure = error;
        context.response = new Response(null);
      }
    },
  };
}

/** Throws `foreign_link` unless `url` is on the Graph origin: the token is sent nowhere else (rule 13). */
export function requireOrigin(url: string, origin: string): void {
  if (isOfOrigin(url, origin)) return;
  throw new ExpectedError(
    'foreign_link',
    `Graph answered with a link ${describeAddress(url)} instead of ${origin}; it was not followed`,
    { cure: 'check GRAPH_BASE_URL, ENTRA_SYNC_CLOUD and any proxy between here and Graph' },
  );
}

/** Whether a link is on the Graph origin and has no user name or password. */
export function isOfOrigin(url: string, origin: string): boolean {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  return parsed?.protocol === 'https:' && parsed.origin === origin && parsed.username === '' && parsed.password === '';
}

/** Returns where a link leads, for messages: its origin. A user name or password in it is named as such, never shown. */
export function describeAddress(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (!parsed) return 'that is no valid address';
  const login = parsed.password === '' ? 'a user name' : 'a user name and password';
  return parsed.username + parsed.password === '' ? `to ${parsed.origin}` : `with ${login} in it, to ${parsed.origin},`;
}

function authentication(origin: string, tokens: TokenSource): Middleware {
  let next: Middleware | undefined;
  return {
    setNext: (middleware) => {
      next = middleware;
    },
    execute: async (context) => {
      // The last check before the token is attached, wherever the URL came from.
      requireOrigin(String(context.request), origin);
      const signal = context.options?.signal ?? undefined;
      const { renewToken: renew, onSend } = exactOf(context);
      const token = await tokens.token({ renew, ...(signal && { signal }) });
      context.options = {
        ...context.options,
        headers: { ...(context.options?.headers as Record<string, string>), authorization: `Bearer ${token}` },
      };
      onSend?.();
      await next?.execute(context);
    },
  };
}

function httpEdge(): Middleware {
  return {
    execute: async (context) => {
      // A redirect would receive the token.
      context.response = await fetch(context.request, { ...context.options, redirect: 'manual' } as RequestInit);
    },
  };
}

// fetch reports a cut body as "terminated" (test/system/fault-matrix).
function requestFailure(error: unknown, signal: AbortSignal, requestTimeoutMs: number): unknown {
  if (signal.aborted) return signal.reason;
  // Retried like any failed request. The final message comes from the cause.
  if (error instanceof SignInUnavailable)
    return new RequestFailed({ kind: 'sign_in', code: error.reason }, error.message, {
      cause: error,
      retryAfterMs: error.retryAfterMs,
    });
  if (error instanceof BodyTooLarge)
    return new RequestFailed({ kind: 'too_large' }, `Graph answered with ${error.message}`, { cause: error });
  if (error instanceof BodyNotUtf8)
    return new RequestFailed({ kind: 'malformed' }, `Graph answered with ${error.message}`, { cause: error });
  if (error instanceof ExpectedError || error instanceof RequestFailed) return error;
  const code = networkCode(error) ?? withoutCode(error);
  if (code === undefined) return error;
  return new RequestFailed(
    { kind: 'network', code },
    code === 'TIMEOUT' ? `no answer within ${requestTimeoutMs / 1000} s` : code,
    { cause: error },
  );
}

function withoutCode(error: unknown): string | undefined {
  const broken = error instanceof Error && /fetch failed|terminated|other side closed|aborted/.test(error.message);
  return broken ? 'BROKEN_CONNECTION' : undefined;
}
