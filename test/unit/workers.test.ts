import { expect, test } from 'vitest';
import { describeWorkers, type WorkerSigns } from '../../src/rules/workers.ts';

const hour = 3_600;
const signs = (some: Partial<WorkerSigns>): WorkerSigns => ({
  seen: some.beat ?? null,
  beat: null,
  cycle: null,
  late: null,
  interval: 2_400,
  ...some,
});

test.each<[string, Partial<WorkerSigns>, string, boolean]>([
  ['a worker beats, cycles wait in its queue', { beat: 120, late: 30 * hour }, 'working', false],
  ['a worker missed its beats', { beat: 121, late: 301 }, 'absent', true],
  ['no worker was ever seen', { late: 301 }, 'absent', true],
  ['no cycle is due', { beat: 40 * hour }, 'absent', false],
  ['a cycle is due since a moment ago', { beat: 121, late: 300 }, 'absent', false],
  ['a worker was stopped in order, another will start', { seen: 60, late: 600 }, 'absent', false],
  ['a worker was stopped in order long ago', { seen: 121, late: 600 }, 'absent', true],
  ['cron runs sync', { late: 600, cycle: 1_800 }, 'commands', false],
  ['cron runs sync beside what a worker left', { beat: 9 * hour, late: 600, cycle: 1_800 }, 'commands', false],
  ['cron has run sync two intervals ago', { late: 600, cycle: 4_800 }, 'commands', false],
  ['cron has not run sync for two intervals', { late: 600, cycle: 4_801 }, 'absent', true],
  ['a short interval, cron every hour', { late: 600, cycle: hour, interval: 300 }, 'commands', false],
  ['a short interval, cron has stopped', { late: 600, cycle: hour + 1, interval: 300 }, 'absent', true],
  ['a long interval, cron every six hours', { late: 600, cycle: 6 * hour, interval: 6 * hour }, 'commands', false],
])('rule 31: %s', (_, some, state, told) => {
  const judged = describeWorkers(signs(some), false);
  expect([judged.state, judged.lack !== null]).toEqual([state, told]);
});

test('rule 31: the line says since when, and names the cure that works on this database', () => {
  const died = describeWorkers(signs({ beat: 2_400, late: 1_500 }), false);
  expect(died).toMatchObject({
    lack: 'no worker has been seen for 40 min, and a cycle has been due for 25 min',
    cure: 'entra-sync worker',
  });
  expect(describeWorkers(signs({ late: 1_500 }), true)).toMatchObject({
    lack: 'no worker has ever been seen, and a cycle has been due for 25 min',
    cure: 'entra-sync sync',
  });
});
