// Verbs and metrics while no worker runs, and while a worker process does.
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { openMetrics } from '../../../src/worker/metrics.ts';
import { runCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { openFleet, stopWorker, until, untilCycles } from '../../support/fleet.ts';

test.runIf(isDeep)('rule 31: status, doctor and tenant retry say that no worker was seen, until one runs', async () => {
  const { database, environment, worker } = await openFleet({ count: 1, users: 2 });
  await database.raw(
    `update entra_sync.tenants set next_cycle_at = clock_timestamp() - interval '25 minutes';
     insert into entra_sync.worker_beats (worker_id, seen_at) values (gen_random_uuid(), clock_timestamp() - interval '40 minutes')`,
  );
  const lack = 'no worker has been seen for 40 min, and a cycle has been due for 25 min';
  const status = await runCli(['status'], environment);
  expect(status.stdout.trimEnd().split('\n').at(-1)).toBe(`${lack} -> entra-sync worker`);
  expect(JSON.parse((await runCli(['status', '--json'], environment)).stdout).workers).toMatchObject({
    state: 'absent',
    warning: { message: lack, cure: 'entra-sync worker' },
  });
  const { checks } = JSON.parse((await runCli(['doctor', '--json'], environment)).stdout);
  expect(checks.at(-1), 'the last line').toMatchObject({
    check: 'worker',
    state: 'warning',
    message: lack,
    cure: 'entra-sync worker',
  });
  const diagnosis = (await runCli(['doctor'], environment)).stdout.trimEnd().split('\n');
  expect(diagnosis.slice(-4)).toEqual([
    '',
    expect.stringMatching(`^  ! warning +worker +${lack} -> entra-sync worker$`),
    '',
    expect.stringMatching(/^\d+ of \d+ checks failed, /),
  ]);
  const silent = /^Tenant 1: due now, but no worker has been seen for 40 min -> entra-sync worker$/m;
  expect((await runCli(['tenant', 'retry', 'Tenant 1'], environment)).stdout).toMatch(silent);
  const metrics = openMetrics({ database, tenantLimit: 10, credentialEnd: () => undefined });
  expect(await metrics.text()).toMatch(/^entra_sync_worker_seen_seconds 24\d\d/m);

  const running = worker();
  const seen = () =>
    rows<{ stopped: boolean }>(
      database,
      `select stopped_at is not null as stopped from entra_sync.worker_beats
        where seen_at > clock_timestamp() - interval '2 minutes'`,
    );
  await until('a beat', async () => (await seen()).length === 1);
  const retried = await runCli(['tenant', 'retry', 'Tenant 1'], environment);
  expect(retried.stdout).toContain('Tenant 1: due now; the worker syncs it within seconds.');
  expect(await metrics.text()).toMatch(/^entra_sync_worker_seen_seconds \d{1,2}(\.\d+)?$/m);
  expect((await stopWorker(running)).code).toBe(0);
  expect(await seen(), 'stopped in order').toEqual([{ stopped: true }]);
  const stopped = await runCli(['tenant', 'retry', 'Tenant 1'], environment);
  expect(stopped.stdout).toMatch(/due now, but no worker has been seen for \d+ (s|min) -> entra-sync worker/);
  expect((await runCli(['status'], environment)).stdout, 'no cycle is overdue').not.toContain('no worker');
});

test.runIf(isDeep)('rule 31: a beat that cannot be written is logged and stops no cycle, and no stop', async () => {
  const fleet = await openFleet({ count: 1, users: 2 });
  await fleet.database.raw('alter table entra_sync.worker_beats rename to moved');
  const running = fleet.worker();
  await untilCycles(fleet, 1);
  const ended = await stopWorker(running);
  expect([ended.code, ended.stderr]).toEqual([0, expect.stringContaining('"where":"beat"')]);
});
