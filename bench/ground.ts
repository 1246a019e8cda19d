// What a measurement stands on: a Postgres of its own, the bench's Graph, and contenders as processes of their own.
import { type ChildProcess, fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { fileURLToPath } from 'node:url';
import { Client } from 'pg';
import { packageFile } from '../src/package-files.ts';
import { loadDefaults } from '../src/settings/settings.ts';
import { openDatabase } from '../src/store/database/pool.ts';
import { openEmbedded } from '../src/store/embedded/embedded.ts';
import { migrate } from '../src/store/schema/migrate.ts';
import { applySettings } from '../src/store/settings/versions.ts';
import { addTenant } from '../src/store/tenants/tenants.ts';
import type { Job, Took } from './contenders/common.ts';
import type { ServerReady, ServerSettings } from './server.ts';

export type Postgres = {
  /** Makes an empty, migrated database with these tenants and runs `work` on it; returns also what WAL was written. */
  withDatabase<Answer>(
    tenantIds: readonly string[],
    work: (url: string) => Promise<Answer>,
  ): Promise<Answer & { walBytes: number }>;
  close(): Promise<void>;
};

/** The server of DATABASE_URL, or an embedded one with its usual settings, in the temporary directory. */
export async function openPostgres(): Promise<Postgres> {
  const given = process.env.DATABASE_URL;
  const home = given ? undefined : await mkdtemp(join(tmpdir(), 'entra-sync-bench-'));
  const embedded = home === undefined ? undefined : await openEmbedded({ home, database: 'bench' });
  const url = embedded?.url ?? given ?? '';
  const client = new Client({ connectionString: url });
  await client.connect();
  const template = `entra_sync_bench_${process.pid}`;
  const urlOf = (name: string) => Object.assign(new URL(url), { pathname: `/${name}` }).href;
  await client.query(`create database ${template}`);
  await migrate(urlOf(template));
  let databases = 0;
  return {
    withDatabase: async (tenantIds, work) => {
      databases += 1;
      const name = `${template}_${databases}`;
      await client.query(`create database ${name} template ${template}`);
      try {
        await register(urlOf(name), tenantIds);
        await client.query('checkpoint');
        const before = await walPosition(client);
        const answer = await work(urlOf(name));
        return { ...answer, walBytes: (await walPosition(client)) - before };
      } finally {
        await client.query(`drop database ${name} with (force)`);
      }
    },
    close: async () => {
      await client.query(`drop database ${template} with (force)`);
      await client.end();
      await embedded?.close();
      if (home !== undefined) await rm(home, { recursive: true, force: true });
    },
  };
}

async function walPosition(client: Client): Promise<number> {
  const { rows } = await client.query<{ bytes: number }>("select (pg_current_wal_lsn() - '0/0')::float8 as bytes");
  return rows[0]?.bytes ?? 0;
}

// The guard stands aside: one percent of 100,000 people is more than its default lets go at once.
async function register(url: string, tenantIds: readonly string[]): Promise<void> {
  const database = openDatabase(url);
  const defaults = loadDefaults();
  const document = { firstLoad: 'delta' as const, removals: { max: 1_000_000, percent: 100, floor: 0 } };
  await applySettings(database, defaults, { tenantId: null, document, actor: 'bench' });
  for (const tenantId of tenantIds) await addTenant(database, { tenantId, name: tenantId, ref: null }, defaults);
  await database.destroy();
}

export type Graph = ServerReady & { close(): void };

/** Starts the bench's Graph; resolves when its pages are made. */
export async function openGraph(settings: ServerSettings): Promise<Graph> {
  const child = fork(fileURLToPath(new URL('server.ts', import.meta.url)), [JSON.stringify(settings)]);
  const [ready] = (await once(child, 'message')) as [ServerReady];
  return { ...ready, close: () => child.disconnect() };
}

export type Contender = 'cycle' | 'worker' | 'visible' | 'floor' | 'page-iterator' | 'backstage';

// What the Dockerfile starts the worker with.
const asInTheImage = ['--max-semi-space-size=4', '--heap-growing-percent=50'];

/** Compiles the contenders, as the image is: sources that Node translates on the way cost memory and a second of the processor. */
export async function buildContenders(): Promise<void> {
  const child = spawn('tsc', ['--project', packageFile('bench', 'tsconfig.json')], {
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  const [code] = await once(child, 'close');
  if (code !== 0) throw new Error('the contenders cannot be compiled -> npx tsc');
}

/** Runs a contender in a process of its own. */
export async function run(contender: Contender, graph: Graph, job: Job): Promise<Took> {
  const child = start(contender, graph, job, false);
  return tookOf(contender, child);
}

/** Runs processes side by side, the time counted from the moment at which all of them have loaded their sources. */
export async function runTogether(contender: Contender, graph: Graph, jobs: readonly Job[]): Promise<Took[]> {
  const children = jobs.map((job) => start(contender, graph, job, true));
  const took = children.map((child) => tookOf(contender, child));
  await Promise.race([Promise.all(children.map((child) => once(child, 'message'))), Promise.all(took)]);
  for (const child of children) child.send('go');
  return Promise.all(took);
}

/** Starts workers and returns, once all are ready, what counts the cycles that they run from then on. */
export async function startWorkers(
  graph: Graph,
  jobs: readonly Job[],
): Promise<{ cycles(count: number): Promise<void>; end(): Promise<void> }> {
  const children = jobs.map((job) => start('worker', graph, job, true));
  await Promise.all(children.map((child) => once(child, 'message')));
  let done = 0;
  let told = () => {};
  for (const child of children) {
    child.on('message', (outcome) => {
      if (outcome !== 'committed') throw new Error(`a cycle of the worker is ${String(outcome)}`);
      done += 1;
      told();
    });
  }
  return {
    cycles: async (count) => {
      const before = done;
      await new Promise<void>((resolve) => {
        told = () => {
          if (done - before >= count) resolve();
        };
      });
    },
    end: async () => {
      for (const child of children) child.disconnect();
      await Promise.all(children.map((child) => once(child, 'exit')));
    },
  };
}

function start(contender: Contender, graph: Graph, job: Job, channel: boolean): ChildProcess {
  const path = packageFile('bench', '.built', 'bench', 'contenders', `${contender}.js`);
  const own = contender === 'cycle' || contender === 'worker';
  return spawn(process.execPath, [...(own ? asInTheImage : []), path, JSON.stringify(job)], {
    env: { ...process.env, ...graph.environment },
    stdio: ['ignore', 'pipe', 'inherit', ...(channel ? (['ipc'] as const) : [])],
  });
}

async function tookOf(contender: Contender, child: ChildProcess): Promise<Took> {
  const ended = once(child, 'close');
  const said = child.stdout ? await text(child.stdout) : '';
  const [code] = await ended;
  if (code !== 0) throw new Error(`${contender} ended with ${code}`);
  return JSON.parse(said) as Took;
}

/** Installs the peer's package where it is missing; false when that cannot be done (no network). */
export async function preparePeer(): Promise<boolean> {
  const directory = fileURLToPath(new URL('peer/', import.meta.url));
  if (existsSync(join(directory, 'node_modules', '@backstage'))) return true;
  process.stderr.write('installing the peer of bench/peer, once\n');
  const child = spawn('npm', ['ci', '--no-audit', '--no-fund'], {
    cwd: directory,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  const [code] = await once(child, 'close');
  return code === 0;
}
