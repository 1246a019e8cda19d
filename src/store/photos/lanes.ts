// The lanes of photos: one process at a time reads the photos of a tenant, and takes no cycle's place for it.
import { randomUUID } from 'node:crypto';
import { type PhotoSize, refusedFault } from '../../rules/photos.ts';
import { type Database, rows, type Transaction, written } from '../database/pool.ts';

/** A lane that this process holds. `answered`: Graph has shown that the application may read photos of the tenant. */
export type PhotoLane = {
  readonly tenantId: string;
  readonly claim: string;
  /** As the settings said at the claim. */
  readonly size: PhotoSize;
  readonly answered: boolean;
  /** Photos that were refused since Graph last answered otherwise. */
  readonly refused: number;
};

/** The time of a claim without a sign of its process. */
export const claimMs = 20_000;

/** How long a tenant rests: with nothing due, after a failure, and without the permission. */
export const restMs = { done: 60_000, failed: 300_000, refused: 3_600_000, turn: 0 } as const;

const free = (lane: string) => `(${lane}.claimed_until is null or ${lane}.claimed_until < clock_timestamp())`;
const claimEnd = 'clock_timestamp() + make_interval(secs => :claimMs / 1000.0)';
const wants = "(entra_sync.photo_settings(t.tenant_id) ->> 'read')::boolean";

/**
 * Returns the tenants whose lane is due, longest first: those that read photos, connected and past their first load, and those
 * that read none any more and have some left.
 */
export async function tenantsDueForPhotos(database: Database): Promise<string[]> {
  const found = await rows<{ tenant_id: string }>(
    database,
    `select t.tenant_id from entra_sync.tenants t left join entra_sync.photo_lanes l using (tenant_id)
      where (l.next_at is null or l.next_at <= clock_timestamp()) and ${free('l')}
        and case when ${wants} then t.status = 'active' and not t.paused and not t.provisional
                 else l.tenant_id is not null end
      order by l.next_at nulls first, t.tenant_id`,
  );
  return found.map((row) => row.tenant_id);
}

/** Whether the settings in force say that the photos of a tenant are read. */
export async function wantsPhotos(database: Database, tenantId: string): Promise<boolean> {
  const [found] = await rows(
    database,
    `select 1 from entra_sync.tenants t where t.tenant_id = :tenantId and ${wants}`,
    { tenantId },
  );
  return found !== undefined;
}

/** Takes the lane of a tenant for photos of the size in force; undefined: another process has it, or the tenant is gone. */
export async function claimLane(database: Database, tenantId: string): Promise<PhotoLane | undefined> {
  const claim = randomUUID();
  const [claimed] = await written<{ size: PhotoSize; answered: boolean; refused: number }>(
    database,
    `insert into entra_sync.photo_lanes as l (tenant_id, size, claim, claimed_at, claimed_until)
     select t.tenant_id, entra_sync.photo_settings(t.tenant_id) ->> 'size', :claim, clock_timestamp(), ${claimEnd}
       from entra_sync.tenants t where t.tenant_id = :tenantId
     on conflict (tenant_id) do update
        set claim = excluded.claim, claimed_at = excluded.claimed_at, claimed_until = excluded.claimed_until,
            size = excluded.size,
            since = case when l.size = excluded.size then l.since else clock_timestamp() end
      where ${free('l')}
     returning l.size, answered_at is not null as answered,
       (select count(*) from entra_sync.photo_faults f
         where f.tenant_id = l.tenant_id and f.reason = :refusedFault
           and f.last_seen_at > l.answered_at)::int as refused`,
    { tenantId, claim, claimMs, refusedFault },
  );
  return claimed && { tenantId, claim, ...claimed };
}

/** Prolongs a claim. Returns false for one that was lost. */
export async function keepLane(database: Database, { tenantId, claim }: PhotoLane): Promise<boolean> {
  const kept = await written(
    database,
    `update entra_sync.photo_lanes set claimed_until = ${claimEnd}
      where tenant_id = :tenantId and claim = :claim returning 1`,
    { tenantId, claim, claimMs },
  );
  return kept.length > 0;
}

/** Whether the claim is still this process's. Call it under the tenant's lock, which keeps it so until the commit. */
export async function holdsLane(transaction: Transaction, { tenantId, claim }: PhotoLane): Promise<boolean> {
  const held = await rows(
    transaction,
    `update entra_sync.photo_lanes set claimed_until = ${claimEnd}
      where tenant_id = :tenantId and claim = :claim returning 1`,
    { tenantId, claim, claimMs },
  );
  return held.length > 0;
}

export type LaneTrouble = { readonly code: string; readonly message: string };

/** Gives a lane back until the rest is over, with what keeps it from reading. */
export async function releaseLane(
  database: Database,
  { tenantId, claim }: PhotoLane,
  restsMs: number,
  trouble: LaneTrouble | null | 'as before',
): Promise<void> {
  const told = trouble === 'as before' ? null : trouble;
  await written(
    database,
    `update entra_sync.photo_lanes
        set claim = null, claimed_until = null,
            next_at = clock_timestamp() + make_interval(secs => :restsMs / 1000.0),
            trouble = case when :keep then trouble else :code end,
            trouble_message = case when :keep then trouble_message else :message end,
            trouble_since = case when :keep then trouble_since
                                 when :code::text is not null then coalesce(trouble_since, clock_timestamp()) end
      where tenant_id = :tenantId and claim = :claim`,
    {
      ...{ tenantId, claim, restsMs, keep: trouble === 'as before' },
      ...{ code: told?.code ?? null, message: told?.message.slice(0, 500) ?? null },
    },
  );
}
