// The due tenants that go into the queue, their order, and the tenants that get a full-round slot.
import { expect, test } from 'vitest';
import { type DueTenant, maxFullRoundSlots, planJobs } from '../../src/rules/planning.ts';

const tenant = (tenantId: string, rest: Partial<DueTenant> = {}): DueTenant => ({
  tenantId,
  rescue: false,
  requested: false,
  needsFullRound: false,
  hasFullRoundSlot: false,
  long: false,
  ...rest,
});
const many = (count: number, rest: Partial<DueTenant> = {}) =>
  Array.from({ length: count }, (_, n) => tenant(`t${n}`, rest));
const idsOf = (jobs: readonly { tenantId: string }[]) => jobs.map((job) => job.tenantId);

test('the longest wait comes first; requested tenants come before that, and expiring tokens before all', () => {
  const due = [
    tenant('waits'),
    tenant('asked', { requested: true }),
    tenant('waits less'),
    tenant('rescue', { rescue: true }),
    tenant('rescue and asked', { rescue: true, requested: true }),
  ];
  const { jobs } = planJobs(due, 0, 100);
  expect(idsOf(jobs)).toEqual(['rescue and asked', 'rescue', 'asked', 'waits', 'waits less']);
  const priorities = jobs.map((job) => job.priority);
  expect(priorities).toEqual([...priorities].sort((one, other) => other - one));
  expect(new Set(priorities).size).toBe(4);
});

test.each([
  [0, 20],
  [1, 19],
  [19, 1],
  [20, 0],
  [25, 0],
])('with %i full-round slots taken, %i of the tenants that need one get one', (taken, expected) => {
  const plan = planJobs(many(30, { needsFullRound: true }), taken, 100);
  expect(plan.turns).toHaveLength(expected);
  expect(idsOf(plan.jobs)).toEqual(plan.turns);
});

test('a tenant with a slot takes no second one, and a tenant that needs none does not wait', () => {
  const due = [
    tenant('has one', { needsFullRound: true, hasFullRoundSlot: true }),
    tenant('needs one', { needsFullRound: true }),
    tenant('changes only'),
  ];
  expect(planJobs(due, maxFullRoundSlots, 100)).toEqual({
    turns: [],
    jobs: [
      { tenantId: 'has one', priority: 0, long: false },
      { tenantId: 'changes only', priority: 0, long: false },
    ],
  });
});

test('a tenant beyond the maximum of jobs is not planned and gets no slot', () => {
  expect(planJobs(many(5, { needsFullRound: true }), 0, 3)).toMatchObject({ turns: ['t0', 't1', 't2'] });
  expect(planJobs(many(5, { needsFullRound: true }), 0, 3).jobs).toHaveLength(3);
});

test('a tenant with long cycles is marked in the queue', () => {
  expect(planJobs([tenant('huge', { long: true }), tenant('small')], 0, 9).jobs.map((job) => job.long)).toEqual([
    true,
    false,
  ]);
});
