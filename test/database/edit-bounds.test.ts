// The bounds that the settings give an edit: max and pattern. What is stored stays.
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { patternProblem } from '../../src/rules/patterns.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { accountOf, answerOf, type EditStore, openEditStore, setRule, tenantWith } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';

let store: EditStore;
let client: Client;

beforeAll(async () => {
  store = await openEditStore();
  client = await (await store.application({ grant: 'open' })).connect();
});

afterAll(() => store.close());

const edit = (account: string, patch: object) =>
  answerOf(client, 'select directory.edit_account($1, $2, $3, $4) as profile', [account, patch, 'Ann', 'user']);

test('an edit beyond max or pattern is ES005 with the bound in the hint; null, "" and what is stored are not', async () => {
  const tenant = await tenantWith(store, {
    pronouns: {},
    phones: { valueType: 'text[]' },
    rank: { valueType: 'number' },
  });
  const account = await accountOf(store, tenant, { mapped: {} });
  expect(await edit(account, { pronouns: 'x'.repeat(2_000), phones: ['x'.repeat(50)] })).toHaveProperty('rows');
  await setRule(store, tenant, 'pronouns', { max: 1_256 });
  await setRule(store, tenant, 'phones', { valueType: 'text[]', max: 6, pattern: '\\+\\d+' });
  await setRule(store, tenant, 'rank', { valueType: 'number', max: 1, pattern: 'a' });
  expect(
    await ask(store, 'select profile from directory.accounts where account_id = :account', { account }),
  ).toMatchObject([{ profile: { pronouns: 'x'.repeat(2_000) } }]);
  const refused = { code: 'ES005', message: 'the value does not fit the field "pronouns"' };
  expect(await edit(account, { pronouns: '😀'.repeat(1_257) })).toMatchObject({
    ...refused,
    hint: 'null clears it; else it takes at most 1,256 characters.',
  });
  expect(await edit(account, { phones: ['+1', '1'] })).toMatchObject({
    code: 'ES005',
    hint: 'null clears it; else it takes what matches \\+\\d+ as a whole.',
  });
  expect(await edit(account, { phones: ['+1', '+123456'] })).toMatchObject({
    hint: 'null clears it; else it takes at most 6 characters.',
  });
  expect(await edit(account, { pronouns: '😀'.repeat(1_256), phones: ['+1', '+12345'], rank: 77 })).toHaveProperty(
    'rows',
  );
  expect(await edit(account, { pronouns: null, phones: '' })).toHaveProperty('rows');

  const create = (profile: object) =>
    answerOf(client, 'select directory.create_account($1, $2, $3) as id', [tenant, profile, 'Ann']);
  expect(await create({ phones: ['x'] })).toMatchObject({ code: 'ES005' });
  expect(await create({ phones: ['+1'], userPrincipalName: 'a@b.example' })).toHaveProperty('rows');
});

const shipped = (field: string) => String(loadDefaults().fields?.[field]?.pattern);

test.each([
  ['she/her|he/him', ['she/her', 'he/him', 'she/her ', 'she/herhe/him', '']],
  ['\\+[0-9 ]{6,20}', ['+1 555 0100', '+1', '1 555 0100', '+1 555 0100x']],
  ['[^<>]*', ['a b', 'a<b', '']],
  ['[\\d\\-\\]\\\\]+', ['1-]\\', 'a']],
  ['[A-Za-zÀ-ÿ -]{1,40}', ['Käthe-Zoë', 'a'.repeat(41), '1']],
  ['(a|b)?c\\.', ['ac.', 'c.', 'abc.', 'acx']],
  ['.', ['😀', 'ab']],
  ['[\\(\\)\\/.\\-]+', ['(1)/.-', '[', '\\\\']],
  [
    shipped('mobilePhone'),
    ['+1 (206) 555-0100 ext. 12', '+49 89/1234–5', '+33\u00a01\u00a023', 'ask', '12', '+1 206 x'],
  ],
  [
    shipped('linkedIn'),
    ['https://de.linkedin.com/in/ann', 'https://linkedin.com.evil.example/in/ann', 'https://linkedin.com/a b'],
  ],
  [shipped('website'), ['https://münchen.de/a?b=c', 'https://localhost', 'www.example.com', 'https://a b.example']],
])('%s means the same to Postgres and in a form', async (pattern, values) => {
  expect(patternProblem(pattern)).toBeUndefined();
  const found = await ask<{ matches: boolean }>(
    store,
    // A question mark would be a binding.
    `select v ~ ('^(' || chr(63) || ':' || :pattern || ')$') as matches from unnest(:values::text[]) with ordinality as t (v, n) order by n`,
    { pattern, values },
  );
  const inForm = new RegExp(`^(?:${pattern})$`, 'u');
  expect(found.map((row) => row.matches)).toEqual(values.map((value) => inForm.test(value)));
});

// Where a pattern needed backtracking these would not end.
test.each(['(?:a+)+b', '(?:a|aa)+b', '(a*)*b', '(?:(?:a{0,9}){0,9}){0,9}b', '(.*)(.*)(.*)(.*)b'])(
  '%s is decided about the longest value',
  async (pattern) => {
    expect(patternProblem(pattern)).toBeUndefined();
    const tenant = await tenantWith(store, { pronouns: {} });
    await setRule(store, tenant, 'pronouns', { pattern });
    const account = await accountOf(store, tenant, { mapped: {} });
    expect(await edit(account, { pronouns: 'a'.repeat(32_768) })).toMatchObject({ code: 'ES005' });
  },
);
