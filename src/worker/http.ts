// Health, readiness and metrics over HTTP, for the supervisor of the process.
import fastify from 'fastify';
import { ExpectedError, errorCodeOf } from '../errors.ts';
import type { Log } from '../logger.ts';
import { type Database, describeDatabaseError } from '../store/database/pool.ts';
import { schemaState } from '../store/schema/migrate.ts';
import { stalledAfterSeconds } from './stall.ts';
import type { Worker } from './worker.ts';

export type OperationsServer = {
  /** The address that it listens on. */
  readonly address: string;
  /** Frees the port at once. */
  close(): Promise<void>;
};

/**
 * Serves `/livez`, `/readyz` and `/metrics`. Answers defects in one word, never with a stack. Throws `usage` if it cannot
 * listen.
 */
export async function serveOperations(options: {
  host: string;
  port: number;
  /** Returns why the process cannot work, in a few words; undefined if it can. */
  notReady: () => Promise<string | undefined>;
  metrics: { text(): Promise<string>; readonly contentType: string };
  log: Log;
}): Promise<OperationsServer> {
  const { host, port, notReady, metrics, log } = options;
  const app = fastify({
    logger: false,
    forceCloseConnections: true,
    // A request that never ends must not hold its connection forever. Node needs headersTimeout <= requestTimeout.
    requestTimeout: 10_000,
    http: { headersTimeout: 10_000 },
  });
  app.setErrorHandler((error: Error, _request, reply) => {
    log.error({ name: error.name }, 'a defect while answering over HTTP');
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

/** Returns the code of a database fault that stops the work. Graph is not asked: no restart fixes Graph. */
export async function whyNotReady(database: Database): Promise<string | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(() => resolve('database_unreachable'), readyTimeoutMs);
  });
  // A newer schema is not a fault: the previous release keeps working (CONTRIBUTING.md).
  const state = schemaState(database).then(
    ({ pending }) => (pending.length > 0 ? 'schema_not_current' : undefined),
    (error: unknown) => errorCodeOf(describeDatabaseError(error)),
  );
  return Promise.race([state, late]).finally(() => clearTimeout(timer));
}

/** Returns the code of the cause that stops the worker's work. `worker` is undefined before its start. */
export async function whyNotWorking(
  database: Database,
  worker: Pick<Worker, 'isReady' | 'stalledSeconds'> | undefined,
): Promise<string | undefined> {
  const inTheWay = await whyNotReady(database);
  if (inTheWay !== undefined || !worker?.isReady()) return inTheWay ?? 'not_planning';
  return worker.stalledSeconds() > stalledAfterSeconds ? 'stalled' : undefined;
}
