// When a round is noticed, and in which words.
import { expect, test } from 'vitest';
import { fewestNoticed, type MassChange, noticeOf } from '../../src/rules/notice.ts';

const none: MassChange['cleared'] = [];

test.each<[string, MassChange, string | undefined]>([
  ['more than 30 % of 20', { accounts: 20, changed: 7, cleared: none }, '7 of 20 profiles changed in cycle 77'],
  ['30 % of 20', { accounts: 20, changed: 6, cleared: none }, undefined],
  ['all of 19', { accounts: 19, changed: 19, cleared: none }, undefined],
  ['30 % of many', { accounts: 5_000, changed: 1_500, cleared: none }, undefined],
  [
    'a field cleared for nearly all',
    {
      accounts: 5_000,
      changed: 4_812,
      cleared: [
        { field: 'department', count: 4_800 },
        { field: 'city', count: 12 },
      ],
    },
    '4,812 of 5,000 profiles changed in cycle 77, department cleared for 4,800',
  ],
  [
    'many fields cleared',
    { accounts: 20, changed: 20, cleared: ['a', 'b', 'c', 'd', 'e'].map((field) => ({ field, count: 20 })) },
    '20 of 20 profiles changed in cycle 77, a cleared for 20, b cleared for 20, c cleared for 20, 2 more fields cleared',
  ],
])('rule 36: %s', (_what, change, expected) => {
  expect(noticeOf(change, '77')).toBe(expected);
  if (expected !== undefined) {
    expect(noticeOf(change, null)).toBe(expected.replace('in cycle 77', 'in this cycle'));
    expect(change.changed).toBeGreaterThanOrEqual(fewestNoticed);
  }
});
