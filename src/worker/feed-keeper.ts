// Tends the change feed: numbers its batches, and tells of a new epoch, which numbering begins on another server than before.
import type { Log } from '../logger.ts';
import type { Database } from '../store/database/pool.ts';
import { numberBatches } from '../store/feed/batches.ts';
import { feedEpoch } from '../store/feed/epochs.ts';

const lookEveryMs = 15_000;

/** Returns what each tick does for the feed. It looks at the epoch at first, after each failure, and every 15 seconds. */
export function openFeedKeeper(database: Database, log: Log): () => Promise<void> {
  let known: string | undefined;
  let lookedAt = Number.NEGATIVE_INFINITY;
  return async () => {
    try {
      known ??= await feedEpoch(database);
      await numberBatches(database);
      if (performance.now() - lookedAt < lookEveryMs) return;
      const epoch = await feedEpoch(database);
      lookedAt = performance.now();
      if (epoch === known) return;
      known = epoch;
      log.warn(
        { epoch },
        'a new epoch of the change feed has begun, after a failover or a restore: readers whose position lies beyond it read the views again',
      );
    } catch (error) {
      // Perhaps a failover.
      lookedAt = Number.NEGATIVE_INFINITY;
      throw error;
    }
  };
}
