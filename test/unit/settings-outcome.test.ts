// The outcome of new settings in words, for many tenants.
import { expect, test } from 'vitest';
import { describeOutcomes } from '../../src/cli/settings-outcome.ts';
import type { TenantPreview } from '../../src/store/preview/settings.ts';

const preview = (tenantId: string, shelved: number): TenantPreview => ({
  tenantId,
  fullRound: false,
  shelved,
  unshelved: 0,
  rules: [],
  profiles: 0,
  fields: {},
  suspended: 0,
  resumed: 0,
  leaving: { out_of_scope: 0, disabled: 0 },
  staying: 0,
  guard: { why: null, waiting: 0 },
  pendingVersion: null,
  missingGroups: [],
  mayEnter: false,
  unread: {},
  conditions: {},
  leavers: [],
  unmatched: [],
  narrower: false,
  groups: undefined,
  photos: 0,
});
const named = (id: string) => `Tenant ${id}`;

test('tenants with the same outcome are told together, those with another one beside them', () => {
  const tenants = [preview('1', 0), preview('2', 3), preview('3', 0)];
  expect(describeOutcomes(tenants, named)).toEqual([
    'Tenant 1, Tenant 3: no profile changes',
    'Tenant 2: no profile changes',
    '3 edits shelved: kept, and not in force while the directory owns the field',
  ]);
});

test('many tenants: a few names and a number, and at most 20 outcomes', () => {
  const alike = Array.from({ length: 300 }, (_, n) => preview(String(n), 0));
  expect(describeOutcomes(alike, named)).toEqual([
    'Tenant 0, Tenant 1, Tenant 2, Tenant 3, Tenant 4 and 295 more: no profile changes',
  ]);
  const different = Array.from({ length: 25 }, (_, n) => preview(String(n), n + 1));
  expect(describeOutcomes(different, named).at(-1)).toBe('… and 5 tenants more (--json shows them)');
});
