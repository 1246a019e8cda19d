// Migrating: many at once, killed in the middle, too old, too new; and that a landed migration is never edited.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { packageFile } from '../../src/package-files.ts';
import { migrate, requireCurrentSchema, schemaState } from '../../src/store/migrate.ts';
import { type Database, openDatabase, rows } from '../../src/store/pool.ts';
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts';
import { until } from '../support/stage.ts';
import checksums from './migration-checksums.json' with { type: 'json' };

let fresh: FreshDatabase;
let database: Database;
let children: ChildProcess[] = [];
let files: string[] = [];
// What `migrate` calls the queue's own schema.
const queue = expect.stringMatching(/^entra_sync_jobs \(pg-boss schema \d+\)$/);

beforeEach(async () => {
  fresh = await freshDatabase({ migrated: false });
  database = openDatabase(fresh.url);
  files = (await readdir(packageFile('migrations'))).filter((file) => file.endsWith('.sql')).sort();
});

afterEach(async () => {
  for (const child of children) child.kill('SIGKILL');
  children = [];
  await database.destroy();
  await fresh.drop();
});

/** A process that stands ready to migrate; `go` lets it, and gives its answer. */
async function processReady(): Promise<{ child: ChildProcess; go(): Promise<unknown> }> {
  const script = join(import.meta.dirname, '../support/migrating-process.ts');
  const child = spawn(process.execPath, [script, fresh.url], { stdio: ['pipe', 'pipe', 'inherit'] });
  children.push(child);
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  expect(await lines.next()).toMatchObject({ value: 'ready' });
  return {
    child,
    async go() {
      child.stdin.end();
      return JSON.parse((await lines.next()).value ?? 'null');
    },
  };
}

/** What a healthy migrated database looks like; anything else is a scar. */
async function expectHealthy(): Promise<void> {
  expect(await schemaState(database)).toEqual({ applied: files, pending: [], unknown: [] });
  await requireCurrentSchema(database);
  expect(await rows(database, 'select name from entra_sync.migrations order by id')).toEqual(
    files.map((name) => ({ name })),
  );
  expect(await rows(database, 'select is_locked from entra_sync.migrations_lock')).toEqual([{ is_locked: 0 }]);
  expect(await rows(database, 'select version, tenant_id, actor from entra_sync.settings')).toEqual([
    { version: 1, tenant_id: null, actor: 'migrate' },
  ]);
  expect(await rows(database, 'select only_row from entra_sync.feed')).toEqual([{ only_row: true }]);
}

test('two processes and eight calls migrate one empty database at once: one does the work, all succeed', async () => {
  const processes = await Promise.all([processReady(), processReady()]);
  const answers = await Promise.all([
    ...processes.map((one) => one.go()),
    ...Array.from({ length: 8 }, () => migrate(fresh.url)),
  ]);
  expect(answers.filter((applied) => JSON.stringify(applied) === '[]')).toHaveLength(9);
  expect(answers.find((applied) => JSON.stringify(applied) !== '[]')).toEqual([...files, queue]);
  await expectHealthy();
});

test('migrating again is nothing, and keeps settings that were changed since', async () => {
  expect(await migrate(fresh.url)).toEqual([...files, queue]);
  await database.raw(`update entra_sync.settings set document = '{"interval": "7m"}'`);
  expect(await migrate(fresh.url)).toEqual([]);
  expect(await rows(database, 'select document from entra_sync.settings')).toEqual([{ document: { interval: '7m' } }]);
  await expectHealthy();
});

describe('a migration that is killed', () => {
  test.each([1, 3])('in the middle of migration %i leaves nothing stale: the next one goes on', async (n) => {
    // Stops the n-th migration in the middle: what it is about to create is being created by somebody else.
    const blocked = ['directory.tenants', 'entra_sync.tenants', 'entra_sync.feed', 'entra_sync.rounds'][n];
    if (blocked === undefined) throw new Error('no such migration');
    const other = new Client({ connectionString: fresh.url });
    await other.connect();
    if (n > 1) {
      await migrate(fresh.url);
      await undo(database, n - 1);
    } else await other.query('create schema entra_sync');
    await other.query('begin');
    await other.query(`create table ${blocked} ()`);
    const { child, go } = await processReady();
    go().catch(() => {});
    await until('the migration waits in the middle', async () => {
      const waiting = await rows(
        database,
        "select from pg_stat_activity where datname = current_database() and wait_event_type = 'Lock' and application_name = 'entra-sync migrate'",
      );
      return waiting.length > 0;
    });
    child.kill('SIGKILL');
    await once(child, 'exit');
    await other.query('rollback');
    await other.end();
    expect((await migrate(fresh.url)).length).toBeGreaterThan(0);
    await expectHealthy();
  });

  test('a lock of knex that a killed process left set does not stand in the way', async () => {
    await migrate(fresh.url);
    await database.raw('update entra_sync.migrations_lock set is_locked = 1');
    expect(await migrate(fresh.url)).toEqual([]);
    await expectHealthy();
  });

  test('a lock table that was left without its row, or with several, is mended', async () => {
    for (const scar of [
      'delete from entra_sync.migrations_lock',
      'insert into entra_sync.migrations_lock (is_locked) values (0), (1)',
    ]) {
      await migrate(fresh.url);
      await database.raw(scar);
      expect(await migrate(fresh.url)).toEqual([]);
      await expectHealthy();
    }
  });
});

describe('a schema that does not fit the program', () => {
  test('an empty database: run entra-sync migrate', async () => {
    await expect(requireCurrentSchema(database)).rejects.toMatchObject({
      code: 'schema_not_current',
      message: 'the database has no entra-sync schema yet',
      cure: 'run entra-sync migrate',
    });
    expect(await schemaState(database)).toEqual({ applied: [], pending: [...files, queue], unknown: [] });
  });

  test('one that lacks migrations: run entra-sync migrate', async () => {
    await migrate(fresh.url);
    await database.raw('delete from entra_sync.migrations where id = (select max(id) from entra_sync.migrations)');
    await expect(requireCurrentSchema(database)).rejects.toMatchObject({
      code: 'schema_not_current',
      message: 'the database lacks 1 migration(s)',
      cure: 'run entra-sync migrate',
    });
  });

  test('one that is newer is refused, and migrated by nobody', async () => {
    await migrate(fresh.url);
    await database.raw(
      `insert into entra_sync.migrations (name, batch, migration_time) values ('9999-future.sql', 9, now())`,
    );
    const newer = { code: 'schema_newer', message: expect.stringContaining('9999-future.sql') };
    await expect(requireCurrentSchema(database)).rejects.toMatchObject(newer);
    await expect(migrate(fresh.url)).rejects.toMatchObject(newer);
    expect(await schemaState(database)).toEqual({ applied: files, pending: [], unknown: ['9999-future.sql'] });
  });

  test('a database that is not there, or not to be reached, is said in one line', async () => {
    const absent = new URL(fresh.url);
    absent.pathname = '/no_such_database';
    await expect(migrate(absent.href)).rejects.toMatchObject({ code: 'database_refused' });
    const silent = new URL(fresh.url);
    silent.port = '1';
    await expect(migrate(silent.href)).rejects.toMatchObject({ code: 'database_unreachable' });
  });
});

test('a landed migration is never edited: add a new one, and its checksum to migration-checksums.json', async () => {
  const found: Record<string, string> = {};
  for (const file of files) {
    const text = await readFile(packageFile('migrations', file), 'utf8');
    found[file] = createHash('sha256').update(text.replaceAll('\r\n', '\n')).digest('hex');
  }
  expect(files.length).toBeGreaterThan(0);
  expect(found).toEqual(checksums);
});

/** Takes the migrations after the first `kept` back, with all that they made. */
async function undo(on: Database, kept: number): Promise<void> {
  await on.raw('drop schema entra_sync cascade; drop schema directory cascade; create schema entra_sync');
  await on.raw(
    'create table entra_sync.migrations (id serial primary key, name text, batch int, migration_time timestamptz)',
  );
  for (const file of files.slice(0, kept)) {
    await on.raw((await readFile(packageFile('migrations', file), 'utf8')).replaceAll('?', '\\?'));
    await on.raw('insert into entra_sync.migrations (name, batch, migration_time) values (?, 1, now())', [file]);
  }
}
