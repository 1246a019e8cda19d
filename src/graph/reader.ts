// Reads JSON from Graph under one retry policy: p-retry around one request, every wait told, within a budget a cycle.
import { setTimeout as wait } from 'node:timers/promises';
import pRetry, { AbortError } from 'p-retry';
import { ExpectedError } from '../errors.ts';
import { errorCodes, judgeFailure, retryAfterMs } from '../rules/failures.ts';
import { type Answer, type GraphClient, RequestFailed } from './client.ts';

export type RetryPolicy = {
  /** Tries after the first one. */
  readonly retries: number;
  /** Wait before the first of them; doubles each time, with jitter. */
  readonly firstWaitMs: number;
  /** How long all waits of one cycle together may take. */
  readonly budgetMs: number;
};

export const defaultRetryPolicy: RetryPolicy = { retries: 5, firstWaitMs: 500, budgetMs: 600_000 };

/** Told before every wait: why, for how long, and which try comes next. */
export type OnWait = (event: {
  reason: string;
  waitMs: number;
  attempt: number;
  retries: number;
  requestId: string | null;
}) => void;

/** The link that was asked is dead: the round, or a full one, has to begin anew (rule 15). */
export class DeadToken extends Error {
  readonly requestId: string | null;

  constructor(reason: string, requestId: string | null) {
    super(reason);
    this.name = 'DeadToken';
    this.requestId = requestId;
  }
}

/** The status of an answer that asking again would not change, so that it concerns only what was asked for. */
export function refusedStatus(error: unknown): number | undefined {
  if (error instanceof DeadToken) return 410;
  const failed = error instanceof ExpectedError ? error.cause : error;
  if (!(failed instanceof RequestFailed) || failed.failure.kind !== 'answer') return undefined;
  const { act } = judgeFailure(failed.failure);
  return act === 'retry' || act === 'new_access_token' ? undefined : failed.failure.status;
}

export type GraphReader = {
  readonly origin: string;
  /** A reader that counts its own requests and shares the budget: one for each stream of a cycle. */
  fork(): GraphReader;
  /** Requests sent so far, retries included. */
  requestCount(): number;
  /**
   * Asks `url` until `parse` takes the body or the policy gives up. `parse` answers `malformed` for a body that is not
   * what was asked for, which counts as a failed try. Throws DeadToken, ExpectedError, or the signal's reason.
   */
  getJson<Body>(
    url: string,
    options: {
      carriedToken: boolean;
      headers?: Record<string, string>;
      batch?: () => object;
      parse: (body: unknown) => Body | { readonly malformed: string } | { readonly failed: RequestFailed };
      /** What 404 comes to, where it is an answer and no failure. */
      absent?: () => Body;
    },
  ): Promise<Body>;
  /** Asks once, for what nothing depends on: the parsed body, or undefined when anything at all went wrong. */
  tryJson(url: string, headers: Record<string, string>): Promise<unknown>;
};

/** Opens a reader for one cycle; its budget and count are the cycle's. */
export function openGraphReader(options: {
  client: GraphClient;
  signal: AbortSignal;
  policy?: RetryPolicy;
  onWait?: OnWait;
}): GraphReader {
  const { client, signal, policy = defaultRetryPolicy, onWait } = options;
  const budget = { waitedMs: 0 };
  const fork = (): GraphReader => makeReader(client, signal, policy, onWait, budget, fork);
  return fork();
}

function makeReader(
  client: GraphClient,
  signal: AbortSignal,
  policy: RetryPolicy,
  onWait: OnWait | undefined,
  budget: { waitedMs: number },
  fork: () => GraphReader,
): GraphReader {
  let requests = 0;

  const getJson: GraphReader['getJson'] = async (url, { carriedToken, headers = {}, batch, parse, absent }) => {
    let renewToken = false;
    let renewed = false;
    let retriedDeadLink = false;
    const attempt = async () => {
      requests += 1;
      const answer = await client.send(url, { signal, renewToken, headers, ...(batch && { batch: batch() }) });
      renewToken = false;
      return answer.status === 404 && absent ? absent() : parseAnswer(answer, carriedToken, parse);
    };
    return pRetry(
      () =>
        attempt().catch((error: unknown) =>
          Promise.reject(error instanceof RequestFailed ? error : new AbortError(asError(error))),
        ),
      {
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
          const asked = retryAfterMs(error.retryAfter, Date.now());
          const waitMs = Math.round(
            Math.max(asked ?? 0, policy.firstWaitMs * 2 ** (attemptNumber - 1) * (0.75 + Math.random() / 2)),
          );
          if (retriesLeft === 0 || budget.waitedMs + waitMs > policy.budgetMs) throw finalError(error, client.origin);
          budget.waitedMs += waitMs;
          onWait?.({
            reason: error.message,
            waitMs,
            attempt: attemptNumber,
            retries: policy.retries,
            requestId: error.requestId,
          });
          await wait(waitMs, undefined, { signal });
        },
      },
    ).catch((error: unknown) => {
      if (signal.aborted) throw signal.reason;
      throw error instanceof RequestFailed ? finalError(error, client.origin) : error;
    });
  };
  const tryJson: GraphReader['tryJson'] = async (url, headers) => {
    requests += 1;
    const answer = await client.send(url, { signal, headers }).catch(() => undefined);
    return answer?.status === 200 ? parseJson(answer.text) : undefined;
  };
  return { origin: client.origin, fork, requestCount: () => requests, getJson, tryJson };
}

function parseAnswer<Body>(
  answer: Answer,
  carriedToken: boolean,
  parse: (body: unknown) => Body | { readonly malformed: string } | { readonly failed: RequestFailed },
): Body {
  const more = { retryAfter: answer.headers.get('retry-after'), requestId: answer.headers.get('request-id') };
  const body = parseJson(answer.text);
  if (answer.status !== 200) {
    const codes = errorCodes(body);
    const said = codes[0] ? ` ${codes.join('/')}` : '';
    throw new RequestFailed(
      { kind: 'answer', status: answer.status, codes, carriedToken },
      `Graph answered ${answer.status}${said}`,
      { ...more, body },
    );
  }
  if (body === undefined)
    throw new RequestFailed({ kind: 'malformed' }, 'Graph answered 200 with something that is not JSON', more);
  const parsed = parse(body);
  if (isObject(parsed) && 'malformed' in parsed) {
    throw new RequestFailed({ kind: 'malformed' }, `Graph answered 200, but ${parsed.malformed}`, more);
  }
  if (isObject(parsed) && 'failed' in parsed) throw parsed.failed;
  return parsed as Body;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/** What is said to a person when a request failed for good. */
function finalError(error: RequestFailed, origin: string): ExpectedError {
  const detail = [error.message, error.requestId && `request-id ${error.requestId}`, messageOf(error.body)]
    .filter(Boolean)
    .join('; ');
  const more = { detail, cause: error };
  const { failure } = error;
  const verdict = judgeFailure(failure);
  if (failure.kind === 'network') {
    return verdict.act === 'stop'
      ? new ExpectedError('graph_unavailable', `the certificate of ${origin} is not trusted (${failure.code})`, {
          cure: 'set NODE_EXTRA_CA_CERTS to the certificate authority that signed it',
          ...more,
        })
      : new ExpectedError('graph_unavailable', `${origin} cannot be reached (${error.message})`, {
          cure: 'check the network, HTTPS_PROXY and GRAPH_BASE_URL, then run the command again: it goes on where it stopped',
          ...more,
        });
  }
  if (failure.kind === 'malformed') {
    return new ExpectedError('graph_answer_invalid', `${error.message}, again and again`, {
      cure: 'check what stands between here and Graph (a proxy, a portal), then run the command again',
      ...more,
    });
  }
  if (verdict.act === 'new_access_token') {
    return new ExpectedError('sign_in_failed', 'Graph refused the access token (401), and a new one too', {
      cure: 'check that ENTRA_SYNC_CLOUD fits the tenant and that this machine has the right time',
      ...more,
    });
  }
  if (verdict.act === 'retry') {
    return verdict.throttled
      ? new ExpectedError(
          'graph_throttled',
          'Graph throttles this application (429) for longer than one cycle may wait',
          {
            cure: 'run the command again later: it goes on where it stopped',
            ...more,
          },
        )
      : new ExpectedError('graph_unavailable', `${error.message}, again and again`, {
          cure: 'run the command again later: it goes on where it stopped',
          ...more,
        });
  }
  const why = verdict.act === 'stop' ? verdict.why : 'unexpected';
  switch (why) {
    case 'permission':
      return new ExpectedError('permission_missing', 'Graph refused to show this (403)', {
        cure: 'grant the application permissions User.Read.All and GroupMember.Read.All, and admin consent',
        ...more,
      });
    case 'delta_unsupported':
      return new ExpectedError('delta_unsupported', 'this tenant does not support delta queries', {
        cure: 'Azure AD B2C and External ID tenants cannot be synced (docs/graph.md)',
        ...more,
      });
    case 'query_refused':
      return new ExpectedError(
        'property_refused',
        `Graph refused the query: ${messageOf(error.body) || error.message}`,
        {
          cure: 'take the property out of the field mapping (entra-sync settings show)',
          ...more,
        },
      );
    default:
      return new ExpectedError('graph_answer_invalid', error.message, {
        cure: 'run again with --verbose and look at the detail; entra-sync resync begins the round anew',
        ...more,
      });
  }
}

// Graph's own words about the request; cut, and without line breaks or HTML.
function messageOf(body: unknown): string {
  const message = isObject(body) && isObject(body.error) ? body.error.message : undefined;
  return typeof message === 'string'
    ? message
        .toWellFormed()
        .replaceAll(/<[^>]*>|\p{Cc}/gu, ' ')
        .replaceAll(/\s+/g, ' ')
        .trim()
        .slice(0, 300)
    : '';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}

function asError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}
