// A person's edits and reverts of an account, in one transaction.
import { ExpectedError } from '../../errors.ts';
import type { ValueType } from '../../rules/expressions.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';
import { noteFeedBatch } from '../feed/batches.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { lockTenant } from '../tenants/tenants.ts';
import {
  type ActingAccount,
  type ActingPerson,
  editAccount,
  type Profile,
  revertAccount,
  undoEdit,
} from './accounts.ts';

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

/** An edit of a field whose value is not the one that the person has seen. */
export class EditConflict extends Error {
  readonly field: string;

  constructor(field: string) {
    super('a field has changed meanwhile');
    this.name = 'EditConflict';
    this.field = field;
  }
}

/**
 * Applies all edits and reverts or none, and returns the changed fields by name, also one edited to its present value,
 * which is now the person's. Throws `usage` for what the database refuses, and `EditConflict` where the value of a field of
 * `seen` is another one: the text that the person saw, empty for none.
 */
export async function changeAccount(
  database: Database,
  account: { tenant_id: string; account_id: string },
  requested: RequestedEdits,
  by: ActingPerson | ActingAccount,
  seen: Readonly<Record<string, string>> = {},
): Promise<EditedField[]> {
  const edits = Object.keys(requested.edits).length > 0;
  const reverts = requested.reverts === 'all' ? null : requested.reverts;
  const anyReverts = reverts === null || reverts.length > 0;
  return inReportedTransaction(database, async (transaction) => {
    // The second call may need a stronger lock on the tenant, too late once the first has locked the account.
    if (edits && anyReverts) await lockTenant(transaction, account.tenant_id);
    if (edits) await editAccount(transaction, account.account_id, requested.edits, by);
    if (anyReverts) await revertAccount(transaction, account.account_id, reverts, by);
    const edited = await editedHere(transaction, account.account_id);
    // The account is locked by now, so what was there before is what the person would have overwritten.
    for (const { field, before } of edited) {
      const shown = typeof before === 'string' ? before.replaceAll(/\r\n?/g, '\n') : '';
      if (Object.hasOwn(seen, field) && shown !== seen[field]) throw new EditConflict(field);
    }
    return edited;
  });
}

/** The fields that this transaction has edited, by name. */
function editedHere(transaction: Transaction, accountId: string): Promise<EditedField[]> {
  noteFeedBatch(transaction);
  return rows<EditedField>(
    transaction,
    `select f.field, c.before -> 'profile' -> f.field as before, c.after -> 'profile' -> f.field as after
       from entra_sync.batches b
       join entra_sync.changes c on c.batch_id = b.batch_id and c.account_id = :accountId and c.kind = 'account.edited'
      cross join lateral jsonb_object_keys(c.after -> 'profile') as f (field)
      where b.opened_by = pg_current_xact_id() and b.opened_at = now()
      order by f.field`,
    { accountId },
  );
}

/**
 * Takes an edit back (null: the last one), and returns that change with the fields that changed by it. Throws `usage` for
 * what the database refuses, and where there is no edit.
 */
export async function undoAccountEdit(
  database: Database,
  account: { account_id: string },
  change: string | null,
  by: ActingPerson | ActingAccount,
): Promise<{ change: string; changed: EditedField[] }> {
  return inReportedTransaction(database, async (transaction) => {
    const wanted = change ?? (await lastEdit(transaction, account.account_id));
    if (wanted === undefined) {
      throw new ExpectedError('usage', 'no person has edited this account, so there is nothing to undo', {
        cure: `entra-sync history ${account.account_id} shows what happened to it`,
      });
    }
    await undoEdit(transaction, account.account_id, wanted, by);
    return { change: wanted, changed: await editedHere(transaction, account.account_id) };
  });
}

async function lastEdit(transaction: Transaction, accountId: string): Promise<string | undefined> {
  const [last] = await rows<{ change_id: string }>(
    transaction,
    `select change_id from entra_sync.changes
      where account_id = :accountId and kind = 'account.edited' order by change_id desc limit 1`,
    { accountId },
  );
  return last?.change_id;
}
