// The beat of this worker in the database: `status` and `doctor` see by it that a worker runs.
import { randomUUID } from 'node:crypto';
import type { Database } from '../store/database/pool.ts';
import { forgetOldBeats, writeBeat } from '../store/queue/worker-beats.ts';

const beatEveryMs = 15_000;

export type Beat = {
  /** Writes the beat if it is time. Throws if the database fails; the next call tries again. */
  tell(): Promise<void>;
  /** Notes that this worker was stopped in order. */
  stop(): Promise<void>;
};

export function openBeat(database: Database): Beat {
  const workerId = randomUUID();
  let toldAt = Number.NEGATIVE_INFINITY;
  let first = true;
  return {
    tell: async () => {
      if (performance.now() - toldAt < beatEveryMs) return;
      await writeBeat(database, workerId, false);
      toldAt = performance.now();
      if (first) await forgetOldBeats(database);
      first = false;
    },
    stop: async () => {
      // A worker that never began has nothing to end.
      if (toldAt > 0) await writeBeat(database, workerId, true);
    },
  };
}
