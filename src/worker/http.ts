// Health, readiness and metrics over HTTP, for whoever keeps the process running.
import fastify from 'fastify';
import { ExpectedError, errorCodeOf } from '../errors.ts';
import type { Log } from '../logger.ts';
import { type Database, describeDatabaseError } from '../store/database/pool.ts';
import { schemaState } from '../store/schema/migrate.ts';
import { stalledAfterSeconds } from './stall.ts';
import type { Worker } from './worker.ts';

export type OperationsServer = {
  /** Where it listens. */
  readonly address: string;
  /** Lets go of the port at once. */
  close(): Promise<void>;
};

/**
 * Serves `/livez` (the process turns), `/readyz` (it can do its work) and `/metrics`. Throws `usage` when the address cannot
 * be had. Whatever goes wrong in an answer is told in one word, never with a stack.
 */
export async function serveOperations(options: {
  host: string;
  port: number;
  /** What is in the way, in a few words; undefined when it can do its work. */
  notReady: () => Promise<string | undefined>;
  metrics: { text(): Promise<string>; readonly contentType: string };
  log: Log;
}): Promise<OperationsServer> {
  const { host, port, notReady, metrics, log } = options;
  const app = fastify({
    logger: false,
    forceCloseConnections: true,
    // A request that never ends must not hold its connection for ever; the limit for headers may not be the longer one.
    requestTimeout: 10_000,
    http: { headersTimeout: 10_000 },
  });
  app.setErrorHandler((error: Error, _request, reply) => {
    log.error({ name: error.name }, 'a defect in an answer over HTTP');
    return reply.status(500).type('text/plain').send('a defect\n');
  });
  app.setNotFoundHandler((_request, reply) =>
    reply.status(404).type('text/plain').send('there are /livez, /readyz and /metrics\n'),
  );
  app.get('/livez', (_request, reply) => reply.type('text/plain').send('ok\n'));
  app.get('/readyz', async (_request, reply) => {
    const inTheWay = await notReady();
    return reply
      .status(inTheWay === undefined ? 200 : 503)
      .type('text/plain')
      .send(inTheWay === undefined ? 'ok\n' : `not ready: ${inTheWay}\n`);
  });
  app.get('/metrics', async (_request, reply) => reply.type(metrics.contentType).send(await metrics.text()));
  try {
    const address = await app.listen({ host, port });
    return { address, close: () => app.close() };
  } catch (error) {
    await app.close();
    const code = (error as { code?: string }).code ?? 'error';
    throw new ExpectedError('usage', `${host}:${port} cannot be listened on (${code})`, {
      cure: 'choose another with --metrics-port or --metrics-host (docs/operations.md)',
      cause: error,
    });
  }
}

const readyTimeoutMs = 3_000;

/** What keeps a process on this database from its work, as a code: not Graph, whose faults no restart would mend. */
export async function whyNotReady(database: Database): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('database_unreachable'), readyTimeoutMs);
  });
  // A schema that is newer is none: the release before works on under a migration (CONTRIBUTING.md).
  const looked = schemaState(database).then(
    ({ pending }) => (pending.length > 0 ? 'schema_not_current' : undefined),
    (error: unknown) => errorCodeOf(describeDatabaseError(error)),
  );
  return Promise.race([looked, late]).finally(() => clearTimeout(timer));
}

/** The code of the cause that keeps a worker from its work; `worker` is undefined before it has started. */
export async function whyNotWorking(
  database: Database,
  worker: Pick<Worker, 'isReady' | 'stalledSeconds'> | undefined,
): Promise<string | undefined> {
  const inTheWay = await whyNotReady(database);
  if (inTheWay !== undefined || !worker?.isReady()) return inTheWay ?? 'not_planning';
  return worker.stalledSeconds() > stalledAfterSeconds ? 'stalled' : undefined;
}
