// Simultaneous edits, commits and settings changes: which waits for which, and no edit is lost.
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type Application,
  accountOf,
  answerOf,
  changesOf,
  type EditStore,
  openEditStore,
  setRule,
  storedAccount,
  tenantWith,
} from '../support/people-edit.ts';
import { ask, untilBlocked } from '../support/stage.ts';

let store: EditStore;
let application: Application;

beforeAll(async () => {
  store = await openEditStore();
  application = await store.application({ grant: 'open' });
});

afterAll(() => store.close());

const editSql = `select directory.edit_account($1, $2, 'Ann', 'user') as profile`;
const edit = (client: Client, account: string, patch: object) =>
  answerOf(client, editSql, [account, JSON.stringify(patch)]);
const create = (client: Client, tenant: string, profile: object) =>
  answerOf(client, `select directory.create_account($1, $2, 'Ann') as id`, [tenant, JSON.stringify(profile)]);

/** A connection that locks the tenant's row like a commit (no key update) or a settings change (update). */
async function holdTenant(tenant: string, lock: 'no key update' | 'update'): Promise<Client> {
  const holder = await store.connect();
  await holder.query('begin');
  await holder.query(`select from entra_sync.tenants where tenant_id = $1 for ${lock}`, [tenant]);
  return holder;
}

test('20 simultaneous edits of different fields: none is lost, and each change row starts where the one before ended', async () => {
  const names = Array.from({ length: 20 }, (_, n) => `field${n}`);
  const account = await accountOf(store, await tenantWith(store, Object.fromEntries(names.map((name) => [name, {}]))));
  const clients = await Promise.all(names.map(() => application.connect()));
  const answers = await Promise.all(names.map((name, n) => edit(clients[n] as Client, account, { [name]: `${n}` })));
  expect(answers.filter((answer) => 'code' in answer)).toEqual([]);
  const { overrides, edits } = await storedAccount(store, account);
  expect(overrides).toEqual(Object.fromEntries(names.map((name, n) => [name, `${n}`])));
  expect(Object.keys(edits)).toHaveLength(20);
  expect(await changesOf(store, account)).toHaveLength(20);
});

test('20 simultaneous edits of one field: the last one holds, and the feed has all of them in a chain', async () => {
  const account = await accountOf(store, await tenantWith(store, { phone: {} }));
  const clients = await Promise.all(Array.from({ length: 20 }, () => application.connect()));
  const answers = await Promise.all(clients.map((client, n) => edit(client, account, { phone: `${n}` })));
  expect(answers.filter((answer) => 'code' in answer)).toEqual([]);
  const chain = await ask<{ before: string | null; after: string }>(
    store,
    `select c.before #>> '{profile,phone}' as before, c.after #>> '{profile,phone}' as after
       from directory.read_changes(null) c where c.account_id = :account`,
    { account },
  );
  expect(chain.map((row) => row.after).sort()).toEqual(clients.map((_, n) => `${n}`).sort());
  expect(chain.map((row) => row.before)).toEqual([null, ...chain.map((row) => row.after).slice(0, -1)]);
  expect((await storedAccount(store, account)).overrides).toEqual({ phone: chain.at(-1)?.after });
});

describe('other writers', () => {
  test('an edit and a revert do not wait for a commit of the tenant', async () => {
    const tenant = await tenantWith(store, { phone: {}, mail: {} });
    const account = await accountOf(store, tenant);
    const client = await application.connect();
    await client.query("set lock_timeout = '2s'");
    const holder = await holdTenant(tenant, 'no key update');
    expect(await edit(client, account, { phone: '1', mail: 'x' })).toMatchObject({ rows: [{}] });
    expect(await answerOf(client, `select directory.revert_account($1, null, 'Ann', 'user')`, [account])).toMatchObject(
      {
        rows: [{}],
      },
    );
    await holder.query('rollback');
  });

  test('an edit waits for a settings change, and then follows its rules', async () => {
    const tenant = await tenantWith(store, { phone: {} });
    const account = await accountOf(store, tenant);
    const holder = await holdTenant(tenant, 'update');
    const waiting = edit(await application.connect(), account, { phone: '1' });
    await untilBlocked(store);
    await holder.query(
      "update entra_sync.field_rules set owner = 'directory', editable_by = '{}' where tenant_id = $1",
      [tenant],
    );
    await holder.query('commit');
    expect(await waiting).toMatchObject({ code: 'ES001' });
    expect((await storedAccount(store, account)).overrides).toEqual({});
  });

  test('a settings change waits for an edit', async () => {
    const tenant = await tenantWith(store, { phone: {} });
    const account = await accountOf(store, tenant);
    const client = await application.connect();
    await client.query('begin');
    await edit(client, account, { phone: '1' });
    const changing = holdTenant(tenant, 'update');
    await untilBlocked(store);
    await client.query('commit');
    const holder = await changing;
    expect((await storedAccount(store, account)).overrides).toEqual({ phone: '1' });
    await holder.query('rollback');
  });

  test.each([
    ['create_account', (client: Client, tenant: string) => create(client, tenant, { mail: 'a@example.com' })],
    [
      'remove_account',
      (client: Client, _: string, account: string) =>
        answerOf(client, `select directory.remove_account($1, 'Ann', 'user')`, [account]),
    ],
    [
      'an edit of a key of a manual account',
      (client: Client, _: string, account: string) => edit(client, account, { mail: 'b@example.com' }),
    ],
  ])('%s is in line with commits', async (_what, call) => {
    const tenant = await tenantWith(store, { mail: {} });
    const account = await accountOf(store, tenant, { state: 'manual' });
    const holder = await holdTenant(tenant, 'no key update');
    const waiting = call(await application.connect(), tenant, account);
    await untilBlocked(store);
    await holder.query('rollback');
    expect(await waiting).toMatchObject({ rows: [{}] });
  });

  test('the tenant is locked before the account: a commit and an edit never deadlock', async () => {
    const tenant = await tenantWith(store, { phone: {} });
    const account = await accountOf(store, tenant);
    const holder = await holdTenant(tenant, 'update');
    const waiting = edit(await application.connect(), account, { phone: '1' });
    await untilBlocked(store);
    // A session that waits for the tenant has no account locked.
    await holder.query('select from entra_sync.accounts where account_id = $1 for update nowait', [account]);
    await holder.query('commit');
    expect(await waiting).toMatchObject({ rows: [{}] });
  });
});

describe('one key', () => {
  test('two accounts take it at the same time: one gets it', async () => {
    const tenant = await tenantWith(store, { mail: {} });
    const accounts = await Promise.all([1, 2, 3].map(() => accountOf(store, tenant, { state: 'manual' })));
    const answers = await Promise.all([
      ...accounts.map(async (account) => edit(await application.connect(), account, { mail: 'One@example.com' })),
      ...[1, 2, 3].map(async () => create(await application.connect(), tenant, { mail: 'one@example.com' })),
    ]);
    expect(answers.map((answer) => ('code' in answer ? answer.code : 'done')).sort()).toEqual([
      ...Array(5).fill('ES008'),
      'done',
    ]);
  });

  test('a transaction that may see an older state cannot edit it', async () => {
    const tenant = await tenantWith(store, { mail: {}, phone: {} });
    const account = await accountOf(store, tenant, { state: 'manual' });
    const client = await application.connect();
    for (const level of ['repeatable read', 'serializable']) {
      for (const call of [
        () => edit(client, account, { mail: 'a@example.com' }),
        () => create(client, tenant, {}),
        () => answerOf(client, `select directory.remove_account($1, 'Ann', 'user')`, [account]),
      ]) {
        await client.query(`begin isolation level ${level}`);
        expect(await call()).toMatchObject({ code: '25001', hint: expect.stringContaining('read committed') });
        await client.query('rollback');
      }
      await client.query(`begin isolation level ${level}`);
      expect(await edit(client, account, { phone: level })).toMatchObject({ rows: [{}] });
      await client.query('commit');
    }
  });

  test('the edit fails and can be repeated if the account becomes manual while it waits', async () => {
    const tenant = await tenantWith(store, { mail: {} });
    const account = await accountOf(store, tenant);
    const holder = await holdTenant(tenant, 'update');
    const waiting = edit(await application.connect(), account, { mail: 'a@example.com' });
    await untilBlocked(store);
    await holder.query("update entra_sync.accounts set state = 'manual' where account_id = $1", [account]);
    await holder.query('commit');
    expect(await waiting).toMatchObject({ code: '40001', hint: 'Try again.' });
  });
});

test('an older snapshot does not write an edit of a field that the directory owns by now', async () => {
  const tenant = await tenantWith(store, { phone: {}, fax: {} });
  const account = await accountOf(store, tenant);
  const client = await application.connect();
  for (const change of [
    () => setRule(store, tenant, 'phone', { owner: 'directory' }),
    () => ask(store, "delete from entra_sync.field_rules where tenant_id = :tenant and field = 'phone'", { tenant }),
  ]) {
    await setRule(store, tenant, 'phone', {});
    await client.query('begin isolation level repeatable read');
    await client.query('select from directory.accounts');
    await change();
    expect(await edit(client, account, { phone: '1' })).toMatchObject({ code: '40001' });
    await client.query('rollback');
  }
  expect((await storedAccount(store, account)).overrides).toEqual({});
});
