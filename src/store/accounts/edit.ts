// A person's edits and reverts of an account, in one transaction.
import type { ValueType } from '../../rules/expressions.ts';
import { type Database, rows } from '../database/pool.ts';
import { noteFeedBatch } from '../feed/batches.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { lockTenant } from '../tenants/tenants.ts';
import { type ActingPerson, editAccount, type Profile, revertAccount } from './accounts.ts';

/** Returns the value types of a tenant's fields, by name. */
export async function valueTypes(database: Database, tenantId: string): Promise<Map<string, ValueType>> {
  const found = await rows<{ field: string; value_type: ValueType }>(
    database,
    'select field, value_type from entra_sync.field_rules where tenant_id = :tenantId',
    { tenantId },
  );
  return new Map(found.map((row) => [row.field, row.value_type]));
}

/** `all`: every field that the role may edit. */
export type RequestedEdits = { readonly edits: Profile; readonly reverts: readonly string[] | 'all' };
export type EditedField = { field: string; before: unknown; after: unknown };

/**
 * Applies all edits and reverts or none, and returns the changed fields by name, also one edited to its present value,
 * which is now the person's. Throws `usage` for what the database refuses.
 */
export async function changeAccount(
  database: Database,
  account: { tenant_id: string; account_id: string },
  requested: RequestedEdits,
  by: ActingPerson,
): Promise<EditedField[]> {
  const edits = Object.keys(requested.edits).length > 0;
  const reverts = requested.reverts === 'all' ? null : requested.reverts;
  const anyReverts = reverts === null || reverts.length > 0;
  return inReportedTransaction(database, async (transaction) => {
    // The second call may need a stronger lock on the tenant, too late once the first has locked the account.
    if (edits && anyReverts) await lockTenant(transaction, account.tenant_id);
    if (edits) await editAccount(transaction, account.account_id, requested.edits, by);
    if (anyReverts) await revertAccount(transaction, account.account_id, reverts, by);
    noteFeedBatch(transaction);
    return rows<EditedField>(
      transaction,
      // A change row's time is the begin of its transaction.
      `select f.field, c.before -> 'profile' -> f.field as before, c.after -> 'profile' -> f.field as after
         from entra_sync.changes c cross join lateral jsonb_object_keys(c.after -> 'profile') as f (field)
        where c.account_id = :id and c.kind = 'account.edited' and c.at = now() and c.actor = :actor
        order by f.field`,
      { id: account.account_id, actor: by.actor },
    );
  });
}
