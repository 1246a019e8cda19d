// A scripted Graph behind the global fetch. It answers in order and records every request, also to foreign hosts.
import nock from 'nock';
import { expect } from 'vitest';
import { ExpectedError } from '../../src/errors.ts';
import { type GraphClient, openGraphClient } from '../../src/graph/client.ts';
import type { TokenSource } from '../../src/graph/credential.ts';
import { type GraphReader, type OnWait, openGraphReader, type RetryPolicy } from '../../src/graph/reader.ts';

export const origin = 'https://graph.microsoft.com';

export type Scripted = {
  method?: 'GET' | 'POST';
  status?: number;
  headers?: Record<string, string>;
  /** An object is sent as JSON, a text as it is. */
  body?: string | object | null;
  /** Breaks the connection with this code instead of an answer. */
  breaks?: string;
  /** Milliseconds until the answer. */
  delayMs?: number;
};

export type SeenRequest = { method: string; url: string; headers: Record<string, string>; body: unknown };

export type ScriptedGraph = {
  /** The requests that reached Graph, in order. */
  readonly requests: SeenRequest[];
  /** The URLs of requests to other hosts, or after the last answer. */
  readonly strays: string[];
};

/** Lets Graph answer once with each of `answers`, in order. {@link closeGraph} undoes it. */
export function scriptGraph(...answers: Scripted[]): ScriptedGraph {
  const requests: SeenRequest[] = [];
  const strays: string[] = [];
  nock.disableNetConnect();
  nock.emitter.on(
    'no match',
    (request: { path?: string; options?: { href?: string; proto?: string; host?: string } }) => {
      strays.push(JSON.stringify(request?.options?.href ?? [request?.options?.host, request?.path]));
    },
  );
  for (const { method = 'GET', status = 200, headers = {}, body = {}, breaks, delayMs } of answers) {
    const interceptor = nock(origin).intercept(() => true, method);
    if (delayMs !== undefined) interceptor.delay(delayMs);
    if (breaks !== undefined) {
      interceptor.replyWithError(Object.assign(new Error(breaks), { code: breaks }));
      continue;
    }
    interceptor.reply(function answer(uri, sent) {
      const seen = Object.entries(this.req.headers).map(([name, value]) => [name.toLowerCase(), String(value)]);
      requests.push({ method, url: `${origin}${uri}`, headers: Object.fromEntries(seen), body: sent });
      const text = typeof body === 'string' ? body : JSON.stringify(body);
      return [status, text, { 'content-type': 'application/json', ...headers }];
    });
  }
  return { requests, strays };
}

/** Drops the script; for afterEach. */
export function closeGraph(): void {
  nock.emitter.removeAllListeners('no match');
  nock.cleanAll();
  nock.abortPendingRequests();
  nock.enableNetConnect();
}

/** Whether every scripted answer was used. */
export function allAnswered(): boolean {
  return nock.isDone();
}

/** A source of numbered tokens: each renewal returns the next one. */
export function countingTokens(): TokenSource & { issued: number } {
  const source = {
    issued: 1,
    access: () => undefined,
    token: async ({ renew = false } = {}) => {
      if (renew) source.issued += 1;
      return `secret-access-token-${source.issued}`;
    },
  };
  return source;
}

/** Waits short enough for a test; `onWait` gets the wait that Retry-After asks for. */
export const quickPolicy: RetryPolicy = {
  retries: 5,
  firstWaitMs: 1,
  budgetMs: 600_000,
  requestTimeoutMs: 60_000,
};

export type Wait = Parameters<OnWait>[0];

export type Opened = {
  reader: GraphReader;
  client: GraphClient;
  waits: Wait[];
  tokens: ReturnType<typeof countingTokens>;
};

/** A reader on the scripted Graph. `onWait` runs after the wait was recorded. */
export function openReader(
  options: { policy?: Partial<RetryPolicy>; signal?: AbortSignal; onWait?: OnWait } = {},
): Opened {
  const waits: Wait[] = [];
  const tokens = countingTokens();
  const client = openGraphClient({ origin, tokens });
  const reader = openGraphReader({
    client,
    signal: options.signal ?? new AbortController().signal,
    policy: { ...quickPolicy, ...options.policy },
    onWait: (event) => {
      waits.push(event);
      options.onWait?.(event);
    },
  });
  return { reader, client, waits, tokens };
}

/** Returns the expected error of `work`, and checks that no part of it that is shown holds a token. */
export async function expectedError(work: Promise<unknown>): Promise<ExpectedError> {
  const error = await work.then(
    () => new Error('nothing was thrown'),
    (thrown: unknown) => thrown,
  );
  if (!(error instanceof ExpectedError)) throw error;
  const shown = [error.message, error.cure, error.detail].join(' ');
  expect(shown).not.toMatch(/secret-|Bearer|skiptoken=|deltatoken=/i);
  expect(error.message).not.toContain('\n');
  return error;
}
