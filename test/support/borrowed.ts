// Databases that tests borrow one after another. A new connection takes 20 ms, and the first run of a statement on it is
// several times slower, so a used database that is empty again is worth keeping with its connections.
import { type Database, openDatabase, rows } from '../../src/store/database/pool.ts';
import { type FreshDatabase, freshDatabase } from './postgres.ts';

export type Borrowed = {
  readonly url: string;
  readonly database: Database;
  /** Ends the loan: empties the database, or drops it. */
  giveBack(): Promise<void>;
};

type Lent = { readonly fresh: FreshDatabase; readonly database: Database; loans: number };

// Deleted rows leave something behind in every table.
const maxLoans = 40;
const maxRows = 5_000;

const waiting: Lent[] = [];

/** Returns a migrated database with a pool, as good as new. */
export async function borrowDatabase(): Promise<Borrowed> {
  const lent = waiting.pop() ?? (await make());
  lent.loans += 1;
  return {
    url: lent.fresh.url,
    database: lent.database,
    async giveBack() {
      if (lent.loans < maxLoans && (await isAsNew(lent.database))) {
        waiting.push(lent);
        return;
      }
      await lent.database.destroy();
      await lent.fresh.drop();
    },
  };
}

async function make(): Promise<Lent> {
  const fresh = await freshDatabase();
  const database = openDatabase(fresh.url);
  blank ??= await readBlank(database);
  return { fresh, database, loans: 0 };
}

/** A new database: a digest of its schema, and the SQL that restores its rows. */
type Blank = { readonly schema: string; readonly wipe: string };

let blank: Blank | undefined;

async function readBlank(database: Database): Promise<Blank> {
  const tables = await rows<{ name: string }>(
    database,
    `select c.oid::regclass::text as name from pg_class c where c.oid >= ${firstOwn} and c.relkind = 'r' order by c.oid`,
  );
  const empty: string[] = [];
  const full: string[] = [];
  for (const { name } of tables) {
    const [found] = await rows<{ any: boolean }>(database, `select exists (select from ${name}) as any`);
    (found?.any ? full : empty).push(name);
  }
  const sequences = await rows<{ reset: string }>(
    database,
    `select format('setval(%L, %s, %L)', format('%I.%I', schemaname, sequencename), coalesce(last_value, start_value), last_value is not null) as reset
       from pg_sequences`,
  );
  const refill: string[] = [];
  for (const name of full) {
    const [held] = await rows<{ sql: string }>(
      database,
      `select format('insert into ${name} overriding system value select * from jsonb_populate_recordset(null::${name}, %L)', jsonb_agg(to_jsonb(t))) as sql from ${name} t`,
    );
    if (held) refill.push(held.sql);
  }
  const [state] = await rows<State>(database, readState);
  if (!state) throw new Error('a new database returned no state');
  return {
    schema: state.schema,
    wipe: [
      // Bypass the triggers and foreign keys of the tables.
      "begin; set local session_replication_role = 'replica'; set local lock_timeout = '1s'",
      ...[...empty, ...full].map((name) => `delete from ${name}`),
      ...refill,
      `select ${sequences.map(({ reset }) => reset).join(', ')}`,
      'commit',
    ]
      .join('; ')
      // A question mark of a stored value is no binding.
      .replaceAll('?', '\\?'),
  };
}

const firstOwn = 16_384;

type State = { schema: string; busy: boolean; backends: number };

// The parts of the schema that a test may change; whether another session is connected or holds a session lock; and
// statistics, since they change the plans of statements.
const readState = `
select md5(concat_ws('|',
         (select string_agg(concat_ws(' ', oid, relacl, relrowsecurity, reloptions), ',' order by oid) from pg_class where oid >= ${firstOwn} and relkind <> 't'),
         (select string_agg(concat_ws(' ', attrelid, attname, attacl, atttypid, attnotnull), ',' order by attrelid, attnum) from pg_attribute where attrelid >= ${firstOwn}),
         (select string_agg(concat_ws(' ', oid, xmin), ',' order by oid) from pg_proc where oid >= ${firstOwn}),
         (select string_agg(concat_ws(' ', oid, tgenabled), ',' order by oid) from pg_trigger),
         (select string_agg(concat_ws(' ', oid, nspacl), ',' order by oid) from pg_namespace),
         (select string_agg(oid::text, ',' order by oid) from pg_constraint where oid >= ${firstOwn}),
         (select string_agg(concat_ws(' ', oid, xmin), ',' order by oid) from pg_policy),
         (select string_agg(concat_ws(' ', oid, xmin), ',' order by oid) from pg_rewrite where oid >= ${firstOwn}),
         (select string_agg(setconfig::text, ',' order by setrole) from pg_db_role_setting where setdatabase = d.oid))) as schema,
       exists (select from pg_locks where locktype = 'advisory' and database = d.oid)
         or exists (select from pg_statistic where starelid >= ${firstOwn}) as busy,
       (select count(*)::int from pg_stat_activity where datid = d.oid and backend_type = 'client backend') as backends
  from pg_database d where d.datname = current_database()`;

/** Empties the database; returns false if it differs from a new one in another way. */
async function isAsNew(database: Database): Promise<boolean> {
  if (blank === undefined) return false;
  const { pool } = database.client;
  if (pool.numUsed() > 0 || pool.numPendingAcquires() > 0) return false;
  try {
    const [state] = await rows<State>(database, readState);
    if (!state || state.busy || state.schema !== blank.schema || state.backends !== pool.numFree()) return false;
    const answers: { command: string; rowCount: number | null }[] = await database.raw(blank.wipe);
    const wiped = answers.reduce((sum, { command, rowCount }) => sum + (command === 'DELETE' ? (rowCount ?? 0) : 0), 0);
    return wiped < maxRows;
  } catch {
    return false;
  }
}
