// The roles that a grant would limit: none that reaches the private tables anyway, or that may become one that does.
import { escapeIdentifier } from 'pg';
import { ExpectedError } from '../../errors.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';

type Reach = { superuser: boolean; owner: boolean; reaches: boolean; escapes: string | null };

/**
 * Throws `unknown_name` for a missing role, and `usage` for one that a grant would not limit. With `oneTenant` also for one
 * that could leave its tenant by other rights of the server.
 */
export async function requireGrantable(transaction: Transaction, role: string, oneTenant: boolean): Promise<void> {
  const [found] = await rows<Reach>(transaction, `select ${reach} from ${rolesWithReach} where r.rolname = :role`, {
    role,
  });
  if (!found) {
    throw new ExpectedError('unknown_name', `the server has no role ${role}`, {
      cure: `create role ${escapeIdentifier(role)} login password '…' in the database, then grant again`,
    });
  }
  const why = whyUnlimited(found, oneTenant);
  if (why === undefined) return;
  throw new ExpectedError('usage', `role ${role} ${why}: no grant would limit it`, {
    cure: 'give the application a role of its own',
  });
}

const mayReach = (role: string) => `has_schema_privilege(${role}, 'entra_sync', 'usage')
  and has_table_privilege(${role}, 'entra_sync.accounts', 'select, insert, update, delete')`;

// Roles of the server by which a session reads what it was not granted, whether it inherits them or becomes them.
const reach = `r.rolsuper as superuser, pg_has_role(r.oid, n.nspowner, 'member') as owner,
  ${mayReach('r.oid')} as reaches,
  case when r.rolcreaterole then 'can create roles (CREATEROLE), and so may become another'
       when r.rolreplication then 'can replicate the whole server (REPLICATION)'
       else (select format('may become %s, which is not limited', quote_ident(m.rolname)) from pg_roles m
              where pg_has_role(r.oid, m.oid, 'member') and m.oid <> r.oid
                and (m.rolsuper or m.rolreplication or m.rolcreaterole
                     or m.rolname in ('pg_read_server_files', 'pg_write_server_files', 'pg_execute_server_program')
                     or ${mayReach('m.oid')})
              order by m.rolname limit 1) end as escapes`;
const rolesWithReach = "pg_roles r join pg_namespace n on n.nspname = 'directory'";

function whyUnlimited(role: Reach, oneTenant: boolean): string | undefined {
  if (role.superuser) return 'is a superuser';
  if (role.owner) return 'owns the schema, or may become the role that does';
  if (role.reaches) return 'can reach the private tables already';
  return oneTenant ? (role.escapes ?? undefined) : undefined;
}

/** Throws `usage` for a role that is bound to several tenants, by roles that it inherits: it would see none of them. */
export async function requireOneTenant(transaction: Transaction, role: string): Promise<void> {
  const others = await rows<{ role: string }>(
    transaction,
    `select o.role_name as role from entra_sync.grants g
       join pg_roles r on r.oid = g.role_oid
       join entra_sync.grants o on o.only_tenant <> g.only_tenant
       join pg_roles b on b.oid = o.role_oid
      where r.rolname = :role and pg_has_role(r.oid, b.oid, 'usage') order by 1`,
    { role },
  );
  const [other] = others;
  if (!other) return;
  throw new ExpectedError('usage', `role ${role} inherits ${other.role}, which is bound to another tenant`, {
    cure: 'give each tenant a role of its own; a role with two tenants sees none',
  });
}

/** A role that was granted, as it stands on the server now. */
export type GrantedRole = {
  readonly role: string;
  readonly tenant_bound: boolean;
  readonly only_tenant: string | null;
  /** Null where no tenant of that id is registered. */
  readonly tenant_name: string | null;
  /** Why no grant limits the role, if none does. */
  readonly unlimited: string | undefined;
  /** Inherits a role that is bound to another tenant, and so sees none. */
  readonly torn: boolean;
};

/** Returns the granted roles that the server has, by name; with `tenantId` those that are bound to this tenant. */
export async function grantedRoles(database: Database, tenantId: string | null): Promise<GrantedRole[]> {
  const found = await rows<Omit<GrantedRole, 'unlimited'> & Reach>(
    database,
    `select r.rolname::text as role, g.tenant_bound, g.only_tenant, t.name as tenant_name, ${reach},
            exists (select from entra_sync.grants o join pg_roles b on b.oid = o.role_oid
                     where o.only_tenant <> g.only_tenant and pg_has_role(r.oid, b.oid, 'usage')) as torn
       from entra_sync.grants g
       join ${rolesWithReach} on r.oid = g.role_oid or r.rolname = g.role_name
       left join entra_sync.tenants t on t.tenant_id = g.only_tenant
      where :tenantId::uuid is null or g.only_tenant = :tenantId
      order by 1`,
    { tenantId },
  );
  return found.map(({ role, tenant_bound, only_tenant, tenant_name, torn, ...reached }) => {
    const unlimited = whyUnlimited(reached, only_tenant !== null);
    return { role, tenant_bound, only_tenant, tenant_name, torn, unlimited };
  });
}
