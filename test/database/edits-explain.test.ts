// explain_account, which reports the origin of each field; and the functions as the program calls them.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  createAccount,
  type ExplainedField,
  editAccount,
  explainAccount,
  removeAccount,
  revertAccount,
} from '../../src/store/accounts/accounts.ts';
import { numberBatches } from '../../src/store/feed/batches.ts';
import { feedPosition } from '../../src/store/feed/changes.ts';
import { accountOf, type EditStore, openEditStore, setRule, tenantWith } from '../support/people-edit.ts';
import { ask, leasedTenant, objectId, sync, user } from '../support/stage.ts';

let store: EditStore;

beforeAll(async () => {
  store = await openEditStore();
});

afterAll(() => store.close());

const ann = { actor: 'Ann', role: 'user' };

async function explained(account: string): Promise<Record<string, ExplainedField>> {
  const found = await explainAccount(store.database, account);
  expect(found.map((row) => row.field)).toEqual(found.map((row) => row.field).toSorted());
  return Object.fromEntries(found.map((row) => [row.field, row]));
}

/** The times of the change row of a kind and of the account's creation. */
async function times(account: string): Promise<Record<string, Date>> {
  const found = await ask<{ kind: string; at: Date }>(
    store,
    `select kind, max(at) as at from entra_sync.changes where account_id = :account group by kind
     union all select 'birth', created_at from entra_sync.accounts where account_id = :account`,
    { account },
  );
  return Object.fromEntries(found.map((row) => [row.kind, row.at]));
}

test('a synced account has values of the directory, a person’s, a cleared one, a shelved one, and none', async () => {
  const lease = await leasedTenant(store);
  const tenant = lease.tenantId;
  await sync(store, lease, 'full', [[user(1)]]);
  await lease.release();
  const rules = {
    displayName: {},
    jobTitle: {},
    mail: {},
    pronouns: { mappedFrom: null },
    phone: { owner: 'directory' },
  } as const;
  await ask(store, 'delete from entra_sync.field_rules where tenant_id = :tenant', { tenant });
  for (const [field, rule] of Object.entries(rules)) await setRule(store, tenant, field, rule);
  const [row] = await ask<{ id: string }>(
    store,
    'select account_id as id from directory.accounts where entra_object_id = :id',
    { id: objectId(1) },
  );
  const account = row?.id ?? '';
  await editAccount(store.database, account, { displayName: 'By hand', mail: null }, ann);
  await ask(
    store,
    `update entra_sync.accounts set shelf = '{"phone": "kept"}', edits = edits || '{"phone": {"by": "Bob", "at": "2020-01-01T00:00:00Z"}}' where account_id = :account`,
    { account },
  );
  const at = await times(account);
  const everybody = ['user', 'manager'];
  expect(await explained(account)).toEqual({
    displayName: {
      field: 'displayName',
      value: 'By hand',
      origin: 'user',
      owner: 'user',
      editable_by: everybody,
      mapped_from: 'displayName',
      directory_value: 'User 1',
      user_value: 'By hand',
      since: at['account.edited'],
      changed_by: 'Ann',
    },
    jobTitle: {
      field: 'jobTitle',
      value: 'Clerk',
      origin: 'directory',
      owner: 'user',
      editable_by: everybody,
      mapped_from: 'jobTitle',
      directory_value: 'Clerk',
      user_value: null,
      since: at['account.created'],
      changed_by: 'test',
    },
    mail: {
      field: 'mail',
      value: null,
      origin: 'user',
      owner: 'user',
      editable_by: everybody,
      mapped_from: 'mail',
      directory_value: 'user1@example.com',
      user_value: null,
      since: at['account.edited'],
      changed_by: 'Ann',
    },
    phone: {
      field: 'phone',
      value: null,
      origin: 'none',
      owner: 'directory',
      editable_by: [],
      mapped_from: 'phone',
      directory_value: null,
      user_value: 'kept',
      since: at.birth,
      changed_by: null,
    },
    pronouns: {
      field: 'pronouns',
      value: null,
      origin: 'none',
      owner: 'user',
      editable_by: everybody,
      mapped_from: null,
      directory_value: null,
      user_value: null,
      since: at.birth,
      changed_by: null,
    },
  });
});

test('the roles are those of the account’s state', async () => {
  const tenant = await tenantWith(store, { phone: { editableBy: ['manager'], manualEditableBy: ['user'] } });
  for (const [state, roles] of [
    ['managed', ['manager']],
    ['manual', ['user']],
  ] as const) {
    const account = await accountOf(store, tenant, { state });
    expect((await explained(account)).phone).toMatchObject({ owner: 'user', editable_by: roles });
  }
});

test('a shelved edit is shown with its time, under the value of the directory', async () => {
  const tenant = await tenantWith(store, { phone: { owner: 'directory' } });
  const account = await accountOf(store, tenant, { mapped: { phone: '1' }, shelf: { phone: '2' } });
  await ask(
    store,
    `insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, before, after, at) values
       (1, :tenant, 'cycle', 'account.updated', :account, '{"profile": {"phone": "0"}}', '{"profile": {"phone": "1"}}', '2021-01-01'),
       (1, :tenant, 'other', 'account.updated', :account, '{"profile": {"fax": "0"}}', '{"enabled": false}', '2022-01-01')`,
    { tenant, account },
  );
  expect((await explained(account)).phone).toMatchObject({
    value: '1',
    origin: 'directory',
    directory_value: '1',
    user_value: '2',
    since: new Date((await ask<{ at: string }>(store, "select '2021-01-01'::timestamptz as at"))[0]?.at ?? ''),
    changed_by: 'cycle',
  });
});

test('an edit does not move the time of the directory’s value; a change under the edit does', async () => {
  const tenant = await tenantWith(store, { phone: {} });
  const account = await accountOf(store, tenant, { mapped: { phone: '1' } });
  await editAccount(store.database, account, { phone: '2' }, ann);
  await revertAccount(store.database, account, null, { actor: 'Bob', role: 'manager' });
  expect((await explained(account)).phone).toMatchObject({ value: '1', origin: 'directory', changed_by: null });
  await ask(
    store,
    `insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, before, after)
     values (1, :tenant, 'cycle', 'account.updated', :account, '{"directory": {"phone": "1"}}', '{"directory": {"phone": "3"}}')`,
    { tenant, account },
  );
  expect((await explained(account)).phone).toMatchObject({ changed_by: 'cycle' });
});

test('a field of the profile or the shelf that is no longer in the settings has a row without owner', async () => {
  const tenant = await tenantWith(store, {});
  const account = await accountOf(store, tenant, { mapped: { fax: '1' }, shelf: { phone: '2' } });
  expect(await explained(account)).toMatchObject({
    fax: { value: '1', origin: 'directory', owner: null, editable_by: [], mapped_from: null },
    phone: { value: null, origin: 'none', owner: null, editable_by: [], user_value: '2' },
  });
});

describe('as the program calls them', () => {
  test('an account is created, edited, removed and then still explained', async () => {
    const tenant = await tenantWith(store, { phone: {} });
    const account = await createAccount(store.database, tenant, { phone: '1' }, 'Ann');
    expect(await editAccount(store.database, account, { phone: '2' }, ann)).toEqual({ phone: '2' });
    expect(await revertAccount(store.database, account, ['phone'], ann)).toEqual({});
    await removeAccount(store.database, account, ann);
    expect((await explained(account)).phone).toMatchObject({ value: null, origin: 'none', changed_by: 'Ann' });
    await expect(editAccount(store.database, account, { phone: '3' }, ann)).rejects.toMatchObject({
      code: 'usage',
      message: `there is no account ${account} (ES004)`,
    });
  });

  test('a refusal is one line with its cure, and contains no value', async () => {
    const tenant = await tenantWith(store, { 'a - b': { owner: 'directory' } });
    const account = await accountOf(store, tenant);
    await expect(editAccount(store.database, account, { 'a - b': 'secret' }, ann)).rejects.toMatchObject({
      code: 'usage',
      message: 'the field "a - b" is read-only: its owner is the directory (ES001)',
      cure: 'Change it in Entra ID (a - b), or give it to the user in the settings (sourceOfTruth: hybrid, owner: user).',
    });
    await expect(explainAccount(store.database, randomUUID())).rejects.toMatchObject({ code: 'usage' });
  });
});

test('the feed has a position although the rows of its newest batch were erased', async () => {
  const own = await openEditStore();
  const tenant = await tenantWith(own, { phone: {} });
  const account = await accountOf(own, tenant);
  await editAccount(own.database, account, { phone: '1' }, ann);
  await numberBatches(own.database);
  await ask(own, 'delete from entra_sync.changes');
  const position = await feedPosition(own.database);
  expect(position).toMatch(/^[0-9a-f]{8}:1:0$/);
  await editAccount(own.database, account, { phone: '2' }, ann);
  expect(await ask(own, 'select c.kind from directory.read_changes(:position) c', { position })).toHaveLength(1);
  await own.close();
});
