// Sessions of the web: what opens a page, and everything that ends it.
import { createHash, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { disconnectTenant, purgeTenant } from '../../src/store/tenants/disconnect.ts';
import {
  endSessions,
  findSession,
  forgetEndedSessions,
  listSessions,
  type NewSession,
} from '../../src/store/web/sessions.ts';
import { beginSession, hashOfCookie, viewerOf } from '../../src/web/session.ts';
import { accountOf, tenantWith } from '../support/people-edit.ts';
import { ask, openStore, type Store } from '../support/stage.ts';

let store: Store;
let tenantId: string;

beforeAll(async () => {
  store = await openStore();
  tenantId = await tenantWith(store, {});
});

afterAll(() => store.close());

const begin = (session: Partial<NewSession> = {}) =>
  beginSession(store.database, {
    ...{ actor: 'x', tenantId: null, objectId: null, ops: null, directoryRole: null },
    ...session,
  });
const rolesOf = async (cookie: string) => (await viewerOf(store.database, cookie))?.roles;

/** Moves the times of a session back by this much. */
const age = (cookie: string, by: string, ...columns: string[]) =>
  ask(
    store,
    `update entra_sync.sessions set ${columns.map((one) => `${one} = ${one} - :by::interval`).join(', ')}
      where session_hash = :hash`,
    { by, hash: hashOfCookie(cookie) },
  );

async function person(tenant = tenantId): Promise<{ cookie: string; account: string; objectId: string }> {
  const objectId = randomUUID();
  const account = await accountOf(store, tenant, { objectId });
  const cookie = await begin({ tenantId: tenant, objectId, actor: `entra:${tenant}/${objectId}` });
  return { cookie, account, objectId };
}

test('rule 47: the database has a hash of the cookie and no more', async () => {
  const cookie = await begin({ ops: 'act' });
  const [row] = await ask<{ row: string; hash: Buffer }>(
    store,
    'select to_jsonb(s)::text as row, session_hash as hash from entra_sync.sessions s where session_hash = :hash',
    { hash: createHash('sha256').update(cookie).digest() },
  );
  expect(row?.row).not.toContain(cookie);
  expect(row?.row).not.toContain(Buffer.from(cookie, 'base64url').toString('hex'));
  expect(await rolesOf(cookie)).toEqual(['ops_act', 'ops_read']);
  // The hash itself opens nothing.
  expect(await rolesOf(row?.hash.toString('base64url') ?? '')).toBeUndefined();
});

test('a person is an account from then on: the actor, and the tenant', async () => {
  const { cookie, account } = await person();
  expect(await viewerOf(store.database, cookie)).toMatchObject({
    ...{ roles: ['user'], tenantId, accountId: account, actor: `account:${account}` },
    shownAs: 'signed in',
  });
});

describe('rule 47: a session ends', () => {
  test('an hour after its last request', async () => {
    const { cookie } = await person();
    await age(cookie, '59 minutes', 'seen_at');
    expect(await rolesOf(cookie)).toEqual(['user']);
    // That was a request.
    await age(cookie, '59 minutes', 'seen_at');
    expect(await rolesOf(cookie)).toEqual(['user']);
    await age(cookie, '60 minutes', 'seen_at');
    expect(await rolesOf(cookie)).toBeUndefined();
  });

  test('eight hours after it began, however busy it is', async () => {
    const { cookie } = await person();
    await age(cookie, '7 hours 59 minutes', 'ends_at');
    expect(await rolesOf(cookie)).toEqual(['user']);
    await age(cookie, '1 minute', 'ends_at');
    expect(await rolesOf(cookie)).toBeUndefined();
  });

  test('an hour after it began, if it counts a directory role', async () => {
    const cookie = await begin({ tenantId, objectId: randomUUID(), directoryRole: 'admin' });
    await age(cookie, '59 minutes', 'ends_at');
    expect(await rolesOf(cookie)).toEqual(['admin', 'reader']);
    await age(cookie, '1 minute', 'ends_at');
    expect(await rolesOf(cookie)).toBeUndefined();
  });

  test('with the disconnect of its tenant, and that of no other', async () => {
    const mine = await tenantWith(store, {});
    const { cookie } = await person(mine);
    const other = await person();
    await disconnectTenant(store.database, mine, { actor: 'test', dryRun: true });
    expect(await rolesOf(cookie)).toEqual(['user']);
    await disconnectTenant(store.database, mine, { actor: 'test', dryRun: false });
    expect(await rolesOf(cookie)).toBeUndefined();
    expect(await rolesOf(other.cookie)).toEqual(['user']);
    // The person may sign in again: the account keeps its object id.
    const again = await begin({ tenantId: mine, objectId: (await person(mine)).objectId });
    expect(await rolesOf(again)).toEqual(['user']);
    await purgeTenant(store.database, mine);
    expect(await rolesOf(again)).toBeUndefined();
  });

  test.each([
    ['removed', "removed_at = now(), removed_reason = 'deleted', purge_at = now()"],
    ['suspended', 'enabled = false'],
  ])('once the account is %s, at the next request', async (_words, change) => {
    const { cookie, account } = await person();
    await ask(store, `update entra_sync.accounts set ${change} where account_id = :account`, { account });
    expect(await rolesOf(cookie)).toBeUndefined();
  });

  test('ops lose the roles of a suspended account, and keep the vendor’s', async () => {
    const { account, objectId } = await person();
    const cookie = await begin({ tenantId, objectId, ops: 'read' });
    expect(await rolesOf(cookie)).toEqual(['ops_read', 'user']);
    await ask(store, 'update entra_sync.accounts set enabled = false where account_id = :account', { account });
    expect(await rolesOf(cookie)).toEqual(['ops_read']);
  });
});

describe('rule 46: roles by groups', () => {
  const admins = randomUUID();
  let tenant: string;
  let member: Awaited<ReturnType<typeof person>>;

  beforeAll(async () => {
    tenant = await tenantWith(store, {});
    member = await person(tenant);
    await ask(store, 'update entra_sync.tenants set last_success_at = now() where tenant_id = :tenant', { tenant });
    await ask(
      store,
      `insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source)
       values (:tenant, :admins, 'managed', 'security', false, '{"visibility": "Private"}')`,
      { tenant, admins },
    );
    await ask(
      store,
      `insert into entra_sync.member_groups (tenant_id, member_object_id, member_type, group_nos)
       select :tenant, :member, 'u', array[group_no] from entra_sync.groups where tenant_id = :tenant`,
      { tenant, member: member.objectId },
    );
    await ask(
      store,
      `insert into entra_sync.settings (tenant_id, document, actor)
       values (null, '{"interval": "40m"}', 'test'),
              (:tenant, jsonb_build_object('admins', jsonb_build_object('groups', jsonb_build_array(:admins::text))), 'test')`,
      { tenant, admins },
    );
  });

  const whole = ['admin', 'reader', 'user'];
  /** The roles after a change of the group or the tenant, which is taken back. */
  async function changed(change: string, back: string): Promise<unknown> {
    const bind = { tenant, admins, member: member.objectId };
    await ask(store, change, bind);
    const roles = await rolesOf(member.cookie);
    await ask(store, back, bind);
    expect(await rolesOf(member.cookie)).toEqual(whole);
    return roles;
  }
  const group = (set: string) =>
    `update entra_sync.groups set ${set} where tenant_id = :tenant and entra_object_id = :admins`;
  const tenants = (set: string) => `update entra_sync.tenants set ${set} where tenant_id = :tenant`;

  test('a direct member is an administrator, and no other person of the tenant', async () => {
    expect(await rolesOf(member.cookie)).toEqual(whole);
    expect(await rolesOf((await person(tenant)).cookie)).toEqual(['user']);
    // The same object ids in another tenant give nothing.
    const other = await tenantWith(store, {});
    await accountOf(store, other, { objectId: member.objectId });
    expect(await rolesOf(await begin({ tenantId: other, objectId: member.objectId }))).toEqual(['user']);
  });

  test.each([
    [
      'that is open to all',
      group('source = \'{"visibility": "Public"}\''),
      group('source = \'{"visibility": "Private"}\''),
    ],
    ['that fills itself', group('is_dynamic = true'), group('is_dynamic = false')],
    [
      'that is removed',
      group("removed_at = now(), removed_reason = 'deleted', purge_at = now()"),
      group('removed_at = null, removed_reason = null, purge_at = null'),
    ],
    ['that is manual', group("state = 'manual'"), group("state = 'managed'")],
  ])('a group %s gives none', async (_words, change, back) => {
    expect(await changed(change, back)).toEqual(['user']);
  });

  test('a membership that waits for a decision gives none', async () => {
    const held = `with list as (
        insert into entra_sync.removal_lists (tenant_id, stream, why) values (:tenant, 'groups', 'test') returning list_id)
      insert into entra_sync.held_memberships (list_id, tenant_id, group_no, member_object_id)
      select list_id, :tenant, group_no, :member from list, entra_sync.groups where tenant_id = :tenant`;
    expect(await changed(held, 'delete from entra_sync.removal_lists where tenant_id = :tenant')).toEqual(['user']);
  });

  test('a person who leaves the group is no administrator at the next request', async () => {
    const leave = 'update entra_sync.member_groups set group_nos = array[0::bigint] where tenant_id = :tenant';
    const join = `update entra_sync.member_groups set group_nos = array(
      select group_no from entra_sync.groups where tenant_id = :tenant) where tenant_id = :tenant`;
    expect(await changed(leave, join)).toEqual(['user']);
  });

  test('administrators of a tenant that was not read for two intervals read only', async () => {
    const old = tenants("last_success_at = now() - interval '81 minutes'");
    expect(await changed(old, tenants("last_success_at = now() - interval '79 minutes'"))).toEqual(['reader', 'user']);
    expect(await changed(tenants('last_success_at = null'), tenants('last_success_at = now()'))).toEqual([
      'reader',
      'user',
    ]);
  });
});

test('the list names open sessions by ids, and ends them one by one, by account, by tenant and all', async () => {
  await endSessions(store.database, { sessionId: null, tenantId: null, accountId: null });
  const tenant = await tenantWith(store, {});
  const [one, two, three] = [await person(tenant), await person(tenant), await person()];
  const old = await person(tenant);
  await age(old.cookie, '2 hours', 'seen_at');
  const listed = await listSessions(store.database);
  expect(listed.map((row) => row.account_id).toSorted()).toEqual([one.account, two.account, three.account].toSorted());
  const [first] = listed.filter((row) => row.account_id === one.account);
  expect(JSON.stringify(listed)).not.toContain(one.cookie);
  const none = { sessionId: null, tenantId: null, accountId: null };
  expect(await endSessions(store.database, { ...none, sessionId: 'nothing' })).toBe(0);
  expect(await endSessions(store.database, { ...none, sessionId: first?.session_id ?? '' })).toBe(1);
  expect(await rolesOf(one.cookie)).toBeUndefined();
  expect(await endSessions(store.database, { ...none, accountId: two.account })).toBe(1);
  expect(await endSessions(store.database, { ...none, tenantId: tenant })).toBe(0);
  expect(await rolesOf(three.cookie)).toEqual(['user']);
  expect(await endSessions(store.database, none)).toBe(1);
  expect(await rolesOf(three.cookie)).toBeUndefined();
});

test('the worker forgets rows of ended sessions, and no other', async () => {
  await endSessions(store.database, { sessionId: null, tenantId: null, accountId: null });
  const [open, idle, whole] = [await person(), await person(), await person()];
  await age(idle.cookie, '61 minutes', 'seen_at');
  await age(whole.cookie, '9 hours', 'ends_at');
  expect(await forgetEndedSessions(store.database)).toBe(2);
  expect(await findSession(store.database, hashOfCookie(open.cookie))).toBeDefined();
});
