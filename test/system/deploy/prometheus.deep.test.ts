// The dashboard and the alerts on a real Prometheus that scrapes a worker and the web: every query is understood and finds
// series, and every alert fires on the trouble that it is for.
import { execFile } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { packageFile } from '../../../src/package-files.ts';
import { throttled } from '../../../src/simulator/intercept.ts';
import { addWebhook } from '../../../src/store/webhooks/webhooks.ts';
import { startCli, temporaryDirectory } from '../../support/cli.ts';
import { openBrowser } from '../../support/consent.ts';
import { endRests, openFleet, until, untilCycles } from '../../support/fleet.ts';
import { freePort } from '../../support/free-port.ts';
import { programOf } from '../../support/programs.ts';
import { type Prometheus, startPrometheus } from '../../support/prometheus.ts';
import { startReceiver } from '../../support/receiver.ts';
import { setSettings } from '../../support/settings.ts';
import { trust } from '../../support/system.ts';

type Query = { refId: string; expr: string };
type Dashboard = {
  panels: { id: number; type: string; title: string; targets?: Query[] }[];
  annotations: { list: { name: string; expr: string }[] };
  templating: { list: { type: string; name: string; definition?: string }[] };
};
type Alert = { alert: string; expr: string };

const dashboard: Dashboard = JSON.parse(readFileSync(packageFile('deploy', 'grafana', 'entra-sync.json'), 'utf8'));
const alertsFile = packageFile('deploy', 'alerts.yaml');
const { rules: alerts } = parse(readFileSync(alertsFile, 'utf8')).groups[0] as { rules: Alert[] };

/** Queries that find nothing in an installation in order; the test of the alerts below shows that they find what they look for. */
const emptyInOrder: Record<string, string> = {
  EntraSyncWebFails: 'no request has failed',
  EntraSyncSignInFails: 'no sign-in has failed by itself',
  EntraSyncConsentWanted: 'no organization lets only its administrator allow applications',
  EntraSyncWebFlooded: 'no address has gone beyond the limits',
  EntraSyncGone: 'a worker is scraped',
  'Failed share': 'no request has failed',
};

/** Replaces what Grafana replaces: all processes, all tenants. A zero in place of nothing is left out. */
const asGrafana = (query: string) =>
  query
    .replaceAll(' or vector(0)', '')
    .replaceAll(/\$tenant|\$instance/g, '.*')
    .replaceAll('$__rate_interval', '1m');

/** Compares without leaving out what is in order: what is compared has to be there. */
const compared = (query: string) => query.replaceAll(/ (>|<|==) /g, ' $1 bool ');

async function openBusyInstallation(): Promise<readonly string[]> {
  const fleet = await openFleet({ count: 4, users: 8 });
  const { simulator, tenants, database } = fleet;
  trust(simulator.certificate);
  const [held, refusing, endless, busy] = tenants;
  if (!held || !refusing || !endless || !busy) expect.unreachable('four tenants');
  simulator.consents.revoke(refusing.tenantId);
  // The first requests are throttled, and a first cycle never comes to its end.
  let waits = 2;
  simulator.intercept(({ tenantId, url }) => {
    if (tenantId === endless.tenantId && url.includes('/delta')) return { hang: true };
    if (tenantId !== busy.tenantId || !url.includes('/delta') || waits === 0) return undefined;
    waits -= 1;
    return throttled(0.1);
  });
  const receiver = await startReceiver();
  const [operations, pages, ofPages] = [await freePort('127.0.0.1'), await freePort(), await freePort('127.0.0.1')];
  await addWebhook(database, {
    ...{
      tenantId: null,
      url: receiver.url,
      kinds: [],
      told: 'names',
      insecureLocal: true,
      form: 'changes',
      actor: 'test',
    },
  });
  const certificate = simulator.certificateEnvironment().AZURE_CLIENT_CERTIFICATE_PATH ?? '';
  fleet.worker(['--metrics-port', `${operations}`], {
    ...{ AZURE_CLIENT_SECRET: '', AZURE_CLIENT_CERTIFICATE_PATH: certificate },
  });
  await untilCycles(fleet, 1, held);
  // A cycle that holds a removal, and photos.
  await setSettings(database, { removals: { max: 0 }, photos: { read: true } });
  held.deleteUser(held.users()[0]?.id ?? '');
  await endRests(database);
  await fleet.makeDue([held]);
  await untilCycles(fleet, 2, held);
  await until('the webhook has taken changes', () => receiver.taken.length > 0);

  const url = `http://localhost:${pages}`;
  const web = startCli(
    ['web', '--port', `${pages}`, '--host', 'localhost', '--parts', 'console', '--metrics-port', `${ofPages}`],
    { ...fleet.environment, PORT: '', ENTRA_SYNC_PUBLIC_URL: url },
  );
  ends.push(async () => {
    web.child.kill('SIGKILL');
    await receiver.close();
  });
  await web.shows(/Served at/);
  const browser = openBrowser();
  const picker = await browser.open(url);
  await browser.open(`${picker.url}&account=${encodeURIComponent(`user@${held.domain}`)}`);
  return [`127.0.0.1:${operations}`, `127.0.0.1:${ofPages}`];
}

const ends: (() => Promise<void>)[] = [];

/** Runs queries until each is understood and finds series, and returns those that never do. */
async function emptyOf(prometheus: Prometheus, queries: ReadonlyMap<string, string>): Promise<string[]> {
  const left = new Map(queries);
  await until(
    'all queries find series',
    async () => {
      for (const [name, query] of left) if ((await prometheus.query(query)).length > 0) left.delete(name);
      return left.size === 0;
    },
    30,
  ).catch(() => undefined);
  return [...left.keys()];
}

test('each query of the dashboard and of the alerts finds series of a worker and the web', async ({
  skip,
  onTestFinished,
}) => {
  const program = programOf('prometheus', skip);
  onTestFinished(async () => {
    for (const end of ends.splice(0)) await end();
  });
  const prometheus = await startPrometheus(program, await openBusyInstallation(), onTestFinished);
  const all = new Map<string, string>();
  for (const { id, title, targets = [] } of dashboard.panels)
    for (const { refId, expr } of targets)
      all.set(title in emptyInOrder ? title : `${id} ${title} ${refId}`, asGrafana(expr));
  for (const { name, expr } of dashboard.annotations.list) all.set(name, expr);
  for (const { alert, expr } of alerts) all.set(alert, alert in emptyInOrder ? expr : compared(expr));
  const queries = new Map([...all].filter(([name]) => !(name in emptyInOrder)));
  expect(queries.size).toBeGreaterThan(70);
  expect(await emptyOf(prometheus, queries)).toEqual([]);
  // These are understood, and find nothing yet.
  for (const name of Object.keys(emptyInOrder)) {
    const expr = all.get(name) ?? expect.unreachable(`there is no query ${name}`);
    expect(await prometheus.query(expr), name).toEqual([]);
  }
  await expect(prometheus.query('sum(')).rejects.toThrow(/parse error/);
  for (const { type, name, definition = '' } of dashboard.templating.list) {
    if (type === 'datasource') continue;
    const [, metric = '', label = ''] = /^label_values\((\w+), (\w+)\)$/.exec(definition) ?? [];
    expect(await prometheus.labelValues(metric, label), name).not.toEqual([]);
  }
  await until('the rules have run', async () => (await prometheus.rules()).every(({ health }) => health !== 'unknown'));
  const rules = await prometheus.rules();
  expect(rules.map(({ name }) => name)).toEqual(alerts.map(({ alert }) => alert));
  expect(rules.filter(({ health }) => health !== 'ok')).toEqual([]);
});

const minutes = 60 * 5;
/** A value that stays, and one that grows each minute, for five hours. */
const stays = (value: number) => `${value}x${minutes}`;
const grows = (each: number, from = 0) => `${from}+${each}x${minutes}`;

/** The series of an installation in order. */
const inOrder: Record<string, string> = {
  'entra_sync_build_info{version="1",node="24"}': stays(1),
  'entra_sync_worker_seen_seconds{instance="w"}': stays(10),
  'entra_sync_database_up{instance="w"}': stays(1),
  'entra_sync_staleness_seconds{tenant="t"}': stays(1200),
  'entra_sync_checkpoint_age_seconds{tenant="t",stream="users"}': stays(1200),
  'entra_sync_held_removals{tenant="t"}': stays(0),
  'entra_sync_noticed_changes{tenant="t"}': stays(0),
  'entra_sync_set_aside_objects{tenant="t"}': stays(3),
  'entra_sync_tenants{status="quarantined"}': stays(0),
  'entra_sync_stalled_seconds{instance="w"}': stays(0),
  'entra_sync_waiting_seconds{kind="lock"}': stays(0),
  'entra_sync_webhooks{state="stopped"}': stays(0),
  entra_sync_webhook_behind_seconds: stays(3),
  entra_sync_credential_expiry_timestamp_seconds: stays(90 * 86_400),
  'entra_sync_graph_wait_seconds_total{why="throttled"}': grows(1),
  'entra_sync_web_requests_total{status="200"}': grows(60),
  'entra_sync_web_request_duration_seconds_bucket{le="0.1"}': grows(60),
  'entra_sync_web_request_duration_seconds_bucket{le="+Inf"}': grows(60),
  'entra_sync_web_sign_ins_total{outcome="signed_in"}': grows(1),
};

/** The series of the trouble that each alert is for, in place of those in order; null: it is not there. */
const troubles: Record<string, Record<string, string | null>> = {
  EntraSyncStale: { 'entra_sync_staleness_seconds{tenant="t"}': stays(7300) },
  EntraSyncNeverSynced: { 'entra_sync_unsynced_seconds{tenant="u"}': stays(3700) },
  EntraSyncCheckpointAges: { 'entra_sync_checkpoint_age_seconds{tenant="t",stream="users"}': stays(3.1 * 86_400) },
  EntraSyncRemovalsHeld: { 'entra_sync_held_removals{tenant="t"}': stays(600) },
  EntraSyncMassChange: { 'entra_sync_noticed_changes{tenant="t"}': stays(1) },
  EntraSyncQuarantined: { 'entra_sync_tenants{status="quarantined"}': stays(1) },
  EntraSyncAccessLost: { 'entra_sync_tenant_failing{tenant="t",code="consent_missing"}': stays(1) },
  EntraSyncCredentialExpires: { entra_sync_credential_expiry_timestamp_seconds: stays(13 * 86_400) },
  EntraSyncSetAsideGrows: { 'entra_sync_set_aside_objects{tenant="t"}': grows(1) },
  EntraSyncThrottled: { 'entra_sync_graph_wait_seconds_total{why="throttled"}': grows(40) },
  EntraSyncDatabaseDown: { 'entra_sync_database_up{instance="w"}': stays(0) },
  EntraSyncStalled: { 'entra_sync_stalled_seconds{instance="w"}': stays(1000) },
  EntraSyncWaits: { 'entra_sync_waiting_seconds{kind="lock"}': stays(90) },
  EntraSyncWebhookStopped: { 'entra_sync_webhooks{state="stopped"}': stays(1) },
  EntraSyncWebhookBehind: { entra_sync_webhook_behind_seconds: stays(4000) },
  EntraSyncNoWorker: { 'entra_sync_worker_seen_seconds{instance="w"}': null },
  EntraSyncWebFails: { 'entra_sync_web_requests_total{status="500"}': grows(6) },
  EntraSyncWebSlow: {
    'entra_sync_web_request_duration_seconds_bucket{le="0.1"}': grows(50),
    'entra_sync_web_request_duration_seconds_bucket{le="3"}': grows(60),
  },
  EntraSyncSignInFails: { 'entra_sync_web_sign_ins_total{outcome="failed"}': grows(1) },
  EntraSyncConsentWanted: { 'entra_sync_web_sign_ins_total{outcome="consent_wanted"}': grows(1) },
  EntraSyncWebFlooded: { 'entra_sync_web_requests_total{status="429"}': grows(60) },
  EntraSyncGone: { 'entra_sync_build_info{version="1",node="24"}': null },
};

test('each alert fires on the trouble that it is for, and none in an installation in order', async ({
  skip,
  onTestFinished,
}) => {
  const promtool = programOf('promtool', skip);
  expect(Object.keys(troubles).toSorted()).toEqual(alerts.map(({ alert }) => alert).toSorted());
  const firing = (alert: string) => ({
    expr: `count(ALERTS{alertname${alert === '' ? '!' : ''}="${alert}",alertstate="firing"})`,
    eval_time: '5h',
    exp_samples: alert === '' ? [] : [{ labels: '{}', value: 1 }],
  });
  const cases = [['', {}] as const, ...Object.entries(troubles)].map(([alert, trouble]) => ({
    interval: '1m',
    input_series: Object.entries({ ...inOrder, ...trouble }).flatMap(([series, values]) =>
      values === null ? [] : [{ series, values }],
    ),
    promql_expr_test: [firing(alert)],
  }));
  const file = join(await temporaryDirectory(onTestFinished), 'alerts.test.yaml');
  await writeFile(file, JSON.stringify({ rule_files: [alertsFile], evaluation_interval: '5m', tests: cases }));
  const run = promisify(execFile);
  await run(promtool, ['check', 'rules', alertsFile]);
  const { stdout } = await run(promtool, ['test', 'rules', file]);
  expect(stdout).toContain('SUCCESS');
});
