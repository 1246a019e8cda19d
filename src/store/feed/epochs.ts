// Epochs of the feed: the lives of its numbers. Another server than before may give the same numbers to other batches.
import { type Database, rows, written } from '../database/pool.ts';

/**
 * Returns the present epoch. Numbering begins the next one where the database is on another server than before, by a failover
 * or a restore.
 */
export async function feedEpoch(database: Database): Promise<string> {
  const [feed] = await rows<{ epoch: string }>(database, 'select epoch from entra_sync.feed');
  return feed?.epoch ?? '';
}

/**
 * Begins a new epoch after a restore from a backup that Postgres cannot tell from the database before. Refuses all earlier
 * positions with ES006, because batches may be lost whose numbers were given again since.
 */
export async function beginFeedEpoch(database: Database): Promise<void> {
  await written(
    database,
    `with forgotten as (delete from entra_sync.feed_epochs)
     update entra_sync.feed f
        set epoch = substr(md5(gen_random_uuid()::text), 1, 8), system_identifier = s.system_identifier,
            timeline = s.timeline, database_oid = s.database_oid
       from entra_sync.this_server() s`,
  );
}
