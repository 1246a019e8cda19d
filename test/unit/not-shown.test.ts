// What `sync` and `status` say that the copy does not show yet.
import { expect, test } from 'vitest';
import { describeFirstLoad, describeOlderRounds } from '../../src/cli/not-shown.ts';
import type { FirstLoadState } from '../../src/store/tenants/status.ts';

const listed: FirstLoadState = { done: false, listing: false, lists_left: 0, shown: true, unread: 0, pages: 0 };
const until = (pages: string) =>
  `; what has changed since may be missing, and what was deleted may still be shown, until the first full round is committed (${pages} read)`;

test.each<[string, Partial<FirstLoadState>, Partial<FirstLoadState>, string]>([
  [
    'both are listed',
    { pages: 12 },
    { pages: 3 },
    `users come from a quick listing, groups and memberships come from a quick listing${until('15 pages')}`,
  ],
  [
    'member lists are being read',
    {},
    { listing: true, shown: false, lists_left: 1_200 },
    `users come from a quick listing, groups and memberships are not shown yet (the members of 1,200 groups are not read)${until('0 pages')}`,
  ],
  [
    'groups are being listed',
    {},
    { listing: true, shown: false },
    `users come from a quick listing, groups and memberships are not shown yet (they are being listed)${until('0 pages')}`,
  ],
  [
    'groups could not be listed, and users not read whole',
    { unread: 2 },
    { shown: false, pages: 1 },
    `users come from a quick listing, groups and memberships are not shown yet (they could not be listed); 2 users, groups or member lists that the listing could not read are missing${until('1 page')}`,
  ],
  [
    'the round of users is committed',
    { done: true, unread: 5, pages: 9 },
    { pages: 2 },
    `groups and memberships come from a quick listing${until('2 pages')}`,
  ],
])('rule 21: a provisional tenant where %s', (_where, users, groups, words) => {
  expect(describeFirstLoad({ users: { ...listed, ...users }, groups: { ...listed, ...groups } })).toBe(
    `provisional: ${words}`,
  );
});

test('rule 21: a round that an earlier cycle began tells what it may not show', () => {
  const now = new Date('2026-11-28T12:00:00Z');
  expect(describeOlderRounds({ users: undefined, groups: undefined }, now)).toBeUndefined();
  expect(describeOlderRounds({ users: '2026-11-28T09:00:00.000Z' }, now)).toBe(
    'users as of 2026-11-28T09:00:00.000Z (3 h ago), when the round began that this cycle finished: what has changed since may not be shown before the next cycle',
  );
  expect(describeOlderRounds({ users: '2026-11-26T09:00:00.000Z', groups: '2026-11-28T11:59:00.000Z' }, now)).toMatch(
    /^users as of 2026-11-26T09:00:00.000Z \(2 d ago\), groups and memberships as of 2026-11-28T11:59:00.000Z \(1 min ago\), when/,
  );
});
