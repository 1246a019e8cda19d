// The role of the database that the portal takes in each of its transactions: granted the contract, and bound to the tenant
// that it names (rule 44).
import { escapeIdentifier } from 'pg';
import { ExpectedError } from '../../errors.ts';
import { type Database, rows, sqlState } from '../database/pool.ts';
import { grantRole } from './grants.ts';

/** The role of an embedded database. */
const embeddedRole = 'entra_sync_portal';

/** Throws `usage`, with the command that is missing, unless the portal can take this role and the role is bound. */
export async function requirePortalRole(database: Database, role: string): Promise<void> {
  const [found] = await rows<{ login: string; known: boolean; bound: boolean; takes: boolean }>(
    database,
    `select current_user as login, r.oid is not null as known,
            coalesce(g.tenant_bound, false) as bound,
            coalesce(pg_has_role(current_user, r.oid, case
              when current_setting('server_version_num')::int >= 160000 then 'SET' else 'MEMBER' end), false) as takes
       from (select :role::text as name) asked
       left join pg_roles r on r.rolname = asked.name
       left join entra_sync.grants g on g.role_oid = r.oid and g.role_name = r.rolname`,
    { role },
  );
  if (!found) throw new Error('the database returned no row');
  const name = role.slice(0, 80);
  const problem = (text: string, cure: string) =>
    new ExpectedError('usage', `the portal cannot be ${name}: ${text}`, { cure });
  if (!found.known)
    throw problem(
      'the server has no such role',
      `create role ${escapeIdentifier(role)}; then entra-sync grant ${name} --tenant-bound`,
    );
  if (!found.bound)
    throw problem('it is not granted as a role that has to name its tenant', `entra-sync grant ${name} --tenant-bound`);
  if (!found.takes)
    throw problem(
      `${found.login} may not take it`,
      `grant ${escapeIdentifier(role)} to ${escapeIdentifier(found.login)}`,
    );
}

/**
 * Makes a role without login where the server has none of this name, and lets the login of this connection take it. Returns
 * whether it was made. Throws `usage` where the login may not make roles, with the statement for a person who may.
 */
export async function createRole(database: Database, role: string): Promise<boolean> {
  const [found] = await rows<{ login: string; known: boolean; takes: boolean }>(
    database,
    `select current_user as login, exists (select from pg_roles where rolname = :role) as known,
            exists (select from pg_roles r
                     where r.rolname = :role and pg_has_role(current_user, r.oid, 'MEMBER')) as takes`,
    { role },
  );
  const { login = '', known = false, takes = false } = found ?? {};
  const [name, owner] = [escapeIdentifier(role), escapeIdentifier(login)];
  const wanted = [...(known ? [] : [`create role ${name} nologin`]), ...(takes ? [] : [`grant ${name} to ${owner}`])];
  for (const statement of wanted) {
    await database.raw(statement.replaceAll('?', '\\?')).catch((error: unknown) => {
      // 42501: the login lacks the right to make a role, or to grant this one.
      if (sqlState(error) !== '42501') throw error;
      throw new ExpectedError('usage', `${login} may not make roles on this server`, {
        cure: `as a role that may: ${wanted.join('; ')}`,
      });
    });
  }
  return !known;
}

/** Makes the role of an embedded database where it is not there yet, and returns its name. */
export async function makePortalRole(database: Database, actor: string): Promise<string> {
  const known = await rows(database, 'select from pg_roles where rolname = :role', { role: embeddedRole });
  if (known.length === 0) await database.raw(`create role ${embeddedRole} nologin`);
  const bound = await rows(
    database,
    'select from entra_sync.grants g join pg_roles r on r.oid = g.role_oid where r.rolname = :role and g.tenant_bound',
    { role: embeddedRole },
  );
  if (bound.length === 0) await grantRole(database, { role: embeddedRole, tenantBound: true, actor });
  return embeddedRole;
}
