// The outcome of a cycle's streams, as its row keeps it.

import { ExpectedError, errorCodeOf } from '../errors.ts';
import { noCounts } from '../rules/counts.ts';
import { plural } from '../rules/numbers.ts';
import type { CycleOutcome } from '../rules/outcome.ts';
import { explainGaps } from '../rules/scope.ts';
import type { Stream } from '../rules/streams.ts';
import type { RemovalList } from '../store/commit/removal-lists.ts';
import type { CycleKind, StreamReport } from '../store/cycle/cycles.ts';
import type { RoundReport } from './stream.ts';

export type StreamFailure = { readonly stream: Stream; readonly error: unknown };

/** A quick first load, as its cycle row keeps it. */
export type FirstLoad = {
  readonly cycleId: string;
  readonly kind: Extract<CycleKind, 'first_load'>;
  readonly outcome: CycleOutcome;
  readonly seconds: number;
  /** Streams that it listed. */
  readonly streams: { readonly [stream in Stream]?: StreamReport };
  /** Failures of streams that wait for the first round. */
  readonly failures: readonly StreamFailure[];
};

/** Returns the report of a stream that `error` stopped, with its uncommitted round. */
export function reportOfFailure(error: unknown, told: RoundReport, requests: number): StreamReport {
  const outcome = isInterruption(error) ? 'cancelled' : 'failed';
  const { reason: begunFor, ...round } = told;
  return { outcome, ...round, reason: errorCodeOf(error), begun_for: begunFor, requests, ...noCounts, set_aside: 0 };
}

export function isInterruption(error: unknown): boolean {
  return error instanceof ExpectedError && error.code === 'interrupted';
}

export type CycleError = { code: string; message: string };

/** Returns the error for the cycle's row and status, without a defect's message, which may contain personal values. */
export function cycleErrorOf({ stream, error }: StreamFailure): CycleError {
  if (error instanceof ExpectedError)
    return { code: error.code, message: `${stream}: ${error.message}${error.cure ? `; ${error.cure}` : ''}` };
  const name = error instanceof Error ? error.name : typeof error;
  const state = (error as { code?: unknown } | null)?.code;
  return {
    code: errorCodeOf(error),
    message: `${stream}: a defect (${name}${typeof state === 'string' ? ` ${state}` : ''}): see the log of that cycle`,
  };
}

/** Describes a full round beside which changes were committed. */
function describeUnfinished([first]: readonly StreamFailure[]): CycleError | null {
  if (!first) return null;
  const { code, message } = cycleErrorOf(first);
  return { code, message: `a full round is not finished, its changes were committed beside it: ${message}` };
}

/** Returns the error of a cycle's row: a failed stream, else held removals, else an unfinished round, else a gap. */
export function describeCycle(
  ended: {
    readonly failures: readonly StreamFailure[];
    readonly unfinished: readonly StreamFailure[];
    readonly reports: Readonly<Record<Stream, StreamReport>>;
  },
  lists: readonly RemovalList[],
): CycleError | null {
  const [failure] = ended.failures;
  if (failure) return cycleErrorOf(failure);
  return describeLists(lists) ?? describeUnfinished(ended.unfinished) ?? describeGaps(ended.reports.users);
}

/** Returns how many removals wait, and since when. */
export function describeHeld(held: number, since: Date): string {
  const wait = held === 1 ? 'waits' : 'wait';
  return `${plural(held, 'removal')} ${wait} for a person since ${since.toISOString().slice(0, 10)}`;
}

function describeLists(lists: readonly RemovalList[]): CycleError | null {
  const [first] = lists;
  if (!first) return null;
  const held = lists.reduce((sum, list) => sum + list.held, 0);
  const which = lists.length === 1 ? `list ${first.list_id}` : `${lists.length} lists`;
  const waiting = describeHeld(held, first.opened_at);
  return { code: 'removals_held', message: `${waiting} (${which}: ${first.why}); entra-sync removals list` };
}

function describeGaps({ held, scope_gaps: gaps = [] }: StreamReport): CycleError | null {
  if (gaps.length === 0) return null;
  const { what, cure } = explainGaps(gaps);
  return held > 0
    ? { code: 'removals_held', message: `users: removals are held, because ${what}; ${cure}` }
    : { code: 'scope_group_missing', message: `users: ${what}; ${cure}` };
}
