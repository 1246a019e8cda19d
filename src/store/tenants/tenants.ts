// The registered tenants: added, renamed, found, locked and forgotten.

import { ExpectedError } from '../../errors.ts';
import { commandWord } from '../../rules/shell.ts';
import type { SettingsDocument } from '../../settings/settings.ts';
import { type Database, rowCount, rows, type Transaction, written } from '../database/pool.ts';
import { naturally } from '../database/vocabulary.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { completeRules, shareSettings } from '../settings/versions.ts';
import { consentWaiting, findWaiting } from './waiting-consents.ts';

export type Tenant = { tenant_id: string; name: string; external_ref: string | null; status: string; paused: boolean };

export type TenantRow = Tenant & {
  provisional: boolean;
  source_of_truth: string;
  held_removals: number;
  set_aside: number;
  last_success_at: Date | null;
  next_cycle_at: Date | null;
  last_error_code: string | null;
  last_error_message: string | null;
  /** A mass change that no person has acknowledged. */
  notice: string | null;
};

/**
 * Registers a tenant with the field rules of the installation's settings. Throws `tenant_exists` if it is registered,
 * or another has its name.
 */
export function addTenant(database: Database, tenant: NewTenant, defaults: SettingsDocument): Promise<void> {
  return inReportedTransaction(database, (transaction) => registerTenant(transaction, tenant, defaults));
}

export type NewTenant = { readonly tenantId: string; readonly name: string; readonly ref: string | null };

/** As {@link addTenant}, within the caller's transaction. */
export async function registerTenant(
  transaction: Transaction,
  tenant: NewTenant,
  defaults: SettingsDocument,
): Promise<void> {
  await requireFreeName(transaction, tenant.tenantId, tenant.name);
  await shareSettings(transaction);
  const added = await rowCount(
    transaction,
    `insert into entra_sync.tenants (tenant_id, name, external_ref) values (:tenantId::uuid, :name, :ref)
     on conflict (tenant_id) do nothing`,
    tenant,
  );
  await completeRules(transaction, defaults);
  if (added > 0) return;
  throw new ExpectedError('tenant_exists', `tenant ${tenant.tenantId} is already registered`, {
    cure: `entra-sync tenant rename ${tenant.tenantId} --name NAME gives it another name`,
  });
}

/** Changes a tenant's name, reference or both. Throws `tenant_exists` for a taken name. */
export async function renameTenant(
  database: Database,
  tenant: { tenantId: string; name: string | null; ref: string | null },
): Promise<void> {
  if (tenant.name !== null) await requireFreeName(database, tenant.tenantId, tenant.name);
  await inReportedTransaction(database, (transaction) =>
    transaction.raw(
      `update entra_sync.tenants set name = coalesce(:name, name), external_ref = coalesce(:ref, external_ref)
        where tenant_id = :tenantId`,
      tenant,
    ),
  );
}

async function requireFreeName(on: Database | Transaction, tenantId: string, name: string): Promise<void> {
  const [taken] = await rows<{ tenant_id: string }>(
    on,
    `select tenant_id from entra_sync.tenants
      where entra_sync.folded(name) = entra_sync.folded(:name) and tenant_id <> :tenantId::uuid`,
    { tenantId, name },
  );
  if (!taken) return;
  throw new ExpectedError('tenant_exists', `tenant ${taken.tenant_id} is already called ${name}`, {
    cure: 'choose another name: commands find tenants by it',
  });
}

/** Returns all tenants, by name. */
export async function listTenants(database: Database): Promise<TenantRow[]> {
  return rows<TenantRow>(database, `select * from directory.tenants order by ${naturally('name')}, tenant_id`);
}

/** Returns the tenants with this reference. */
export async function tenantsOfCustomer(database: Database, ref: string): Promise<TenantRow[]> {
  return rows<TenantRow>(
    database,
    `select * from directory.tenants where external_ref = :ref order by ${naturally('name')}, tenant_id`,
    { ref },
  );
}

/**
 * Returns the reference of a tenant, and whether another tenant signs in with the application of the environment: one
 * without a credential of its own whose last cycle, of the last day, succeeded.
 */
export async function readCustomer(
  database: Database,
  tenantId: string,
): Promise<{ ref: string | null; othersSignIn: boolean } | undefined> {
  const [found] = await rows<{ ref: string | null; othersSignIn: boolean }>(
    database,
    `select (select external_ref from entra_sync.tenants where tenant_id = :tenantId::uuid) as ref,
            exists (select from entra_sync.tenants o
                     where o.tenant_id <> :tenantId::uuid and o.status = 'active' and o.last_error_code is null
                       and o.last_success_at > now() - interval '1 day'
                       and not exists (select from entra_sync.settings s
                                        where s.tenant_id = o.tenant_id and jsonb_exists(s.document, 'credential')))
              as "othersSignIn"`,
    { tenantId },
  );
  return found;
}

/**
 * Returns the tenant whose id, name or reference is `word`. Throws `unknown_name` for none or several,
 * `consent_waiting`.
 */
export async function findTenant(database: Database, word: string): Promise<TenantRow> {
  const found = await rows<TenantRow>(
    database,
    `select * from directory.tenants
      where tenant_id::text = lower(:word) or entra_sync.folded(name) = entra_sync.folded(:word)
         or external_ref = :word`,
    { word },
  );
  // The id wins over another tenant's name.
  const tenant = found.find((one) => one.tenant_id === word.toLowerCase()) ?? found[0];
  if (tenant && (found.length === 1 || tenant.tenant_id === word.toLowerCase())) return tenant;
  const [waits, ...others] = tenant ? [] : await findWaiting(database, word);
  if (waits) throw consentWaiting([waits, ...others.filter((one) => one.tenant_id === waits.tenant_id)]);
  throw new ExpectedError(
    'unknown_name',
    tenant ? `${found.length} tenants are called ${word}` : `no tenant ${word} is registered`,
    {
      cure: tenant
        ? 'name it by its id (entra-sync tenant list)'
        : 'see entra-sync tenant list, or register it with entra-sync tenant add',
    },
  );
}

/** Returns whether more than one tenant is registered. */
export async function hasSeveralTenants(database: Database): Promise<boolean> {
  return (await rows(database, 'select from directory.tenants limit 2')).length > 1;
}

/**
 * Deletes a tenant that never synced, is not disconnected and has no accounts or groups; with `unclaimed` only one
 * without a customer's reference. Returns whether it did.
 */
export async function forgetPendingTenant(database: Database, tenantId: string, only?: 'unclaimed'): Promise<boolean> {
  const forgotten = await written(
    database,
    `delete from entra_sync.tenants t
      where t.tenant_id = :tenantId and t.status <> 'disconnected' and t.last_success_at is null
        and not exists (select from entra_sync.accounts a where a.tenant_id = t.tenant_id)
        and not exists (select from entra_sync.groups g where g.tenant_id = t.tenant_id)
        and (t.external_ref is null or not :unclaimed::boolean)
     returning t.tenant_id`,
    { tenantId, unclaimed: only === 'unclaimed' },
  );
  return forgotten.length > 0;
}

/** Locks the tenant's row against all but edits, and returns its status. First in a cycle's writing transactions. */
export async function lockTenant(transaction: Transaction, tenantId: string): Promise<string> {
  const [tenant] = await rows<{ status: string }>(
    transaction,
    'select status from entra_sync.tenants where tenant_id = :tenantId for no key update',
    { tenantId },
  );
  if (!tenant) throw tenantGone(tenantId);
  return tenant.status;
}

/** Returns the error for a tenant that was erased meanwhile. */
export function tenantGone(tenantId: string): ExpectedError {
  return new ExpectedError('unknown_name', `tenant ${tenantId} is no longer registered`, {
    cure: 'entra-sync tenant list shows those that are',
  });
}

/**
 * Locks the tenant's row with a key share. First in transactions that write rows of the tenant that no application
 * sees.
 */
export async function shareTenant(transaction: Transaction, tenantId: string): Promise<void> {
  await transaction.raw('select from entra_sync.tenants where tenant_id = :tenantId for key share', { tenantId });
}

/** Returns the error for reading a disconnected tenant from Graph. */
export function tenantDisconnected(name?: string): ExpectedError {
  return new ExpectedError('tenant_disconnected', `${name ?? 'the tenant'} is disconnected`, {
    cure: `entra-sync tenant reconnect ${name === undefined ? 'TENANT' : commandWord(name)} connects it again`,
  });
}
