// The limits on time of an application's role, so that a transaction which it forgets has an end.
import { escapeIdentifier, escapeLiteral } from 'pg';
import { ExpectedError } from '../../errors.ts';
import { type Database, inTransaction, rows, sqlState } from '../database/pool.ts';

// A reading statement may take long without harm, so statement_timeout is the application's own to choose.
const limits: Readonly<Record<string, string>> = { idle_in_transaction_session_timeout: '60s', lock_timeout: '10s' };

/** The limits that were set and those that were kept, as value by name. */
export type RoleLimits = {
  readonly set: Readonly<Record<string, string>>;
  /** Set before: for the role or the database, or shorter for the server. They stay. */
  readonly kept: Readonly<Record<string, string>>;
  /** The statements that an administrator has to run, where this role may not, or the role cannot log in itself. */
  readonly missing: readonly string[];
};

/** Gives a role the limits that it does not have yet, for its sessions in this database from the next login on. */
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
    // Settings of a role that cannot log in act for none of its members.
    const whose = found.login ? escapeIdentifier(role) : 'LOGIN_ROLE';
    const statement = `alter role ${whose} in database ${escapeIdentifier(found.database)} set ${name} = ${escapeLiteral(value)}`;
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
    // knex would take a question mark in the name for a binding.
    await inTransaction(database, (transaction) => transaction.raw(statement.replaceAll('?', '\\?')));
    return true;
  } catch (error) {
    if (sqlState(error) === '42501') return false;
    throw error;
  }
}
