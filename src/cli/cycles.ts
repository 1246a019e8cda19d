// Finds a cycle by its number, and its changes.
import { ExpectedError } from '../errors.ts';
import type { Database } from '../store/database/pool.ts';
import type { ChangeFilter } from '../store/feed/changes.ts';
import { type CycleRow, readCycle } from '../store/tenants/status.ts';

export type NamedCycle = CycleRow & { tenant_id: string; tenant_name: string };

/** Returns the cycle. Throws `unknown_name` if it is not kept. */
export async function requireCycle(database: Database, cycleId: number): Promise<NamedCycle> {
  const cycle = await readCycle(database, String(cycleId));
  if (cycle) return cycle;
  throw new ExpectedError('unknown_name', `there is no cycle ${cycleId}`, {
    cure: 'entra-sync tenant show TENANT lists the last cycles of a tenant',
  });
}

/** The changes of a cycle. Its times spare a look at all changes of the tenant; numbering may raise those of its commits. */
export function changesOfCycle({ tenant_id, cycle_id, started_at, finished_at }: NamedCycle): ChangeFilter {
  const until = finished_at && new Date(finished_at.getTime() + 3_600_000).toISOString();
  return { tenantId: tenant_id, cycle: cycle_id, since: started_at.toISOString(), until: until ?? undefined };
}
