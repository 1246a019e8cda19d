// Erases one person on request: the account goes now instead of after the retention, with its values in every row.
import { ExpectedError } from '../../errors.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';
import { liveManaged } from '../database/vocabulary.ts';
import { closeFeedBatch, nextFeedBatch } from '../feed/batches.ts';
import { changeRows } from '../feed/change-rows.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { lockTenant } from '../tenants/tenants.ts';
import { dropEmptyLists } from './guard.ts';
import { followManagers } from './managers.ts';
import { accountsVanish, moveMemberships } from './memberships.ts';
import { forgetAccounts, type PurgedAccount, purgedColumns } from './purge-accounts.ts';

export type ErasedPerson = {
  /** Entra ID showed the user live when it was last read. */
  readonly inEntra: boolean;
  readonly memberships: number;
};

type Erased = PurgedAccount & { readonly live: boolean; readonly in_entra: boolean };

/**
 * Erases an account, live or removed, and remembers a hash of its object id, so that no cycle makes an account of the user
 * again. Throws `unknown_name` if it is gone by now.
 */
export async function erasePerson(
  database: Database,
  { tenantId, accountId, actor }: { tenantId: string; accountId: string; actor: string },
): Promise<ErasedPerson> {
  return inReportedTransaction(database, async (transaction) => {
    await lockTenant(transaction, tenantId);
    const bind = { tenant: tenantId, stream: 'users', cycle: null, actor, account: accountId } as const;
    const [person] = await rows<Erased>(
      transaction,
      `select ${purgedColumns('a')}, a.removed_at is null as live, ${liveManaged('a')} as in_entra
         from entra_sync.accounts a where a.tenant_id = :tenant and a.account_id = :account for update`,
      bind,
    );
    if (!person) {
      throw new ExpectedError('unknown_name', `there is no account ${accountId} any more`, {
        cure: `entra-sync explain ${accountId} says why`,
      });
    }
    const scope = { ...bind, batch: await nextFeedBatch(transaction), object: person.entra_object_id };
    let memberships = 0;
    if (person.live) {
      memberships = await moveMemberships(
        transaction,
        accountsVanish('select :object::uuid as entra_object_id'),
        scope,
      );
      await transaction.raw(
        changeRows("'account.removed'", { account_id: ':account', after: `'{"removed": "by_hand"}'` }, ''),
        scope,
      );
    }
    // Its kept rows go first: a deleted account has none that count.
    if (person.live) {
      await transaction.raw(keepAssigned, scope);
      await transaction.raw(hide, scope);
      await transaction.raw(keepEffective, scope);
      await followManagers(transaction, scope);
    }
    await transaction.raw('delete from entra_sync.accounts where account_id = :account', scope);
    if (person.entra_object_id !== null) await forgetObject(transaction, scope);
    await transaction.raw(
      'delete from entra_sync.cycle_requests where tenant_id = :tenant and account_id = :account',
      scope,
    );
    await dropEmptyLists(transaction, tenantId);
    await forgetAccounts(transaction, scope, [person]);
    await closeFeedBatch(transaction, scope);
    return { inEntra: person.in_entra, memberships };
  });
}

const hide = `
update entra_sync.accounts set removed_at = now(), removed_reason = 'by_hand', purge_at = now()
 where account_id = :account`;

// The change row of what the account got names it, so it comes before the account goes.
const keepAssigned = `
select entra_sync.keep_assigned(:tenant, array[a.account_no], true, :batch, null, :actor)
  from entra_sync.tenants t join entra_sync.accounts a on a.tenant_id = t.tenant_id and a.account_id = :account
 where t.tenant_id = :tenant and t.assigned_at is not null`;

const keepEffective = `
select entra_sync.keep_effective(:tenant, array(
         select a.account_no from entra_sync.accounts a where a.account_id = :account))`;

// An open round may have staged the user. Its commit puts users out of scope that it stages after this.
const forgotten = [
  ...['member_groups', 'held_memberships', 'kept_memberships'].map(
    (table) => `delete from entra_sync.${table} where tenant_id = :tenant and member_object_id = :object`,
  ),
  'delete from entra_sync.outside_scope where tenant_id = :tenant and entra_object_id = :object',
  `update entra_sync.accounts set source = source - 'manager'
    where tenant_id = :tenant and manager_object_id = :object`,
  `delete from entra_sync.deleted_strangers
    where tenant_id = :tenant and stream = 'users' and entra_object_id = :object`,
  `delete from entra_sync.stage_users s using entra_sync.rounds r
    where r.tenant_id = :tenant and s.round_id = r.round_id and s.entra_object_id = :object`,
  `insert into entra_sync.erased_objects (tenant_id, object_hash)
   values (:tenant, entra_sync.object_hash(:tenant, :object)) on conflict do nothing`,
];

async function forgetObject(transaction: Transaction, bind: { tenant: string; object: string | null }): Promise<void> {
  for (const statement of forgotten) await transaction.raw(statement, bind);
}
