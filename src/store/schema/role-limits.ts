// Time limits for an application's role, which end its forgotten transactions.
import { escapeIdentifier, escapeLiteral } from 'pg';
import { ExpectedError } from '../../errors.ts';
import { type Database, inTransaction, rows, sqlState } from '../database/pool.ts';

// A long read does no harm, so statement_timeout is left to the application.
const limits: Readonly<Record<string, string>> = { idle_in_transaction_session_timeout: '60s', lock_timeout: '10s' };

export type RoleLimits = {
  readonly set: Readonly<Record<string, string>>;
  /** Existing limits that stay: of the role or database, or shorter ones of the server. */
  readonly kept: Readonly<Record<string, string>>;
  /** Statements for an administrator, because this role may not run them or the application's role cannot log in. */
  readonly missing: readonly string[];
};

/** Sets the limits that a role lacks, for its new sessions in this database. Throws `unknown_name` for a missing role. */
export async function limitRole(database: Database, role: string): Promise<RoleLimits> {
  const [found] = await rows<{ login: boolean; database: string }>(
    database,
    'select rolcanlogin as login, current_database() as database from pg_roles where rolname = :role',
    { role },
  );
  if (!found) throw new ExpectedError('unknown_name', `the server has no role ${role}`);
  const kept = await keptLimits(database, role);
  const set: Record<string, string> = {};
  const missing: string[] = [];
  for (const [name, value] of Object.entries(limits)) {
    if (name in kept) continue;
    // Members do not inherit the settings of a role that cannot log in.
    const roleTarget = found.login ? escapeIdentifier(role) : 'LOGIN_ROLE';
    const statement = `alter role ${roleTarget} in database ${escapeIdentifier(found.database)} set ${name} = ${escapeLiteral(value)}`;
    if (found.login && (await mayRun(database, statement))) set[name] = value;
    else missing.push(statement);
  }
  return { set, kept, missing };
}

async function keptLimits(database: Database, role: string): Promise<Record<string, string>> {
  const found = await rows<{ name: string; value: string }>(
    database,
    `select split_part(c, '=', 1) as name, substr(c, strpos(c, '=') + 1) as value
       from pg_db_role_setting s cross join lateral unnest(s.setconfig) c
       left join pg_roles r on r.oid = s.setrole left join pg_database d on d.oid = s.setdatabase
      where (r.rolname = :role or s.setrole = 0) and (d.datname = current_database() or s.setdatabase = 0)
        and split_part(c, '=', 1) = any(:names::text[])
     union all
     select name, current_setting(name) from pg_settings
      where name = any(:names::text[]) and source in ('configuration file', 'command line', 'environment variable')
        and setting::bigint between 1 and case name when 'lock_timeout' then 10000 else 60000 end`,
    { role, names: Object.keys(limits) },
  );
  return Object.fromEntries(found.map(({ name, value }) => [name, value]));
}

async function mayRun(database: Database, statement: string): Promise<boolean> {
  try {
    // knex reads a question mark in the name as a binding.
    await inTransaction(database, (transaction) => transaction.raw(statement.replaceAll('?', '\\?')));
    return true;
  } catch (error) {
    if (sqlState(error) === '42501') return false;
    throw error;
  }
}
