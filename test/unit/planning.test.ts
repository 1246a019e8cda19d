// Who of the due tenants goes into the queue, in which order, and who gets a turn to walk everything.
import { expect, test } from 'vitest';
import { type DueTenant, mostFullTurns, planJobs } from '../../src/rules/planning.ts';

const tenant = (tenantId: string, rest: Partial<DueTenant> = {}): DueTenant => ({
  tenantId,
  rescue: false,
  requested: false,
  fullAhead: false,
  hasTurn: false,
  long: false,
  ...rest,
});
const many = (count: number, rest: Partial<DueTenant> = {}) =>
  Array.from({ length: count }, (_, n) => tenant(`t${n}`, rest));
const idsOf = (jobs: readonly { tenantId: string }[]) => jobs.map((job) => job.tenantId);

test('who waits longest comes first; before them who is asked for, before all a token that is about to be lost', () => {
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
])('%i turns are taken: %i of the tenants that have to walk everything get one', (taken, expected) => {
  const plan = planJobs(many(30, { fullAhead: true }), taken, 100);
  expect(plan.turns).toHaveLength(expected);
  expect(idsOf(plan.jobs)).toEqual(plan.turns);
});

test('who has a turn keeps it and takes no second one; who needs none waits for nobody', () => {
  const due = [
    tenant('has one', { fullAhead: true, hasTurn: true }),
    tenant('needs one', { fullAhead: true }),
    tenant('changes only'),
  ];
  expect(planJobs(due, mostFullTurns, 100)).toEqual({
    turns: [],
    jobs: [
      { tenantId: 'has one', priority: 0, long: false },
      { tenantId: 'changes only', priority: 0, long: false },
    ],
  });
});

test('more than can begin is not planned, and gets no turn either', () => {
  expect(planJobs(many(5, { fullAhead: true }), 0, 3)).toMatchObject({ turns: ['t0', 't1', 't2'] });
  expect(planJobs(many(5, { fullAhead: true }), 0, 3).jobs).toHaveLength(3);
});

test('what takes long is said to the queue', () => {
  expect(planJobs([tenant('huge', { long: true }), tenant('small')], 0, 9).jobs.map((job) => job.long)).toEqual([
    true,
    false,
  ]);
});
