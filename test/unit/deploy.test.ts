// Checks deploy/ and docs/operations.md against the program: verbs, options, paths, metrics, variables, exit codes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { connectCommand } from '../../src/cli/verbs/connect.ts';
import { migrateCommand } from '../../src/cli/verbs/migrate.ts';
import { simulateCommand } from '../../src/cli/verbs/simulate.ts';
import { syncCommand } from '../../src/cli/verbs/sync.ts';
import { webCommand } from '../../src/cli/verbs/web.ts';
import { workerCommand } from '../../src/cli/verbs/worker.ts';
import { exitCodes } from '../../src/errors.ts';
import { packageFile } from '../../src/package-files.ts';
import { openDatabase } from '../../src/store/database/pool.ts';
import { language as english } from '../../src/web/languages/en.ts';
import { openWebMetrics } from '../../src/web/metrics.ts';
import { openMetrics } from '../../src/worker/metrics.ts';
import { readStages } from '../support/dockerfile.ts';

const files = readdirSync(packageFile('deploy'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => ({ name, text: readFileSync(packageFile('deploy', name), 'utf8') }));
const textOf = (name: string) => files.find((file) => file.name === name)?.text ?? '';
const kubernetes = files.filter(({ name }) => name.startsWith('kubernetes/'));
const dashboard = readFileSync(packageFile('deploy', 'grafana', 'entra-sync.json'), 'utf8');
const operations = readFileSync(packageFile('docs', 'operations.md'), 'utf8');

/** Returns every value under `key`, at any depth. */
function valuesOf(node: unknown, key: string): unknown[] {
  if (Array.isArray(node)) return node.flatMap((one) => valuesOf(one, key));
  if (typeof node !== 'object' || node === null) return [];
  return Object.entries(node).flatMap(([name, value]) => [...(name === key ? [value] : []), ...valuesOf(value, key)]);
}

function documentsOf(text: string): unknown[] {
  return parseAllDocuments(text, { merge: true }).map((document) => {
    expect(document.errors).toEqual([]);
    return document.toJS();
  });
}

const commands = new Map(
  [connectCommand(), migrateCommand(), simulateCommand(), syncCommand(), webCommand(), workerCommand()].map((one) => [
    one.name(),
    one,
  ]),
);

/** Returns the names and kinds of the metrics of a worker and of the web. */
async function metricNames(): Promise<Map<string, string>> {
  const database = openDatabase('postgres://nobody@127.0.0.1:1/nowhere');
  const text = await openMetrics({ database, tenantLimit: 1, credentialEnd: () => undefined }).text();
  const ofWeb = await openWebMetrics(database).text();
  await database.destroy();
  return new Map(
    [...`${text}\n${ofWeb}`.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = '', kind = '']) => [name, kind]),
  );
}

test.each(files)('$name is YAML, and runs existing verbs and options', ({ text }) => {
  const lines = documentsOf(text).flatMap((one) => [
    ...valuesOf(one, 'args'),
    ...valuesOf(one, 'command'),
  ]) as string[][];
  // A program of the image itself has its path.
  for (const [verb = '', ...args] of lines.filter(([first]) => !first?.startsWith('/'))) {
    const command = commands.get(verb);
    expect(command, verb).toBeDefined();
    const known = command?.options.map(({ long }) => long);
    for (const option of args.filter((arg) => arg.startsWith('--'))) expect(known, verb).toContain(option);
  }
});

test.each(files)('$name sets variables that docs/operations.md explains', ({ text }) => {
  const ours = new Set(text.match(/\b(?:AZURE|ENTRA_SYNC|DATABASE|LOG|SMTP)_[A-Z_]+\b/g) ?? []);
  for (const name of ours) {
    if (name !== 'ENTRA_SYNC_IMAGE') expect(operations).toContain(`\`${name}\``);
  }
});

test('the probes of every worker deployment use paths that a worker serves', () => {
  const paths = documentsOf(textOf('kubernetes/base/worker/worker.yaml')).flatMap((one) =>
    valuesOf(one, 'httpGet'),
  ) as {
    path: string;
  }[];
  const served = readFileSync(packageFile('src', 'worker', 'http.ts'), 'utf8');
  expect(paths.map(({ path }) => path).sort()).toEqual(['/livez', '/livez', '/readyz']);
  for (const { path } of paths) expect(served).toContain(`app.get('${path}'`);
});

type Alert = { alert: string; labels: { severity: string }; annotations: { summary: string; runbook_url: string } };
type Named = { kind: string; metadata: { name?: string; generateName?: string } };

test('every manifest belongs to a kustomization, and the migration Job has a new name each time', () => {
  const taken = kubernetes
    .filter(({ name }) => name.endsWith('/kustomization.yaml'))
    .flatMap(({ name, text }) => {
      const lists = ['resources', 'bases', 'patchesStrategicMerge', 'path'];
      const named = lists.flatMap((key) => valuesOf(documentsOf(text), key)).flat() as string[];
      return named.map((one) => join(dirname(name), one));
    });
  const others = kubernetes.map(({ name }) => name).filter((name) => !name.endsWith('/kustomization.yaml'));
  expect(taken).toEqual(expect.arrayContaining(others.filter((name) => name !== 'kubernetes/migrate-job.yaml')));
  for (const one of taken) expect(existsSync(packageFile('deploy', one)), one).toBe(true);
  const [job] = documentsOf(textOf('kubernetes/migrate-job.yaml')) as Named[];
  expect(job).toMatchObject({ kind: 'Job', metadata: { generateName: 'entra-sync-migrate-' } });
  expect(job?.metadata.name).toBeUndefined();
});

test.each(kubernetes)('$name: pods have limits, and neither privileges nor a cluster token', ({ text }) => {
  for (const one of documentsOf(text)) {
    const pods = valuesOf(one, 'template').filter((template) => valuesOf(template, 'image').length > 0);
    for (const pod of pods) {
      expect(valuesOf(pod, 'automountServiceAccountToken')).toEqual([false]);
      expect(valuesOf(pod, 'allowPrivilegeEscalation')).toEqual([false]);
      expect(valuesOf(pod, 'drop')).toEqual([['ALL']]);
      expect(valuesOf(pod, 'seccompProfile')).toEqual([{ type: 'RuntimeDefault' }]);
      expect(valuesOf(pod, 'requests')).toEqual([{ cpu: expect.any(String), memory: expect.any(String) }]);
      expect(valuesOf(pod, 'runAsNonRoot')).toEqual([true]);
      expect(valuesOf(pod, 'readOnlyRootFilesystem')).toEqual([true]);
      expect(valuesOf(pod, 'limits')).toEqual([{ memory: expect.any(String) }]);
      expect(valuesOf(pod, 'terminationGracePeriodSeconds')[0]).toBeGreaterThan(10);
    }
    if (pods.length > 0 && ['Job', 'CronJob'].includes((one as Named).kind))
      expect(valuesOf(one, 'activeDeadlineSeconds')).toHaveLength(1);
  }
});

/** Runs the image's health check for a process with these arguments; false: unhealthy. */
async function isHealthy(args: string[], variables: Record<string, string> = {}): Promise<boolean> {
  const program = packageFile('bin', 'healthcheck.js');
  const child = spawn(process.execPath, [program, ...args], { stdio: 'ignore', env: variables });
  const [code] = await once(child, 'exit');
  return code === 0;
}

test('the image names its base once, by version and digest, and every stage builds on it or on an empty one', () => {
  const text = readFileSync(packageFile('Dockerfile'), 'utf8');
  const bases = [...text.matchAll(/^ARG NODE_IMAGE=(.*)$/gm)].map(([, base]) => base);
  expect(bases).toEqual([expect.stringMatching(/^node:24\.\d+\.\d+-\S+@sha256:[0-9a-f]{64}$/)]);
  const stages = readStages(text);
  const names = stages.map(({ name }) => name);
  expect(stages.length).toBeGreaterThan(1);
  for (const { base } of stages) expect([bases[0], 'scratch', ...names]).toContain(base);
  expect(stages.at(-1)).toMatchObject({ base: 'program', steps: [] });
});

test('the health check of the image asks the port of the verb, and passes for verbs without one', async () => {
  const server = createServer((request, response) => response.writeHead(request.url === '/livez' ? 200 : 404).end());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    expect(await isHealthy(['main.js', 'worker', '--metrics-port', `${port}`])).toBe(true);
    expect(await isHealthy(['main.js', 'connect', `--port=${port}`])).toBe(true);
    expect(await isHealthy(['main.js', 'web', '--port', `${port}`])).toBe(true);
    expect(await isHealthy(['main.js', 'worker'], { PORT: `${port}` })).toBe(true);
    expect(await isHealthy(['main.js', 'sync'])).toBe(true);
  } finally {
    server.close();
  }
  expect(await isHealthy(['main.js', 'worker', '--metrics-port', `${port}`])).toBe(false);
});

test('jobs give up on exit codes that need a person', () => {
  const codes = documentsOf(textOf('kubernetes/base/cronjob/cronjob.yaml')).flatMap((one) =>
    valuesOf(one, 'onExitCodes'),
  ) as {
    values: number[];
  }[];
  const given = codes.flatMap(({ values }) => values);
  const known: readonly number[] = Object.values(exitCodes);
  expect(given).toEqual(expect.arrayContaining([exitCodes.removals_held, exitCodes.consent_missing]));
  for (const code of given) expect(known).toContain(code);
  expect(given, 'what passes by itself is tried again').not.toContain(exitCodes.graph_unavailable);
});

test('each alert has a page of its own, which says what is at stake, where to look, what to do and what ends it', () => {
  const { rules } = (documentsOf(textOf('alerts.yaml')) as { groups: { rules: Alert[] }[] }[])[0]?.groups[0] ?? {
    rules: [],
  };
  const index = readFileSync(packageFile('docs', 'alerts.md'), 'utf8');
  for (const { alert, labels, annotations } of rules) {
    const path = `docs/alerts/${alert}.md`;
    expect(annotations.runbook_url).toBe(path);
    const page = readFileSync(packageFile(path), 'utf8');
    const headings = [...page.matchAll(/^#+ (.+)$/gm)].map(([, heading]) => heading);
    expect(headings, path).toEqual([alert, 'At stake', 'Look at', 'Do', 'End']);
    expect(page, path).toContain(`Severity \`${labels.severity}\``);
    expect(index).toContain(`| [${alert}](alerts/${alert}.md) | ${labels.severity} |`);
  }
  const pages = readdirSync(packageFile('docs', 'alerts'));
  expect(pages.toSorted()).toEqual(rules.map(({ alert }) => `${alert}.md`).toSorted());
});

type Panel = {
  id: number;
  type: string;
  title: string;
  description?: string;
  gridPos: { x: number; y: number; w: number; h: number };
  targets?: { expr: string }[];
};

test('the dashboard: every panel says what it shows, has a place of its own, and together they show every metric', async () => {
  const { panels, uid } = JSON.parse(dashboard) as { panels: Panel[]; uid: string };
  expect(uid).toBe('entra-sync');
  expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
  const taken = new Set<string>();
  for (const { type, title, description, gridPos, targets = [] } of panels) {
    if (type === 'row') continue;
    expect(description, title).toMatch(/\w{3}/);
    expect(targets.length, title).toBeGreaterThan(0);
    expect(gridPos.x + gridPos.w, title).toBeLessThanOrEqual(24);
    for (let x = gridPos.x; x < gridPos.x + gridPos.w; x += 1)
      for (let y = gridPos.y; y < gridPos.y + gridPos.h; y += 1) {
        expect(taken.has(`${x} ${y}`), `${title} lies over another panel`).toBe(false);
        taken.add(`${x} ${y}`);
      }
  }
  const names = [...(await metricNames()).keys()].filter((name) => name.startsWith('entra_sync_'));
  for (const name of names) expect(dashboard).toContain(name);
});

const units = readdirSync(packageFile('deploy')).filter((name) => /\.(service|timer)$/.test(name));

test.each(units)(
  'deploy/%s runs an existing verb with variables that docs/operations.md explains, and no right more than the others',
  (name) => {
    const lines = readFileSync(packageFile('deploy', name), 'utf8').split('\n');
    const valuesOfKey = (key: string) =>
      lines.filter((line) => line.startsWith(`${key}=`)).map((line) => line.slice(key.length + 1));
    if (name.endsWith('.timer')) {
      expect(units).toContain(name.replace('.timer', '.service'));
      expect(valuesOfKey('OnUnitInactiveSec')).toEqual(['40min']);
      return;
    }
    const [, verb = '', options = ''] =
      /^\/usr\/bin\/env entra-sync (\w+)(.*)$/.exec(valuesOfKey('ExecStart')[0] ?? '') ?? [];
    const known = commands.get(verb)?.options.map(({ long }) => long);
    expect(known, verb).toBeDefined();
    for (const option of options.match(/--[\w-]+/g) ?? []) expect(known).toContain(option);
    const files = valuesOfKey('Environment')
      .flatMap((line) => line.split(' '))
      .map((one) => one.split('='));
    for (const [variable, path = ''] of files) {
      expect(operations).toContain(`\`${variable}\``);
      const secret = path.replace('%d/', '');
      expect(valuesOfKey('LoadCredential')).toContain(`${secret}:/etc/entra-sync/${secret}`);
    }
    // The part below the empty line after the last limit of time is the same in all of them.
    const rights = (text: string) => /^DynamicUser=[\s\S]*?SystemCallFilter=~.*$/m.exec(text)?.[0];
    const [first = ''] = units.filter((one) => one.endsWith('.service'));
    expect(rights(lines.join('\n'))).toBe(rights(readFileSync(packageFile('deploy', first), 'utf8')));
    expect(rights(lines.join('\n'))).toContain('ProtectSystem=strict');
  },
);

test('every way to run a worker has a place for mail: its server in a secret, its sender beside it', () => {
  const [worker] = documentsOf(textOf('kubernetes/base/worker/worker.yaml'));
  const variables = valuesOf(worker, 'env').flat() as { name: string; value?: string; valueFrom?: object }[];
  const secretKeyRef = { name: 'entra-sync', key: 'smtp-url', optional: true };
  expect(variables.find(({ name }) => name === 'SMTP_URL')).toEqual({ name: 'SMTP_URL', valueFrom: { secretKeyRef } });
  const named = variables.map(({ name }) => name);
  expect(named).toEqual(expect.arrayContaining(['ENTRA_SYNC_MAIL_FROM', 'ENTRA_SYNC_PUBLIC_URL']));
  const mail = documentsOf(textOf('kubernetes/base/shared/network-policy.yaml')).find(
    (one) => (one as Named).metadata.name === 'entra-sync-mail',
  );
  expect(valuesOf(mail, 'port').sort()).toEqual([465, 587]);
  const unit = readFileSync(packageFile('deploy', 'entra-sync-worker.mail.conf'), 'utf8');
  expect(unit).toMatch(
    /^Environment=SMTP_URL_FILE=%d\/smtp-url\nLoadCredential=smtp-url:\/etc\/entra-sync\/smtp-url$/m,
  );
  const { worker: composed } = (documentsOf(textOf('compose.mail.yaml'))[0] as { services: Record<string, unknown> })
    .services;
  expect(composed).toMatchObject({
    secrets: ['smtp-url'],
    environment: { SMTP_URL_FILE: '/run/secrets/smtp-url', ENTRA_SYNC_MAIL_FROM: expect.stringContaining(':?') },
  });
});

test('alerts name existing codes', () => {
  const codes = [...textOf('alerts.yaml').matchAll(/code=~"([^"]+)"/g)].flatMap(([, list = '']) => list.split('|'));
  expect(codes.length).toBeGreaterThan(3);
  for (const code of codes) expect(Object.keys(exitCodes)).toContain(code);
});

test('alerts name existing outcomes of a sign-in', () => {
  const outcomes = [...textOf('alerts.yaml').matchAll(/outcome=~?"([^"]+)"/g)].flatMap(([, list = '']) =>
    list.split('|'),
  );
  expect(outcomes.length).toBeGreaterThan(2);
  for (const outcome of outcomes) expect(Object.keys(english.texts.refusals)).toContain(outcome);
});

test.each(['web', 'connect'])(
  'kubernetes/base/%s: several replicas, served probes, and an Ingress of the public address',
  (name) => {
    const documents = documentsOf(textOf(`kubernetes/base/${name}/${name}.yaml`)) as Named[];
    expect(documents.map(({ kind }) => kind)).toEqual(['Deployment', 'Service', 'Ingress', 'PodDisruptionBudget']);
    const [deployment, service, ingress, budget] = documents;
    expect(valuesOf(deployment, 'replicas')[0]).toBeGreaterThan(1);
    expect(valuesOf(budget, 'maxUnavailable')).toEqual([1]);
    const served = readFileSync(packageFile('src', 'web', 'server.ts'), 'utf8');
    const probes = valuesOf(deployment, 'httpGet') as { path: string }[];
    expect(probes.map(({ path }) => path).sort()).toEqual(['/livez', '/livez', '/readyz']);
    for (const { path } of probes) expect(served).toContain(path.slice(1));
    const labels = valuesOf(deployment, 'matchLabels')[0];
    expect([valuesOf(service, 'selector')[0], valuesOf(budget, 'matchLabels')[0]]).toEqual([labels, labels]);
    const variables = valuesOf(deployment, 'env').flat() as { name: string; value: string }[];
    const url = new URL(variables.find((one) => one.name === 'ENTRA_SYNC_PUBLIC_URL')?.value ?? '');
    expect([valuesOf(ingress, 'host'), valuesOf(ingress, 'hosts')]).toEqual([[url.hostname], [[url.hostname]]]);
    expect(valuesOf(ingress, 'path')).toEqual([url.pathname]);
  },
);

test('deploy/nginx.conf forwards the path of its public address, and the address of the browser', () => {
  const text = readFileSync(packageFile('deploy', 'nginx.conf'), 'utf8');
  const url = new URL(/ENTRA_SYNC_PUBLIC_URL=(\S+)/.exec(text)?.[1] ?? '');
  expect(text).toContain(`location ${url.pathname}/ {`);
  expect(text).toContain(`server_name ${url.hostname};`);
  // With a path behind the upstream nginx would take the prefix away.
  expect(text).toMatch(/proxy_pass http:\/\/\w+;/);
  for (const path of ['/entered', '/callback']) expect(text).toContain(`${url.href}${path}`);
  for (const name of new Set(text.match(/\bENTRA_SYNC_[A-Z_]+\b/g))) expect(operations).toContain(`\`${name}\``);
});

test('alerts and docs/operations.md name existing metrics, and the page names all of them', async () => {
  const names = await metricNames();
  const ours = [...names.keys()].filter((name) => name.startsWith('entra_sync_'));
  expect(ours.length).toBeGreaterThan(20);
  const told =
    [...files.map(({ text }) => text), dashboard, operations].join('\n').match(/\bentra_sync_[a-z_]+\b/g) ?? [];
  const notMetrics = new Set(['entra_sync_portal', 'entra_sync_jobs']);
  for (const name of new Set(told)) {
    const whole = name.replace(/_(bucket|sum|count)$/, '');
    const known = names.get(whole) === 'histogram' ? whole : name;
    if (!notMetrics.has(name)) expect(ours).toContain(known);
  }
  for (const name of ours) expect(operations).toContain(`\`${name}`);
});
