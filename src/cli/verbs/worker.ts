// `worker`: cycles of all tenants, each about once per interval, until it is stopped.
import type { Command } from 'commander';
import { openBasics } from '../../app.ts';
import { readEnvironment } from '../../environment.ts';
import { ExpectedError } from '../../errors.ts';
import { openQueue } from '../../store/queue.ts';
import { runWorker } from '../../worker/worker.ts';
import { openGraph, type Run, runVerb, type VerbOptions, verb } from '../command.ts';

type WorkerVerbOptions = VerbOptions & { concurrency: string };

const defaultConcurrency = 4;
const mostConcurrency = 64;

export function workerCommand(): Command {
  return verb(
    'worker',
    'Sync all tenants, each about once per interval (settings: interval), until stopped. Any number of workers share one ' +
      'database: each tenant is synced by one of them at a time, and those of a worker that died are taken over. Needs ' +
      'DATABASE_URL and a current schema (entra-sync migrate). Logs JSON lines on stderr at LOG_LEVEL (info).',
    ['worker', 'worker --concurrency 8'],
  )
    .option('--concurrency <n>', `tenants synced side by side, 1 to ${mostConcurrency}`, String(defaultConcurrency))
    .action((options: WorkerVerbOptions) =>
      runVerb(options, (run) => work(run, options), {
        afterInterrupt: 'nothing to do: the next worker goes on where this one stopped',
        // A container that is stopped has ten seconds before it is killed.
        endTimeoutMs: 9_500,
      }),
    );
}

async function work(run: Run, options: WorkerVerbOptions): Promise<number> {
  const concurrency = readConcurrency(options.concurrency);
  const environment = readEnvironment(run.environment.variables, 'info');
  if (environment.databaseUrl === undefined) {
    throw new ExpectedError(
      'database_unreachable',
      'the worker needs a Postgres that outlives it: DATABASE_URL is not set',
      {
        cure: 'set DATABASE_URL to it and run entra-sync migrate once; entra-sync sync works on the embedded one',
      },
    );
  }
  const { log, defaults } = openBasics(environment);
  // Its waits are told by the log.
  const graph = openGraph({ ...run, terminal: { ...run.terminal, note: () => {} } });
  // Two streams a tenant, with their heartbeats; planning, requests and health beside them.
  const { database, url } = await run.database({ maxConnections: concurrency * 3 + 4 });
  const worker = await runWorker(
    {
      database,
      defaults,
      log,
      openReader: graph.openReader,
      credentialMark: graph.credentialMark,
      openQueue: (onError) => openQueue(url, onError),
    },
    { concurrency, actor: 'worker', signal: run.signal },
  );
  await worker.ended;
  // To be stopped is how a worker ends.
  return 0;
}

function readConcurrency(text: string): number {
  const concurrency = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (concurrency >= 1 && concurrency <= mostConcurrency) return concurrency;
  throw new ExpectedError('usage', `--concurrency is ${JSON.stringify(text.slice(0, 20))}`, {
    cure: `give a whole number from 1 to ${mostConcurrency}`,
  });
}
