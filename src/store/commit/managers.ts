// Fields that come from the user's manager, in a commit (rule 41): the rules are SQL (migrations/0082-fields-of-managers.sql).
import { rows, type Transaction } from '../database/pool.ts';
import type { CommitBindings } from './bindings.ts';

/** The condition that the tenant has such fields, or values of them. Binds `tenant`. */
export const hasManagersValues = 'entra_sync.has_managers_values(:tenant)';

/** Gives the staged users the values that their accounts show: the mapping of one user does not know them. */
export const carryManagersValues = `
update entra_sync.stage_users s
   set mapped = s.mapped || (select coalesce(jsonb_object_agg(f, a.mapped -> f), '{}')
                               from unnest(entra_sync.manager_fields(:tenant)) as f where jsonb_exists(a.mapped, f))
  from entra_sync.accounts a
 where s.round_id = :round and a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id
   and a.told_manager is not null`;

/** The accounts (account_id) whose values of the manager the round may change. */
export const reportsTouched =
  'select t as account_id from entra_sync.reports_touched(:tenant, :batch, :round, :full::boolean) as t';

/**
 * Gives the accounts that came or went with this batch, and their reports, the values of their managers. `round`: the
 * staged users too; `full`: every account. Returns how many change rows it wrote beside those of the batch.
 */
export async function followManagers(
  transaction: Transaction,
  bind: Pick<CommitBindings, 'tenant' | 'batch' | 'cycle' | 'actor'> & Partial<Pick<CommitBindings, 'round' | 'full'>>,
): Promise<number> {
  const [followed] = await rows<{ told: number }>(
    transaction,
    `select entra_sync.follow_managers(:tenant, :batch, :round::bigint, :full::boolean,
                                       :cycle::bigint, :actor) as told`,
    { round: null, full: false, ...bind },
  );
  return followed?.told ?? 0;
}
