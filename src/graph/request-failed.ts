// The error of one request that did not bring a usable answer.
import type { Failure } from '../rules/failures.ts';

/** `failure` is what the failure table judges. The body is told apart into codes and properties, and never kept (rule 18). */
export class RequestFailed extends Error {
  readonly failure: Failure;
  /** For how long Graph or the authority asked to wait; undefined where they did not. */
  readonly retryAfterMs: number | undefined;
  readonly requestId: string | null;
  /** Properties of the query that the answer named as the ones it refuses. */
  readonly refused: readonly string[];

  constructor(
    failure: Failure,
    message: string,
    more: {
      retryAfterMs?: number | undefined;
      requestId?: string | null;
      refused?: readonly string[];
      cause?: unknown;
    } = {},
  ) {
    super(message, { cause: more.cause });
    this.name = 'RequestFailed';
    this.failure = failure;
    this.retryAfterMs = more.retryAfterMs;
    this.requestId = more.requestId ?? null;
    this.refused = more.refused ?? [];
  }
}
