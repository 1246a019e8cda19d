// `directory.restore_account`: which removed accounts are shown again, and what it says of the others (rule 33).
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type AccountSeed,
  accountOf,
  answerOf,
  changesOf,
  type EditStore,
  openEditStore,
  storedAccount,
  tenantWith,
} from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';

let store: EditStore;
let client: Client;
let tenant: string;

beforeAll(async () => {
  store = await openEditStore();
  client = await (await store.application({ grant: 'open' })).connect();
  tenant = await tenantWith(store, { jobTitle: {}, displayName: {}, mail: {} });
});

afterAll(() => store.close());

const restore = (account: string | null, role: string | null = 'user', actor = 'Ann') =>
  answerOf(client, 'select directory.restore_account($1, $2, $3) as profile', [account, actor, role]);

/** An account that was removed for this reason. */
async function removedFor(reason: string, { approved = false, ...seed }: AccountSeed & { approved?: boolean } = {}) {
  const account = await accountOf(store, tenant, { objectId: randomUUID(), mapped: { displayName: 'Ann' }, ...seed });
  await ask(
    store,
    `update entra_sync.accounts set removed_at = now(), removed_reason = :reason, removal_approved = :approved, purge_at = now()
      where account_id = :account`,
    { account, reason, approved },
  );
  return account;
}

const reasons = ['deleted_restorable', 'deleted', 'out_of_scope', 'disabled', 'not_seen', 'by_hand'];
const cases = reasons.flatMap((reason) => [true, false].map((approved) => ({ reason, approved })));

test.each(cases)('rule 33: removed as $reason, approved: $approved', async ({ reason, approved }) => {
  const account = await removedFor(reason, { approved });
  const answer = await restore(account);
  if (reason !== 'by_hand' && !approved) {
    expect(answer).toMatchObject({ code: 'ES007', hint: expect.stringContaining('Entra ID') });
    expect((await storedAccount(store, account)).removed_reason).toBe(reason);
    return;
  }
  expect(answer).toEqual({ rows: [{ profile: { displayName: 'Ann' } }] });
  expect(await changesOf(store, account)).toMatchObject([
    {
      ...{ kind: 'account.restored', actor: 'Ann', told: true },
      before: { removed: reason, state: 'managed', profile: {} },
      after: { state: 'manual', profile: { displayName: 'Ann' } },
    },
  ]);
  const [shown] = await ask(store, 'select state from directory.accounts where account_id = :account', { account });
  expect(shown).toEqual({ state: 'manual' });
});

test('rule 33: an account that is restored is in the groups that still have it, also through nested ones', async () => {
  const objectId = randomUUID();
  const account = await removedFor('by_hand', { state: 'manual', objectId });
  const ids = { tenant, objectId, inner: randomUUID(), outer: randomUUID(), gone: randomUUID() };
  await ask(
    store,
    `insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source, removed_at, removed_reason, purge_at)
     select :tenant, g.id, 'managed', 'security', false, '{}', g.removed, case when g.removed is not null then 'deleted' end, g.removed
       from (values (:outer::uuid, null), (:inner::uuid, null), (:gone::uuid, now())) g (id, removed)`,
    ids,
  );
  await ask(
    store,
    `insert into entra_sync.group_closure select o.group_no, i.group_no from entra_sync.groups o, entra_sync.groups i
      where (o.entra_object_id, i.entra_object_id) in ((:outer, :inner), (:outer, :outer), (:inner, :inner))`,
    ids,
  );
  await ask(
    store,
    `insert into entra_sync.member_groups (tenant_id, member_object_id, member_type, group_nos)
     select :tenant, :objectId, 'u', array_agg(group_no) from entra_sync.groups
      where tenant_id = :tenant and entra_object_id in (:inner, :gone)`,
    ids,
  );
  expect(await restore(account)).toMatchObject({ rows: [{}] });
  expect(
    await ask(
      store,
      `select g.entra_object_id, e.is_direct from directory.effective_memberships e join directory.groups g using (group_id)
        where e.account_id = :account order by e.is_direct desc`,
      { account },
    ),
  ).toEqual([
    { entra_object_id: ids.inner, is_direct: true },
    { entra_object_id: ids.outer, is_direct: false },
  ]);
  expect((await changesOf(store, account)).map(({ kind }) => kind)).toEqual(['account.restored', 'membership.added']);
});

describe('refusals', () => {
  test('a live account', async () => {
    const account = await accountOf(store, tenant);
    expect(await restore(account)).toMatchObject({ code: '55000', message: expect.stringContaining('is live') });
  });

  test('a purged account, and an unknown one', async () => {
    const id = randomUUID();
    expect(await restore(id)).toMatchObject({ code: 'ES004', message: `there is no account ${id}` });
    await ask(
      store,
      "insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id) values (1, :tenant, 'sync', 'account.purged', :id)",
      { tenant, id },
    );
    expect(await restore(id)).toMatchObject({ code: 'ES004', message: expect.stringContaining('was purged') });
  });

  test.each(['guest', '', null])('the role %j', async (role) => {
    const account = await removedFor('by_hand');
    expect(await restore(account, role)).toMatchObject({ code: 'ES003', hint: expect.stringContaining('user') });
  });

  test('no actor', async () => {
    expect(await restore(await removedFor('by_hand'), 'user', ' ')).toMatchObject({ code: '22023' });
  });

  test.each([
    ['mail', { mail: 'ann@example.com' }, { mail: 'ANN@example.com' }],
    ['userPrincipalName', { principal: 'bob@example.com' }, { principal: 'Bob@Example.com' }],
  ])('a live account has its %s by now', async (key, seed, other) => {
    const account = await removedFor('by_hand', seed);
    await accountOf(store, tenant, other);
    expect(await restore(account)).toMatchObject({ code: 'ES008', message: expect.stringContaining(key) });
    expect(await changesOf(store, account)).toEqual([]);
  });
});
