// Tenants: who is registered, and what the last cycle left behind.
import { ExpectedError } from '../errors.ts';
import { type Database, rows, sqlState, type Transaction } from './pool.ts';

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
};

/** Registers a tenant. Throws `tenant_exists` when it is already there. */
export async function addTenant(
  database: Database,
  tenant: { tenantId: string; name: string; ref: string | null },
): Promise<void> {
  try {
    await database.raw(
      'insert into entra_sync.tenants (tenant_id, name, external_ref) values (:tenantId::uuid, :name, :ref)',
      tenant,
    );
  } catch (error) {
    if (sqlState(error) !== '23505') throw error;
    throw new ExpectedError('tenant_exists', `tenant ${tenant.tenantId} is already registered`, {
      cure: 'see entra-sync tenant list',
    });
  }
}

/** All tenants as directory.tenants shows them, by name. */
export async function listTenants(database: Database): Promise<TenantRow[]> {
  return rows<TenantRow>(database, 'select * from directory.tenants order by lower(name), tenant_id');
}

/** The one tenant that `word` names: its id, its name or the vendor's reference. Throws `unknown_name` for none or several. */
export async function findTenant(database: Database, word: string): Promise<TenantRow> {
  const found = await rows<TenantRow>(
    database,
    `select * from directory.tenants
      where tenant_id::text = lower(:word) or lower(name) = lower(:word) or external_ref = :word`,
    { word },
  );
  const [tenant] = found;
  if (tenant && found.length === 1) return tenant;
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

/** Takes back the registration of a tenant that never had a successful cycle; others stay. */
export async function forgetPendingTenant(database: Database, tenantId: string): Promise<void> {
  await database.raw("delete from entra_sync.tenants where tenant_id = :tenantId and status = 'pending'", { tenantId });
}

/** The first statement of a cycle's writing transactions: locks the tenant's row against everybody but edits. */
export async function lockTenant(transaction: Transaction, tenantId: string): Promise<void> {
  const found = await rows(
    transaction,
    'select from entra_sync.tenants where tenant_id = :tenantId for no key update',
    { tenantId },
  );
  if (found.length === 0) throw new ExpectedError('unknown_name', `tenant ${tenantId} is no longer registered`);
}
