// A database that is lent again equals a new one: tests cannot see each other.
import { randomUUID } from 'node:crypto';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { type Database, rows } from '../../src/store/database/pool.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { borrowDatabase } from '../support/borrowed.ts';
import { setSettings } from '../support/settings.ts';

const add = (database: Database) =>
  addTenant(database, { tenantId: randomUUID(), name: 'Contoso', ref: null }, loadDefaults());

/** All rows of all tables, and the state of the sequences. */
async function contents(database: Database): Promise<unknown> {
  const tables = await rows<{ name: string }>(
    database,
    "select oid::regclass::text as name from pg_class where oid >= 16384 and relkind = 'r' order by 1",
  );
  const all: unknown[] = await rows(
    database,
    'select schemaname, sequencename, last_value from pg_sequences order by 1, 2',
  );
  for (const { name } of tables)
    all.push([name, await rows(database, `select t::text from ${name} t order by t::text`)]);
  return all;
}

test('rows are deleted, and the database and its connections are reused', async () => {
  const first = await borrowDatabase();
  const before = await contents(first.database);
  await add(first.database);
  await setSettings(first.database, { interval: '50m' });
  expect(await contents(first.database)).not.toEqual(before);
  await first.giveBack();
  const second = await borrowDatabase();
  // Only a superuser may disable the triggers of the tables. Without one, the database is dropped.
  const [user] = await rows<{ isSuper: string }>(
    second.database,
    'select current_setting(\'is_superuser\') as "isSuper"',
  );
  if (user?.isSuper === 'on') expect(second.url).toBe(first.url);
  expect(await contents(second.database)).toEqual(before);
  await second.giveBack();
});

test.each([
  ['a table was added', 'create table entra_sync.mine ()'],
  ['a trigger was switched off', 'alter table entra_sync.accounts disable trigger all'],
  [
    'a function was replaced',
    'create or replace function entra_sync.narrowed_to() returns uuid language sql as $$ select null::uuid $$',
  ],
  [
    'a view was replaced',
    "do $$ begin execute 'create or replace view entra_sync.change_rows as ' || pg_get_viewdef('entra_sync.change_rows'::regclass); end $$",
  ],
  ['somebody was granted something', 'grant select on entra_sync.accounts to pg_monitor'],
  ['the planner has statistics', 'analyze entra_sync.settings'],
  ['a lock of the session is held', 'select pg_advisory_lock(1)'],
])('a database is not lent again where %s', async (_, change) => {
  const { url, database, giveBack } = await borrowDatabase();
  await database.raw(change);
  await giveBack();
  const next = await borrowDatabase();
  expect(next.url).not.toBe(url);
  await next.giveBack();
});

test('a database is not lent again while another session is connected', async () => {
  const { url, giveBack } = await borrowDatabase();
  const guest = new Client({ connectionString: url });
  guest.on('error', () => {});
  await guest.connect();
  await giveBack();
  const next = await borrowDatabase();
  expect(next.url).not.toBe(url);
  await next.giveBack();
  await guest.end().catch(() => {});
});
