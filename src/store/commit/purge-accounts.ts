// The purge of accounts whose retention has ended (rule 7).

import { rowCount, rows, type Transaction } from '../database/pool.ts';
import { setAsideInRound } from '../database/vocabulary.ts';
import { changeRows, withoutValues } from '../feed/change-rows.ts';
import type { CommitBindings } from './bindings.ts';
import { keepPurged } from './memberships.ts';
import { forgetActors, type Names } from './purge-actors.ts';

// An account with an unreadable body is not absent, and an on-demand read knows only its own user.
export const toPurge = `entra_sync.accounts a
 where not :onDemand::boolean and a.tenant_id = :tenant and a.removed_at is not null and a.purge_at <= now()
   and not ${setAsideInRound('a.entra_object_id::text')}`;

/** A deleted account, as far as the rest of it has to be found. */
export type PurgedAccount = Names & { readonly removed_reason: string | null };

/** The columns of {@link PurgedAccount}. */
export const purgedColumns = (alias: string) =>
  `${alias}.account_id, ${alias}.entra_object_id, ${alias}.removed_reason, ${alias}.user_principal_name, ${alias}.mail,
   ${alias}.profile ->> 'displayName' as profile_name, ${alias}.source ->> 'displayName' as directory_name`;

/** Deletes accounts past the retention and still absent, with their values in change rows. */
export async function purgeAccounts(transaction: Transaction, bind: CommitBindings): Promise<number> {
  const purged = await rows<PurgedAccount>(transaction, `delete from ${toPurge} returning ${purgedColumns('a')}`, bind);
  return forgetAccounts(transaction, bind, purged);
}

/** Blanks the values of deleted accounts in all other rows, and writes the change rows of their purge. Returns how many. */
export async function forgetAccounts(
  transaction: Transaction,
  bind: Pick<CommitBindings, 'tenant' | 'stream' | 'batch' | 'cycle' | 'actor'>,
  purged: readonly PurgedAccount[],
): Promise<number> {
  if (purged.length === 0) return 0;
  await keepPurged(transaction, bind, purged);
  await forgetActors(transaction, bind, purged);
  const ids = purged.map((row) => row.account_id);
  await transaction.raw(
    // People who edit their own account are its actors, by name.
    `update entra_sync.changes
        set ${withoutValues}, actor = case when kind = 'account.edited' then 'purged' else actor end
      where tenant_id = :tenant and account_id = any(:ids::uuid[])`,
    { ...bind, ids },
  );
  await transaction.raw('select entra_sync.forget_managers(:tenant, :ids::uuid[], :batch, :cycle::bigint, :actor)', {
    ...bind,
    ids,
  });
  await transaction.raw(
    `delete from entra_sync.set_aside
      where tenant_id = :tenant and stream = 'users' and left(object_key, 36) = any(:objects::text[])`,
    { ...bind, objects: purged.flatMap((row) => row.entra_object_id ?? []) },
  );
  return rowCount(
    transaction,
    changeRows("'account.purged'", { account_id: 'id' }, 'from unnest(:ids::uuid[]) as id'),
    { ...bind, ids },
  );
}
