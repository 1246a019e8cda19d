// Reads JSON from Graph under one retry policy: each wait is reported, and all waits of a cycle share a budget.
import { setTimeout as wait } from 'node:timers/promises';
import pRetry, { AbortError } from 'p-retry';
import { ExpectedError } from '../errors.ts';
import { judgeFailure } from '../rules/failures.ts';
import { parseJson } from '../rules/json.ts';
import type { Access } from './app-credential.ts';
import type { Answer, GraphClient } from './client.ts';
import { endpointOf } from './endpoints.ts';
import { finalError } from './final-error.ts';
import { type Parse, parseAnswer } from './parse-answer.ts';
import { RequestFailed } from './request-failed.ts';

export type RetryPolicy = {
  /** Tries after the first one. */
  readonly retries: number;
  /** The wait before the first retry; doubles each time, with jitter. */
  readonly firstWaitMs: number;
  /** Maximum sum of all waits of one cycle. */
  readonly budgetMs: number;
  /** The time limit of one request, with sign-in and body. */
  readonly requestTimeoutMs: number;
};

export const defaultRetryPolicy: RetryPolicy = {
  retries: 5,
  firstWaitMs: 500,
  budgetMs: 600_000,
  requestTimeoutMs: 60_000,
};

export type WaitEvent = {
  /** The reason in words: statuses, codes and counts. */
  readonly reason: string;
  /** After a 429, also of a `$batch` item. */
  readonly throttled: boolean;
  readonly waitMs: number;
  /** The failed try, 1 for the first. */
  readonly attempt: number;
  readonly retries: number;
  /** The stream that waits; null if it is not a stream's request. */
  readonly stream: string | null;
  readonly requestId: string | null;
};

/** Called before every wait. */
export type OnWait = (event: WaitEvent) => void;

export type RequestEvent = {
  /** A name of endpoints.ts; `sign_in` if the request failed for lack of a token. */
  readonly endpoint: string;
  readonly method: 'GET' | 'POST';
  /** The status of the answer, or the code of the fault (ECONNRESET, TIMEOUT). */
  readonly outcome: number | string;
  readonly seconds: number;
};

/** Called after every request, retries included, but not after an aborted one. */
export type OnRequest = (event: RequestEvent) => void;

/** The link is dead: the round restarts, or a full round starts (rule 15). */
export class DeadToken extends Error {
  readonly requestId: string | null;

  constructor(reason: string, requestId: string | null) {
    super(reason);
    this.name = 'DeadToken';
    this.requestId = requestId;
  }
}

/** Returns the status of an answer that a retry would not change; undefined for any other failure. */
export function refusedStatus(error: unknown): number | undefined {
  if (error instanceof DeadToken) return 410;
  const failed = error instanceof ExpectedError ? error.cause : error;
  if (!(failed instanceof RequestFailed) || failed.failure.kind !== 'answer') return undefined;
  const { act } = judgeFailure(failed.failure);
  return act === 'retry' || act === 'new_access_token' ? undefined : failed.failure.status;
}

export type GraphReader = {
  readonly origin: string;
  /** Returns a reader for one stream of the cycle, with a count of its own and the shared budget. */
  fork(stream: string): GraphReader;
  /** Only gets an access token, under the policy. Throws what {@link GraphReader.getJson} throws. */
  signIn(): Promise<void>;
  /** Returns the facts of the last access token, also of one that was refused; undefined before the first. */
  access(): Access | undefined;
  /** Returns the number of requests sent so far, with retries, without sign-ins and requests that lacked a token. */
  requestCount(): number;
  /**
   * Asks `url` until `parse` accepts the body or the policy gives up. `parse` also gets the Date of the answer; its
   * `malformed` counts as a failed try. Throws DeadToken, ExpectedError or the signal's reason.
   */
  getJson<Body>(
    url: string,
    options: {
      carriedToken: boolean;
      headers?: Record<string, string>;
      batch?: () => object;
      parse: Parse<Body>;
      /** The most bytes of the answer, where that is less than the client's. */
      mostBytes?: number;
      /** Returns the result for a 404, if that is not a failure. */
      absent?: () => Body;
      /** Number of faults, other than 429, that end an optional request. Default: the policy's. */
      faults?: number;
      /** Called in addition to the cycle's own. */
      onWait?: OnWait;
    },
  ): Promise<Body>;
  /** Asks once, for an optional result: returns the parsed body, or undefined on any failure. */
  tryJson(url: string, headers: Record<string, string>): Promise<unknown>;
};

type ReaderParts = {
  readonly client: GraphClient;
  readonly signal: AbortSignal;
  readonly policy?: RetryPolicy;
  readonly onWait?: OnWait;
  readonly onRequest?: OnRequest;
};

/** Opens a reader for one cycle; its budget and count are the cycle's. */
export function openGraphReader(parts: ReaderParts): GraphReader {
  return makeReader(parts, { waitedMs: 0, untilMs: 0, apartMs: 0 }, null);
}

// `waitedMs` is the time waited so far; waits at the same time, until `untilMs`, count once. `apartMs` is the part for
// single objects that the cycle can do without, at most a tenth of the budget.
type Budget = { waitedMs: number; untilMs: number; apartMs: number };

function makeReader(parts: ReaderParts, budget: Budget, stream: string | null): GraphReader {
  const { client, signal, policy = defaultRetryPolicy, onWait, onRequest } = parts;
  let requests = 0;

  const count = () => {
    requests += 1;
  };
  const send = async (
    url: string,
    options: Omit<Parameters<GraphClient['send']>[1], 'signal' | 'onSend'>,
  ): Promise<Answer> => {
    const started = performance.now();
    const tell = (endpoint: string, outcome: number | string) =>
      onRequest?.({
        endpoint,
        method: options.batch ? 'POST' : 'GET',
        outcome,
        seconds: (performance.now() - started) / 1000,
      });
    try {
      const answer = await client.send(url, { signal, onSend: count, ...options });
      tell(endpointOf(url), answer.status);
      return answer;
    } catch (error) {
      if (error instanceof RequestFailed && 'code' in error.failure)
        tell(error.failure.kind === 'sign_in' ? 'sign_in' : endpointOf(url), error.failure.code);
      throw error;
    }
  };

  // One request under the policy. `renew` is true for a try that needs a new access token.
  const underPolicy = async <Result>(
    attempt: (renew: boolean) => Promise<Result>,
    { onWait: alsoOnWait, faults }: { onWait?: OnWait | undefined; faults?: number | undefined } = {},
  ): Promise<Result> => {
    let faultsLeft = faults ?? Number.POSITIVE_INFINITY;
    let renewToken = false;
    let renewed = false;
    let retriedDeadLink = false;
    const once = () => {
      const renew = renewToken;
      renewToken = false;
      return attempt(renew).catch((error: unknown) =>
        Promise.reject(error instanceof RequestFailed ? error : new AbortError(asError(error))),
      );
    };
    return pRetry(once, {
      retries: policy.retries,
      minTimeout: 0,
      signal,
      onFailedAttempt: async ({ error, attemptNumber, retriesLeft }) => {
        if (!(error instanceof RequestFailed)) throw error;
        const verdict = judgeFailure(error.failure);
        if (verdict.act === 'new_access_token' && !renewed) {
          renewToken = true;
          renewed = true;
          return;
        }
        if (verdict.act === 'dead_token') {
          if (!verdict.afterOneRetry || retriedDeadLink) throw new DeadToken(error.message, error.requestId);
          retriedDeadLink = true;
        } else if (verdict.act !== 'retry') {
          throw finalError(error, client.origin);
        }
        const isFault = verdict.act === 'retry' && !verdict.throttled;
        if (isFault) faultsLeft -= 1;
        if (faultsLeft <= 0) throw finalError(error, client.origin);
        const waitMs = Math.round(
          Math.max(error.retryAfterMs ?? 0, policy.firstWaitMs * 2 ** (attemptNumber - 1) * (0.75 + Math.random() / 2)),
        );
        const untilMs = performance.now() + waitMs;
        const longerMs = Math.max(0, untilMs - Math.max(performance.now(), budget.untilMs));
        const apartMs = isFault && faults !== undefined ? longerMs : 0;
        if (
          retriesLeft === 0 ||
          budget.waitedMs + longerMs > policy.budgetMs ||
          budget.apartMs + apartMs > policy.budgetMs / 10
        )
          throw finalError(error, client.origin);
        budget.waitedMs += longerMs;
        budget.apartMs += apartMs;
        budget.untilMs = Math.max(budget.untilMs, untilMs);
        const event = {
          reason: error.message,
          throttled: verdict.act === 'retry' && verdict.throttled,
          waitMs,
          attempt: attemptNumber,
          retries: policy.retries,
          stream,
          requestId: error.requestId,
        };
        onWait?.(event);
        alsoOnWait?.(event);
        await wait(waitMs, undefined, { signal });
      },
    }).catch((error: unknown) => {
      if (signal.aborted) throw signal.reason;
      throw error instanceof RequestFailed ? finalError(error, client.origin) : error;
    });
  };

  const getJson: GraphReader['getJson'] = (
    url,
    { carriedToken, headers = {}, batch, mostBytes, parse, absent, onWait: also, faults },
  ) =>
    underPolicy(
      async (renewToken) => {
        const answer = await send(url, {
          renewToken,
          headers,
          ...(batch && { batch: batch() }),
          ...(mostBytes !== undefined && { mostBytes }),
        });
        return answer.status === 404 && absent ? absent() : parseAnswer(answer, url, carriedToken, parse);
      },
      { onWait: also, faults },
    );
  const tryJson: GraphReader['tryJson'] = async (url, headers) => {
    const answer = await send(url, { headers }).catch(() => undefined);
    return answer?.status === 200 ? parseJson(answer.text) : undefined;
  };
  return {
    origin: client.origin,
    fork: (name) => makeReader(parts, budget, name),
    signIn: () => underPolicy(() => client.signIn(signal)),
    access: () => client.access(),
    requestCount: () => requests,
    getJson,
    tryJson,
  };
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
