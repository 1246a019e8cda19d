// When a tenant is tried again: the table of its failures, and the time between tries.
import { describe, expect, test } from 'vitest';
import { type ErrorCode, exitCodes } from '../../src/errors.ts';
import { failuresAfter, isDatabasesFault, isOutage, quarantineAfter, waitAfter } from '../../src/rules/quarantine.ts';

const calm = { tried: 100, failing: 1 };
const outage = { tried: 100, failing: 50 };
const minutes = 60_000;
const day = 24 * 60 * minutes;

describe('failures in a row', () => {
  const counted = (code: string | null, lately = calm) => failuresAfter(2, { outcome: 'failed', code, lately });

  test.each(['committed', 'held'] as const)('%s ends them', (outcome) => {
    expect(failuresAfter(7, { outcome, code: null, lately: calm })).toBe(0);
    // A cycle with held removals has a code.
    expect(failuresAfter(7, { outcome, code: 'removals_held', lately: calm })).toBe(0);
  });

  test('a failure of one stream alone counts, except for a missing permission', () => {
    const partial = (code: string, lately = calm) => failuresAfter(2, { outcome: 'partial', code, lately });
    expect(partial('graph_answer_invalid')).toBe(3);
    expect(partial('graph_unavailable', outage)).toBe(2);
    expect(partial('database_unreachable')).toBe(2);
    expect(partial('permission_missing')).toBe(0);
  });

  test('a cancelled cycle changes nothing', () => {
    expect(failuresAfter(2, { outcome: 'cancelled', code: 'interrupted', lately: calm })).toBe(2);
  });

  const neverTheTenants: readonly ErrorCode[] = [
    'credential_refused',
    'proxy_refused',
    'usage',
    'tenant_disconnected',
    'cycle_running',
    'lease_lost',
    'round_changed',
    'database_unreachable',
    'database_refused',
    'database_unable',
    'database_locked',
    'schema_not_current',
    'schema_newer',
    'interrupted',
  ];

  test.each(Object.keys(exitCodes) as ErrorCode[])('%s', (code) => {
    expect(counted(code)).toBe(neverTheTenants.includes(code) ? 2 : 3);
  });

  test.each(Object.keys(exitCodes) as ErrorCode[])(
    '%s: the database’s fault, and tried again soon, if the exit code is 7',
    (code) => {
      expect(isDatabasesFault(code)).toBe(exitCodes[code] === 7);
    },
  );

  test('a defect counts against the tenant too', () => {
    expect(counted('defect')).toBe(3);
    expect(counted(null)).toBe(3);
  });

  test.each(['graph_unavailable', 'graph_throttled', 'graph_answer_invalid'])(
    '%s counts against no tenant if many tenants have it',
    (code) => {
      expect(counted(code, outage)).toBe(2);
      expect(counted(code, calm)).toBe(3);
    },
  );

  test('an outage does not excuse a tenant without consent', () => {
    expect(counted('consent_missing', outage)).toBe(3);
  });
});

test.each([
  [0, 0, false],
  [1, 1, false],
  [2, 2, false],
  [3, 3, true],
  [6, 3, true],
  [7, 3, false],
  [1_000, 499, false],
  [1_000, 500, true],
])('%i tenants tried, %i failing: an outage is %s', (tried, failing, expected) => {
  expect(isOutage({ tried, failing })).toBe(expected);
});

test.each([
  [0, 40 * minutes],
  [1, 40 * minutes],
  [2, 40 * minutes],
  [3, 80 * minutes],
  [4, 160 * minutes],
  [5, 320 * minutes],
  [7, 1_280 * minutes],
  [8, day],
  [1_000_000, day],
])('after %i failures in a row, an interval of 40 minutes becomes %i ms', (failures, expected) => {
  expect(waitAfter(failures, 40 * minutes)).toBe(expected);
});

test('an interval longer than a day is unchanged', () => {
  expect(waitAfter(quarantineAfter + 5, 3 * day)).toBe(3 * day);
});
