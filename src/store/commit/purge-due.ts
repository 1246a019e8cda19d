// The purge of removals that no cycle has to confirm, in tenants that are disconnected, paused or failing too (rule 7).
import { ownActors } from '../../rules/own-actors.ts';
import { type Database, rows } from '../database/pool.ts';
import { closeFeedBatch, nextFeedBatch } from '../feed/batches.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { lockTenant } from '../tenants/tenants.ts';
import { forgetAccounts, type PurgedAccount, purgedColumns } from './purge-accounts.ts';
import { forgetPurgedGroups, type PurgedGroup, purgedGroupColumns } from './purge-groups.ts';

export type PurgedNow = { readonly accounts: number; readonly groups: number };

/** The most accounts, and groups, that one transaction purges. */
export const purgedAtOnce = 500;

const notSetAside = (alias: string, stream: 'users' | 'groups') => `not exists (
  select from entra_sync.set_aside s
   where s.tenant_id = ${alias}.tenant_id and s.stream = '${stream}'
     and s.object_key = ${alias}.entra_object_id::text)`;

// A person removed it, or Graph did not show it when the tenant was last read and it was due by then.
const dueAccounts = `entra_sync.accounts a join entra_sync.tenants t on t.tenant_id = a.tenant_id
 where a.purge_at <= now()
   and (a.removed_reason = 'by_hand' or a.purge_at <= t.last_success_at and ${notSetAside('a', 'users')})`;
const dueGroups = `entra_sync.groups g join entra_sync.tenants t on t.tenant_id = g.tenant_id
 where g.purge_at <= now() and g.purge_at <= t.last_success_at and ${notSetAside('g', 'groups')}`;

/** Returns the tenants in which {@link purgeDue} has something to do. */
export async function tenantsToPurge(database: Database): Promise<string[]> {
  const found = await rows<{ tenant_id: string }>(
    database,
    `select a.tenant_id from ${dueAccounts} union select g.tenant_id from ${dueGroups} order by 1`,
  );
  return found.map((one) => one.tenant_id);
}

/** Purges what is due of a tenant, up to {@link purgedAtOnce} of each kind. Throws `database_locked` if it is busy. */
export async function purgeDue(database: Database, tenantId: string): Promise<PurgedNow> {
  return inReportedTransaction(
    database,
    async (transaction) => {
      await lockTenant(transaction, tenantId);
      const batch = await nextFeedBatch(transaction);
      const bind = { tenant: tenantId, batch, cycle: null, actor: ownActors.retention, most: purgedAtOnce };
      const accounts = await rows<PurgedAccount>(
        transaction,
        `with due as materialized (
           select a.account_id from ${dueAccounts} and a.tenant_id = :tenant order by a.account_id limit :most
              for update of a)
         delete from entra_sync.accounts a using due where a.account_id = due.account_id
         returning ${purgedColumns('a')}`,
        bind,
      );
      const groups = await rows<PurgedGroup>(
        transaction,
        `delete from entra_sync.groups where group_no in (
           select g.group_no from ${dueGroups} and g.tenant_id = :tenant order by g.group_id limit :most)
         returning ${purgedGroupColumns}`,
        bind,
      );
      const done = {
        accounts: await forgetAccounts(transaction, { ...bind, stream: 'users' }, accounts),
        groups: await forgetPurgedGroups(transaction, { ...bind, stream: 'groups' }, groups),
      };
      await closeFeedBatch(transaction, bind);
      return done;
    },
    { locks: { eachMs: 1_000, forMs: 0, forWorkMs: 0 } },
  );
}

/** Takes words of names that none has any more out of the vocabulary (rule 32). A purge does so too, of its own tenant. */
export async function forgetWords(database: Database): Promise<void> {
  const tenants = await rows<{ tenant_id: string }>(
    database,
    'select distinct tenant_id from entra_sync.words_left order by 1',
    {},
  );
  for (const { tenant_id: tenant } of tenants)
    await rows(database, 'select entra_sync.forget_words(:tenant)', { tenant });
}
