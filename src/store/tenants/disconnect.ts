// Disconnects, reconnects and purges tenants, without Graph.
import { ExpectedError } from '../../errors.ts';
import { ownActors } from '../../rules/own-actors.ts';
import { type Database, rowCount, rows, type Transaction } from '../database/pool.ts';
import { type AuditedBy, leavePurgeInAudit } from '../feed/audit.ts';
import { closeFeedBatch, nextFeedBatch } from '../feed/batches.ts';
import { becameManual, changeRowsOutsideCycle } from '../feed/change-rows.ts';
import { inDryRun, inReportedTransaction } from '../feed/receipts.ts';
import { tenantGone } from './tenants.ts';

export type Disconnection = {
  readonly accounts: number;
  readonly groups: number;
  /** Removed accounts that can still be restored. */
  readonly removed: number;
  readonly running: boolean;
};

/**
 * Releases a tenant: accounts and groups become manual and keep their values, rounds and checkpoints are deleted, and a
 * running cycle commits nothing more. `eraseAfterMs`: the worker erases it after that time, unless it is reconnected. A dry
 * run is rolled back. Throws `tenant_disconnected`.
 */
export async function disconnectTenant(
  database: Database,
  tenantId: string,
  options: { actor: string; dryRun: boolean; eraseAfterMs?: number },
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
      `update entra_sync.tenants
          set status = 'disconnected', provisional = false, next_cycle_at = null,
              erase_at = now() + :eraseAfterMs::bigint * interval '1 millisecond'
        where tenant_id = :tenant`,
      { ...scope, eraseAfterMs: options.eraseAfterMs ?? null },
    );
    // An older invitation must not connect it again.
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
 * Lets cycles of a disconnected tenant run again; the next full round adopts its accounts and groups by object id.
 * Throws `usage` for a connected one.
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
      `update entra_sync.tenants set status = 'pending', erase_at = null, failures = 0, failing_credential = null,
              last_error_code = null, last_error_message = null where tenant_id = :tenant`,
      scope,
    );
    await writeTenantChange(transaction, scope, 'tenant.reconnected', { status }, { status: 'pending' });
  });
}

export type ManualAccount = { account_id: string; user_principal_name: string | null; display_name: string | null };

/** Returns the number of {@link releasedAccounts}. */
export async function countReleased(on: Database | Transaction, tenantId: string): Promise<number> {
  return (await releasedAccounts(on, tenantId, 1)).count;
}

/** Returns the first `limit` live manual accounts that were managed once, and how many there are. */
export async function releasedAccounts(
  database: Database | Transaction,
  tenantId: string,
  limit: number,
): Promise<{ count: number; accounts: ManualAccount[] }> {
  const found = await rows<ManualAccount & { total: number }>(
    database,
    `select account_id, user_principal_name,
            coalesce(profile ->> 'displayName', source ->> 'displayName') as display_name,
            count(*) over ()::int as total
       from entra_sync.accounts
      where tenant_id = :tenantId and state = 'manual' and entra_object_id is not null and removed_at is null
      order by lower(user_principal_name), account_id limit :limit`,
    { tenantId, limit },
  );
  return { count: found[0]?.total ?? 0, accounts: found.map(({ total: _, ...account }) => account) };
}

export type Purged = { readonly accounts: number; readonly groups: number; readonly changes: number };

// The time that the disconnect was given has passed.
const byRetention: AuditedBy = { actor: ownActors.retention, role: 'worker', via: 'cli' };

/**
 * Erases a disconnected tenant with all its rows. Its batches stay without content, so that positions stay valid.
 * Throws `usage` for a connected one.
 */
export async function purgeTenant(database: Database, tenantId: string, by = byRetention): Promise<Purged> {
  return inReportedTransaction(database, (transaction) => eraseTenant(transaction, tenantId, by));
}

/** Erases the disconnected tenants whose time has come, and returns their ids. Skips those that are busy. */
export async function eraseDueTenants(database: Database): Promise<string[]> {
  const due = "status = 'disconnected' and erase_at <= now()";
  const found = await rows<{ tenant_id: string }>(
    database,
    `select tenant_id from entra_sync.tenants where ${due} order by tenant_id`,
  );
  const erased: string[] = [];
  for (const { tenant_id: tenantId } of found) {
    const done = await inReportedTransaction(
      database,
      async (transaction) => {
        await transaction.raw(settingsFirst);
        const [still] = await rows(
          transaction,
          `select from entra_sync.tenants where tenant_id = :tenantId and ${due} for update skip locked`,
          { tenantId },
        );
        return still ? eraseTenant(transaction, tenantId, byRetention) : undefined;
      },
      { locks: { eachMs: 1_000, forMs: 0, forWorkMs: 0 } },
    ).catch((error: unknown) => {
      if (error instanceof ExpectedError && error.code === 'database_locked') return undefined;
      throw error;
    });
    if (done) erased.push(tenantId);
  }
  return erased;
}

// The delete cascades to settings, which a settings change locks before tenants.
const settingsFirst = 'lock table entra_sync.settings in row exclusive mode';

async function eraseTenant(transaction: Transaction, tenantId: string, by: AuditedBy): Promise<Purged> {
  await transaction.raw(settingsFirst);
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
  const deletedFrom = (table: string) =>
    rowCount(transaction, `delete from entra_sync.${table} where tenant_id = :tenantId`, bind);
  const changes = await deletedFrom('changes');
  const groups = await deletedFrom('groups');
  const accounts = await deletedFrom('accounts');
  await deletedFrom('waiting_consents');
  await deletedFrom('tenants');
  const purged = { changes, groups, accounts };
  await leavePurgeInAudit(transaction, tenantId, by, purged);
  return purged;
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

// The lease's holder can then stage and commit nothing more (rule 11).
async function endCycles(transaction: Transaction, scope: ChangeScope): Promise<boolean> {
  await transaction.raw(
    'update entra_sync.leases set fence = fence + 1, holder = null where tenant_id = :tenant',
    scope,
  );
  await transaction.raw('delete from entra_sync.heartbeats where tenant_id = :tenant', scope);
  await transaction.raw('delete from entra_sync.rounds where tenant_id = :tenant', scope);
  await transaction.raw('delete from entra_sync.checkpoints where tenant_id = :tenant', scope);
  // Removals of manual accounts are obsolete.
  await transaction.raw('delete from entra_sync.removal_lists where tenant_id = :tenant', scope);
  const ended = await rowCount(
    transaction,
    `update entra_sync.cycles
        set outcome = 'cancelled', finished_at = clock_timestamp(), error_code = 'tenant_disconnected',
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

/** Writes a change row of the tenant and closes the batch. */
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
