// Disconnect, reconnect, purge: the ends of a tenant's being kept by the directory. None of them needs Graph.
import { ExpectedError } from '../../errors.ts';
import { type Database, rowCount, rows, type Transaction } from '../database/pool.ts';
import { closeFeedBatch, nextFeedBatch } from '../feed/batches.ts';
import { becameManual, changeRowsOutsideCycle } from '../feed/change-rows.ts';
import { inDryRun, inReportedTransaction } from '../feed/receipts.ts';
import { tenantGone } from './tenants.ts';

export type Disconnection = {
  readonly accounts: number;
  readonly groups: number;
  /** Removed accounts that can still be restored: they stay removed. */
  readonly removed: number;
  /** A cycle was running: it can commit nothing more. */
  readonly running: boolean;
};

/**
 * Releases a tenant in one transaction: its accounts and groups become manual with the values shown today, its rounds and
 * checkpoints end, and a cycle that is running can commit nothing more. A dry run is the same transaction, rolled back.
 * Throws `tenant_disconnected` when it already is.
 */
export async function disconnectTenant(
  database: Database,
  tenantId: string,
  options: { actor: string; dryRun: boolean },
): Promise<Disconnection> {
  return inDryRun(database, options.dryRun, async (transaction) => {
    const status = await lockForUpdate(transaction, tenantId);
    if (status === 'disconnected') {
      throw new ExpectedError('tenant_disconnected', 'the tenant is already disconnected', {
        cure: 'entra-sync tenant reconnect TENANT connects it again, entra-sync tenant purge TENANT erases it',
      });
    }
    const scope = { tenant: tenantId, actor: options.actor, batch: await nextFeedBatch(transaction) };
    const running = await endCycles(transaction, scope);
    const accounts = await rowCount(transaction, release('account'), scope);
    const groups = await rowCount(transaction, release('group'), scope);
    const [removed] = await rows<{ count: number }>(
      transaction,
      'select count(*)::int as count from entra_sync.accounts where tenant_id = :tenant and removed_at is not null',
      scope,
    );
    await transaction.raw(
      "update entra_sync.tenants set status = 'disconnected', provisional = false, next_cycle_at = null where tenant_id = :tenant",
      scope,
    );
    // An invitation from before must not undo it.
    await transaction.raw(
      `delete from entra_sync.invitations i using entra_sync.tenants t
        where t.tenant_id = :tenant and (i.tenant_id = t.tenant_id or i.external_ref = t.external_ref)`,
      scope,
    );
    await writeTenantChange(transaction, scope, 'tenant.disconnected', { status }, { status: 'disconnected' });
    return { accounts, groups, removed: removed?.count ?? 0, running };
  });
}

/**
 * Lets cycles of a disconnected tenant run again. Accounts and groups are adopted by their object ids by the full round
 * that comes next. Throws `usage` for a tenant that is connected.
 */
export async function reconnectTenant(database: Database, tenantId: string, actor: string): Promise<void> {
  await inReportedTransaction(database, async (transaction) => {
    const status = await lockForUpdate(transaction, tenantId);
    if (status !== 'disconnected') {
      throw new ExpectedError('usage', 'the tenant is connected', {
        cure: 'entra-sync sync TENANT runs a cycle of it',
      });
    }
    const scope = { tenant: tenantId, actor, batch: await nextFeedBatch(transaction) };
    await transaction.raw(
      `update entra_sync.tenants set status = 'pending', failures = 0, failing_credential = null,
              last_error_code = null, last_error_message = null where tenant_id = :tenant`,
      scope,
    );
    await writeTenantChange(transaction, scope, 'tenant.reconnected', { status }, { status: 'pending' });
  });
}

export type ManualAccount = { account_id: string; user_principal_name: string | null; display_name: string | null };

/** How many live accounts were managed once and are manual. */
export async function countReleased(on: Database | Transaction, tenantId: string): Promise<number> {
  return (await releasedAccounts(on, tenantId, 1)).count;
}

/** Live accounts that were managed once and that no cycle since has found in the directory: the first `limit`, and how many. */
export async function releasedAccounts(
  database: Database | Transaction,
  tenantId: string,
  limit: number,
): Promise<{ count: number; accounts: ManualAccount[] }> {
  const found = await rows<ManualAccount & { total: number }>(
    database,
    `select account_id, user_principal_name, coalesce(profile ->> 'displayName', source ->> 'displayName') as display_name,
            count(*) over ()::int as total
       from entra_sync.accounts
      where tenant_id = :tenantId and state = 'manual' and entra_object_id is not null and removed_at is null
      order by lower(user_principal_name), account_id limit :limit`,
    { tenantId, limit },
  );
  return { count: found[0]?.total ?? 0, accounts: found.map(({ total: _, ...account }) => account) };
}

export type Purged = { readonly accounts: number; readonly groups: number; readonly changes: number };

/**
 * Erases a disconnected tenant: accounts, groups, memberships, settings, cycles, and every change row. Batches stay, as
 * numbers without content, so that nobody who follows the feed loses the place. Throws `usage` for a connected one.
 */
export async function purgeTenant(database: Database, tenantId: string): Promise<Purged> {
  return inReportedTransaction(database, async (transaction) => {
    // The tenant's own settings go with it, and whoever changes settings locks them before the tenants.
    await transaction.raw('lock table entra_sync.settings in row exclusive mode');
    const status = await lockForUpdate(transaction, tenantId);
    if (status !== 'disconnected') {
      throw new ExpectedError('usage', 'only a disconnected tenant can be erased', {
        cure: 'entra-sync tenant disconnect TENANT first',
      });
    }
    const bind = { tenantId };
    const ownGroups = 'select group_no from entra_sync.groups where tenant_id = :tenantId';
    await transaction.raw('delete from entra_sync.member_groups where tenant_id = :tenantId', bind);
    await transaction.raw(`delete from entra_sync.group_closure where ancestor_no in (${ownGroups})`, bind);
    const gone = (table: string) =>
      rowCount(transaction, `delete from entra_sync.${table} where tenant_id = :tenantId`, bind);
    const purged = { changes: await gone('changes'), groups: await gone('groups'), accounts: await gone('accounts') };
    await gone('waiting_consents');
    await gone('tenants');
    return purged;
  });
}

type ChangeScope = { tenant: string; actor: string; batch: string };

async function lockForUpdate(transaction: Transaction, tenantId: string): Promise<string> {
  const [tenant] = await rows<{ status: string }>(
    transaction,
    'select status from entra_sync.tenants where tenant_id = :tenantId for update',
    { tenantId },
  );
  if (!tenant) throw tenantGone(tenantId);
  return tenant.status;
}

// The fence is raised, so whoever holds the lease can stage and commit nothing from now on (rule 11).
async function endCycles(transaction: Transaction, scope: ChangeScope): Promise<boolean> {
  await transaction.raw(
    'update entra_sync.leases set fence = fence + 1, holder = null where tenant_id = :tenant',
    scope,
  );
  await transaction.raw('delete from entra_sync.heartbeats where tenant_id = :tenant', scope);
  await transaction.raw('delete from entra_sync.rounds where tenant_id = :tenant', scope);
  await transaction.raw('delete from entra_sync.checkpoints where tenant_id = :tenant', scope);
  // Nobody is removed any more, so nothing is left to decide.
  await transaction.raw('delete from entra_sync.removal_lists where tenant_id = :tenant', scope);
  const ended = await rowCount(
    transaction,
    `update entra_sync.cycles set outcome = 'cancelled', finished_at = clock_timestamp(), error_code = 'tenant_disconnected',
            error_message = 'the tenant was disconnected while this cycle ran'
      where tenant_id = :tenant and outcome = 'running'`,
    scope,
  );
  return ended > 0;
}

const release = (what: 'account' | 'group') => `
with written as (
  update entra_sync.${what}s set state = 'manual', updated_at = now()
   where tenant_id = :tenant and state = 'managed' and removed_at is null
  returning ${what}_id
)${changeRowsOutsideCycle(`'${what}.released'`, { [`${what}_id`]: `${what}_id`, ...becameManual }, 'from written')}`;

/** Writes a change of the tenant itself, a batch of its own. */
export async function writeTenantChange(
  transaction: Transaction,
  scope: ChangeScope,
  kind: string,
  before: object | null,
  after: object,
): Promise<void> {
  await transaction.raw(changeRowsOutsideCycle(':kind', { before: ':before::jsonb', after: ':after::jsonb' }, ''), {
    ...scope,
    kind,
    before: before && JSON.stringify(before),
    after: JSON.stringify(after),
  });
  await closeFeedBatch(transaction, scope);
}
