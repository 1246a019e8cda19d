// Ids of soft-deleted objects, listed before a full round: its lists and links leave these objects out.
import { readDeletedIds } from '../graph/deleted.ts';
import type { Stream } from '../rules/streams.ts';
import { recordDeletedElsewhere } from '../store/stage/deleted-elsewhere.ts';
import type { StreamContext } from './stream.ts';

/** Records the objects that are soft-deleted now. Those restored since are asked for (rule 8). */
export async function recordDeletedItems(
  { database, lease, reader, log, dryRun }: StreamContext,
  ofStreams: readonly Stream[],
): Promise<void> {
  if (dryRun) return;
  for (const stream of ofStreams) {
    const ids = await readDeletedIds(reader, stream);
    if (ids) await recordDeletedElsewhere(database, lease, stream, ids);
    log.debug({ stream, away: ids?.length ?? null }, 'deleted objects listed');
  }
}
