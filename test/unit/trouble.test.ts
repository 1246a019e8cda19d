// The summary of `status` above a long table.
import { expect, test } from 'vitest';
import type { TenantStatus } from '../../src/store/tenants/status.ts';
import { summarize } from '../../src/words/trouble.ts';

const well = {
  status: 'active',
  paused: false,
  last_outcome: 'committed',
  held_removals: 0,
  set_aside: 0,
  running: false,
  notice: null,
};
const tenants = (number: number, more: Partial<TenantStatus> = {}) =>
  Array.from({ length: number }, () => ({ ...well, ...more }) as TenantStatus);

test('a table of a few tenants has no summary', () => {
  expect(summarize(tenants(20))).toEqual([]);
});

test('a table of 1,060 tenants starts with the count per state and the command that lists them', () => {
  const all = [
    ...tenants(1_000),
    ...tenants(20, { status: 'quarantined', last_outcome: 'failed' }),
    ...tenants(10, { last_outcome: 'cut off', set_aside: 2 }),
    ...tenants(30, { status: 'disconnected', last_outcome: 'failed', held_removals: 1 }),
  ];
  expect(summarize(all)).toEqual([
    '1,060 tenants: 1,010 active, 20 in quarantine, 30 disconnected, 30 failing (--only failing), 30 with held removals (--only held), 10 with objects set aside (--set-aside).',
    '',
  ]);
  expect(summarize(tenants(21))).toEqual(['21 tenants: 21 active.', '']);
  expect(summarize(tenants(21, { notice: 'many' }))).toEqual(['21 tenants: 21 active, 21 with a notice.', '']);
});
