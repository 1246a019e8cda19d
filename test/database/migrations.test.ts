// Migrating: several processes at the same time, killed halfway, too old, too new. A landed migration is never edited.
import { type ChildProcess, spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { packageFile } from '../../src/package-files.ts';
import { type Database, openDatabase, rows } from '../../src/store/database/pool.ts';
import { migrate, requireCurrentSchema, schemaState } from '../../src/store/schema/migrate.ts';
import { isDeep } from '../support/deep.ts';
import { undoMigrations } from '../support/older-schema.ts';
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts';
import { until } from '../support/stage.ts';
import checksums from './migration-checksums.json' with { type: 'json' };

let fresh: FreshDatabase;
let database: Database;
let children: ChildProcess[] = [];
let files: string[] = [];
// The name of the queue's schema in the output of `migrate`.
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

/** A process ready to migrate. `go` starts it and returns its answer. */
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

/** The state of a healthy migrated database. */
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

test.runIf(isDeep)(
  'two processes and eight calls migrate an empty database at the same time: one does the work, all succeed',
  async () => {
    const processes = await Promise.all([processReady(), processReady()]);
    const answers = await Promise.all([
      ...processes.map((one) => one.go()),
      ...Array.from({ length: 8 }, () => migrate(fresh.url)),
    ]);
    expect(answers.filter((applied) => JSON.stringify(applied) === '[]')).toHaveLength(9);
    expect(answers.find((applied) => JSON.stringify(applied) !== '[]')).toEqual([...files, queue]);
    await expectHealthy();
  },
);

test.runIf(isDeep)('migrating again does nothing, and keeps settings that were changed since', async () => {
  expect(await migrate(fresh.url)).toEqual([...files, queue]);
  await database.raw(`update entra_sync.settings set document = '{"interval": "7m"}'`);
  expect(await migrate(fresh.url)).toEqual([]);
  expect(await rows(database, 'select document from entra_sync.settings')).toEqual([{ document: { interval: '7m' } }]);
  await expectHealthy();
});

describe('a migration that is killed', () => {
  test.runIf(isDeep).each([1, 3])(
    'in the middle of migration %i leaves nothing stale: the next run continues',
    async (n) => {
      // Stops the n-th migration in the middle: another session is creating the same object.
      const blocked = ['directory.tenants', 'entra_sync.tenants', 'entra_sync.feed', 'entra_sync.rounds'][n];
      if (blocked === undefined) throw new Error('no such migration');
      const other = new Client({ connectionString: fresh.url });
      await other.connect();
      if (n > 1) {
        await migrate(fresh.url);
        await undoMigrations(database, n - 1);
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
    },
  );

  test.runIf(isDeep)('a lock of knex left by a killed process does no harm', async () => {
    await migrate(fresh.url);
    await database.raw('update entra_sync.migrations_lock set is_locked = 1');
    expect(await migrate(fresh.url)).toEqual([]);
    await expectHealthy();
  });

  test.runIf(isDeep)('a lock table without its row, or with several, is repaired', async () => {
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

  test('one that is newer is refused, and not migrated', async () => {
    await migrate(fresh.url);
    await database.raw(
      `insert into entra_sync.migrations (name, batch, migration_time) values ('9999-future.sql', 9, now())`,
    );
    const newer = { code: 'schema_newer', message: expect.stringContaining('9999-future.sql') };
    await expect(requireCurrentSchema(database)).rejects.toMatchObject(newer);
    await expect(migrate(fresh.url)).rejects.toMatchObject(newer);
    expect(await schemaState(database)).toEqual({ applied: files, pending: [], unknown: ['9999-future.sql'] });
  });

  test('a missing or unreachable database is reported in one line', async () => {
    const absent = new URL(fresh.url);
    absent.pathname = '/no_such_database';
    await expect(migrate(absent.href)).rejects.toMatchObject({ code: 'database_refused' });
    const silent = new URL(fresh.url);
    silent.port = '1';
    await expect(migrate(silent.href)).rejects.toMatchObject({ code: 'database_unreachable' });
  });
});

describe('a database with data in it', () => {
  // The release before: its replicas may still run while this one is rolled out.
  const released = 12;
  const tenant = '5a4ccf1c-0000-4000-8000-000000000001';
  const lived = `
insert into entra_sync.tenants (tenant_id, name, status) values ('${tenant}', 'Contoso', 'active');
insert into entra_sync.accounts (tenant_id, entra_object_id, state, user_principal_name, mapped, overrides)
select '${tenant}', gen_random_uuid(), 'managed', 'p' || i, jsonb_build_object('displayName', 'P' || i), '{"jobTitle": "Mine"}'
  from generate_series(1, 6) i;
update entra_sync.accounts set removed_at = now(), removed_reason = 'deleted_restorable', purge_at = now() + interval '30 days'
 where user_principal_name = 'p6';
insert into entra_sync.groups (tenant_id, entra_object_id, state, display_name, kind, is_dynamic, source)
select '${tenant}', gen_random_uuid(), 'managed', 'G' || i, 'security', false, '{}' from generate_series(1, 3) i;
insert into entra_sync.group_closure (ancestor_no, descendant_no) select group_no, group_no from entra_sync.groups;
insert into entra_sync.memberships (group_no, member_object_id, member_type)
select g.group_no, a.entra_object_id, 'u' from entra_sync.groups g cross join entra_sync.accounts a;
insert into entra_sync.removal_lists (tenant_id, stream, why) values ('${tenant}', 'users', 'too many');
insert into entra_sync.held_removals (list_id, tenant_id, object_id, account_id, reason)
select list_id, '${tenant}', a.entra_object_id, a.account_id, 'deleted' from entra_sync.removal_lists, entra_sync.accounts a
 where a.user_principal_name in ('p1', 'p2');
insert into entra_sync.set_aside (tenant_id, stream, object_key, reason) values ('${tenant}', 'users', 'x', 'no id');`;

  // Writes of the release before: a batch of plain change rows, and a round whose stage is deleted with it.
  const writeBatch = `
with batch as (insert into entra_sync.batches (tenant_id) values ('${tenant}') returning batch_id)
insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, group_id)
select b.batch_id, '${tenant}', 'test', 'membership.added', a.account_id, g.group_id
  from batch b, entra_sync.accounts a, entra_sync.groups g`;
  const stage = `
with round as (
  insert into entra_sync.rounds (tenant_id, stream, dry_run, kind, reason, settings_version, fingerprint)
  values ('${tenant}', 'groups', false, 'full', 'first', 1, 'f') returning round_id
), member as (
  insert into entra_sync.stage_members (round_id, group_object_id, member_object_id, member_type, removed)
  select round_id, gen_random_uuid(), gen_random_uuid(), 'u', false from round
)
insert into entra_sync.stage_groups (round_id, entra_object_id, source, kind, is_dynamic, attributes)
select round_id, gen_random_uuid(), '{}', 'security', false, '{}' from round`;

  const views = ['accounts', 'removed_accounts', 'groups', 'memberships', 'effective_memberships', 'held_removals'];
  const shown = async () => {
    const answers = [...views, 'set_aside', 'changes'].map((view) =>
      rows(database, `select to_jsonb(x) as row from directory.${view} x order by to_jsonb(x)::text`),
    );
    return [...(await Promise.all(answers)), await rows(database, 'select * from directory.read_changes(null, 1000)')];
  };

  test('has the same content after the migrations, and the release before can still write to it', async () => {
    await undoMigrations(database, released);
    await database.raw(lived);
    for (const statement of [writeBatch, writeBatch, stage]) await database.raw(statement);
    const before = await shown();
    expect(before.map((answer) => answer.length)).toEqual([5, 1, 3, 15, 15, 2, 1, 36, 36]);
    const [middle] = await rows<{ at: string }>(
      database,
      'select position as at from directory.read_changes(null, 17) order by change_id desc limit 1',
    );
    await migrate(fresh.url);
    expect(await shown()).toEqual(before);
    await database.raw(writeBatch);
    expect(
      await rows(database, 'select * from directory.read_changes(:at, 1000)', { at: middle?.at ?? '' }),
    ).toHaveLength(3 * 18 - 17);
    for (const again of [false, true]) {
      if (again) await database.raw(stage);
      await database.raw('delete from entra_sync.rounds');
      for (const table of ['stage_groups', 'stage_members'])
        expect(await rows(database, `select from entra_sync.${table}`), table).toEqual([]);
    }
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
