// COLUMN and DETAIL of the errors of the functions that edit accounts: the field, and facts without values.
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { RefusalDetail } from '../../directory.d.ts';
import { accountOf, type EditStore, openEditStore, tenantWith } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';

// Part of every value below: it must not be in an error.
const secret = 'geheim7391';
const long = secret + 'x'.repeat(33_000);
const taken = `${secret}@example.com`;

let store: EditStore;
let client: Client;
let ids: { tenant: string; managed: string; manual: string; closed: string };

beforeAll(async () => {
  store = await openEditStore();
  client = await (await store.application({ grant: 'open' })).connect();
  const tenant = await tenantWith(store, {
    jobTitle: { owner: 'directory' },
    nickname: {},
    salary: { editableBy: ['manager'], manualEditableBy: [], valueType: 'number' },
    tags: { valueType: 'text[]' },
    remote: { valueType: 'boolean' },
    notes: { valueType: 'any' },
    mail: {},
    badge: { max: 9 },
    zip: { pattern: '[0-9]{5}' },
  });
  const closedTenant = await tenantWith(store, {});
  await ask(store, `update entra_sync.tenants set manual_roles = '{manager}' where tenant_id = :closedTenant`, {
    closedTenant,
  });
  await accountOf(store, tenant, { mail: taken, principal: taken });
  ids = {
    tenant,
    managed: await accountOf(store, tenant),
    manual: await accountOf(store, tenant, { state: 'manual' }),
    closed: await accountOf(store, closedTenant, { state: 'manual' }),
  };
});

afterAll(() => store.close());

type Of = keyof typeof ids;
const edit = (of: Of, patch: unknown, role = 'user') => ({
  sql: 'select directory.edit_account($1, $2, $3, $4)',
  of,
  rest: [JSON.stringify(patch), 'Ann', role],
});
const create = (profile: unknown) => ({
  sql: 'select directory.create_account($1, $2, $3)',
  of: 'tenant' as const,
  rest: [JSON.stringify(profile), 'Ann'],
});
const revert = (of: Of, fields: unknown, role = 'user') => ({
  sql: 'select directory.revert_account($1, $2, $3, $4)',
  of,
  rest: [fields, 'Ann', role],
});
const remove = (of: Of, role: string) => ({
  sql: 'select directory.remove_account($1, $2, $3)',
  of,
  rest: ['Ann', role],
});

const known = ['badge', 'jobTitle', 'mail', 'nickname', 'notes', 'remote', 'salary', 'tags', 'zip'];
const many = Object.fromEntries(Array.from({ length: 501 }, (_, n) => [`f${n}`, secret]));

test.each([
  ['a field of the directory', edit('managed', { jobTitle: secret }), 'jobTitle', 'ES001', { owner: 'directory' }],
  ['its revert', revert('managed', ['jobTitle']), 'jobTitle', 'ES001', { owner: 'directory' }],
  ['no such field', edit('managed', { nick: secret }), 'nick', 'ES002', { fields: known }],
  ['its revert', revert('managed', ['nick']), 'nick', 'ES002', { fields: known }],
  [
    'no such field of a new account',
    create({ nick: secret }),
    'nick',
    'ES002',
    { fields: [...known, 'userPrincipalName'].sort() },
  ],
  ['another role', edit('managed', { salary: secret }), 'salary', 'ES003', { roles: ['manager'] }],
  ['no role', edit('manual', { salary: secret }), 'salary', 'ES003', { roles: [] }],
  ['its revert', revert('managed', ['salary']), 'salary', 'ES003', { roles: ['manager'] }],
  ['a revert by no role', revert('managed', null, 'owner'), undefined, 'ES003', { roles: ['user', 'manager'] }],
  ['a removal by another role', remove('closed', 'user'), undefined, 'ES003', { roles: ['manager'] }],
  ['a text', edit('managed', { nickname: long }), 'nickname', 'ES005', { type: 'text', max_length: 32_768 }],
  ['a text beyond max', edit('managed', { badge: secret }), 'badge', 'ES005', { type: 'text', max_length: 9 }],
  ['a text beside pattern', edit('managed', { zip: secret }), 'zip', 'ES005', { type: 'text', pattern: '[0-9]{5}' }],
  ['a number', edit('managed', { salary: secret }, 'manager'), 'salary', 'ES005', { type: 'number' }],
  ['a list', edit('managed', { tags: secret }), 'tags', 'ES005', { type: 'text[]', max_items: 100 }],
  ['true or false', edit('managed', { remote: secret }), 'remote', 'ES005', { type: 'boolean' }],
  ['anything', edit('managed', { notes: { secret } }), 'notes', 'ES005', { type: 'any', max_items: 100 }],
  ['a key', edit('manual', { mail: long }), 'mail', 'ES005', { type: 'text', max_length: 320 }],
  [
    'a key of a new account',
    create({ userPrincipalName: long }),
    'userPrincipalName',
    'ES005',
    { type: 'text', max_length: 320 },
  ],
  ['no object', edit('managed', secret), undefined, 'ES005', { type: 'object' }],
  ['too many fields', edit('managed', many), undefined, 'ES005', { max_fields: 500 }],
  ['too large', create({ nickname: secret.repeat(110_000) }), undefined, 'ES005', { max_bytes: 1_048_576 }],
  ['a taken mail', edit('manual', { mail: taken }), 'mail', 'ES008', {}],
  ['a taken mail of a new account', create({ mail: taken }), 'mail', 'ES008', {}],
  ['a taken name', create({ userPrincipalName: taken }), 'userPrincipalName', 'ES008', {}],
] as const)('%s: COLUMN and DETAIL name the field, and no value', async (_, call, field, code, facts) => {
  const error = await client.query(call.sql, [ids[call.of], ...call.rest]).then(
    () => expect.unreachable(),
    (refused) => refused,
  );
  expect({ code: error.code, column: error.column }).toEqual({ code, column: field });
  const told: RefusalDetail = { code, ...(field === undefined ? {} : { field }), ...(facts as Partial<RefusalDetail>) };
  expect(JSON.parse(error.detail)).toEqual(told);
  for (const part of [error.message, error.detail, error.hint, error.column ?? '']) expect(part).not.toContain(secret);
});

test('a name that no settings have is cut, and none at all is no field', async () => {
  const { sql, rest } = edit('managed', { ['n'.repeat(3_000)]: 1 });
  const cut = await client.query(sql, [ids.managed, ...rest]).catch((error) => error);
  expect([cut.column, JSON.parse(cut.detail).field]).toEqual(['n'.repeat(80), 'n'.repeat(80)]);
  const none = revert('managed', [null]);
  const refused = await client.query(none.sql, [ids.managed, ...none.rest]).catch((error) => error);
  expect([refused.code, JSON.parse(refused.detail)]).toEqual(['ES002', { code: 'ES002', fields: known }]);
});
