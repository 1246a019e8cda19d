// A job whose tenant the database stops before a cycle has begun: the tenant rests, since the queue would bring it back.
import { expect, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { openDatabase } from '../../src/store/database/pool.ts';
import { openRests } from '../../src/worker/rests.ts';
import { openStall } from '../../src/worker/stall.ts';
import { runTenantJob } from '../../src/worker/tenant-job.ts';
import { bufferLog } from '../support/system.ts';

test('rule 21: a tenant whose job the database stops is left alone for a minute or two, and reported once', async () => {
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
  await runTenantJob(parts, 'T', signal);
  await runTenantJob(parts, 'T', signal);
  now = 89_999;
  await runTenantJob(parts, 'T', signal);
  expect(asked).toBe(1);
  expect(JSON.parse(text())).toMatchObject({
    ...{ level: 40, msg: 'work for a tenant not completed', tenantId: 'T', code: 'database_unreachable' },
    reason: expect.stringMatching(/has no connection left, by its max_connections; this process may open \d+$/),
  });
  now = 90_000;
  await runTenantJob(parts, 'T', signal);
  expect(asked).toBe(2);
  await parts.database.destroy();
});
