// The links to managers in a round: which of them GET has to answer for, and which outlive a deleted manager.
import type { Problem } from '../../rules/decode.ts';
import { type Lease, requireFence } from '../cycle/lease.ts';
import { type Database, inTransaction, rows } from '../database/pool.ts';
import { stageProblems } from './problems.ts';

/**
 * Returns the known users whose link to this manager differs from the list of the manager's direct reports: the staged
 * link counts, else the stored one.
 */
export async function reportsToAsk(
  database: Database,
  tenantId: string,
  roundId: string,
  manager: string,
  reports: readonly string[],
): Promise<string[]> {
  const found = await rows<{ id: string }>(
    database,
    `select x.id::text as id
       from (select unnest(:reports::uuid[]) as id
             union
             select a.entra_object_id from entra_sync.accounts a
              where a.tenant_id = :tenantId and a.manager_object_id = :manager and a.state = 'managed'
             union
             select s.entra_object_id from entra_sync.stage_users s
              where s.round_id = :roundId and s.source ->> 'manager' = :manager) x
       left join entra_sync.stage_users s on s.round_id = :roundId and s.entra_object_id = x.id
       left join entra_sync.accounts a
         on a.tenant_id = :tenantId and a.entra_object_id = x.id and a.state = 'managed' and a.removed_at is null
      where case when s.round_id is null then a.account_id is not null else s.removed is null end
        and (x.id = any(:reports::uuid[]))
            is distinct from coalesce((case when s.round_id is null then a.source else s.source end)
                                        ->> 'manager' = :manager, false)
      order by 1`,
    { tenantId, roundId, manager, reports },
  );
  return found.map((row) => row.id);
}

/** Stages the restored users whose direct reports could not be read; those of the others were. */
export async function stageUnreadReports(
  database: Database,
  lease: Lease,
  roundId: string,
  restored: readonly string[],
  problems: readonly Problem[],
): Promise<void> {
  if (restored.length === 0) return;
  await inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await transaction.raw(
      `delete from entra_sync.stage_set_aside
        where round_id = :roundId and object_key = any(:keys::text[])`,
      { roundId, keys: restored.map((id) => `${id}/directReports`) },
    );
    await stageProblems(transaction, roundId, problems);
  });
}

/**
 * Returns the managers of these users that are soft-deleted, by user. Graph shows no deleted manager, so a missing one does
 * not end the link: a restore brings it back.
 */
export async function deletedManagers(
  database: Database,
  tenantId: string,
  roundId: string,
  ids: readonly string[],
): Promise<Map<string, string>> {
  if (ids.length === 0) return new Map();
  const found = await rows<{ id: string; manager: string }>(
    database,
    `select u.id::text as id, a.manager_object_id::text as manager
       from unnest(:ids::uuid[]) as u (id)
       join entra_sync.accounts a on a.tenant_id = :tenantId and a.entra_object_id = u.id and a.state = 'managed'
       left join entra_sync.accounts m on m.tenant_id = :tenantId and m.entra_object_id = a.manager_object_id
       left join entra_sync.stage_users s on s.round_id = :roundId and s.entra_object_id = a.manager_object_id
      where a.manager_object_id is not null
        and case when s.round_id is null then m.removed_reason in ('deleted_restorable', 'not_seen')
                 else s.removed = 'deleted_restorable' end`,
    { tenantId, roundId, ids },
  );
  return new Map(found.map(({ id, manager }) => [id, manager]));
}
