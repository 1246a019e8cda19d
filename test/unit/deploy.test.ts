// Checks deploy/ and docs/operations.md against the program: verbs, options, paths, metrics, variables, exit codes.
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readdirSync, readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, test } from 'vitest';
import { parseAllDocuments } from 'yaml';
import { connectCommand } from '../../src/cli/verbs/connect.ts';
import { migrateCommand } from '../../src/cli/verbs/migrate.ts';
import { syncCommand } from '../../src/cli/verbs/sync.ts';
import { workerCommand } from '../../src/cli/verbs/worker.ts';
import { exitCodes } from '../../src/errors.ts';
import { packageFile } from '../../src/package-files.ts';
import { openDatabase } from '../../src/store/database/pool.ts';
import { openMetrics } from '../../src/worker/metrics.ts';

const files = readdirSync(packageFile('deploy'), { recursive: true, encoding: 'utf8' })
  .filter((name) => name.endsWith('.yaml'))
  .map((name) => ({ name, text: readFileSync(packageFile('deploy', name), 'utf8') }));
const textOf = (name: string) => files.find((file) => file.name === name)?.text ?? '';
const kubernetes = files.filter(({ name }) => name.startsWith('kubernetes/'));
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
  [connectCommand(), migrateCommand(), syncCommand(), workerCommand()].map((one) => [one.name(), one]),
);

/** Returns the names and kinds of a worker's metrics. */
async function metricNames(): Promise<Map<string, string>> {
  const database = openDatabase('postgres://nobody@127.0.0.1:1/nowhere');
  const text = await openMetrics({ database, tenantLimit: 1, credentialEnd: () => undefined }).text();
  await database.destroy();
  return new Map([...text.matchAll(/^# TYPE (\w+) (\w+)$/gm)].map(([, name = '', kind = '']) => [name, kind]));
}

test.each(files)('$name is YAML, and runs existing verbs and options', ({ text }) => {
  const lines = documentsOf(text).flatMap((one) => [
    ...valuesOf(one, 'args'),
    ...valuesOf(one, 'command'),
  ]) as string[][];
  for (const [verb = '', ...args] of lines) {
    const command = commands.get(verb);
    expect(command, verb).toBeDefined();
    const known = command?.options.map(({ long }) => long);
    for (const option of args.filter((arg) => arg.startsWith('--'))) expect(known, verb).toContain(option);
  }
});

test.each(files)('$name sets variables that docs/operations.md explains', ({ text }) => {
  const ours = new Set(text.match(/\b(?:AZURE|ENTRA_SYNC|DATABASE|LOG)_[A-Z_]+\b/g) ?? []);
  for (const name of ours) {
    if (name !== 'ENTRA_SYNC_IMAGE') expect(operations).toContain(`\`${name}\``);
  }
});

test('the probes of every worker deployment use paths that a worker serves', () => {
  const paths = documentsOf(textOf('kubernetes/worker.yaml')).flatMap((one) => valuesOf(one, 'httpGet')) as {
    path: string;
  }[];
  const served = readFileSync(packageFile('src', 'worker', 'http.ts'), 'utf8');
  expect(paths.map(({ path }) => path).sort()).toEqual(['/livez', '/readyz']);
  for (const { path } of paths) expect(served).toContain(`app.get('${path}'`);
});

type Named = { kind: string; metadata: { name?: string; generateName?: string } };

test('kustomization.yaml names existing files, and the migration Job has a new name each time', () => {
  const [{ resources = [] } = {}] = documentsOf(textOf('kubernetes/kustomization.yaml')) as { resources?: string[] }[];
  const names = kubernetes.map(({ name }) => name.replace('kubernetes/', ''));
  expect(names).toEqual(expect.arrayContaining(resources));
  const [job] = documentsOf(textOf('kubernetes/migrate-job.yaml')) as Named[];
  expect(job).toMatchObject({ kind: 'Job', metadata: { generateName: 'entra-sync-migrate-' } });
  expect(job?.metadata.name).toBeUndefined();
});

test.each(kubernetes)('$name: pods have limits, and neither privileges nor a cluster token', ({ text }) => {
  for (const one of documentsOf(text)) {
    for (const pod of valuesOf(one, 'template').filter((template) => valuesOf(template, 'containers').length > 0)) {
      expect(valuesOf(pod, 'automountServiceAccountToken')).toEqual([false]);
      expect(valuesOf(pod, 'runAsNonRoot')).toEqual([true]);
      expect(valuesOf(pod, 'readOnlyRootFilesystem')).toEqual([true]);
      expect(valuesOf(pod, 'limits')).toEqual([{ memory: expect.any(String) }]);
      expect(valuesOf(pod, 'terminationGracePeriodSeconds')[0]).toBeGreaterThan(10);
    }
    if (['Job', 'CronJob'].includes((one as Named).kind))
      expect(valuesOf(one, 'activeDeadlineSeconds')).toHaveLength(1);
  }
});

/** Runs the image's health check for a process with these arguments; false: unhealthy. */
async function isHealthy(...args: string[]): Promise<boolean> {
  const child = spawn(process.execPath, [packageFile('bin', 'healthcheck.js'), ...args], { stdio: 'ignore' });
  const [code] = await once(child, 'exit');
  return code === 0;
}

test('the image names its base once, by version and digest, and every stage builds on it', () => {
  const text = readFileSync(packageFile('Dockerfile'), 'utf8');
  const bases = [...text.matchAll(/^ARG NODE_IMAGE=(.*)$/gm)].map(([, base]) => base);
  expect(bases).toEqual([expect.stringMatching(/^node:24\.\d+\.\d+-\S+@sha256:[0-9a-f]{64}$/)]);
  const stages = [...text.matchAll(/^FROM (\S+)/gm)].map(([, base]) => base);
  expect(stages.length).toBeGreaterThan(1);
  for (const stage of stages) expect(stage).toMatch(/^\$\{NODE_IMAGE\}$/);
});

test('the health check of the image asks the port of the verb, and passes for verbs without one', async () => {
  const server = createServer((request, response) => response.writeHead(request.url === '/livez' ? 200 : 404).end());
  await once(server.listen(0, '127.0.0.1'), 'listening');
  const { port } = server.address() as AddressInfo;
  try {
    expect(await isHealthy('main.js', 'worker', '--metrics-port', `${port}`)).toBe(true);
    expect(await isHealthy('main.js', 'connect', `--port=${port}`)).toBe(true);
    expect(await isHealthy('main.js', 'sync')).toBe(true);
  } finally {
    server.close();
  }
  expect(await isHealthy('main.js', 'worker', '--metrics-port', `${port}`)).toBe(false);
});

test('jobs give up on exit codes that need a person', () => {
  const codes = documentsOf(textOf('kubernetes/cronjob.yaml')).flatMap((one) => valuesOf(one, 'onExitCodes')) as {
    values: number[];
  }[];
  const given = codes.flatMap(({ values }) => values);
  const known: readonly number[] = Object.values(exitCodes);
  expect(given).toEqual(expect.arrayContaining([exitCodes.removals_held, exitCodes.consent_missing]));
  for (const code of given) expect(known).toContain(code);
  expect(given, 'what passes by itself is tried again').not.toContain(exitCodes.graph_unavailable);
});

test('alerts name existing codes', () => {
  const codes = [...textOf('alerts.yaml').matchAll(/code=~"([^"]+)"/g)].flatMap(([, list = '']) => list.split('|'));
  expect(codes.length).toBeGreaterThan(3);
  for (const code of codes) expect(Object.keys(exitCodes)).toContain(code);
});

test('alerts and docs/operations.md name existing metrics, and the page names all of them', async () => {
  const names = await metricNames();
  const ours = [...names.keys()].filter((name) => name.startsWith('entra_sync_'));
  expect(ours.length).toBeGreaterThan(20);
  const told = [...files.map(({ text }) => text), operations].join('\n').match(/\bentra_sync_[a-z_]+\b/g) ?? [];
  const notMetrics = new Set(['entra_sync_jobs']);
  for (const name of new Set(told)) if (!notMetrics.has(name)) expect(ours).toContain(name);
  for (const name of ours) expect(operations).toContain(`\`${name}`);
});
