// When a round that keeps failing is given up: after so many cycles in a row, or at an age that Graph keeps no link for.
import type { RoundKind } from './merge.ts';

/** Graph keeps the state behind a link for seven days (docs/graph.md): an open round that is older is begun anew. */
export const roundLastsMs = 7 * 24 * 3_600_000;

/** Cycles in a row that have to fail, the one that runs among them, before what failed counts as lasting. */
export const lastingAfter = { later: 2, full: 3 } as const;

/** How many cycles in a row have failed before this one, by what failed. */
export type FailuresBefore = { readonly checkpoint: number; readonly round: number };

/**
 * Whether the next link of an open round, which has failed in this cycle too, is given up. A full round has more patience:
 * more of it is lost.
 */
export function isLinkStuck(kind: RoundKind, before: FailuresBefore): boolean {
  return kind === 'full' ? before.round + 1 >= lastingAfter.full : before.checkpoint + 1 >= lastingAfter.later;
}

/** Whether the checkpoint, from which this cycle could not be finished either, is given up for a full round. */
export function isCheckpointStuck(before: FailuresBefore): boolean {
  return before.checkpoint + 1 >= lastingAfter.later;
}

// The others say that the checkpoint cannot be gone on from: there is none, it is dead, or it was read with other settings.
const besideReasons: ReadonlySet<string> = new Set(['due', 'removals_held', 'resync', 'checkpoint_refused']);

/** Whether a full round that was begun for `reason` leaves the checkpoint good for a later round beside it. */
export function leavesCheckpoint(reason: string): boolean {
  return besideReasons.has(reason);
}
