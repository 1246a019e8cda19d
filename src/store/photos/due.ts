// Which photos are due: those never asked for, then the longest ago.
import { type Database, rows, written } from '../database/pool.ts';
import { liveManaged } from '../database/vocabulary.ts';
import type { PhotoLane } from './lanes.ts';

export type DuePhoto = {
  readonly account_id: string;
  readonly entra_object_id: string;
  /** The hash of the photo that is stored; null: none. */
  readonly sha256: string | null;
};

/** The due photos that one look returns: ids alone, so that a large tenant needs no memory. */
export const dueAtOnce = 1_000;

// Before this time a photo was due when the lane was claimed.
const dueBefore = `(select greatest(l.claimed_at - make_interval(secs => :refreshMs / 1000.0), l.since)
     from entra_sync.photo_lanes l where l.tenant_id = :tenantId)`;

const never = `entra_sync.accounts a
  where a.tenant_id = :tenantId and ${liveManaged('a')} and a.entra_object_id is not null
    and not exists (select from entra_sync.photos p where p.account_id = a.account_id)`;
const again = `entra_sync.photos p join entra_sync.accounts a using (account_id)
  where p.tenant_id = :tenantId and p.read_at < ${dueBefore} and ${liveManaged('a')} and a.entra_object_id is not null`;

/**
 * Returns the photos to ask for next, in the order of this claim, at most {@link dueAtOnce}. Each claim begins elsewhere among those
 * never asked for: where Exchange limits the application, one beginning may be all refused.
 */
export async function duePhotos(database: Database, lane: PhotoLane, refreshMs: number): Promise<DuePhoto[]> {
  return rows<DuePhoto>(
    database,
    `select d.account_id, d.entra_object_id, d.sha256
       from ((select a.account_id, a.entra_object_id, null as sha256, null::timestamptz as read_at
                from ${never} limit :most)
             union all
             (select a.account_id, a.entra_object_id, p.sha256, p.read_at
                from ${again} order by p.read_at limit :most)) d
      order by d.read_at nulls first, md5(d.account_id::text || :claim) limit :most`,
    { tenantId: lane.tenantId, claim: lane.claim, refreshMs, most: dueAtOnce },
  );
}

/** Counts the due photos and notes the number for `status` and the metrics. */
export async function countDue(database: Database, lane: PhotoLane, refreshMs: number): Promise<number> {
  const [counted] = await written<{ due: number }>(
    database,
    `update entra_sync.photo_lanes
        set due = (select count(*) from ${never}) + (select count(*) from ${again})
      where tenant_id = :tenantId and claim = :claim returning due`,
    { tenantId: lane.tenantId, claim: lane.claim, refreshMs },
  );
  return counted?.due ?? 0;
}
