// What is purged outside of cycles (rule 7), and tenants that are erased when their time has come.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { disconnectTenant, eraseDueTenants, reconnectTenant } from '../../src/store/tenants/disconnect.ts';
import { openHousekeeper } from '../../src/worker/housekeeper.ts';
import { accountOf, changesOf, type EditStore, openEditStore, tenantWith } from '../support/people-edit.ts';
import { ask, untilBlocked } from '../support/stage.ts';
import { bufferLog } from '../support/system.ts';

let store: EditStore;
let tenant: string;

beforeAll(async () => {
  store = await openEditStore();
});

afterAll(() => store.close());

beforeEach(async () => {
  tenant = await tenantWith(store, { jobTitle: {} });
});

const keepHouse = () => openHousekeeper(store.database, bufferLog().log)();

test('rule 32: a word that no name has any more is forgotten', async () => {
  const account = await accountOf(store, tenant, { mapped: { displayName: 'Quirin Old' } });
  await ask(
    store,
    `update entra_sync.accounts set mapped = '{"displayName": "Quirin New"}' where account_id = :account`,
    { account },
  );
  await keepHouse();
  expect(
    await ask(store, 'select word from entra_sync.vocabulary where tenant_id = :tenant order by word', { tenant }),
  ).toEqual([{ word: 'new' }, { word: 'quirin' }]);
  expect(await ask(store, 'select from entra_sync.words_left')).toEqual([]);
});

type Removal = { reason: string; due: string; aside?: boolean };

async function removed({ reason, due, aside }: Removal): Promise<string> {
  const objectId = randomUUID();
  const account = await accountOf(store, tenant, { objectId, mapped: { jobTitle: 'Clerk' } });
  await ask(
    store,
    `update entra_sync.accounts set removed_at = now() - interval '1 year', removed_reason = :reason,
            purge_at = now() + :due::interval where account_id = :account`,
    { account, reason, due },
  );
  if (aside) {
    await ask(
      store,
      "insert into entra_sync.set_aside (tenant_id, stream, object_key, reason) values (:tenant, 'users', :objectId, 'odd')",
      { tenant, objectId },
    );
  }
  return account;
}

const isThere = async (account: string) =>
  (await ask(store, 'select from entra_sync.accounts where account_id = :account', { account })).length === 1;

// The tenant was last read two hours ago.
const removals: (Removal & { purged: boolean })[] = [
  { reason: 'by_hand', due: '-1 hour', purged: true },
  { reason: 'by_hand', due: '-1 hour', aside: true, purged: true },
  { reason: 'by_hand', due: '1 hour', purged: false },
  { reason: 'deleted', due: '-3 hours', purged: true },
  { reason: 'not_seen', due: '-3 hours', purged: true },
  { reason: 'deleted', due: '-3 hours', aside: true, purged: false },
  { reason: 'deleted', due: '-1 hour', purged: false },
];

test.each([
  ['disconnected', false],
  ['active', true],
  ['quarantined', false],
])('rule 7: of a tenant that is %s (paused: %s) goes what no cycle has to confirm', async (status, paused) => {
  await ask(
    store,
    `update entra_sync.tenants set status = :status, paused = :paused, last_success_at = now() - interval '2 hours'
      where tenant_id = :tenant`,
    { tenant, status, paused },
  );
  const accounts: string[] = [];
  for (const one of removals) accounts.push(await removed(one));
  await keepHouse();
  for (const [index, one] of removals.entries()) {
    const account = accounts[index] ?? '';
    expect({ ...one, purged: !(await isThere(account)) }).toEqual(one);
    expect((await changesOf(store, account)).map(({ kind, actor, told }) => ({ kind, actor, told }))).toEqual(
      one.purged ? [{ kind: 'account.purged', actor: 'retention', told: true }] : [],
    );
  }
});

test('rule 7: a tenant that was never read keeps what a cycle has to confirm; a group goes like an account', async () => {
  const account = await removed({ reason: 'deleted', due: '-3 hours' });
  const [group] = await ask<{ id: string }>(
    store,
    `insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source, removed_at, removed_reason, purge_at)
     values (:tenant, :id, 'managed', 'security', false, '{}', now(), 'deleted', now() - interval '3 hours') returning group_id as id`,
    { tenant, id: randomUUID() },
  );
  await keepHouse();
  expect(await isThere(account)).toBe(true);
  await ask(store, 'update entra_sync.tenants set last_success_at = now() where tenant_id = :tenant', { tenant });
  await keepHouse();
  expect(await isThere(account)).toBe(false);
  expect(await ask(store, 'select from entra_sync.groups where group_id = :id', { id: group?.id })).toEqual([]);
});

test('a busy tenant is left for the next look', async () => {
  const account = await removed({ reason: 'by_hand', due: '-1 hour' });
  const holder = await store.connect();
  await holder.query('begin');
  await holder.query('select from entra_sync.tenants where tenant_id = $1 for update', [tenant]);
  await keepHouse();
  expect(await isThere(account)).toBe(true);
  await holder.query('rollback');
  await keepHouse();
  expect(await isThere(account)).toBe(false);
});

test('a tenant that cannot be erased now keeps no other tenant from being purged', async () => {
  const account = await removed({ reason: 'by_hand', due: '-1 hour' });
  const gone = await tenantWith(store, {});
  await ask(
    store,
    "update entra_sync.tenants set status = 'disconnected', erase_at = now() - interval '1 hour' where tenant_id = :gone",
    { gone },
  );
  const holder = await store.connect();
  await holder.query('begin');
  await holder.query('lock table entra_sync.settings in share row exclusive mode');
  await keepHouse();
  expect(await isThere(account)).toBe(false);
  await holder.query('rollback');
  expect(await eraseDueTenants(store.database)).toEqual([gone]);
});

test('a disconnected tenant is erased when its time has come, and not if it was reconnected', async () => {
  const other = await tenantWith(store, {});
  const manual = await tenantWith(store, {});
  const options = { actor: 'Ann', dryRun: false };
  for (const one of [tenant, other])
    await disconnectTenant(store.database, one, { ...options, eraseAfterMs: 3_600_000 });
  await disconnectTenant(store.database, manual, options);
  expect(await eraseDueTenants(store.database)).toEqual([]);
  await reconnectTenant(store.database, other, 'Ann');
  await ask(store, "update entra_sync.tenants set erase_at = erase_at - interval '2 hours'");
  expect(await eraseDueTenants(store.database)).toEqual([tenant]);
  expect(
    await ask(
      store,
      'select tenant_id as id from entra_sync.tenants where tenant_id = any(:all::uuid[]) order by name',
      {
        all: [tenant, other, manual],
      },
    ),
  ).toEqual([other, manual].sort().map((id) => ({ id })));
});

test('a settings change meets no erasure of a tenant in a deadlock', async () => {
  await ask(
    store,
    "update entra_sync.tenants set status = 'disconnected', erase_at = now() - interval '1 hour' where tenant_id = :tenant",
    { tenant },
  );
  const client = await store.connect();
  await client.query('begin');
  await client.query('lock table entra_sync.settings in share row exclusive mode');
  const erased = eraseDueTenants(store.database);
  await untilBlocked(store);
  await client.query('select from entra_sync.tenants order by tenant_id for update nowait');
  await client.query('commit');
  expect(await erased).toContain(tenant);
});
