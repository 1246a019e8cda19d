// Many people's edits of one field give way to the directory's values, in batches.
import { type Database, rows, type Transaction } from '../database/pool.ts';
import { noteFeedBatch } from '../feed/batches.ts';
import { inDryRun } from '../feed/receipts.ts';
import { lockTenant } from '../tenants/tenants.ts';
import type { ActingPerson } from './accounts.ts';
import type { EditedField } from './edit.ts';

export type RevertedAccount = Omit<EditedField, 'field'> & { account_id: string; name: string | null };

/** An account that was left as it is: the SQLSTATE that refuses it. */
export type RefusedRevert = { account_id: string; name: string | null; refused: string };

export type ManyReverted = { readonly reverted: RevertedAccount[]; readonly refused: RefusedRevert[] };

const batchSize = 500;

/** Returns the live accounts with a person's value of the field in force, of the tenant or of one group, nested too. */
export async function accountsWithEdit(
  database: Database,
  of: { tenantId: string; field: string; groupId: string | null },
): Promise<string[]> {
  const found = await rows<{ account_id: string }>(
    database,
    `select a.account_id from entra_sync.accounts a
      where a.tenant_id = :tenantId and a.removed_at is null and jsonb_exists(a.overrides, :field)
        and (:groupId::uuid is null or exists (
              select from directory.effective_memberships e
               where e.account_id = a.account_id and e.group_id = :groupId offset 0))
      order by a.account_id`,
    of,
  );
  return found.map((one) => one.account_id);
}

/**
 * Reverts the field of these accounts, up to 500 in one transaction; a dry run rolls each back. An account that refuses it
 * is left as it is. Calls `onBatch` with the number done after each, which may throw to stop there.
 */
export async function revertMany(
  database: Database,
  wanted: { tenantId: string; field: string; accounts: readonly string[] },
  by: ActingPerson,
  options: { dryRun: boolean; onBatch(done: number): void },
): Promise<ManyReverted> {
  const { tenantId, field, accounts } = wanted;
  const all: ManyReverted = { reverted: [], refused: [] };
  for (let from = 0; from < accounts.length; from += batchSize) {
    const ids = accounts.slice(from, from + batchSize);
    const { reverted, refused } = await inDryRun(database, options.dryRun, async (transaction) => {
      await lockTenant(transaction, tenantId);
      return revertBatch(transaction, { field, ids, ...by });
    });
    all.reverted.push(...reverted);
    all.refused.push(...refused);
    options.onBatch(from + ids.length);
  }
  return all;
}

type Batch = ActingPerson & { field: string; ids: readonly string[] };

async function revertBatch(transaction: Transaction, batch: Batch): Promise<ManyReverted> {
  const refused = await rows<RefusedRevert>(
    transaction,
    `select r.account_id, r.refused, coalesce(a.profile ->> 'displayName', a.user_principal_name) as name
       from entra_sync.revert_many(:ids::uuid[], :field, :actor, :role) r
       left join entra_sync.accounts a on a.account_id = r.account_id where r.refused is not null`,
    batch,
  );
  noteFeedBatch(transaction);
  const reverted = await rows<RevertedAccount>(
    transaction,
    `select c.account_id, coalesce(a.profile ->> 'displayName', a.user_principal_name) as name,
            c.before -> 'profile' -> :field as before, c.after -> 'profile' -> :field as after
       from entra_sync.batches b
       join entra_sync.changes c on c.batch_id = b.batch_id and c.kind = 'account.edited'
       join entra_sync.accounts a on a.account_id = c.account_id
      where b.opened_by = pg_current_xact_id() and b.opened_at = now() order by c.change_id`,
    batch,
  );
  return { reverted, refused };
}

/** Whether the settings of the tenant have this field. */
export async function hasField(database: Database, tenantId: string, field: string): Promise<boolean> {
  const found = await rows(
    database,
    'select from entra_sync.field_rules where tenant_id = :tenantId and field = :field',
    { tenantId, field },
  );
  return found.length > 0;
}
