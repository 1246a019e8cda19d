// The waits of `migrate`, and for it: its own lock, the server's time limits, a reader that stays.
import { readdir } from 'node:fs/promises';
import type { Client } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { exitCodeOf } from '../../src/errors.ts';
import { packageFile } from '../../src/package-files.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { migrate } from '../../src/store/schema/migrate.ts';
import { undoMigrations } from '../support/older-schema.ts';
import { accountOf, type EditStore, openEditStore, tenantWith } from '../support/people-edit.ts';
import { ask, until } from '../support/stage.ts';

const soon = { eachMs: 200, forMs: 400, forWorkMs: 400, pauseMs: 20 } as const;

let store: EditStore;

beforeEach(async () => {
  store = await openEditStore();
});

afterEach(() => store.close());

const endOf = (work: Promise<unknown>) => work.catch((error: unknown) => error);

async function holderOf(...statements: readonly string[]): Promise<{ client: Client; pid: number }> {
  const client = await store.connect();
  for (const sql of ["set application_name = 'holder'", 'begin', ...statements]) await client.query(sql);
  const { rows } = await client.query('select pg_backend_pid() as pid');
  return { client, pid: rows[0].pid };
}

/** The number of migrating sessions that wait for a lock. */
async function waiting(): Promise<number> {
  const found = await ask(
    store,
    "select from pg_stat_activity where datname = current_database() and application_name = 'entra-sync migrate' and wait_event_type = 'Lock'",
  );
  return found.length;
}

test('rule 11: a role that may connect cannot block migrations', async () => {
  const client = await (await store.application({ grant: 'open' })).connect();
  // The lock of earlier releases.
  await client.query('select pg_advisory_lock(7305186414532914530)');
  expect(await migrate(store.url, loadDefaults(), soon)).toEqual([]);
  await client.query('begin');
  await expect(client.query('lock table entra_sync.migrating in access share mode')).rejects.toMatchObject({
    code: '42501',
  });
});

test.each([
  { by: 'another process', statement: 'lock table entra_sync.migrating in share row exclusive mode' },
  { by: 'a release before this one', statement: 'select pg_advisory_xact_lock(7305186414532914530)' },
])('rule 11: while $by migrates, another one waits, and finally names it', async ({ statement }) => {
  const { client, pid } = await holderOf(statement);
  const end = await endOf(migrate(store.url, loadDefaults(), soon));
  expect(end).toMatchObject({ code: 'database_locked', message: expect.stringContaining(`held by pid ${pid} (role `) });
  expect(exitCodeOf(end)).toBe(7);
  const later = migrate(store.url, loadDefaults(), { ...soon, forMs: 60_000, forWorkMs: 60_000 });
  await until('it waits', async () => (await waiting()) > 0);
  await client.query('rollback');
  expect(await later).toEqual([]);
});

test("rule 11: a migration that takes longer than the server's limits is finished, and no second one runs at the same time", async () => {
  await undoMigrations(store.database, 3);
  const [{ name } = { name: '' }] = await ask<{ name: string }>(store, 'select current_database() as name');
  const limits = ['idle_in_transaction_session_timeout', 'statement_timeout', 'transaction_timeout'];
  // The last one does not exist before Postgres 17.
  const known = await ask<{ name: string }>(store, 'select name from pg_settings where name = any(:limits::text[])', {
    limits,
  });
  // Another session creates a type of the same name as the next migration. It began before the limits and has none.
  const { client } = await holderOf('create table directory.feed_row ()');
  for (const limit of known) await ask(store, `alter database ${name} set ${limit.name} = '100ms'`);
  const patient = { eachMs: 60_000 };
  const first = migrate(store.url, loadDefaults(), patient);
  await until('the migration waits', async () => (await waiting()) === 1);
  const second = migrate(store.url, loadDefaults(), patient);
  await until('the second one waits for the first', async () => (await waiting()) === 2);
  await until('more than the limits has passed', async () => {
    const { rows: idle } = await client.query(
      `select from pg_stat_activity where datname = current_database() and application_name = 'entra-sync migrate'
          and state = 'idle in transaction' and clock_timestamp() - state_change > interval '300 ms'`,
    );
    return idle.length > 0 || (await waiting()) === 0;
  });
  expect(await waiting()).toBe(2);
  await client.query('rollback');
  expect(await first).toContain('0004-contract.sql');
  expect(await second).toEqual([]);
});

test('rule 11: a migration that waits for a reader lets others pass, names the reader, and completes once it has ended', async () => {
  await undoMigrations(store.database, 20);
  const { client, pid } = await holderOf('select from directory.memberships');
  const end = await endOf(migrate(store.url, loadDefaults(), soon));
  expect(end).toMatchObject({ code: 'database_locked', message: expect.stringContaining(`held by pid ${pid} (role `) });
  expect((end as Error).message).toMatch(/application "holder", .*idle in transaction/);
  const later = migrate(store.url, loadDefaults(), { ...soon, forMs: 60_000, forWorkMs: 60_000 });
  const reader = await store.connect();
  await reader.query("set statement_timeout = '20s'");
  for (const _ of [1, 2, 3]) {
    await until('it waits', async () => (await waiting()) > 0);
    expect((await reader.query('select from directory.memberships')).rowCount).toBe(0);
  }
  await client.query('rollback');
  expect(await later).toContain('0021-packed-memberships.sql');
});

test('rule 11: an edit under way and a migration that waits for it are no deadlock', async () => {
  const kept = (await readdir(packageFile('migrations'))).filter((file) => file < '0051').length;
  await undoMigrations(store.database, kept);
  const tenant = await tenantWith(store, {});
  await ask(
    store,
    `insert into entra_sync.field_rules (tenant_id, field, owner, editable_by, manual_editable_by, value_type)
     values (:tenant, 'jobTitle', 'user', '{user}', '{user}', 'text')`,
    { tenant },
  );
  const account = await accountOf(store, tenant);
  // It finds a deadlock before the migration gives up its attempt.
  const { client } = await holderOf("set local deadlock_timeout = '10ms'", 'select from entra_sync.field_rules');
  const migrated = migrate(store.url, loadDefaults(), { eachMs: 60_000 });
  await until('it waits', async () => (await waiting()) > 0);
  await client.query(`select directory.edit_account($1, '{"jobTitle": "Clerk"}', 'Ann', 'user')`, [account]);
  await client.query('commit');
  expect(await migrated).toContain('0062-find.sql');
});

test('rule 11: of a reader and a migration that wait for each other the migration gives way', async () => {
  const file = '0046-views-of-kept-members.sql';
  const kept = (await readdir(packageFile('migrations'))).filter((name) => name < file).length;
  await undoMigrations(store.database, kept);
  // The migration has taken directory.accounts, waits for the second view of these, and will want the third.
  const { client: other } = await holderOf('comment on view directory.removed_accounts is null');
  const { client: reader, pid } = await holderOf(
    'select from directory.groups',
    "set local deadlock_timeout = '900ms'",
  );
  const migrated = migrate(store.url, loadDefaults(), { eachMs: 60_000 });
  await until('it waits', async () => (await waiting()) > 0);
  const read = reader.query('select from directory.accounts');
  await until('the reader waits', async () => {
    const found = await ask(
      store,
      'select from pg_stat_activity where pid = :pid and cardinality(pg_blocking_pids(pid)) > 0',
      { pid },
    );
    return found.length > 0;
  });
  await other.query('commit');
  expect((await read).rows).toEqual([]);
  await reader.query('commit');
  expect(await migrated).toContain(file);
});
