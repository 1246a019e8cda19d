// What differs between two settings documents.
import { expect, test } from 'vitest';
import { settingDifferences } from '../../src/settings/differences.ts';

const from = { map: 'jobTitle', values: { Clerk: 1 } };

test.each([
  ['nothing', { interval: '40m' }, { interval: '40m' }, []],
  ['a value', { interval: '40m' }, { interval: '5m' }, [['interval', '40m', '5m']]],
  ['a key that is new', {}, { scope: { groups: ['a'] } }, [['scope.groups', undefined, ['a']]]],
  ['a key that is gone', { fields: { x: { owner: 'user' } } }, {}, [['fields.x.owner', 'user', undefined]]],
  ['a list, whole', { groups: ['a', 'b'] }, { groups: ['b'] }, [['groups', ['a', 'b'], ['b']]]],
  [
    'a mapping, whole',
    { fields: { rank: { from } } },
    { fields: { rank: { from: 'jobTitle' } } },
    [['fields.rank.from', from, 'jobTitle']],
  ],
  ['a map in place of a value', { a: 1 }, { a: { b: 2 } }, [['a', 1, { b: 2 }]]],
])('%s', (_what, before, after, expected) => {
  expect(settingDifferences(before, after).map((one) => [one.key, one.before, one.after])).toEqual(expected);
});
