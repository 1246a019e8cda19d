// When a tenant is tried again; the due tenants that go into the queue, their order, and the full-round slots.
import { expect, test } from 'vitest';
import { exitCodes } from '../../src/errors.ts';
import {
  type CycleEnded,
  type DueTenant,
  maxFullRoundSlots,
  nextCycleMs,
  planJobs,
  retryJobMs,
  retrySoonMs,
} from '../../src/rules/planning.ts';
import { openRests } from '../../src/worker/rests.ts';

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

const seconds = 1_000;
const minutes = 60 * seconds;
const ended = (more: Partial<CycleEnded> = {}): CycleEnded => ({
  ...{ outcome: 'failed', code: null, failures: 0, intervalMs: 40 * minutes, sinceStartMs: 4 * minutes },
  ...more,
});

test.each(Object.entries(exitCodes).flatMap(([code, exitCode]) => (exitCode === 7 ? [code] : [])))(
  'rule 21: a tenant whose cycle ended by %s is tried again after one to two minutes, by chance',
  (code) => {
    for (const outcome of ['failed', 'partial'] as const) {
      const next = (chance: number) => nextCycleMs(ended({ outcome, code }), chance);
      expect([next(0), next(0.5), next(1)]).toEqual([60 * seconds, 90 * seconds, 120 * seconds]);
      // In quarantine too, and never later than at its interval.
      expect(nextCycleMs(ended({ outcome, code, failures: 9 }), 1)).toBe(120 * seconds);
      expect(nextCycleMs(ended({ outcome, code, intervalMs: minutes }), 1)).toBe(minutes);
    }
  },
);

test.each<[string, Partial<CycleEnded>, least: number, most: number]>([
  ['a success', { outcome: 'committed' }, 36 - 4, 44 - 4],
  ['held removals', { outcome: 'held', code: 'removals_held' }, 36 - 4, 44 - 4],
  ['a failure of its own', { code: 'consent_missing', failures: 1 }, 36 - 4, 44 - 4],
  ['three of them', { code: 'consent_missing', failures: 3 }, 72 - 4, 88 - 4],
  ['a cycle that took longer than its interval', { outcome: 'committed', sinceStartMs: 100 * minutes }, 0, 0],
  ['a cancelled cycle', { outcome: 'cancelled', code: 'interrupted' }, 0, 0],
])('after %s the next cycle starts an interval after the start, give or take a tenth', (_, more, least, most) => {
  expect(nextCycleMs(ended(more), 0)).toBeCloseTo(least * minutes);
  expect(nextCycleMs(ended(more), 1)).toBeCloseTo(most * minutes);
});

test('rule 21: a tenant whose failure the database cannot note rests as long, and no other tenant does', () => {
  let now = 0;
  const rests = openRests(
    () => 0.25,
    () => now,
  );
  rests.begin('T', true);
  expect([rests.isOver('T'), rests.isOver('U')]).toEqual([false, true]);
  now = retrySoonMs(0.25) - 1;
  expect(rests.isOver('T')).toBe(false);
  now += 1;
  expect(rests.isOver('T')).toBe(true);
});

test('a job that was stopped before its cycle is tried again after a second or two, then less and less often', () => {
  expect([1, 2, 3, 6, 7, 8, 99].map((times) => retryJobMs(times, 0) / seconds)).toEqual([1, 2, 4, 32, 60, 60, 60]);
  expect([1, 7, 99].map((times) => retryJobMs(times, 1) / seconds)).toEqual([2, 120, 120]);
  const rests = openRests(
    () => 0,
    () => 0,
  );
  for (let time = 0; time < 9; time += 1) rests.begin('T', false);
  rests.end('T');
  expect(rests.isOver('T')).toBe(true);
});
