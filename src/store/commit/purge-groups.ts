// The purge of groups whose retention has ended (rule 7).

import { rowCount, rows, type Transaction } from '../database/pool.ts';
import { setAsideInRound } from '../database/vocabulary.ts';
import { changeRows, withoutValues } from '../feed/change-rows.ts';
import type { CommitBindings } from './bindings.ts';
import { forgetGroups, keepPurged } from './memberships.ts';

// A group with an unreadable body is not absent.
export const purgeable = `entra_sync.groups g
 where not :onDemand::boolean and g.tenant_id = :tenant and g.removed_at is not null and g.purge_at <= now()
   and not ${setAsideInRound('g.entra_object_id::text')}`;

export type PurgedGroup = {
  readonly group_no: string;
  readonly group_id: string;
  readonly entra_object_id: string;
  readonly removed_reason: string;
  /** False: no change row has told of the group. */
  readonly shown_before: boolean;
};

/** The columns of {@link PurgedGroup}. */
export const purgedGroupColumns = 'group_no, group_id, entra_object_id, removed_reason, shown_before';

/** Deletes groups past the retention and still absent, with their values in change rows. */
export async function purgeGroups(transaction: Transaction, bind: CommitBindings): Promise<number> {
  const purged = await rows<PurgedGroup>(
    transaction,
    `delete from entra_sync.groups where group_no in (select g.group_no from ${purgeable})
     returning ${purgedGroupColumns}`,
    bind,
  );
  return forgetPurgedGroups(transaction, bind, purged);
}

/** Blanks the values of deleted groups in all other rows, and writes the change rows of their purge. Returns how many. */
export async function forgetPurgedGroups(
  transaction: Transaction,
  bind: Pick<CommitBindings, 'tenant' | 'stream' | 'batch' | 'cycle' | 'actor'>,
  purged: readonly PurgedGroup[],
): Promise<number> {
  if (purged.length === 0) return 0;
  await keepPurged(transaction, bind, purged);
  const ids = purged.map((row) => row.group_id);
  await transaction.raw(forgetGroups, { ...bind, numbers: purged.map((row) => row.group_no) });
  await transaction.raw(
    `update entra_sync.changes set ${withoutValues}
      where tenant_id = :tenant and group_id = any(:ids::uuid[])`,
    { ...bind, ids },
  );
  await transaction.raw(
    `delete from entra_sync.set_aside
      where tenant_id = :tenant and stream = 'groups' and left(object_key, 36) = any(:objects::text[])`,
    { ...bind, objects: purged.map((row) => row.entra_object_id) },
  );
  return rowCount(transaction, changeRows("'group.purged'", { group_id: 'id' }, 'from unnest(:ids::uuid[]) as id'), {
    ...bind,
    ids: purged.filter((row) => row.shown_before).map((row) => row.group_id),
  });
}
