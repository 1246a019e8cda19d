// The tenants in numbers, for the log of a worker.
import { type Database, rows } from '../database/pool.ts';

/** Facts of the tenants that the worker syncs: neither disconnected nor paused. */
export type Tally = {
  readonly all: number;
  /** Had a success. */
  readonly synced: number;
  readonly failing: number;
  readonly held: number;
};

export async function tallyTenants(database: Database): Promise<Tally> {
  const [tally] = await rows<Tally>(
    database,
    `select count(*)::int as all, count(last_success_at)::int as synced,
            (count(*) filter (where failures > 0))::int as failing,
            (count(*) filter (where exists (select from entra_sync.removal_lists l
                                             where l.tenant_id = t.tenant_id)))::int as held
       from entra_sync.tenants t where status <> 'disconnected' and not paused`,
  );
  if (!tally) throw new Error('the tally of tenants has no row');
  return tally;
}

/** Returns the names of tenants, in the order of `ids`. */
export function tenantNames(
  database: Database,
  ids: readonly string[],
): Promise<{ tenant_id: string; name: string }[]> {
  return rows(
    database,
    `select tenant_id, name from entra_sync.tenants where tenant_id = any(:ids::uuid[])
      order by array_position(:ids::uuid[], tenant_id)`,
    { ids },
  );
}
