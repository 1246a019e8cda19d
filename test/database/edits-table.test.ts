// Every combination of state, owner, role and value, compared with an expectation computed here.
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  accountOf,
  answerOf,
  type EditStore,
  openEditStore,
  storedAccount,
  tenantWith,
} from '../support/people-edit.ts';

const roles = ['user', 'manager', 'guest', '', null] as const;
const owners = ['directory', 'user'] as const;
const states = ['managed', 'manual'] as const;
const editors = [[], ['user'], ['manager'], ['user', 'manager']];
const types = ['text', 'text[]', 'number', 'boolean', 'any'] as const;

type Type = (typeof types)[number];

/** A value, and the types of field that accept it. */
const values: Record<string, { value: unknown; fits: readonly Type[] }> = {
  null: { value: null, fits: types },
  'an empty string': { value: '', fits: types },
  'a string': { value: 'Clerk', fits: ['text', 'any'] },
  'a string of 32,768 characters': { value: '😀'.repeat(32_768), fits: ['text', 'any'] },
  'a string of 32,769 characters': { value: 'x'.repeat(32_769), fits: [] },
  'half a megabyte': { value: 'x'.repeat(524_288), fits: [] },
  'a string that looks like JSON': { value: '{"a": 1}', fits: ['text', 'any'] },
  'a number': { value: -1.5, fits: ['number', 'any'] },
  zero: { value: 0, fits: ['number', 'any'] },
  true: { value: true, fits: ['boolean', 'any'] },
  false: { value: false, fits: ['boolean', 'any'] },
  'an empty list': { value: [], fits: ['text[]', 'any'] },
  'a list of strings': { value: ['a', ''], fits: ['text[]', 'any'] },
  'a list of 100': { value: Array(100).fill('a'), fits: ['text[]', 'any'] },
  'a list of 101': { value: Array(101).fill('a'), fits: [] },
  'a list with a number': { value: ['a', 1, true], fits: ['any'] },
  'a list with a long string': { value: ['x'.repeat(32_769)], fits: [] },
  'a list with null': { value: ['a', null], fits: [] },
  'a list of lists': { value: [['a']], fits: [] },
  'a list of objects': { value: [{}], fits: [] },
  'an object': { value: { a: 'b' }, fits: [] },
};

let store: EditStore;
let client: Client;

beforeAll(async () => {
  store = await openEditStore();
  client = await (await store.application({ grant: 'open' })).connect();
});

afterAll(() => store.close());

const edit = (account: string, patch: string, role: string | null) =>
  answerOf(client, 'select directory.edit_account($1, $2, $3, $4) as profile', [account, patch, 'Ann', role]);

type Case = {
  state: (typeof states)[number];
  owner: (typeof owners)[number];
  editable: string[];
  role: (typeof roles)[number];
};

/** The SQLSTATE that must refuse the case, whatever the value. */
function refusalOf({ state, owner, editable, role }: Case): string | undefined {
  if (state === 'managed' && owner === 'directory') return 'ES001';
  return role !== null && editable.includes(role) ? undefined : 'ES003';
}

const cases: Case[] = states.flatMap((state) =>
  owners.flatMap((owner) => editors.flatMap((editable) => roles.map((role) => ({ state, owner, editable, role })))),
);

describe('the right to edit', () => {
  test.each(cases)('$state, owned by $owner, editable by $editable, as $role', async (one) => {
    const { state, owner, editable, role } = one;
    const other = editable.length === 0 ? ['user', 'manager'] : [];
    // The list of the other state says the opposite, which shows which one is used.
    const tenant = await tenantWith(store, {
      jobTitle: {
        owner,
        editableBy: state === 'managed' ? editable : other,
        manualEditableBy: state === 'manual' ? editable : other,
      },
    });
    for (const before of [{}, { jobTitle: 'Old' }]) {
      for (const value of ['absent', null, '', 'Clerk', 7]) {
        const seeded = {
          state,
          mapped: { jobTitle: 'Mapped' },
          overrides: owner === 'user' || state === 'manual' ? before : {},
        };
        const account = await accountOf(store, tenant, seeded);
        const patch = value === 'absent' ? {} : { jobTitle: value };
        const answer = await edit(account, JSON.stringify(patch), role);
        const code = value === 'absent' ? undefined : (refusalOf(one) ?? (value === 7 ? 'ES005' : undefined));
        const stored = await storedAccount(store, account);
        const label = [value, before];
        if (code === undefined) {
          // An emptied input of a form clears like null.
          const stores = value === '' ? { jobTitle: null } : patch;
          const { jobTitle } = { ...seeded.mapped, ...seeded.overrides, ...stores };
          const profile = jobTitle === null ? {} : { jobTitle };
          expect([label, answer]).toEqual([label, { rows: [{ profile }] }]);
          expect(stored.overrides).toEqual({ ...seeded.overrides, ...stores });
        } else {
          expect([label, answer]).toMatchObject([label, { code, message: expect.stringContaining('"jobTitle"') }]);
          expect(stored.overrides).toEqual(seeded.overrides);
        }
        expect([label, stored.moved]).toEqual([label, code === undefined && value !== 'absent']);
      }
    }
  });
});

describe('the values that fit a field', () => {
  test.each(types.flatMap((type) => Object.keys(values).map((name) => ({ type, name }))))(
    '$name to a field of $type',
    async ({ type, name }) => {
      const { value, fits } = values[name] ?? { value: undefined, fits: [] };
      const tenant = await tenantWith(store, { field: { valueType: type } });
      const account = await accountOf(store, tenant);
      const answer = await edit(account, JSON.stringify({ field: value }), 'user');
      const profile = value === null || value === '' ? {} : { field: value };
      if (fits.includes(type)) expect(answer).toEqual({ rows: [{ profile }] });
      else {
        expect(answer).toMatchObject({
          code: 'ES005',
          message: 'the value does not fit the field "field"',
          hint: expect.stringContaining('null clears it'),
        });
        expect(await storedAccount(store, account)).toMatchObject({ overrides: {}, moved: false });
      }
    },
  );

  test.each(['1e309', '-1e309', '1e131000', `0.${'0'.repeat(500)}1`, `[1e309]`])(
    'a number outside the range of a double: %s',
    async (number) => {
      const tenant = await tenantWith(store, { field: { valueType: 'number' }, any: { valueType: 'any' } });
      const account = await accountOf(store, tenant);
      for (const field of ['field', 'any'])
        expect(await edit(account, `{"${field}": ${number}}`, 'user')).toMatchObject({ code: 'ES005' });
    },
  );
});
