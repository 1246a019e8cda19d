// One person's edits and reverts of an account as one transaction, and what they changed.
import type { ValueType } from '../../rules/expressions.ts';
import { type Database, rows } from '../database/pool.ts';
import { noteFeedBatch } from '../feed/batches.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { lockTenant } from '../tenants/tenants.ts';
import { type ActingPerson, editAccount, type Profile, revertAccount } from './accounts.ts';

/** What the fields of a tenant hold, by name. */
export async function valueTypes(database: Database, tenantId: string): Promise<Map<string, ValueType>> {
  const found = await rows<{ field: string; value_type: ValueType }>(
    database,
    'select field, value_type from entra_sync.field_rules where tenant_id = :tenantId',
    { tenantId },
  );
  return new Map(found.map((row) => [row.field, row.value_type]));
}

export type RequestedEdits = { readonly edits: Profile; readonly reverts: readonly string[] };
export type EditedField = { field: string; before: unknown; after: unknown };

/**
 * Does all edits and reverts or none, and returns what became of the fields that changed, by name. A field that is edited to
 * what it shows already is one of them: from now on the value is the person's. Throws `usage` for what the database refuses.
 */
export async function changeAccount(
  database: Database,
  account: { tenant_id: string; account_id: string },
  wishes: RequestedEdits,
  by: ActingPerson,
): Promise<EditedField[]> {
  const edits = Object.keys(wishes.edits).length > 0;
  const reverts = wishes.reverts.length > 0;
  return inReportedTransaction(database, async (transaction) => {
    // The second of two calls may need the tenant in a stronger mode than the first, and by then the account is locked.
    if (edits && reverts) await lockTenant(transaction, account.tenant_id);
    if (edits) await editAccount(transaction, account.account_id, wishes.edits, by);
    if (reverts) await revertAccount(transaction, account.account_id, wishes.reverts, by);
    noteFeedBatch(transaction);
    return rows<EditedField>(
      transaction,
      // Change rows bear the time at which their transaction began.
      `select f.field, c.before -> 'profile' -> f.field as before, c.after -> 'profile' -> f.field as after
         from entra_sync.changes c cross join lateral jsonb_object_keys(c.after -> 'profile') as f (field)
        where c.account_id = :id and c.kind = 'account.edited' and c.at = now() and c.actor = :actor
        order by f.field`,
      { id: account.account_id, actor: by.actor },
    );
  });
}
