// A job that the database stops before its cycle begins: the tenant rests, since the queue would bring it back at once.
import { expect, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { openDatabase } from '../../src/store/database/pool.ts';
import { openRests } from '../../src/worker/rests.ts';
import { openStall } from '../../src/worker/stall.ts';
import { runTenantJob } from '../../src/worker/tenant-job.ts';
import { bufferLog } from '../support/system.ts';

test('rule 21: a tenant whose job the database stops is left alone, longer each time, and reported once each time', async () => {
  let now = 0;
  let asked = 0;
  const { log, text } = bufferLog();
  const dueNow = async () => {
    asked += 1;
    throw Object.assign(new Error('sorry, too many clients already'), { code: '53300' });
  };
  const parts = {
    ...{
      log,
      actor: 'test',
      defaults: loadDefaults(),
      database: openDatabase('postgres://nobody@127.0.0.1:1/nowhere'),
    },
    openReader: () => {
      throw new Error('no cycle begins');
    },
    planner: { plan: async () => [], dueNow },
    credentials: { note: async () => {}, retryChanged: async () => 0 },
    onCycle: () => {},
    stall: openStall(),
    rests: openRests(
      () => 0.5,
      () => now,
    ),
  };
  const { signal } = new AbortController();
  for (const [times, seconds] of [1.5, 3, 6].entries()) {
    await runTenantJob(parts, 'T', signal);
    expect(asked).toBe(times + 1);
    now += seconds * 1_000 - 1;
    await runTenantJob(parts, 'T', signal);
    expect(asked, 'it still rests').toBe(times + 1);
    now += 1;
  }
  const lines = text().split('\n').filter(Boolean);
  expect(lines).toHaveLength(3);
  expect(JSON.parse(lines[0] ?? '')).toMatchObject({
    ...{ level: 40, msg: 'work for a tenant not completed', tenantId: 'T', code: 'database_unreachable' },
    reason: expect.stringMatching(/has no connection left, by its max_connections.*; this process may open \d+$/),
  });
  await parts.database.destroy();
});
