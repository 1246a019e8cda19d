// The worker as a process: it finds due tenants, syncs them, and ends on a signal.
import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneLine, runCli, temporaryDirectory } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { closeGate, openFleet, stopWorker, until, untilCycles, untilPlanned } from '../../support/fleet.ts';
import { freshDatabase } from '../../support/postgres.ts';

import { expectTruth } from '../../support/system.ts';

// Processes start slowly on a busy machine. Waits within the test are much shorter.
type Line = Record<string, unknown> & { msg: string };

/** Returns the log of a worker: each line of stderr is JSON, also the first and the last. */
function logOf(stderr: string): Line[] {
  return stderr
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as Line);
}

test('a worker syncs at once, then about once per interval, logs JSON lines at info, and ends on SIGTERM with 0', async () => {
  const fleet = await openFleet({ count: 1, users: 5 });
  const [tenant] = fleet.tenants;
  if (!tenant) throw new Error('no tenant');
  const worker = fleet.worker();
  await untilCycles(fleet, 1);
  await expectTruth(tenant, fleet.database);
  const [planned] = await rows<{ minutes: number }>(
    fleet.database,
    'select (extract(epoch from next_cycle_at - started_at) / 60)::float8 as minutes from directory.tenants natural join directory.cycles',
  );
  expect(planned?.minutes).toBeGreaterThan(35.9);
  expect(planned?.minutes).toBeLessThan(44.1);
  tenant.createUser();
  await untilPlanned(fleet);
  expect(await fleet.cycles(), 'no cycle runs before it is due').toHaveLength(1);
  await fleet.makeDue();
  await untilCycles(fleet, 2);
  await expectTruth(tenant, fleet.database);
  const ended = await stopWorker(worker);
  expect(ended.code, ended.stderr).toBe(0);
  expect(ended.seconds).toBeLessThan(10);
  // On a busy machine even a small cycle may take ten seconds.
  const said = logOf(ended.stderr).map((line) => line.msg);
  expect(said.filter((message) => message !== 'cycle in progress')).toEqual([
    'health and metrics are served',
    'worker started',
    'cycle started',
    'cycle finished',
    'cycle started',
    'cycle finished',
    'worker stopping',
    'worker stopped',
  ]);
  expect(await fleet.cycles()).toHaveLength(2);
});

test.runIf(isDeep)(
  'it does not start without DATABASE_URL, on a schema that is not current, or with an invalid concurrency',
  async () => {
    const fleet = await openFleet({ count: 1, users: 1 });
    const { DATABASE_URL: _, ...without } = fleet.environment;
    const home = await temporaryDirectory(onTestFinished);
    expectOneLine(await runCli(['worker'], { ...without, ENTRA_SYNC_HOME: home }), 7, /DATABASE_URL is not set/);
    const empty = await freshDatabase({ migrated: false });
    onTestFinished(empty.drop);
    expectOneLine(
      await runCli(['worker'], { ...fleet.environment, DATABASE_URL: empty.url }),
      7,
      /no entra-sync schema yet -> run entra-sync migrate/,
    );
    expectOneLine(await runCli(['worker', '--concurrency', '0'], fleet.environment), 2, /--concurrency is "0"/);
    await fleet.database.raw('update entra_sync_jobs.version set version = version - 1');
    expectOneLine(await runCli(['worker'], fleet.environment), 7, /lacks 1 migration/);
    await fleet.database.raw('update entra_sync_jobs.version set version = version + 2');
    expectOneLine(await runCli(['worker'], fleet.environment), 7, /newer than this program: it has entra_sync_jobs/);
  },
);

test.runIf(isDeep)(
  'SIGTERM during a cycle: it ends after the page in flight, and the next worker resumes at once',
  async () => {
    const fleet = await openFleet({ count: 1, users: 30 });
    const { simulator, database } = fleet;
    const [tenant] = fleet.tenants;
    if (!tenant) throw new Error('no tenant');
    simulator.options.pageSize = 10;
    const gate = closeGate(simulator, ({ url }) => /users\/delta\?.*skiptoken/i.test(url));
    const worker = fleet.worker();
    await until('the second page is asked for', () => gate.waiting.size > 0);
    // A long round logs its progress every ten seconds.
    await worker.shows(/"seconds":\d+,.*"users":\{"phase":"pull","pages":1,"objects":10.*"msg":"cycle in progress"/);
    const ended = await stopWorker(worker);
    expect(ended.code, ended.stderr).toBe(0);
    expect(ended.seconds).toBeLessThan(10);
    expect(ended.stderr).not.toContain('forced');
    expect(await fleet.cycles()).toMatchObject([{ outcome: 'cancelled', error_code: 'interrupted' }]);
    expect(await rows(database, 'select from entra_sync.heartbeats')).toEqual([]);
    const asked = simulator.requests.length;
    gate.open();
    const next = fleet.worker();
    await untilCycles(fleet, 2);
    await expectTruth(tenant, database);
    const paths = simulator.requests.slice(asked).map((request) => request.path);
    expect(paths.filter((path) => /users\/delta\?%24select|users\/delta\?\$select/.test(path))).toEqual([]);
    expect((await stopWorker(next, 'SIGINT')).code).toBe(0);
  },
);

test.runIf(isDeep)('its connections are cut: it logs that, and keeps working', async () => {
  const fleet = await openFleet({ count: 1, users: 2 });
  const worker = fleet.worker();
  await untilCycles(fleet, 1);
  // The worker repeats the steps after a cycle only within two minutes, so the cut waits until the job is finished.
  await until('a finished job', async () => {
    const jobs = await rows<{ state: string }>(fleet.database, 'select state::text from entra_sync_jobs.job');
    return jobs.every(({ state }) => state === 'completed');
  });
  await fleet.database.raw(
    "select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name like 'entra-sync%' and pid <> pg_backend_pid()",
  );
  await fleet.makeDue();
  await untilCycles(fleet, 2);
  const ended = await stopWorker(worker);
  expect(ended.code, ended.stderr).toBe(0);
  expect(logOf(ended.stderr).filter((line) => line.level === 'error')).toEqual([]);
});

test.runIf(isDeep)(
  'the schema becomes newer: it logs that and keeps working; a new worker of the old release does not start',
  async () => {
    const fleet = await openFleet({ count: 1, users: 2 });
    await fleet.database.raw(
      "insert into entra_sync.migrations (name, batch, migration_time) values ('9999-future.sql', 9, now())",
    );
    expectOneLine(await runCli(['worker'], fleet.environment), 7, /newer than this program.*9999-future/);
    await fleet.database.raw("delete from entra_sync.migrations where name = '9999-future.sql'");
    const worker = fleet.worker();
    await untilCycles(fleet, 1);
    expect((await runCli(['migrate'], fleet.environment)).code).toBe(0);
    await fleet.database.raw(
      "insert into entra_sync.migrations (name, batch, migration_time) values ('9999-future.sql', 9, now())",
    );
    await worker.shows(/the schema is newer than this release/);
    await fleet.makeDue();
    await untilCycles(fleet, 2);
    expect((await stopWorker(worker)).code).toBe(0);
  },
);

test.runIf(isDeep)('it needs no right to create objects', async () => {
  const fleet = await openFleet({ count: 2, users: 3 });
  const { database } = fleet;
  const role = `worker_${randomBytes(6).toString('hex')}`;
  await database.raw(`
    create role ${role} login password 'worker';
    grant usage on schema directory, entra_sync, entra_sync_jobs to ${role};
    grant select, insert, update, delete on all tables in schema entra_sync, entra_sync_jobs to ${role};
    grant select on all tables in schema directory to ${role};
    grant usage on all sequences in schema entra_sync, entra_sync_jobs to ${role};
    grant execute on all functions in schema directory, entra_sync, entra_sync_jobs to ${role};
  `);
  onTestFinished(async () => void (await database.raw(`drop owned by ${role}; drop role ${role}`)));
  const url = new URL(fleet.url);
  url.username = role;
  url.password = 'worker';
  const worker = fleet.worker([], { DATABASE_URL: url.href });
  await untilCycles(fleet, 2);
  const ended = await stopWorker(worker);
  expect(ended.code, ended.stderr).toBe(0);
  expect((await fleet.cycles()).map((cycle) => cycle.outcome)).toEqual(['committed', 'committed']);
  expect(logOf(ended.stderr).filter((line) => line.level === 'warn' || line.level === 'error')).toEqual([]);
});
