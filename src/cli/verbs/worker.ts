// `worker`: syncs all tenants, each about once per interval, until it is stopped.
import { type Command, InvalidArgumentError, Option } from 'commander';
import { openBasics } from '../../app.ts';
import { namesCredential, readTenantCredential } from '../../credentials.ts';
import { readEnvironment } from '../../environment.ts';
import { ExpectedError } from '../../errors.ts';
import { credentialEnd } from '../../graph/client-certificate.ts';
import type { Log } from '../../logger.ts';
import { judgeConnections, workerConnections } from '../../rules/connections.ts';
import { ownActors } from '../../rules/own-actors.ts';
import type { CredentialReference } from '../../settings/settings.ts';
import { currentTenant } from '../../store/database/activity.ts';
import { describeWait } from '../../store/database/blockers.ts';
import { readConnectionLimits } from '../../store/database/health.ts';
import type { Database } from '../../store/database/pool.ts';
import { maxConnections } from '../../store/database/pool-sizes.ts';
import { openQueue } from '../../store/queue/queue.ts';
import { requireCurrentSchema } from '../../store/schema/migrate.ts';
import { awaitDatabase } from '../../worker/await-database.ts';
import { serveOperations, whyNotWorking } from '../../worker/http.ts';
import { openMetrics, type WorkerMetrics } from '../../worker/metrics.ts';
import { runWorker, type Worker } from '../../worker/worker.ts';
import { openGraph, type Run, runVerb, type VerbOptions, verb } from '../command.ts';
import { sendingOf } from '../sending.ts';

type WorkerVerbOptions = VerbOptions & {
  concurrency: string;
  metricsPort: number;
  metricsHost: string;
  metricsTenants: number;
};

const defaultPort = 9464;
const defaultConcurrency = 4;
const maxConcurrency = 64;

export function workerCommand(): Command {
  return verb(
    'worker',
    'Sync all tenants, each about once per interval (settings: interval), until stopped. Any number of workers share one ' +
      'database: each tenant is synced by one of them at a time, and other workers take over the tenants of a dead one. Needs ' +
      'DATABASE_URL and a current schema (entra-sync migrate). Waits for a database that is away. Logs JSON lines on stderr ' +
      'at LOG_LEVEL (info).',
    ['worker', 'worker --concurrency 8', 'worker --metrics-host 0.0.0.0 --metrics-port 9464'],
    { answers: false },
  )
    .option('--concurrency <n>', `tenants synced at the same time, 1 to ${maxConcurrency}`, String(defaultConcurrency))
    .addOption(
      new Option('--metrics-port <n>', 'port of /livez, /readyz and /metrics, 0 for any free one')
        .env('PORT')
        .default(defaultPort)
        .argParser((text) => (text === '' ? defaultPort : whole(0, 65_535)(text))),
    )
    .option('--metrics-host <address>', 'address to listen on; 0.0.0.0 in a container', '127.0.0.1')
    .option(
      '--metrics-tenants <n>',
      'with more tenants than that, metrics are per installation, not per tenant',
      whole(0, 1_000_000),
      200,
    )
    .action((options: WorkerVerbOptions) =>
      runVerb(options, (run) => work(run, options), {
        afterInterrupt: 'nothing to do: the next worker resumes where this one stopped',
        service: true,
      }),
    );
}

async function work(run: Run, options: WorkerVerbOptions): Promise<number> {
  const concurrency = readConcurrency(options.concurrency);
  const environment = readEnvironment(run.environment.variables, 'info');
  if (environment.databaseUrl === undefined) {
    throw new ExpectedError('database_unreachable', 'the worker needs a Postgres server: DATABASE_URL is not set', {
      cure: 'set DATABASE_URL and run entra-sync migrate once; entra-sync sync works on the embedded database',
    });
  }
  const { log, defaults } = openBasics(environment);
  let metrics: WorkerMetrics | undefined;
  let worker: Worker | undefined;
  // Runs last. A worker that is ended by force never gets here.
  run.onEnd(async () => {
    if (worker) log.info({}, 'worker stopped');
  });
  // The log reports waits for Graph.
  const graph = await openGraph(
    { ...run, terminal: { ...run.terminal, note: () => {} } },
    {
      keepTokens: true,
      onRequest: (event) => metrics?.onRequest(event),
      onWait: (event) => metrics?.onWait(event),
    },
  );
  // Connections: two streams and a heartbeat per tenant; planning, four on-demand reads and health.
  // Every line on stderr has to be JSON, so the log names the database.
  const { database, url, name } = await run.database({
    anySchema: true,
    maxConnections: concurrency * workerConnections.perTenant + workerConnections.beside,
    announced: false,
    onLockWait: (wait) => {
      const blockers = wait.blockers.map(({ pid }) => pid);
      log.warn({ tenantId: currentTenant(), kind: 'lock', blockers }, describeWait(wait));
    },
  });
  metrics = openMetrics({
    database,
    tenantLimit: options.metricsTenants,
    credentialEnd: () => (namesCredential(environment.variables) ? credentialEnd(graph.credential()) : undefined),
    worker: () => worker,
  });
  const { onCycle, onPhotos, onWebhook } = metrics;
  const sending = sendingOf(environment.variables);
  const end = (own?: CredentialReference) => {
    if (own) return endOfOwn(environment.variables, own);
    return namesCredential(environment.variables) ? credentialEnd(graph.credential()) : undefined;
  };
  const server = await serveOperations({
    host: options.metricsHost,
    port: options.metricsPort,
    notReady: () => whyNotWorking(database, worker),
    metrics,
    log,
  });
  run.onEnd(server.close);
  log.info({ address: server.address, database: name }, 'health and metrics are served');
  const parts = {
    database,
    defaults,
    log,
    openReader: graph.openReader,
    credentialFingerprint: graph.credentialFingerprint,
    openQueue: (onError: (error: unknown) => void) => openQueue(url, onError),
  };
  const start = async () => {
    await requireCurrentSchema(database);
    const told = { onCycle, onPhotos, onWebhook, sending, credentialEnd: end };
    return runWorker(parts, { concurrency, actor: ownActors.worker, signal: run.signal, ...told });
  };
  worker = await awaitDatabase(start, { log, signal: run.signal });
  void warnOfShortage(database, log);
  await worker.ended;
  return 0;
}

/** Returns when a tenant's own certificate ends. One that cannot be read is told by the cycles that fail. */
function endOfOwn(variables: NodeJS.ProcessEnv, own: CredentialReference): Date | undefined {
  try {
    return credentialEnd(readTenantCredential(variables, own));
  } catch (error) {
    if (error instanceof ExpectedError) return undefined;
    throw error;
  }
}

async function warnOfShortage(database: Database, log: Log): Promise<void> {
  const limits = await readConnectionLimits(database).catch(() => undefined);
  const shortage = limits && judgeConnections(limits, maxConnections());
  if (shortage) log.warn({ reason: shortage.says, cure: shortage.cure }, 'too few connections');
}

function whole(least: number, most: number) {
  return (text: string) => {
    if (/^\d{1,7}$/.test(text) && Number(text) >= least && Number(text) <= most) return Number(text);
    throw new InvalidArgumentError(`a whole number from ${least} to ${most} is needed`);
  };
}

function readConcurrency(text: string): number {
  const concurrency = /^\d{1,3}$/.test(text) ? Number(text) : 0;
  if (concurrency >= 1 && concurrency <= maxConcurrency) return concurrency;
  throw new ExpectedError('usage', `--concurrency is ${JSON.stringify(text.slice(0, 20))}`, {
    cure: `give a whole number from 1 to ${maxConcurrency}`,
  });
}
