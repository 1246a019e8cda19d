// Health, readiness and metrics over real HTTP, from real cycles, a real database and workers as processes.
import { createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { openDatabase, rows } from '../../../src/store/database/pool.ts';
import { addTenant } from '../../../src/store/tenants/tenants.ts';
import { serveOperations, whyNotReady, whyNotWorking } from '../../../src/worker/http.ts';
import { openMetrics, type WorkerMetrics } from '../../../src/worker/metrics.ts';
import { stalledAfterSeconds } from '../../../src/worker/stall.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { openFleet, stopWorker, until, untilCycles } from '../../support/fleet.ts';
import { freshDatabase } from '../../support/postgres.ts';
import { setSettings } from '../../support/settings.ts';
import { bufferLog, failureOf, openWorld, type World } from '../../support/system.ts';

type Samples = Record<string, number>;

/** Returns the samples of a Prometheus text by name and labels, with ID in place of the tenant's id. */
function samplesOf(text: string, id = ''): Samples {
  return Object.fromEntries(
    text
      .split('\n')
      .filter((line) => line.startsWith('entra_sync_'))
      .map((line) => {
        const place = line.lastIndexOf(' ');
        return [line.slice('entra_sync_'.length, place).replaceAll(id || '\0', 'ID'), Number(line.slice(place + 1))];
      }),
  );
}

function metricsOf(database: World['database'], tenantLimit = 100): WorkerMetrics {
  return openMetrics({ database, tenantLimit, credentialEnd: () => new Date('2027-01-02T03:04:05Z') });
}

test('metrics of cycles and of each tenant', async () => {
  const world = await openWorld({ users: 6, groups: 2 });
  const { tenantId } = world.tenant;
  const metrics = metricsOf(world.database);
  await world.database.raw(
    `update entra_sync.tenants set added_at = now() - interval '3 hours', name = 'Con"toso', external_ref = 'customer-17'`,
  );
  const unsynced = async () => samplesOf(await metrics.text(), tenantId)['unsynced_seconds{tenant="ID"}'];
  expect(await unsynced(), 'a new tenant without a cycle').toBeGreaterThanOrEqual(10_800);
  await world.database.raw("update entra_sync.tenants set last_error_code = 'consent_missing'");
  expect(await unsynced(), 'the customer has not consented').toBeUndefined();
  await world.database.raw('update entra_sync.tenants set last_error_code = null');
  metrics.onCycle(await world.cycle());
  expect(await unsynced(), 'after its first success').toBeUndefined();
  await setSettings(world.database, { removals: { max: 0 } });
  world.tenant.deleteUser(world.tenant.users()[0]?.id ?? '');
  metrics.onCycle(await world.cycle());
  metrics.onCycle({ kind: null, outcome: 'failed', seconds: 2, streams: null });
  metrics.onRequest({ endpoint: 'users/delta', method: 'GET', outcome: 429, seconds: 0.2 });
  metrics.onWait({
    reason: 'x',
    throttled: true,
    waitMs: 1500,
    attempt: 1,
    retries: 5,
    stream: 'users',
    requestId: null,
  });
  await world.database.raw(
    `update entra_sync.checkpoints set committed_at = now() - interval '3 days' where stream = 'groups';
     update entra_sync.tenants set last_success_at = now() - interval '2 hours', next_cycle_at = now() - interval '1 hour'`,
  );
  const samples = samplesOf(await metrics.text(), tenantId);
  expect(samples).toMatchObject({
    'cycles_total{kind="initial",outcome="committed"}': 1,
    'cycles_total{kind="incremental",outcome="held"}': 1,
    'cycles_total{kind="unknown",outcome="failed"}': 1,
    'cycle_duration_seconds_count{kind="initial"}': 1,
    'cycle_duration_seconds_sum{kind="unknown"}': 2,
    'objects_distinct_total{stream="users"}': 7,
    'changes_total{stream="users",change="created"}': 6,
    'changes_total{stream="users",change="held"}': 1,
    'graph_requests_total{method="GET",endpoint="users/delta",status="429"}': 1,
    'graph_request_duration_seconds_count{endpoint="users/delta"}': 1,
    'graph_waits_total{why="throttled"}': 1,
    'graph_wait_seconds_total{why="throttled"}': 1.5,
    'held_removals{tenant="ID"}': 1,
    'tenant_failing{tenant="ID",code="removals_held"}': 1,
    'set_aside_objects{tenant="ID"}': 0,
    'tenants{status="active"}': 1,
    'tenant_info{tenant="ID",name="Con\\"toso",ref="customer-17"}': 1,
    'tenants{status="pending"}': 0,
    tenants_paused: 0,
    cycles_running: 0,
    database_up: 1,
    credential_expiry_timestamp_seconds: Date.UTC(2027, 0, 2, 3, 4, 5) / 1000,
  });
  const about = (name: string, seconds: number) => {
    expect(samples[name], name).toBeGreaterThanOrEqual(seconds);
    expect(samples[name], name).toBeLessThan(seconds + 300);
  };
  about('staleness_seconds{tenant="ID"}', 7_200);
  about('cycle_late_seconds{tenant="ID"}', 3_600);
  about('checkpoint_age_seconds{tenant="ID",stream="groups"}', 3 * 86_400);
  about('checkpoint_age_seconds{tenant="ID",stream="users"}', 0);
  about('full_round_age_seconds{tenant="ID",stream="groups"}', 0);
  about('last_success_timestamp_seconds{tenant="ID"}', Math.floor(Date.now() / 1000) - 7_300);
  expect(Object.keys(samples)).toContainEqual(expect.stringMatching(/^build_info\{version="\d.*",node="\d+/));

  // Revoked consent is reported at once.
  world.simulator.options.roles = [];
  await failureOf(world.cycle());
  expect(samplesOf(await metrics.text(), tenantId)).toMatchObject({
    'tenant_failing{tenant="ID",code="consent_missing"}': 1,
  });

  // A paused tenant is not reported as stale, and a disconnected one not at all.
  await world.database.raw('update entra_sync.tenants set paused = true');
  const paused = samplesOf(await metrics.text(), tenantId);
  expect([
    paused['staleness_seconds{tenant="ID"}'],
    paused['held_removals{tenant="ID"}'],
    paused.tenants_paused,
  ]).toEqual([undefined, 1, 1]);
  await world.database.raw("update entra_sync.tenants set paused = false, status = 'disconnected'");
  const left = samplesOf(await metrics.text(), tenantId);
  expect(Object.keys(left).filter((name) => name.includes('ID'))).toEqual([]);
});

test.runIf(isDeep)('above the limit one series covers all tenants: the worst age, the sum of counts', async () => {
  const world = await openWorld({ users: 1 });
  const other = '605d1257-ffff-40b6-8e6f-528a53f5dc55';
  await addTenant(world.database, { tenantId: other, name: 'other', ref: null }, loadDefaults());
  await world.database.raw(
    `update entra_sync.tenants set status = 'active', last_error_code = 'defect',
            last_success_at = case when tenant_id = '${other}' then now() - interval '5 hours' else now() end;
     insert into entra_sync.set_aside (tenant_id, stream, object_key, reason)
     select tenant_id, 'users', 'k', 'r' from entra_sync.tenants`,
  );
  const separate = samplesOf(await metricsOf(world.database, 2).text(), other);
  expect(separate['set_aside_objects{tenant="ID"}']).toBe(1);
  const together = samplesOf(await metricsOf(world.database, 1).text(), other);
  expect(together['set_aside_objects{tenant="all"}']).toBe(2);
  expect(together['tenant_failing{tenant="all",code="defect"}']).toBe(2);
  expect(together['staleness_seconds{tenant="all"}']).toBeGreaterThanOrEqual(18_000);
  expect(Object.keys(together).filter((name) => name.includes('ID'))).toEqual([]);
  expect(Object.keys(together).filter((name) => name.startsWith('tenant_info'))).toEqual([]);
  expect(separate['tenant_info{tenant="ID",name="other",ref=""}']).toBe(1);
});

async function serve(database: World['database'], onEnd: (end: () => Promise<void>) => void) {
  const server = await serveOperations({
    host: '127.0.0.1',
    port: 0,
    notReady: () => whyNotReady(database),
    metrics: metricsOf(database),
    log: bufferLog().log,
  });
  onEnd(() => server.close());
  return async (path: string) => {
    const answer = await fetch(`${server.address}${path}`);
    return { status: answer.status, text: await answer.text(), type: answer.headers.get('content-type') };
  };
}

test.runIf(isDeep)(
  'ready only with a database whose schema is current; alive and with metrics even without',
  async (context) => {
    const [current, empty] = [await freshDatabase(), await freshDatabase({ migrated: false })];
    const nowhere = openDatabase('postgres://nobody@127.0.0.1:1/nowhere');
    const databases = [openDatabase(current.url), openDatabase(empty.url), nowhere];
    context.onTestFinished(async () => {
      for (const database of databases) await database.destroy();
      await current.drop();
      await empty.drop();
    });
    const answers: unknown[] = [];
    for (const database of databases) {
      const ask = await serve(database, context.onTestFinished);
      const ready = await ask('/readyz');
      const metrics = await ask('/metrics');
      const up = samplesOf(metrics.text).database_up;
      answers.push([(await ask('/livez')).status, ready.status, ready.text, metrics.status, up]);
    }
    expect(answers).toEqual([
      [200, 200, 'ok\n', 200, 1],
      [200, 503, 'not ready: schema_not_current\n', 200, 0],
      [200, 503, 'not ready: database_unreachable\n', 200, 0],
    ]);
  },
);

test('a worker that plans but makes no progress is not ready; one without work is', async () => {
  const { database } = await openWorld({ users: 1 });
  const ready = (plans: boolean, stalledSeconds: number) =>
    whyNotWorking(database, { isReady: () => plans, stalledSeconds: () => stalledSeconds });
  expect(await whyNotWorking(database, undefined)).toBe('not_planning');
  expect(await ready(false, 0)).toBe('not_planning');
  expect(await ready(true, 0)).toBeUndefined();
  expect(await ready(true, stalledAfterSeconds)).toBeUndefined();
  expect(await ready(true, stalledAfterSeconds + 1)).toBe('stalled');
});

test('metrics of a stalled worker and its waits', async () => {
  const { database } = await openWorld({ users: 1 });
  const metrics = openMetrics({
    database,
    tenantLimit: 1,
    credentialEnd: () => undefined,
    worker: () => ({ stalledSeconds: () => 7, maxWaits: () => ({ lock: 3, connection: 0, database: 12 }) }),
  });
  expect(samplesOf(await metrics.text())).toMatchObject({
    stalled_seconds: 7,
    'waiting_seconds{kind="lock"}': 3,
    'waiting_seconds{kind="connection"}': 0,
    'waiting_seconds{kind="database"}': 12,
  });
});

test('other paths answer with the list of paths; a taken port is a usage error', async (context) => {
  const fresh = await freshDatabase();
  const database = openDatabase(fresh.url);
  context.onTestFinished(async () => {
    await database.destroy();
    await fresh.drop();
  });
  const ask = await serve(database, context.onTestFinished);
  expect(await ask('/')).toMatchObject({ status: 404, text: 'there are /livez, /readyz and /metrics\n' });
  expect((await ask('/metrics')).type).toMatch(/^text\/plain; version=0\.0\.4/);
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  context.onTestFinished(() => void taken.close());
  const { port } = taken.address() as { port: number };
  const error = await failureOf(
    serveOperations({
      host: '127.0.0.1',
      port,
      notReady: async () => undefined,
      metrics: metricsOf(database),
      log: bufferLog().log,
    }),
  );
  expect(error).toMatchObject({ code: 'usage', message: expect.stringContaining(`127.0.0.1:${port}`) });
});

test('a worker process: alive, ready by database and schema but not by Graph, with metrics, and ended by SIGTERM', async () => {
  const fleet = await openFleet({ count: 2, users: 3 });
  // A collector of traces that never answers delays nothing.
  const collector = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => collector.once('listening', resolve));
  onTestFinished(() => void collector.close());
  const { port } = collector.address() as { port: number };
  const worker = fleet.worker([], { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}` });
  await untilCycles(fleet, 2);
  const shown = await worker.shows(/"address":"http:[^"]+"/);
  const address = /"address":"(http:[^"]+)"/.exec(shown)?.[1] ?? '';
  expect(new URL(address).hostname, 'only this machine is served by default').toBe('127.0.0.1');
  const ask = async (path: string) => {
    const answer = await fetch(`${address}${path}`);
    return `${answer.status} ${await answer.text()}`;
  };
  const ready = (says: string) => until(`/readyz says ${says}`, async () => (await ask('/readyz')) === says);
  await ready('200 ok\n');
  const up = await fleet.simulator.goDown();
  expect([await ask('/livez'), await ask('/readyz')]).toEqual(['200 ok\n', '200 ok\n']);
  await up();
  const samples = samplesOf(await ask('/metrics'));
  expect(samples['graph_requests_total{method="GET",endpoint="users/delta",status="200"}']).toBeGreaterThanOrEqual(2);
  const committed = Object.entries(samples).filter(([name]) => /^cycles_total\{.*outcome="committed"/.test(name));
  expect(committed.reduce((sum, [, count]) => sum + count, 0)).toBe(2);
  expect(samples['tenants{status="active"}']).toBe(2);
  // The first cycle is refused the deleted groups, as always: an alert on 4xx is not woken.
  expect(samples['graph_requests_total{method="GET",endpoint="deletedItems/group",status="not_granted"}']).toBe(2);
  expect(Object.keys(samples).filter((name) => /status="4/.test(name))).toEqual([]);
  // Lines about a tenant carry its name.
  const lines = (await worker.shows(/"msg":"cycle finished"/)).split('\n').filter((line) => line.startsWith('{'));
  const told = lines.map((line) => JSON.parse(line) as { tenantId?: string; tenant?: string; msg: string });
  const names = new Map(fleet.tenants.map(({ tenantId, name }) => [tenantId, name]));
  const about = told.filter(({ tenantId }) => tenantId !== undefined);
  expect(new Set(about.map(({ msg }) => msg))).toContain('cycle finished');
  for (const line of about) expect([line.msg, line.tenant]).toEqual([line.msg, names.get(line.tenantId ?? '')]);
  for (const { tenantId } of fleet.tenants) {
    expect(samples[`staleness_seconds{tenant="${tenantId}"}`], tenantId).toBeLessThan(300);
    expect(samples[`checkpoint_age_seconds{tenant="${tenantId}",stream="users"}`], tenantId).toBeLessThan(300);
  }

  const [last] = await rows<{ name: string }>(
    fleet.database,
    'delete from entra_sync.migrations where name = (select max(name) from entra_sync.migrations) returning name',
  );
  await ready('503 not ready: schema_not_current\n');
  await fleet.database.raw('insert into entra_sync.migrations (name, batch) values (?, 1)', [last?.name ?? '']);
  // A newer release has migrated: the previous one keeps working.
  await fleet.database.raw("insert into entra_sync.migrations (name, batch) values ('9999-newer.sql', 2)");
  await ready('200 ok\n');

  await closeDatabase(fleet.url, true);
  await ready('503 not ready: database_unreachable\n');
  expect(await ask('/livez')).toBe('200 ok\n');
  const away = samplesOf(await ask('/metrics'));
  expect(away.database_up).toBe(0);
  // Unknown values are absent, not zero.
  for (const name of Object.keys(away))
    expect(name).not.toMatch(/^(tenants|cycles_running|staleness|unsynced|held_removals)/);
  expect(away.stalled_seconds).toBeGreaterThanOrEqual(0);
  await closeDatabase(fleet.url, false);
  await ready('200 ok\n');

  const ended = await stopWorker(worker);
  expect(ended.code, ended.stderr).toBe(0);
  expect(ended.seconds).toBeLessThan(10);
  await expect(fetch(`${address}/livez`)).rejects.toThrow();
});

/** Ends all connections to the database and refuses new ones, or accepts them again. */
async function closeDatabase(url: string, closed: boolean): Promise<void> {
  const server = new URL(url);
  const name = server.pathname.slice(1);
  server.pathname = '/postgres';
  const database = openDatabase(server.href);
  try {
    await database.raw(`alter database ${name} with allow_connections ${!closed}`);
    if (closed) await database.raw('select pg_terminate_backend(pid) from pg_stat_activity where datname = ?', [name]);
  } finally {
    await database.destroy();
  }
}

test.runIf(isDeep)('a taken port: the worker names it and does not start', async () => {
  const fleet = await openFleet({ count: 1, users: 1, registered: false });
  const taken = createServer().listen(0, '127.0.0.1');
  await new Promise((resolve) => taken.once('listening', resolve));
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as { port: number };
  const ended = await runCli(['worker', '--metrics-port', String(port)], fleet.environment);
  expectOneLine(ended, 2, new RegExp(`127.0.0.1:${port} cannot be listened on .*--metrics-port`));
});
