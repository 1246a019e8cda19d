// The error of one request without a usable answer.
import type { Failure } from '../rules/failures.ts';

/**
 * A failed request. `failure` is for the failure table. The body is reduced to codes and properties, never kept (rule
 * 18).
 */
export class RequestFailed extends Error {
  readonly failure: Failure;
  /** The wait that Graph or the authority asked for; undefined: none. */
  readonly retryAfterMs: number | undefined;
  readonly requestId: string | null;
  /** Properties of the query that the answer names as refused. */
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
