// The outcome of a cycle, by how its streams ended: the first row that applies.

export type CycleOutcome = 'committed' | 'partial' | 'held' | 'failed' | 'cancelled';

export type StreamsEnded = {
  /** How many streams ran. */
  readonly ran: number;
  readonly failed: number;
  /** The process, or the lease, ended while a stream ran. */
  readonly cancelled: boolean;
  /** Removals wait for a person. */
  readonly held: boolean;
};

const table: readonly (readonly [applies: (ended: StreamsEnded) => boolean, outcome: CycleOutcome])[] = [
  [({ cancelled }) => cancelled, 'cancelled'],
  [({ ran, failed }) => failed > 0 && failed >= ran, 'failed'],
  [({ failed }) => failed > 0, 'partial'],
  [({ held }) => held, 'held'],
  [() => true, 'committed'],
];

/** Returns the outcome of a cycle, or of a quick first load. */
export function outcomeOf(ended: StreamsEnded): CycleOutcome {
  return table.find(([applies]) => applies(ended))?.[1] ?? 'committed';
}

/** A cycle that its process did not close: the streams that its commits noted, and those that are missing. */
export type LeftOpen = Pick<StreamsEnded, 'held'> & { readonly committed: number; readonly missing: number };

/** Returns the outcome of a cycle that its process did not close. What was committed counts, as in any other cycle. */
export function outcomeOfLeftOpen({ committed, missing, held }: LeftOpen): CycleOutcome {
  // A process may end before any stream has begun.
  const ran = Math.max(1, committed + missing);
  return outcomeOf({ ran, failed: ran - committed, cancelled: false, held });
}
