// Decides when a failing round is given up: after several failures in a row, or when it is older than Graph keeps
// links.
import type { RoundKind } from './merge.ts';

/** Graph keeps the state behind a link for seven days (docs/graph.md). An older open round is restarted. */
export const roundLastsMs = 7 * 24 * 3_600_000;

/** Number of failing cycles in a row, including the current one, after which a link or checkpoint counts as stuck. */
export const lastingAfter = { later: 2, full: 3 } as const;

/** Number of cycles in a row that failed before this one, for the checkpoint and for the round. */
export type FailuresBefore = { readonly checkpoint: number; readonly round: number };

/**
 * Whether the next link of an open round, which failed in this cycle too, counts as stuck. A full round gets one more
 * cycle, since more work would be lost.
 */
export function isLinkStuck(kind: RoundKind, before: FailuresBefore): boolean {
  return kind === 'full' ? before.round + 1 >= lastingAfter.full : before.checkpoint + 1 >= lastingAfter.later;
}

/** Whether the checkpoint, from which this cycle failed too, is given up for a full round. */
export function isCheckpointStuck(before: FailuresBefore): boolean {
  return before.checkpoint + 1 >= lastingAfter.later;
}

// With any other reason the checkpoint is unusable: there is none, it is dead, or it was read with other settings.
const besideReasons: ReadonlySet<string> = new Set(['due', 'removals_held', 'resync', 'checkpoint_refused']);

/** Whether a full round with this `reason` leaves a usable checkpoint, for a later round beside it. */
export function leavesCheckpoint(reason: string): boolean {
  return besideReasons.has(reason);
}
