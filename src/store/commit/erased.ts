// Users who were erased on a person's request (rule 34). They are known by a hash of their object id.
import { rows, type Transaction } from '../database/pool.ts';
import { isErased } from '../database/vocabulary.ts';

/** Puts the round's erased users outside the scope, and ends the links to them, before anything else is decided. */
export async function leaveOutErased(
  transaction: Transaction,
  bind: { readonly tenant: string; readonly round: string },
): Promise<void> {
  // Few tenants have any, and a hash for each staged user costs time.
  const any = await rows(transaction, 'select from entra_sync.erased_objects where tenant_id = :tenant limit 1', bind);
  if (any.length === 0) return;
  await transaction.raw(
    `update entra_sync.stage_users s set in_scope = false, outside = 'out_of_scope'
      where s.round_id = :round and s.removed is null and s.in_scope and ${isErased('s.entra_object_id')}`,
    bind,
  );
  await transaction.raw(
    `update entra_sync.stage_users s set source = s.source - 'manager'
      where s.round_id = :round and jsonb_exists(s.source, 'manager')
        and ${isErased("(s.source ->> 'manager')::uuid")}`,
    bind,
  );
}
