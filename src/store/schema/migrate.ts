// Brings the schema up to date under a lock, or says what is missing. The migrations are the SQL files of migrations/.
import { readdir, readFile } from 'node:fs/promises';
import type { Knex } from 'knex';
import { ExpectedError } from '../../errors.ts';
import { packageFile } from '../../package-files.ts';
import { loadDefaults, type SettingsDocument } from '../../settings/settings.ts';
import type { LockPatience, WaitOptions } from '../database/lock-waits.ts';
import {
  type Database,
  describeDatabaseError,
  inTransaction,
  openDatabase,
  patiently,
  rows,
  sqlState,
  type Transaction,
  written,
} from '../database/pool.ts';
import { installQueue, queueState } from '../queue/queue.ts';
import { completeRules, seedSettings, shareSettings } from '../settings/versions.ts';
import { regrant } from './grants.ts';

// Private: an advisory lock could be taken by any role that may connect.
const lockTable = 'entra_sync.migrating';
const olderLock = '7305186414532914530';

// Behind another process that migrates.
const untilMigrated: Partial<LockPatience> = { forMs: 600_000 };

// A lock that is waited for in vain holds up every reader that comes later: so it is asked for shortly, with gaps.
const forOneMigration: Partial<LockPatience> = { eachMs: 2_000, forMs: 60_000, forWorkMs: 60_000, pauseMs: 2_000 };
const table = { schemaName: 'entra_sync', tableName: 'migrations' };

export type SchemaState = { applied: string[]; pending: string[]; unknown: string[] };

async function knownMigrations(): Promise<string[]> {
  const files = await readdir(packageFile('migrations'));
  return files.filter((file) => file.endsWith('.sql')).sort();
}

const migrationsUntil = (signal: AbortSignal | undefined): Knex.MigrationSource<string> => ({
  getMigrations: knownMigrations,
  getMigrationName: (file) => file,
  getMigration: async (file) => {
    const sql = await readFile(packageFile('migrations', file), 'utf8');
    return {
      up: async (transaction) => {
        signal?.throwIfAborted();
        // knex takes every bare `?` for a binding.
        await transaction.raw(sql.replaceAll('?', '\\?'));
      },
      down: () => Promise.reject(new Error('migrations are forward-only')),
    };
  },
});

/** Which migrations this database has, lacks, or has beyond this program's knowledge. Changes nothing. */
export async function schemaState(database: Database): Promise<SchemaState> {
  try {
    const known = await knownMigrations();
    const [found] = await rows<{ there: boolean }>(
      database,
      "select to_regclass('entra_sync.migrations') is not null as there",
    );
    const done = found?.there
      ? (await rows<{ name: string }>(database, 'select name from entra_sync.migrations order by id')).map(
          (row) => row.name,
        )
      : [];
    const queue = await queueState(database);
    return {
      applied: done.filter((name) => known.includes(name)),
      pending: [...known.filter((name) => !done.includes(name)), ...queue.pending],
      unknown: [...done.filter((name) => !known.includes(name)), ...queue.unknown],
    };
  } catch (error) {
    throw describeDatabaseError(error);
  }
}

/** Throws, naming the cure, unless the schema is exactly what this program was written for. */
export async function requireCurrentSchema(database: Database): Promise<void> {
  const state = await schemaState(database);
  refuseNewer(state);
  if (state.pending.length > 0) {
    const what =
      state.applied.length === 0 ? 'has no entra-sync schema yet' : `lacks ${state.pending.length} migration(s)`;
    throw new ExpectedError('schema_not_current', `the database ${what}`, { cure: 'run entra-sync migrate' });
  }
}

async function requireUtf8(database: Database): Promise<void> {
  const [found] = await rows<{ server_encoding: string }>(database, 'show server_encoding');
  if (found?.server_encoding === 'UTF8') return;
  throw new ExpectedError(
    'database_refused',
    `the database has the encoding ${found?.server_encoding}, which cannot hold all names`,
    {
      cure: "create it with encoding 'UTF8'",
    },
  );
}

function refuseNewer(state: SchemaState): void {
  if (state.unknown.length === 0) return;
  throw new ExpectedError(
    'schema_newer',
    `the database is newer than this program: it has ${state.unknown.join(', ')}, which this version does not know`,
    { cure: 'install the newer entra-sync that migrated it' },
  );
}

/**
 * Applies what is missing and returns the names of the migrations applied now. Any number of processes may call it at
 * once: the first does the work, the others wait and find it done. Measured on knex 3.3 without this lock, concurrent
 * first migrations leave its lock table with several rows, after which every later run is refused. The server's limits on
 * time are lifted. A migration that waits for a session lets the readers behind it through again and again; in the end
 * `database_locked` names the session.
 * Once `signal` is aborted no further migration begins; one that is under way is applied whole or not at all.
 */
export async function migrate(
  url: string,
  defaults: SettingsDocument = loadDefaults(),
  waits: WaitOptions = {},
  signal?: AbortSignal,
): Promise<string[]> {
  // Two connections: the lock lives in a transaction of its own, because each migration has its transaction too.
  const database = openDatabase(url, {
    maxConnections: 3,
    applicationName: 'entra-sync migrate',
    waits,
    unlimited: true,
  });
  try {
    refuseNewer(await schemaState(database));
    await requireUtf8(database);
    await makeLock(database);
    return await inTransaction(
      database,
      async (lock) => {
        await lock.raw(`lock table ${lockTable} in share row exclusive mode`);
        await waitForOlder(lock);
        return applyAll(database, url, defaults, signal);
      },
      { patience: untilMigrated },
    );
  } catch (error) {
    throw describeDatabaseError(error);
  } finally {
    await database.destroy();
  }
}

/** Under the lock. */
async function applyAll(
  database: Database,
  url: string,
  defaults: SettingsDocument,
  signal: AbortSignal | undefined,
): Promise<string[]> {
  const before = await schemaState(database);
  refuseNewer(before);
  await patiently(database, () => applyFiles(database, signal), forOneMigration);
  const { pending: queue } = await queueState(database);
  signal?.throwIfAborted();
  if (queue.length > 0) await installQueue(url, signal);
  await inTransaction(database, (transaction) => seedSettings(transaction, defaults));
  await inTransaction(database, async (transaction) => {
    await shareSettings(transaction);
    await completeRules(transaction, defaults);
  });
  await regrant(database);
  return before.pending;
}

async function applyFiles(database: Database, signal: AbortSignal | undefined): Promise<void> {
  const config: Knex.MigratorConfig = { ...table, migrationSource: migrationsUntil(signal) };
  // A killed migration may leave knex's own lock behind; no other process can hold it while we hold ours.
  const [locked] = await rows<{ there: boolean }>(
    database,
    "select to_regclass('entra_sync.migrations_lock') is not null as there",
  );
  if (locked?.there) await database.migrate.forceFreeMigrationsLock(config);
  await database.migrate.latest(config);
}

// Two that make it at once: one of them fails by these, and finds it made.
const madeMeanwhile = new Set(['23505', '42P06', '42P07', 'XX000']);

/** Makes the schema and the table that the lock hangs on, where they are missing, and keeps them. */
async function makeLock(database: Database): Promise<void> {
  for (let attempt = 1; ; attempt += 1) {
    const [found] = await rows<{ there: boolean }>(database, `select to_regclass('${lockTable}') is not null as there`);
    if (found?.there) return;
    try {
      await inTransaction(database, async (transaction) => {
        await transaction.raw('create schema if not exists entra_sync');
        await transaction.raw(`create table if not exists ${lockTable} (only_row boolean)`);
        await transaction.raw(
          `comment on table ${lockTable} is 'Empty. Locked by the process that migrates: a private table, which no other role can lock.'`,
        );
      });
    } catch (error) {
      if (attempt >= 5 || !madeMeanwhile.has(sqlState(error) ?? '')) throw error;
    }
  }
}

// Releases before this one meet at an advisory lock. Any role may take that, so only one of our own role is waited for.
async function waitForOlder(lock: Transaction): Promise<void> {
  const older = await rows(
    lock,
    `select from pg_locks l join pg_stat_activity a using (pid)
      where not pg_try_advisory_xact_lock(${olderLock}) and l.locktype = 'advisory' and l.granted and l.objsubid = 1
        and (l.classid::bigint << 32) | l.objid::bigint = ${olderLock} and a.datname = current_database() and a.usename = current_user`,
  );
  if (older.length > 0) await lock.raw(`select pg_advisory_xact_lock(${olderLock})`);
}

/**
 * Begins a new epoch of the feed after a restore from a backup: positions handed out before are refused with ES006,
 * because the numbers that follow were already used once by the lost transactions.
 */
export async function beginFeedEpoch(database: Database): Promise<void> {
  await written(database, 'update entra_sync.feed set epoch = substr(md5(gen_random_uuid()::text), 1, 8)');
}
