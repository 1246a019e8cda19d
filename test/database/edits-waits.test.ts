// The functions of the contract wait a limited time for locks, and then restore the caller's lock_timeout.
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { accountOf, answerOf, type EditStore, openEditStore, tenantWith } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';

let store: EditStore;
let tenant: string;
let managed: string;
let manual: string;
let application: Client;

beforeAll(async () => {
  store = await openEditStore();
  tenant = await tenantWith(store, { jobTitle: {}, mail: {} });
  managed = await accountOf(store, tenant, { overrides: { jobTitle: 'Clerk' } });
  manual = await accountOf(store, tenant, { state: 'manual' });
  application = await (await store.application({ grant: 'open' })).connect();
});

afterAll(() => store.close());

const longest = async (time: string) => {
  await ask(
    store,
    `create or replace function entra_sync.longest_wait() returns interval language sql immutable as $$ select interval '${time}' $$`,
  );
};

const calls = {
  'directory.edit_account': () => [`select directory.edit_account($1, '{"jobTitle": "Boss"}', 'Ann', 'user')`, managed],
  'directory.revert_account': () => [`select directory.revert_account($1, null, 'Ann', 'user')`, managed],
  'an edit of a manual mail': () => [`select directory.edit_account($1, '{"mail": "x@y.zz"}', 'Ann', 'user')`, manual],
  'directory.remove_account': () => [`select directory.remove_account($1, 'Ann', 'user')`, manual],
  'directory.create_account': () => [`select directory.create_account($1, '{"jobTitle": "New"}', 'Ann')`, tenant],
  'directory.request_cycle': () => ["select directory.request_cycle($1, null, 'Ann')", tenant],
} as const;

const lockTimeout = async () => (await application.query('show lock_timeout')).rows[0].lock_timeout;

test.each(Object.entries(calls))(
  'rule 11: %s waits a bounded time, and not beyond the lock_timeout of its caller',
  async (_, call) => {
    const [sql = '', id] = call();
    const holder = await store.connect();
    await holder.query('begin');
    await holder.query('select from entra_sync.tenants where tenant_id = $1 for update', [tenant]);
    for (const [own, most] of [
      ['0', '100 ms'],
      ['1h', '100 ms'],
      ['50ms', '1 h'],
    ] as const) {
      await longest(most);
      await application.query(
        `set lock_timeout = '${own}'; begin; savepoint before; set local statement_timeout = '20s'`,
      );
      expect(await answerOf(application, sql, [id])).toMatchObject({ code: '55P03' });
      await application.query('rollback to before');
      expect(await lockTimeout()).toBe(own);
      await application.query('rollback');
    }
    await holder.query('rollback');
    await holder.end();
    await application.query("set lock_timeout = '1h'; begin");
    expect(await answerOf(application, sql, [id])).not.toHaveProperty('code');
    expect(await lockTimeout()).toBe('1h');
    await application.query('rollback');
  },
);

test('rule 11: the bound is ten seconds', async () => {
  const fresh = await openEditStore();
  expect(await ask(fresh, 'select entra_sync.longest_wait()::text as time')).toEqual([{ time: '00:00:10' }]);
  await fresh.close();
});
