// The functions that edit accounts: their rows, their messages, and refusals without a change.
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  accountOf,
  answerOf,
  changesOf,
  type EditStore,
  openEditStore,
  setRule,
  storedAccount,
  tenantWith,
} from '../support/people-edit.ts';
import { ask, fingerprintOf } from '../support/stage.ts';
import { storing } from '../support/stored-memberships.ts';

let store: EditStore;
let client: Client;

beforeAll(async () => {
  store = await openEditStore();
  client = await (await store.application({ grant: 'open' })).connect();
});

afterAll(() => store.close());

const edit = (account: string | null, patch: unknown, role: string | null = 'user', actor: string | null = 'Ann') =>
  answerOf(client, 'select directory.edit_account($1, $2, $3, $4) as profile', [
    account,
    typeof patch === 'string' ? patch : JSON.stringify(patch),
    actor,
    role,
  ]);

const revert = (account: string, fields: unknown, role: string | null = 'user') =>
  answerOf(client, 'select directory.revert_account($1, $2, $3, $4) as profile', [account, fields, 'Ann', role]);

const create = (tenant: string | null, profile: unknown, actor: string | null = 'Ann') =>
  answerOf(client, 'select directory.create_account($1, $2, $3) as id', [tenant, JSON.stringify(profile), actor]);

const remove = (account: string, role: string | null = 'manager') =>
  answerOf(client, 'select directory.remove_account($1, $2, $3)', [account, 'Ann', role]);

const createdId = async (tenant: string, profile: unknown): Promise<string> => {
  const answer = await create(tenant, profile);
  if ('code' in answer) throw new Error(answer.message);
  return String(answer.rows[0]?.id);
};

const fields = { jobTitle: {}, phone: {}, mail: {}, department: { owner: 'directory' as const } };
const mapped = { jobTitle: 'Clerk', department: 'Sales', mail: 'ann@example.com' };

describe('edit_account', () => {
  test('puts a person’s values over the directory’s, stores actor and time, and writes one change row', async () => {
    const tenant = await tenantWith(store, fields);
    const account = await accountOf(store, tenant, { mapped });
    expect(await edit(account, { jobTitle: 'Boss', phone: '1' })).toEqual({
      rows: [{ profile: { ...mapped, jobTitle: 'Boss', phone: '1' } }],
    });
    const stored = await storedAccount(store, account);
    expect(stored).toMatchObject({
      overrides: { jobTitle: 'Boss', phone: '1' },
      edits: { jobTitle: { by: 'Ann' }, phone: { by: 'Ann' } },
      moved: true,
    });
    const [times] = await ask(
      store,
      `select bool_and((e.value ->> 'at')::timestamptz = a.updated_at) as same from entra_sync.accounts a, jsonb_each(a.edits) e where account_id = :account`,
      { account },
    );
    expect(times).toEqual({ same: true });
    expect(await changesOf(store, account)).toEqual([
      {
        kind: 'account.edited',
        actor: 'Ann',
        before: { profile: { jobTitle: 'Clerk', phone: null } },
        after: { profile: { jobTitle: 'Boss', phone: '1' } },
        told: true,
      },
    ]);
    expect(
      await ask(store, 'select edited_fields from directory.accounts where account_id = :account', { account }),
    ).toEqual([{ edited_fields: ['phone', 'jobTitle'] }]);
  });

  test('null clears: the profile leaves the field out although the directory has a value', async () => {
    const account = await accountOf(store, await tenantWith(store, fields), { mapped });
    const { jobTitle: _, ...profile } = mapped;
    expect(await edit(account, { jobTitle: null })).toEqual({ rows: [{ profile }] });
    expect(
      await ask(store, 'select profile, edited_fields from directory.accounts where account_id = :account', {
        account,
      }),
    ).toEqual([{ profile, edited_fields: ['jobTitle'] }]);
    expect(await storedAccount(store, account)).toMatchObject({ overrides: { jobTitle: null } });
    expect(await changesOf(store, account)).toMatchObject([
      { before: { profile: { jobTitle: 'Clerk' } }, after: { profile: { jobTitle: null } } },
    ]);
  });

  test('"" clears like null, also a number or a list; a text of blanks is a text', async () => {
    const tenant = await tenantWith(store, {
      ...fields,
      room: { valueType: 'number' },
      phones: { valueType: 'text[]' },
    });
    const account = await accountOf(store, tenant, { mapped: { ...mapped, room: 7, phones: ['1'] } });
    const { jobTitle: _, ...rest } = mapped;
    expect(await edit(account, { jobTitle: '', room: '', phones: '', phone: ' ' })).toEqual({
      rows: [{ profile: { ...rest, phone: ' ' } }],
    });
    expect(await storedAccount(store, account)).toMatchObject({
      overrides: { jobTitle: null, room: null, phones: null, phone: ' ' },
    });
    expect(await changesOf(store, account)).toMatchObject([
      { after: { profile: { jobTitle: null, room: null, phones: null, phone: ' ' } } },
    ]);
    const before = await fingerprintOf(store, tenant);
    await edit(account, { jobTitle: null, room: '' });
    expect(await fingerprintOf(store, tenant)).toEqual(before);
  });

  test('"" of a new manual account is no value', async () => {
    const tenant = await tenantWith(store, fields);
    const account = await createdId(tenant, { userPrincipalName: '', mail: '', jobTitle: '', phone: '1' });
    expect(
      await ask(
        store,
        'select profile, edited_fields, mail, user_principal_name from directory.accounts where account_id = :account',
        { account },
      ),
    ).toEqual([{ profile: { phone: '1' }, edited_fields: ['phone'], mail: null, user_principal_name: null }]);
  });

  test('a value that is in force already writes nothing; the rest of the patch is applied', async () => {
    const tenant = await tenantWith(store, fields);
    const account = await accountOf(store, tenant, { mapped });
    await edit(account, { jobTitle: 'Boss' });
    const before = await fingerprintOf(store, tenant);
    for (const patch of [{}, { jobTitle: 'Boss' }]) {
      expect(await edit(account, patch, 'user', 'Bob')).toEqual({
        rows: [{ profile: { ...mapped, jobTitle: 'Boss' } }],
      });
    }
    expect(await fingerprintOf(store, tenant)).toBe(before);
    await edit(account, { jobTitle: 'Boss', phone: '1' }, 'user', 'Bob');
    expect(await changesOf(store, account)).toMatchObject([
      {},
      { actor: 'Bob', before: { profile: { phone: null } }, after: { profile: { phone: '1' } } },
    ]);
    expect((await changesOf(store, account))[1]?.after).toEqual({ profile: { phone: '1' } });
    expect((await storedAccount(store, account)).edits).toMatchObject({
      jobTitle: { by: 'Ann' },
      phone: { by: 'Bob' },
    });
  });

  test('the directory’s own value, given by a person, is the person’s from then on, also in the feed', async () => {
    const account = await accountOf(store, await tenantWith(store, fields), { mapped });
    await edit(account, { jobTitle: 'Clerk' });
    expect(await storedAccount(store, account)).toMatchObject({ overrides: { jobTitle: 'Clerk' }, moved: true });
    expect(await changesOf(store, account)).toMatchObject([
      { before: { profile: { jobTitle: 'Clerk' } }, after: { profile: { jobTitle: 'Clerk' } } },
    ]);
  });

  test('a value replaces a shelved edit', async () => {
    const tenant = await tenantWith(store, fields);
    const kept = { by: 'Bob', at: '2020-01-01T00:00:00Z' };
    const account = await accountOf(store, tenant, {
      state: 'manual',
      shelf: { jobTitle: 'Kept', phone: 'kept' },
      edits: { jobTitle: kept, phone: kept },
    });
    await edit(account, { jobTitle: 'New' });
    expect(await storedAccount(store, account)).toMatchObject({
      overrides: { jobTitle: 'New' },
      shelf: { phone: 'kept' },
      edits: { jobTitle: { by: 'Ann' }, phone: kept },
    });
    expect((await storedAccount(store, account)).shelf).toEqual({ phone: 'kept' });
  });

  test.each([
    [
      'a field that is not there',
      { jobTitle: 'x', nope: 1 },
      'user',
      'ES002',
      'there is no field "nope"',
      'The fields are: department, jobTitle, mail, phone.',
    ],
    [
      '__proto__',
      '{"__proto__": {"a": 1}, "jobTitle": "x"}',
      'user',
      'ES002',
      'there is no field "__proto__"',
      'The fields are:',
    ],
    ['constructor', { constructor: 'x' }, 'user', 'ES002', 'there is no field "constructor"', 'The fields are:'],
    [
      'a column that is no field',
      { account_id: 'x' },
      'user',
      'ES002',
      'there is no field "account_id"',
      'The fields are:',
    ],
    ['an empty name', { '': 'x' }, 'user', 'ES002', 'there is no field ""', 'The fields are:'],
    [
      'userPrincipalName, where it is no field',
      { userPrincipalName: 'x' },
      'user',
      'ES002',
      'there is no field "userPrincipalName"',
      'The fields are:',
    ],
    [
      'a field of the directory',
      { jobTitle: 'x', department: 'y' },
      'user',
      'ES001',
      'the field "department" is read-only: its owner is the directory',
      'Change it in Entra ID (department), or give it to the user in the settings (sourceOfTruth: hybrid, owner: user).',
    ],
    [
      'another role',
      { jobTitle: 'x' },
      'guest',
      'ES003',
      'the role "guest" may not edit the field "jobTitle"',
      'These may: user, manager.',
    ],
    ['no role', { jobTitle: 'x' }, null, 'ES003', 'the role null may not edit the field "jobTitle"', 'These may:'],
    [
      'a wrong value',
      { phone: 'x', jobTitle: 1 },
      'user',
      'ES005',
      'the value does not fit the field "jobTitle"',
      'a string of at most 32,768 characters',
    ],
    ['a list', [{ jobTitle: 'x' }], 'user', 'ES005', 'patch must be an object', 'Give the fields by name'],
    ['a string', '"jobTitle"', 'user', 'ES005', 'patch must be an object', 'Give the fields by name'],
    ['the null of JSON', 'null', 'user', 'ES005', 'patch must be an object', 'Give the fields by name'],
  ])('%s is refused by name, and nothing is written', async (_what, patch, role, code, message, hint) => {
    const tenant = await tenantWith(store, fields);
    const account = await accountOf(store, tenant, { mapped });
    const before = await fingerprintOf(store, tenant);
    expect(await edit(account, patch, role)).toEqual({ code, message, hint: expect.stringContaining(hint) });
    expect(await fingerprintOf(store, tenant)).toBe(before);
  });

  const constant = 'Its value is a constant of the settings: change it there, or give it to the user';
  test.each([
    [
      'that is not in the directory',
      null,
      'It is not in Entra ID: say in the settings where it comes from (from), or give it to the user',
    ],
    ['that is a constant', '"Contoso"', constant],
    ['that is a list of constants', '["a","b \\" c"]', constant],
    ['that is a number', '-12.5e+3', constant],
    [
      'made of a property',
      'businessPhones[0]',
      'Change it in Entra ID (businessPhones[0]), or give it to the user in the settings',
    ],
    [
      'made of a constant and a property',
      '"Dr." and surname joined with " "',
      'Change it in Entra ID ("Dr." and surname joined with " "), or give it to the user in the settings',
    ],
  ])('the hint of ES001 fits a field %s', async (_what, mappedFrom, hint) => {
    const tenant = await tenantWith(store, { pronouns: { owner: 'directory', mappedFrom } });
    expect(await edit(await accountOf(store, tenant), { pronouns: 'x' })).toEqual({
      code: 'ES001',
      message: 'the field "pronouns" is read-only: its owner is the directory',
      hint: `${hint} (sourceOfTruth: hybrid, owner: user).`,
    });
  });

  test('a message is one line, and short, whatever the name of the field', async () => {
    const account = await accountOf(store, await tenantWith(store, fields));
    const answer = await edit(account, { [`a\n"b${'x'.repeat(100_000)}`]: 1 });
    expect(answer).toMatchObject({ code: 'ES002', message: expect.stringMatching(/^there is no field "a\\n\\"bx+"$/) });
    expect('message' in answer && answer.message.length).toBeLessThan(200);
  });

  test('an SQL null is not a patch', async () => {
    const account = await accountOf(store, await tenantWith(store, fields));
    expect(await answerOf(client, `select directory.edit_account($1, null, 'Ann', 'user')`, [account])).toMatchObject({
      code: 'ES005',
      message: 'patch must be an object',
    });
  });

  test.each(['', ' \n', null, 'x'.repeat(1001)])('an actor must be named', async (actor) => {
    const account = await accountOf(store, await tenantWith(store, fields));
    expect(await edit(account, { phone: '1' }, 'user', actor)).toMatchObject({ code: '22023' });
    expect(await create(await tenantWith(store, fields), {}, actor)).toMatchObject({ code: '22023' });
  });

  test.each(['{"jobTitle": "a\\u0000b"}', '{"jobTitle": "\\ud800"}', '{"jobTitle": "a\0b"}'])(
    'text that Postgres cannot store is refused before any change: %j',
    async (patch) => {
      const account = await accountOf(store, await tenantWith(store, fields));
      expect(await edit(account, patch)).toMatchObject({ code: expect.stringMatching(/^22/) });
      expect((await storedAccount(store, account)).overrides).toEqual({});
    },
  );

  test('unknown and removed accounts are refused in the same words', async () => {
    const tenant = await tenantWith(store, fields);
    const gone = await accountOf(store, tenant, { state: 'manual' });
    await remove(gone);
    for (const account of [gone, randomUUID()]) {
      const refusal = { code: 'ES004', message: `there is no account ${account}` };
      expect(await edit(account, { phone: '1' })).toMatchObject(refusal);
      expect(await revert(account, null)).toMatchObject(refusal);
      expect(await remove(account)).toMatchObject(refusal);
    }
    expect(await edit(null, { phone: '1' })).toMatchObject({ code: 'ES004', message: 'there is no account null' });
  });
});

describe('the keys of a manual account', () => {
  const withKeys = { ...fields, userPrincipalName: {} };

  test('follow the edits of mail and user principal name; null and "" are no keys; a revert restores the directory’s', async () => {
    const tenant = await tenantWith(store, withKeys);
    const source = { mail: 'old@example.com', userPrincipalName: 'old@example.com' };
    const account = await accountOf(store, tenant, {
      state: 'manual',
      mapped: source,
      source,
      mail: source.mail,
      principal: source.userPrincipalName,
    });
    await edit(account, { mail: 'New@example.com', userPrincipalName: 'New@example.com' });
    expect(await storedAccount(store, account)).toMatchObject({
      mail: 'New@example.com',
      user_principal_name: 'New@example.com',
    });
    expect(await changesOf(store, account)).toMatchObject([
      {
        before: { mail: 'old@example.com', user_principal_name: 'old@example.com', profile: source },
        after: {
          mail: 'New@example.com',
          user_principal_name: 'New@example.com',
          profile: { mail: 'New@example.com' },
        },
      },
    ]);
    await edit(account, { mail: null, userPrincipalName: '' });
    expect(await storedAccount(store, account)).toMatchObject({ mail: null, user_principal_name: null });
    await revert(account, ['mail']);
    expect(await storedAccount(store, account)).toMatchObject({ mail: 'old@example.com', user_principal_name: null });
    await revert(account, null);
    expect(await storedAccount(store, account)).toMatchObject({
      mail: 'old@example.com',
      user_principal_name: 'old@example.com',
    });
  });

  test('stay the directory’s on a managed account', async () => {
    const account = await accountOf(store, await tenantWith(store, withKeys), { mapped, mail: 'ann@example.com' });
    await edit(account, { mail: 'other@example.com', userPrincipalName: 'other@example.com' });
    expect(await storedAccount(store, account)).toMatchObject({ mail: 'ann@example.com', user_principal_name: null });
  });

  test.each(['mail', 'userPrincipalName'])(
    '%s of another live account of the tenant is refused, in any case',
    async (key) => {
      const tenant = await tenantWith(store, withKeys);
      const seed = key === 'mail' ? { mail: 'Taken@example.com' } : { principal: 'Taken@example.com' };
      await accountOf(store, tenant, seed);
      await accountOf(store, await tenantWith(store, withKeys), {
        mail: 'free@example.com',
        principal: 'free@example.com',
      });
      const account = await accountOf(store, tenant, { state: 'manual' });
      const before = await fingerprintOf(store, tenant);
      const refusal = {
        code: 'ES008',
        message: `a live account of this tenant already has this ${key}`,
        hint: expect.stringContaining('directory.accounts'),
      };
      expect(await edit(account, { [key]: 'tAKEN@example.com', phone: '1' })).toEqual(refusal);
      expect(await create(tenant, { [key]: 'tAKEN@example.com' })).toEqual(refusal);
      expect(await fingerprintOf(store, tenant)).toBe(before);
      const other = key === 'mail' ? 'userPrincipalName' : 'mail';
      for (const free of [{ [other]: 'taken@example.com' }, { [key]: 'free@example.com' }])
        expect(await edit(account, free)).toMatchObject({ rows: [{}] });
    },
  );

  test('a removed account’s key is free; a revert to a key that is taken meanwhile is refused', async () => {
    const tenant = await tenantWith(store, withKeys);
    const gone = await createdId(tenant, { mail: 'a@example.com' });
    await remove(gone);
    const first = await accountOf(store, tenant, {
      state: 'manual',
      source: { mail: 'b@example.com' },
      mail: 'b@example.com',
    });
    await edit(first, { mail: 'a@example.com' });
    expect((await storedAccount(store, first)).mail).toBe('a@example.com');
    await createdId(tenant, { mail: 'B@example.com' });
    expect(await revert(first, null)).toMatchObject({ code: 'ES008' });
    expect((await storedAccount(store, first)).mail).toBe('a@example.com');
  });

  test('a key has at most 320 characters and is a string', async () => {
    const tenant = await tenantWith(store, { mail: { valueType: 'any' } });
    const account = await accountOf(store, tenant, { state: 'manual' });
    // Incompressible letters of four bytes make the longest entry of the index.
    const long = Array.from({ length: 320 }, (_, n) => String.fromCodePoint(0x1f300 + ((n * 7919) % 700))).join('');
    expect(await edit(account, { mail: long })).toMatchObject({ rows: [{}] });
    for (const mail of [`${long}x`, ['a'], 1]) {
      expect(await edit(account, { mail })).toMatchObject({ code: 'ES005', hint: expect.stringContaining('320') });
      expect(await create(tenant, { mail })).toMatchObject({ code: 'ES005' });
    }
    expect(await create(tenant, { userPrincipalName: `${long}x` })).toMatchObject({ code: 'ES005' });
  });
});

describe('revert_account', () => {
  test('reverts the named fields, with one change row, and deletes their actors', async () => {
    const account = await accountOf(store, await tenantWith(store, fields), { mapped });
    await edit(account, { jobTitle: 'Boss', phone: '1' });
    expect(await revert(account, ['jobTitle', 'mail', 'jobTitle'])).toEqual({
      rows: [{ profile: { ...mapped, phone: '1' } }],
    });
    const stored = await storedAccount(store, account);
    expect(stored.overrides).toEqual({ phone: '1' });
    expect(Object.keys(stored.edits)).toEqual(['phone']);
    expect((await changesOf(store, account))[1]).toEqual({
      kind: 'account.edited',
      actor: 'Ann',
      before: { profile: { jobTitle: 'Boss' } },
      after: { profile: { jobTitle: 'Clerk' } },
      told: true,
    });
  });

  test('without names it reverts the fields that the role may edit, and no others', async () => {
    const tenant = await tenantWith(store, { ...fields, phone: { editableBy: ['manager'] } });
    const account = await accountOf(store, tenant, { mapped });
    await edit(account, { jobTitle: 'Boss', phone: '1' }, 'manager');
    expect(await revert(account, null, 'user')).toMatchObject({
      rows: [{ profile: { jobTitle: 'Clerk', phone: '1' } }],
    });
    const before = await fingerprintOf(store, tenant);
    expect(await revert(account, null, 'user')).toMatchObject({ rows: [{}] });
    expect(await revert(account, [], 'manager')).toMatchObject({ rows: [{}] });
    expect(await fingerprintOf(store, tenant)).toBe(before);
    for (const role of ['guest', null]) expect(await revert(account, null, role)).toMatchObject({ code: 'ES003' });
    expect(await revert(account, null, 'manager')).toEqual({ rows: [{ profile: mapped }] });
  });

  test('refuses like an edit, all or nothing', async () => {
    const tenant = await tenantWith(store, { ...fields, phone: { editableBy: ['manager'] } });
    const account = await accountOf(store, tenant, { mapped });
    await edit(account, { jobTitle: 'Boss', phone: '1' }, 'manager');
    const before = await fingerprintOf(store, tenant);
    expect(await revert(account, ['jobTitle', 'nope'])).toMatchObject({
      code: 'ES002',
      message: 'there is no field "nope"',
    });
    expect(await revert(account, ['jobTitle', null])).toMatchObject({ code: 'ES002' });
    expect(await revert(account, ['jobTitle', 'department'])).toMatchObject({ code: 'ES001' });
    expect(await revert(account, ['jobTitle', 'phone'])).toMatchObject({ code: 'ES003' });
    expect(await fingerprintOf(store, tenant)).toBe(before);
  });

  test('deletes a field that is no longer in the settings, on a manual account, for a role that may remove those', async () => {
    const tenant = await tenantWith(store, fields);
    await ask(store, "update entra_sync.tenants set manual_roles = '{manager}' where tenant_id = :tenant", { tenant });
    const overrides = { jobTitle: 'Boss', website: 'http://old' };
    const [manual, managed] = [
      await accountOf(store, tenant, { state: 'manual', overrides, edits: { website: { by: 'Bob' } } }),
      await accountOf(store, tenant, { overrides }),
    ];
    expect(await revert(manual, ['website'], 'user')).toMatchObject({ code: 'ES002' });
    expect(await revert(managed, ['website'], 'manager')).toMatchObject({ code: 'ES002' });
    expect(await revert(manual, ['website'], 'manager')).toEqual({ rows: [{ profile: { jobTitle: 'Boss' } }] });
    const other = await accountOf(store, tenant, { state: 'manual', overrides });
    expect(await revert(other, null, 'manager')).toEqual({ rows: [{ profile: {} }] });
    expect(await revert(other, ['website'], 'manager')).toMatchObject({ code: 'ES002' });
  });

  test('leaves shelved edits and their actors', async () => {
    const kept = { by: 'Bob', at: '2020-01-01T00:00:00Z' };
    const account = await accountOf(store, await tenantWith(store, fields), {
      state: 'manual',
      shelf: { department: 'Kept' },
      edits: { department: kept },
    });
    await revert(account, ['department']);
    expect(await storedAccount(store, account)).toMatchObject({
      shelf: { department: 'Kept' },
      edits: { department: kept },
      moved: false,
    });
  });
});

describe('create_account', () => {
  test('creates a manual account whose values are edits, with one change row', async () => {
    const tenant = await tenantWith(store, fields);
    const profile = { jobTitle: 'Boss', department: 'Sales', mail: 'Ann@example.com', phone: null };
    const account = await createdId(tenant, { ...profile, userPrincipalName: 'ann@example.com' });
    const { phone: _, ...values } = profile;
    expect(
      await ask(
        store,
        'select state, enabled, entra_object_id, mail, user_principal_name, profile, overrides, mapped from entra_sync.accounts where account_id = :account',
        { account },
      ),
    ).toEqual([
      {
        state: 'manual',
        enabled: true,
        entra_object_id: null,
        mail: 'Ann@example.com',
        user_principal_name: 'ann@example.com',
        profile: values,
        overrides: values,
        mapped: {},
      },
    ]);
    expect(Object.keys((await storedAccount(store, account)).edits).sort()).toEqual(Object.keys(values).sort());
    expect(await changesOf(store, account)).toEqual([
      {
        kind: 'account.created',
        actor: 'Ann',
        before: null,
        after: {
          entra_object_id: null,
          state: 'manual',
          enabled: true,
          mail: 'Ann@example.com',
          user_principal_name: 'ann@example.com',
          profile: values,
        },
        told: true,
      },
    ]);
  });

  test('accepts userPrincipalName if the tenant has it as a field', async () => {
    const account = await createdId(await tenantWith(store, { userPrincipalName: {} }), {
      userPrincipalName: 'ann@example.com',
    });
    expect(await storedAccount(store, account)).toMatchObject({
      user_principal_name: 'ann@example.com',
      overrides: { userPrincipalName: 'ann@example.com' },
    });
  });

  test('refuses invalid values, and creates no account', async () => {
    const tenant = await tenantWith(store, fields);
    const before = await fingerprintOf(store, tenant);
    expect(await create(tenant, { jobTitle: 'x', nope: 1 })).toMatchObject({
      code: 'ES002',
      message: 'there is no field "nope"',
      hint: 'The fields are: department, jobTitle, mail, phone, userPrincipalName.',
    });
    expect(await create(tenant, { jobTitle: 1 })).toMatchObject({ code: 'ES005' });
    expect(await create(tenant, { userPrincipalName: 1 })).toMatchObject({ code: 'ES005' });
    expect(await create(tenant, [])).toMatchObject({ code: 'ES005', message: 'profile must be an object' });
    for (const nobody of [randomUUID(), null])
      expect(await create(nobody, {})).toMatchObject({ code: 'ES004', message: `there is no tenant ${nobody}` });
    expect(await fingerprintOf(store, tenant)).toBe(before);
  });
});

describe('remove_account', () => {
  test('hides a manual account until the retention has passed, and ends its memberships in the feed', async () => {
    const tenant = await tenantWith(store, fields);
    await ask(store, "update entra_sync.tenants set retention = '3 days' where tenant_id = :tenant", { tenant });
    const object = randomUUID();
    const account = await accountOf(store, tenant, { state: 'manual', objectId: object });
    await ask(
      store,
      `with made as (
         insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source, display_name, removed_at, removed_reason, purge_at)
         select :tenant, gen_random_uuid(), 'managed', 'security', false, '{}', n, r, case when r is not null then 'deleted' end, r
           from (values ('live', null), ('gone', now())) g (n, r) returning group_no)
       ${storing("select :tenant::uuid as tenant_id, group_no, :object::uuid as member_object_id, 'u' as member_type from made")}`,
      { tenant, object },
    );
    expect(await remove(account)).toMatchObject({ rows: [{}] });
    expect(
      await ask(
        store,
        `select removed_reason, purge_at - removed_at as kept, updated_at = removed_at as moved from entra_sync.accounts where account_id = :account`,
        { account },
      ),
    ).toEqual([{ removed_reason: 'by_hand', kept: { days: 3 }, moved: true }]);
    expect(await ask(store, 'select from directory.accounts where account_id = :account', { account })).toEqual([]);
    const [live] = await ask(
      store,
      "select group_id from entra_sync.groups where tenant_id = :tenant and display_name = 'live'",
      { tenant },
    );
    expect(
      await ask(
        store,
        'select c.kind, c.actor, c.group_id, c.before, c.after from directory.read_changes(null) c where c.tenant_id = :tenant',
        { tenant },
      ),
    ).toEqual([
      { kind: 'membership.removed', actor: 'Ann', group_id: live?.group_id, before: null, after: null },
      { kind: 'account.removed', actor: 'Ann', group_id: null, before: null, after: { removed: 'by_hand' } },
    ]);
  });

  test('refuses managed accounts and roles without the right', async () => {
    const tenant = await tenantWith(store, fields);
    await ask(store, "update entra_sync.tenants set manual_roles = '{manager}' where tenant_id = :tenant", { tenant });
    const managed = await accountOf(store, tenant);
    const manual = await accountOf(store, tenant, { state: 'manual' });
    const before = await fingerprintOf(store, tenant);
    expect(await remove(managed)).toEqual({
      code: 'ES007',
      message: `account ${managed} is managed by the directory: it is not removed by hand`,
      hint: expect.stringContaining('Delete the user in Entra ID'),
    });
    for (const role of ['user', 'guest', null]) {
      expect(await remove(manual, role)).toEqual({
        code: 'ES003',
        message: `the role ${role === null ? 'null' : `"${role}"`} may not remove accounts`,
        hint: 'manual.editableBy in the settings says who may: manager.',
      });
    }
    expect(await fingerprintOf(store, tenant)).toBe(before);
  });
});

test('several edits of one transaction are in the feed in their order, and a rollback leaves nothing', async () => {
  const tenant = await tenantWith(store, fields);
  const account = await accountOf(store, tenant);
  const before = await fingerprintOf(store, tenant);
  await client.query('begin');
  await edit(account, { phone: '1' });
  await client.query('rollback');
  expect(await fingerprintOf(store, tenant)).toBe(before);
  await client.query('begin');
  await edit(account, { phone: '1' });
  await edit(account, { phone: '2' });
  await client.query('commit');
  expect(
    await ask(
      store,
      "select c.after #>> '{profile,phone}' as phone from directory.read_changes(null) c where c.account_id = :account",
      { account },
    ),
  ).toEqual([{ phone: '1' }, { phone: '2' }]);
});

test('a field that the directory gets is read-only from that commit on', async () => {
  const tenant = await tenantWith(store, fields);
  const account = await accountOf(store, tenant);
  await edit(account, { phone: '1' });
  await setRule(store, tenant, 'phone', { owner: 'directory' });
  expect(await edit(account, { phone: '2' })).toMatchObject({ code: 'ES001' });
});

describe('rule 27: one call has limits, and the hint says their numbers', () => {
  const names = Array.from({ length: 501 }, (_, n) => `field${n}`);
  const patchOf = (count: number, value: string | null) =>
    Object.fromEntries(names.slice(0, count).map((name) => [name, value]));
  const tooMany = { code: 'ES005', hint: 'It takes at most 500 fields.' };
  const tooLarge = { code: 'ES005', hint: expect.stringMatching(/^It takes at most 1,048,576 bytes of JSON\./) };
  let tenant: string;

  beforeAll(async () => {
    tenant = await tenantWith(store, Object.fromEntries(names.map((name) => [name, {}])));
  });

  test('500 fields are edited at once, and 501 are refused, also as a revert or a new account', async () => {
    const account = await accountOf(store, tenant, {});
    expect(await edit(account, patchOf(500, 'x'))).toMatchObject({ rows: [{ profile: patchOf(500, 'x') }] });
    expect(await edit(account, patchOf(501, 'y'))).toMatchObject({ ...tooMany, message: 'patch names 501 fields' });
    expect(await revert(account, names)).toMatchObject({ ...tooMany, message: 'fields names 501 fields' });
    expect(await create(tenant, patchOf(501, 'x'))).toMatchObject({ ...tooMany, message: 'profile names 501 fields' });
    expect((await storedAccount(store, account)).overrides).toEqual(patchOf(500, 'x'));
    expect(await revert(account, names.slice(0, 500))).toEqual({ rows: [{ profile: {} }] });
  });

  test('a mebibyte of JSON is edited at once, and a byte more is refused, wherever it comes from', async () => {
    const account = await accountOf(store, tenant, {});
    // As Postgres writes it: `{"field0": "…", …}`. An emoji has four bytes.
    const patch = patchOf(8, '😀'.repeat(32_760));
    const left = 1_048_576 - (await bytesOf(patch)) - Buffer.byteLength(', "field8": ""');
    const whole = { ...patch, field8: 'x'.repeat(left) };
    expect(await edit(account, whole)).toMatchObject({ rows: [{}] });
    const more = { ...patch, field8: 'x'.repeat(left + 1) };
    expect(await edit(account, more)).toMatchObject({ ...tooLarge, message: 'patch is too large' });
    expect(await create(tenant, more)).toMatchObject({ ...tooLarge, message: 'profile is too large' });
    const compressed = await answerOf(
      client,
      `with given as materialized (select jsonb_build_object('field0', repeat('x', 1048576)) as patch)
       select directory.edit_account($1, patch, 'Ann', 'user') from given`,
      [account],
    );
    expect(compressed).toMatchObject(tooLarge);
    expect((await storedAccount(store, account)).overrides).toEqual(whole);
  });

  async function bytesOf(patch: object): Promise<number> {
    const [row] = await ask<{ bytes: number }>(store, 'select octet_length((:patch::jsonb)::text) as bytes', {
      patch: JSON.stringify(patch),
    });
    return row?.bytes ?? 0;
  }
});
