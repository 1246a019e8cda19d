// Migrates the schema under a lock, or reports what is missing. The migrations are the SQL files of migrations/.
import { readdir, readFile } from 'node:fs/promises';
import type { Knex } from 'knex';
import { ExpectedError } from '../../errors.ts';
import { packageFile } from '../../package-files.ts';
import { loadDefaults, type SettingsDocument } from '../../settings/settings.ts';
import { migrating } from '../database/blockers.ts';
import type { LockPatience, WaitOptions } from '../database/lock-waits.ts';
import {
  againAfterDeadlock,
  type Database,
  describeDatabaseError,
  inTransaction,
  openDatabase,
  patiently,
  rows,
  sqlState,
  type Transaction,
} from '../database/pool.ts';
import { installQueue, queueState } from '../queue/queue.ts';
import { completeRules, seedSettings, shareSettings } from '../settings/versions.ts';
import { regrant } from './grants.ts';

// A private table: any role that may connect could take an advisory lock.
const lockTable = 'entra_sync.migrating';
const olderLock = '7305186414532914530';

const untilMigrated: Partial<LockPatience> = { forMs: 600_000 };

// A waiting lock request blocks every later reader, so each attempt is short, with pauses between.
const forOneMigration: Partial<LockPatience> = { eachMs: 2_000, forMs: 60_000, forWorkMs: 60_000, pauseMs: 2_000 };
const table = { schemaName: 'entra_sync', tableName: 'migrations' };

export type SchemaState = { applied: string[]; pending: string[]; unknown: string[] };

async function knownMigrations(): Promise<string[]> {
  const files = await readdir(packageFile('migrations'));
  return files.filter((file) => file.endsWith('.sql')).sort();
}

// Postgres ends the session that finds a deadlock. A migration finds it first, because a migration is tried again and the
// query of an application is not. Where the role may not set this, either session may be the one that ends.
const findDeadlocksFirst = `select set_config('deadlock_timeout', '100ms', true)
 where has_parameter_privilege('deadlock_timeout', 'SET')`;

const migrationsUntil = (signal: AbortSignal | undefined): Knex.MigrationSource<string> => ({
  getMigrations: knownMigrations,
  getMigrationName: (file) => file,
  getMigration: async (file) => {
    const sql = await readFile(packageFile('migrations', file), 'utf8');
    return {
      up: async (transaction) => {
        signal?.throwIfAborted();
        await transaction.raw(findDeadlocksFirst);
        // knex reads every bare `?` as a binding.
        await transaction.raw(sql.replaceAll('?', '\\?'));
      },
      down: () => Promise.reject(new Error('migrations are forward-only')),
    };
  },
});

/** Returns the migrations that this database has, lacks, or has and this program does not know. Changes nothing. */
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

/** Throws `schema_not_current` or `schema_newer`, with the cure, unless the schema is exactly this program's. */
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
 * Applies missing migrations, without the server's time limits, and returns their names. Of several processes the first
 * does the work and the others wait: concurrent first migrations leave several rows in the lock table of knex 3.3, which
 * then refuses every later run (measured). A migration that waits for a session lets readers pass between attempts, and
 * finally throws `database_locked`. After `signal` is aborted no further migration begins.
 */
export async function migrate(
  url: string,
  defaults: SettingsDocument = loadDefaults(),
  waits: WaitOptions = {},
  signal?: AbortSignal,
): Promise<string[]> {
  // The lock needs its own connection and transaction, because each migration has one too.
  const database = openDatabase(url, {
    maxConnections: 3,
    applicationName: migrating,
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

/** The caller holds the lock. */
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
  // A killed migration may leave knex's own lock set. While we hold our lock, no other process uses it.
  const [locked] = await rows<{ there: boolean }>(
    database,
    "select to_regclass('entra_sync.migrations_lock') is not null as there",
  );
  if (locked?.there) await database.migrate.forceFreeMigrationsLock(config);
  const { applied } = await schemaState(database);
  if (applied.length === 0) {
    await database.migrate.latest(config);
    return;
  }
  // Each in a transaction of its own: locks of several together would meet those of writers in another order.
  const one = async () => (await database.migrate.up(config)) as [batch: number, names: string[]];
  while ((await againAfterDeadlock(one))[1].length > 0);
}

// Errors when another process creates the lock table at the same time. It then exists.
const madeMeanwhile = new Set(['23505', '42P06', '42P07', 'XX000']);

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

// Earlier releases use an advisory lock. Any role may take it, so wait only for a session of our own role.
async function waitForOlder(lock: Transaction): Promise<void> {
  const older = await rows(
    lock,
    `select from pg_locks l join pg_stat_activity a using (pid)
      where not pg_try_advisory_xact_lock(${olderLock}) and l.locktype = 'advisory' and l.granted and l.objsubid = 1
        and (l.classid::bigint << 32) | l.objid::bigint = ${olderLock}
        and a.datname = current_database() and a.usename = current_user`,
  );
  if (older.length > 0) await lock.raw(`select pg_advisory_xact_lock(${olderLock})`);
}
