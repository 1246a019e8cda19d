// The time limits that `grant` gives an application's role: set, kept, or left to an administrator.
import { randomBytes } from 'node:crypto';
import { type Client, escapeIdentifier } from 'pg';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openDatabase } from '../../src/store/database/pool.ts';
import { limitRole } from '../../src/store/schema/role-limits.ts';
import { type EditStore, openEditStore } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';

let store: EditStore;
let admin: Client;
let name: string;

beforeEach(async () => {
  store = await openEditStore();
  admin = await store.connect();
  name = (await admin.query('select current_database() as name')).rows[0].name;
});

afterEach(() => store.close());

const both = { idle_in_transaction_session_timeout: '60s', lock_timeout: '10s' };

test('rule 11: a role without limits gets them for this database, and its forgotten transaction ends', async () => {
  const application = await store.application({ grant: 'open' });
  expect(await limitRole(store.database, application.role)).toEqual({ set: both, kept: {}, missing: [] });
  const client = await application.connect();
  const inForce = async () =>
    (
      await client.query('select name, setting from pg_settings where name = any($1) order by name', [
        Object.keys(both),
      ])
    ).rows;
  expect(await inForce()).toEqual([
    { name: 'idle_in_transaction_session_timeout', setting: '60000' },
    { name: 'lock_timeout', setting: '10000' },
  ]);
  expect(await limitRole(store.database, application.role)).toEqual({ set: {}, kept: both, missing: [] });
});

test.each([
  ['the role everywhere', (role: string) => `alter role ${role} set lock_timeout = '3min'`, { lock_timeout: '3min' }],
  [
    'the role here',
    (role: string) => `alter role ${role} in database ${name} set lock_timeout = '0'`,
    { lock_timeout: '0' },
  ],
  ['the database', () => `alter database ${name} set lock_timeout = '7s'`, { lock_timeout: '7s' }],
] as const)('a limit that an operator set for %s stays', async (_, statement, kept) => {
  const { role } = await store.application({ grant: 'open' });
  await admin.query(statement(escapeIdentifier(role)));
  const { lock_timeout: _lock, ...set } = both;
  expect(await limitRole(store.database, role)).toEqual({ set, kept, missing: [] });
});

test('a role that may not alter the other one returns the statements to run', async () => {
  const { role } = await store.application({ grant: 'open' });
  const owner = `owner_${randomBytes(6).toString('hex')}`;
  await ask(store, `create role ${owner} login password 'x'`);
  const url = new URL(store.url);
  url.username = owner;
  url.password = 'x';
  const database = openDatabase(url.href);
  const { set, missing } = await limitRole(database, role);
  await database.destroy();
  expect(set).toEqual({});
  expect(missing).toHaveLength(2);
  for (const statement of missing) await admin.query(statement);
  expect(await limitRole(store.database, role)).toEqual({ set: {}, kept: both, missing: [] });
  await ask(store, `drop role ${owner}`);
});

test('for a role that cannot log in, the statements name its login roles', async () => {
  const { role } = await store.application({ grant: 'open' });
  await admin.query(`alter role ${escapeIdentifier(role)} nologin`);
  const { set, missing } = await limitRole(store.database, role);
  expect(set).toEqual({});
  expect(missing[1]).toBe(`alter role LOGIN_ROLE in database "${name}" set lock_timeout = '10s'`);
});
