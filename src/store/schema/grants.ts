// Grants roles the public contract, schema directory, and records them. Every migration grants it again.
import { escapeIdentifier } from 'pg';
import { ExpectedError } from '../../errors.ts';
import { type Database, inTransaction, rows, type Transaction } from '../database/pool.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { requireGrantable, requireOneTenant } from './grantable.ts';

export type Grant = {
  role: string;
  /** The role sees only the tenant in its setting directory.tenant, and nothing without that. */
  tenantBound: boolean;
  /** The role sees only this tenant, whatever its session sets. */
  onlyTenant?: string | undefined;
  /** Lifts an earlier `tenantBound` or `onlyTenant`. */
  allTenants?: boolean;
  actor: string;
};

/**
 * Grants a role the views and functions of schema directory and records it; the last call sets `tenantBound` and
 * `onlyTenant`. Throws `unknown_name` for a missing role, `usage` for one that can access the private tables anyway, or
 * for a bound one that would see more without `allTenants`.
 */
export async function grantRole(database: Database, grant: Grant): Promise<void> {
  await inReportedTransaction(database, async (transaction) => {
    await lockGrants(transaction);
    await followRoles(transaction);
    await requireGrantable(transaction, grant.role, grant.onlyTenant !== undefined);
    if (!grant.allTenants) await requireNoWider(transaction, grant);
    await giveContract(transaction, grant.role);
    await transaction.raw(
      `insert into entra_sync.grants (role_oid, role_name, tenant_bound, only_tenant, actor)
       select oid, rolname, :tenantBound::boolean or :onlyTenant::uuid is not null, :onlyTenant::uuid, :actor
         from pg_roles where rolname = :role
       on conflict (role_oid) do update set role_name = excluded.role_name, tenant_bound = excluded.tenant_bound,
          only_tenant = excluded.only_tenant, granted_at = excluded.granted_at, actor = excluded.actor`,
      { ...grant, onlyTenant: grant.onlyTenant ?? null },
    );
    if (grant.onlyTenant !== undefined) await requireOneTenant(transaction, grant.role);
  });
}

/** Grants the current contract to all recorded roles of this server. Returns their present names. */
export async function regrant(database: Database): Promise<string[]> {
  return inTransaction(database, async (transaction) => {
    await lockGrants(transaction);
    await followRoles(transaction);
    const recorded = await rows<{ role: string }>(
      transaction,
      `select g.role_name as role from entra_sync.grants g
         join pg_roles r on r.oid = g.role_oid and r.rolname = g.role_name order by 1`,
    );
    for (const { role } of recorded) await giveContract(transaction, role);
    return recorded.map(({ role }) => role);
  });
}

// Updates recorded names and oids. A renamed role keeps its oid and grants. After a restore on another server the oid is
// unused or belongs to a role without those grants: then the name finds the role. Missing roles stay recorded.
async function followRoles(transaction: Transaction): Promise<void> {
  await transaction.raw(
    `update entra_sync.grants g set role_name = r.rolname
       from pg_roles r
      where r.oid = g.role_oid and r.rolname <> g.role_name
        and exists (select from pg_namespace n cross join lateral aclexplode(n.nspacl) acl
                     where n.nspname = 'directory' and acl.grantee = r.oid)`,
  );
  await transaction.raw(
    `update entra_sync.grants g set role_oid = r.oid
       from pg_roles r
      where r.rolname = g.role_name and r.oid <> g.role_oid
        and not exists (select from entra_sync.grants o where o.role_oid = r.oid)`,
  );
}

// A script that runs again without the option must not show the role the users of other tenants.
async function requireNoWider(transaction: Transaction, { role, tenantBound, onlyTenant }: Grant): Promise<void> {
  const [bound] = await rows<{ tenant: string | null; name: string | null }>(
    transaction,
    `select g.only_tenant as tenant, t.name
       from entra_sync.grants g join pg_roles r on r.oid = g.role_oid
       left join entra_sync.tenants t on t.tenant_id = g.only_tenant
      where r.rolname = :role and g.tenant_bound`,
    { role },
  );
  if (!bound || (bound.tenant !== null && bound.tenant === onlyTenant)) return;
  if (bound.tenant === null) {
    if (tenantBound || onlyTenant !== undefined) return;
    throw new ExpectedError('usage', `role ${role} is bound to the tenant that it names`, {
      cure: 'grant it with --tenant-bound again, or with --all-tenants to lift that',
    });
  }
  throw new ExpectedError('usage', `role ${role} is bound to the tenant ${bound.name ?? bound.tenant} for good`, {
    cure: `grant it with --tenant ${bound.tenant} again, make another tenant a role of its own, or lift the bound with --all-tenants`,
  });
}

// Concurrent grants on the same object fail with "tuple concurrently updated".
async function lockGrants(transaction: Transaction): Promise<void> {
  await transaction.raw('lock table entra_sync.grants in share row exclusive mode');
}

async function giveContract(transaction: Transaction, role: string): Promise<void> {
  // knex reads a question mark in the name as a binding.
  const name = escapeIdentifier(role).replaceAll('?', '\\?');
  await transaction.raw(`grant usage on schema directory to ${name}`);
  await transaction.raw(`grant select on all tables in schema directory to ${name}`);
  await transaction.raw(`grant execute on all functions in schema directory to ${name}`);
  // The audit is the vendor's, and no application's.
  await transaction.raw(`revoke all on directory.audit from ${name}`);
  // The views call it with the rights of the reading role.
  await transaction.raw(`grant execute on function entra_sync.narrowed_to() to ${name}`);
}

/** Returns the names of the views and functions of the contract that a role may use. */
export async function grantedTo(database: Database, role: string): Promise<{ views: string[]; functions: string[] }> {
  const [granted] = await rows<{ views: string[]; functions: string[] }>(
    database,
    `select array(select c.relname::text from pg_class c
                   where c.relnamespace = 'directory'::regnamespace and c.relkind = 'v'
                     and has_table_privilege(:role::name, c.oid, 'select') order by 1) as views,
            array(select distinct p.proname::text from pg_proc p
                   where p.pronamespace = 'directory'::regnamespace
                     and has_function_privilege(:role::name, p.oid, 'execute') order by 1) as functions`,
    { role },
  );
  return granted ?? { views: [], functions: [] };
}
