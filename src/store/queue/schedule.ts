// The due tenants, by the database's clock, and the full-round slots.
import { restSeconds } from '../../rules/planning.ts';
import { type Database, inTransaction, rowCount, rows, type Transaction, written } from '../database/pool.ts';

export type DueRow = {
  tenant_id: string;
  name: string;
  /** The due time in seconds since 1970, as the database formats it; null: never synced. */
  due_at: string | null;
  rescue: boolean;
  requested: boolean;
  has_full_round_slot: boolean;
  slow: boolean;
  users_fingerprint: string | null;
  groups_fingerprint: string | null;
};

// Delta tokens expire after 7 days (docs/graph.md). Two days remain to find the cause.
const checkpointExpiringAge = '5 days';

const isDue = `t.status <> 'disconnected' and not t.paused
    and (t.next_cycle_at is null or t.next_cycle_at <= clock_timestamp() or r.requested)`;

const isLate = (time: string) => `${time} > clock_timestamp() - interval '${restSeconds} seconds'`;

// A cycle that could not be opened has no row, but it took the lease.
const wasRequested = `left join lateral (
  select true as requested from entra_sync.cycle_requests q
   where q.tenant_id = t.tenant_id and q.account_id is null
     and not exists (select from entra_sync.leases e where e.tenant_id = t.tenant_id and ${isLate('e.acquired_at')})
     and not exists (
       select from (select c.finished_at from entra_sync.cycles c
                     where c.tenant_id = t.tenant_id and c.kind <> 'on_demand'
                     order by c.cycle_id desc limit 1) as latest
        where ${isLate('latest.finished_at')})
   limit 1) r on true`;

/** Returns the tenants that are due and not running, or this one if it is so, in order of their due times. */
export async function dueTenants(on: Database | Transaction, tenantId: string | null = null): Promise<DueRow[]> {
  return rows<DueRow>(
    on,
    `select t.tenant_id, t.name, extract(epoch from t.next_cycle_at)::text as due_at,
            coalesce(r.requested, false) as requested, f.tenant_id is not null as has_full_round_slot,
            coalesce(least(u.committed_at, g.committed_at)
                     < clock_timestamp() - interval '${checkpointExpiringAge}', false) as rescue,
            u.fingerprint as users_fingerprint, g.fingerprint as groups_fingerprint,
            u.fingerprint is null or coalesce(c.slow, false) as slow
       from entra_sync.tenants t
       ${wasRequested}
       left join entra_sync.checkpoints u on u.tenant_id = t.tenant_id and u.stream = 'users'
       left join entra_sync.checkpoints g on g.tenant_id = t.tenant_id and g.stream = 'groups'
       left join entra_sync.full_turns f on f.tenant_id = t.tenant_id
       left join entra_sync.heartbeats h on h.tenant_id = t.tenant_id and h.expires_at > clock_timestamp()
       left join lateral (
         select bool_or(finished_at - started_at > interval '1 minute') as slow
           from (select started_at, finished_at from entra_sync.cycles
                  where tenant_id = t.tenant_id and kind <> 'on_demand'
                  order by cycle_id desc limit 3) as latest) c on true
      where ${isDue} and h.tenant_id is null and (:tenantId::uuid is null or t.tenant_id = :tenantId)
      order by coalesce(t.next_cycle_at, t.added_at), t.tenant_id`,
    { tenantId },
  );
}

/**
 * Runs `plan` unless a replica is planning, or planned within the last second. Returns whether it ran. `plan` gets the due
 * tenants and the number of taken full-round slots, and returns the tenants that get one, which they keep while they are due
 * or running.
 */
export async function planOnce(
  database: Database,
  plan: (on: Transaction, due: readonly DueRow[], slotsTaken: number) => Promise<readonly string[]>,
): Promise<boolean> {
  return inTransaction(database, async (transaction) => {
    const claimed = await rowCount(
      transaction,
      `update entra_sync.scheduler set planned_at = clock_timestamp()
        where only_row = (select only_row from entra_sync.scheduler
                           where planned_at < clock_timestamp() - interval '900 milliseconds' for update skip locked)`,
    );
    if (claimed === 0) return false;
    await transaction.raw(
      `delete from entra_sync.full_turns f
        where not exists (select from entra_sync.heartbeats h
                           where h.tenant_id = f.tenant_id and h.expires_at > clock_timestamp())
          and not exists (select from entra_sync.tenants t ${wasRequested}
                           where t.tenant_id = f.tenant_id and ${isDue})`,
    );
    const due = await dueTenants(transaction);
    const [taken] = await rows<{ turns: number }>(
      transaction,
      'select count(*)::int as turns from entra_sync.full_turns',
    );
    const turns = await plan(transaction, due, taken?.turns ?? 0);
    await transaction.raw(
      `insert into entra_sync.full_turns (tenant_id)
       select t.tenant_id from entra_sync.tenants t where t.tenant_id = any(:turns::uuid[])
       on conflict do nothing`,
      { turns },
    );
    return true;
  });
}

/** Releases the tenant's full-round slot. */
export async function releaseFullRoundSlot(database: Database, tenantId: string): Promise<void> {
  await written(database, 'delete from entra_sync.full_turns where tenant_id = :tenantId', { tenantId });
}
