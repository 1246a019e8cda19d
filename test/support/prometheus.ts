// A real Prometheus: Debian's, with a store of its own, that scrapes these addresses twice a second.
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { packageFile } from '../../src/package-files.ts';
import { temporaryDirectory } from './cli.ts';
import { until } from './fleet.ts';
import { freePort } from './free-port.ts';

export type Sample = { metric: Record<string, string>; value: [number, string] };
export type Rule = { name: string; query: string; health: string; lastError?: string };

export type Prometheus = {
  /** Runs a query now; throws what Prometheus says against it. */
  query(expression: string): Promise<Sample[]>;
  /** Returns the values of a label of the series of a metric. */
  labelValues(metric: string, label: string): Promise<string[]>;
  rules(): Promise<Rule[]>;
};

/** Starts it, with the rules of deploy/alerts.yaml, until the end of the test. */
export async function startPrometheus(
  program: string,
  targets: readonly string[],
  onEnd: (end: () => Promise<void>) => void,
): Promise<Prometheus> {
  const folder = await temporaryDirectory(onEnd);
  const port = await freePort('127.0.0.1');
  const config = {
    global: { scrape_interval: '500ms', scrape_timeout: '500ms', evaluation_interval: '1s' },
    rule_files: [packageFile('deploy', 'alerts.yaml')],
    scrape_configs: [{ job_name: 'entra-sync', static_configs: [{ targets }] }],
  };
  // JSON is YAML too.
  await writeFile(join(folder, 'prometheus.yaml'), JSON.stringify(config));
  const child = spawn(
    program,
    [
      `--config.file=${join(folder, 'prometheus.yaml')}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--log.level=warn',
    ],
    { stdio: ['ignore', 'ignore', 'pipe'] },
  );
  onEnd(() => end(child));
  let said = '';
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
    said += chunk;
  });
  const url = `http://127.0.0.1:${port}`;
  await until('Prometheus is ready', async () => {
    if (child.exitCode !== null) throw new Error(said);
    return fetch(`${url}/-/ready`).then(
      ({ ok }) => ok,
      () => false,
    );
  });
  const ask = async (path: string, query: Record<string, string>) => {
    const answer = await fetch(`${url}/api/v1/${path}?${new URLSearchParams(query)}`);
    const { data, error } = (await answer.json()) as { data: unknown; error?: string };
    if (error !== undefined) throw new Error(error);
    return data;
  };
  return {
    query: async (expression) => ((await ask('query', { query: expression })) as { result: Sample[] }).result,
    labelValues: async (metric, label) => (await ask(`label/${label}/values`, { 'match[]': metric })) as string[],
    rules: async () =>
      ((await ask('rules', {})) as { groups: { rules: Rule[] }[] }).groups.flatMap(({ rules }) => rules),
  };
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const ended = once(child, 'close');
  child.kill('SIGKILL');
  await ended;
}
