// From source documents to profile fields, match keys and $select.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Json, Source } from '../../src/rules/decode.ts';
import { parseExpression, type WrittenExpression } from '../../src/rules/expressions.ts';
import { alwaysSelected, mapUser, selectedProperties, userKeys } from '../../src/rules/mapping.ts';
import { anyScope } from '../support/scope.ts';

const field = (name: string, from: WrittenExpression) => ({ field: name, from: parseExpression(from) });

describe('the mapping', () => {
  const fields = [field('title', 'jobTitle'), field('phones', 'businessPhones'), field('alsoTitle', 'jobTitle')];

  test('gives each field the value of its property, whatever its name', () => {
    const source = { jobTitle: 'Clerk', businessPhones: ['+1', '+2'], displayName: 'Adele' };
    expect(mapUser(source, fields)).toEqual({ title: 'Clerk', phones: ['+1', '+2'], alsoTitle: 'Clerk' });
  });

  test('rule 3: leaves out a field without a value, and keeps empty and false ones', () => {
    expect(mapUser({ jobTitle: '', businessPhones: [] }, fields)).toEqual({ title: '', phones: [], alsoTitle: '' });
    expect(mapUser({ jobTitle: null }, fields)).toEqual({});
    expect(mapUser({}, fields)).toEqual({});
    expect(mapUser({ accountEnabled: false }, [field('on', 'accountEnabled')])).toEqual({ on: false });
  });

  test('ignores the prototype, and treats no field name specially', () => {
    expect(mapUser({}, [field('x', 'constructor')])).toEqual({});
    expect(Object.entries(mapUser({ mail: 'a@b' }, [field('constructor', 'mail')]))).toEqual([['constructor', 'a@b']]);
  });

  test('depends only on the properties that it names', () => {
    const source = fc.dictionary(fc.constantFrom('jobTitle', 'businessPhones', 'mail', 'city'), fc.string());
    fc.assert(
      fc.property(source, source, (one, other) => {
        const { jobTitle, businessPhones } = one;
        const same: Source = {
          ...other,
          ...{ jobTitle: jobTitle ?? null, businessPhones: businessPhones ?? null },
        };
        expect(mapUser(same, fields)).toEqual(mapUser(one, fields));
      }),
    );
  });
});

describe('$select', () => {
  test('always has the properties for ids, match keys and scope', () => {
    expect(selectedProperties({ fields: [], scope: anyScope })).toEqual([
      'id',
      'userPrincipalName',
      'mail',
      'displayName',
      'accountEnabled',
      'userType',
    ]);
  });

  test('names each property once, in an order that does not depend on the fields', () => {
    const fields = [field('b', 'surname'), field('a', 'city'), field('c', 'city'), field('d', 'mail')];
    const selected = [...alwaysSelected, 'city', 'surname'];
    expect(selectedProperties({ fields, scope: anyScope })).toEqual(selected);
    expect(selectedProperties({ fields: fields.toReversed(), scope: anyScope })).toEqual(selected);
  });
});

describe('the keys of a user', () => {
  test('come from the source document, whatever the mapping', () => {
    const source = { userPrincipalName: 'Adele@contoso.com', mail: 'a@b', accountEnabled: true };
    expect(userKeys(source)).toEqual({ userPrincipalName: 'Adele@contoso.com', mail: 'a@b', enabled: true });
  });

  test.each<[string, Source, boolean]>([
    ['disabled', { accountEnabled: false }, false],
    ['not shown', {}, true],
    ['null', { accountEnabled: null }, true],
  ])('a user whose accountEnabled is %s counts as enabled: %3$s', (_, source, enabled) => {
    expect(userKeys(source).enabled).toBe(enabled);
  });

  test('are null if there is no text', () => {
    const odd: Json[] = [null, 7, ['a@b'], { a: 1 }];
    for (const value of odd) {
      expect(userKeys({ mail: value, userPrincipalName: value })).toMatchObject({
        mail: null,
        userPrincipalName: null,
      });
    }
  });
});
