// The embedded Postgres, for an unset DATABASE_URL. All commands with the same home share it: the first starts it, the
// last stops it. server.ts creates and runs it.
import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, DatabaseError, escapeIdentifier } from 'pg';
import { lock } from 'proper-lockfile';
import { ExpectedError } from '../../errors.ts';
import { runningServer } from './binaries.ts';
import { makeHome, prepareServer, type Server, startServer, stopServer } from './server.ts';

export type EmbeddedPostgres = {
  /** The connection URL, with the password. */
  url: string;
  started: boolean;
  /** This call created the data directory. */
  created: boolean;
  /** Ends this use, and stops the server if no other process is connected. May be called again. */
  close(): Promise<void>;
};

type Options = {
  /** Holds `postgres/`, `postgres.json` and `postgres.log`; created if missing. */
  home: string;
  database?: string;
  /** Drops the database first, for the demo. */
  fresh?: boolean;
  /** More server settings (`name=value`), if this call starts the server. */
  settings?: readonly string[];
  /** Once aborted, no server is started. */
  signal?: AbortSignal;
  /** For another process that starts or stops the server. */
  lockTimeoutMs?: number;
};

const anchorName = 'entra-sync anchor';
const answerTimeoutMs = 60_000;

/**
 * Opens the embedded server under `home`, created and started if needed. An open connection, the anchor, marks this
 * process as a user. Ctrl-C does not reach the server: call `close`. After a kill -9 it runs until the next command
 * ends. Throws `database_unreachable`.
 */
export async function openEmbedded(options: Options): Promise<EmbeddedPostgres> {
  const home = resolve(options.home);
  const database = options.database ?? 'entra_sync';
  const lockTimeoutMs = options.lockTimeoutMs ?? 60_000;
  await makeHome(home);

  const opened = await underLock(home, lockTimeoutMs, async () => {
    const { server, created } = await prepareServer(home);
    let anchor = await connectRunning(server);
    const started = anchor === undefined;
    if (anchor === undefined) {
      options.signal?.throwIfAborted();
      await startServer(server, options.settings ?? []);
      anchor = await connectRunning(server);
    }
    if (anchor === undefined) throw unreachable(`the embedded Postgres stopped right after its start`, server);
    try {
      await makeDatabase(anchor.client, database, options.fresh === true);
    } catch (error) {
      await leave(server, anchor.client);
      throw error;
    }
    return { server, created, started, ...anchor };
  });

  const { server, client, port, started, created } = opened;
  let closing: Promise<void> | undefined;
  const url = urlOf(server, port, database);
  return {
    url,
    started,
    created,
    close() {
      closing ??= underLock(home, lockTimeoutMs, () => leave(server, client));
      return closing;
    },
  };
}

async function leave(server: Server, anchor: Client): Promise<void> {
  // A crash or an administrator may have ended the anchor.
  const asking = (await isUsable(anchor)) ? anchor : (await connectRunning(server))?.client;
  if (asking === undefined) return;
  const used = await isUsedByOthers(asking);
  await asking.end();
  if (!used) await stopServer(server);
}

/** Waits briefly for connections that are no anchors: their process may have just ended. */
async function isUsedByOthers(anchor: Client): Promise<boolean> {
  for (let attempt = 1; ; attempt += 1) {
    const { rows } = await anchor.query<{ name: string }>(
      `select application_name as name from pg_catalog.pg_stat_activity
       where backend_type = 'client backend' and pid <> pg_catalog.pg_backend_pid()`,
    );
    if (rows.length === 0) return false;
    if (attempt > 10 || rows.some((row) => row.name === anchorName)) return true;
    await pause(50);
  }
}

/**
 * Connects to the server on these files, if any. Waits for one that is starting or stopping, whose process may have
 * been killed.
 */
async function connectRunning(server: Server): Promise<{ client: Client; port: number } | undefined> {
  const until = performance.now() + answerTimeoutMs;
  for (;;) {
    const running = await runningServer(server.files.data);
    if (running === undefined) return undefined;
    const failure = running.port === undefined ? undefined : await connectAnchor(server, running.port);
    if (failure instanceof Client) return { client: failure, port: running.port ?? 0 };
    if (failure instanceof DatabaseError && failure.code === '28P01') {
      throw unreachable(`the embedded Postgres refuses the password in ${server.files.access}`, server, failure);
    }
    if (performance.now() > until) {
      const reason = failure === undefined ? '' : `: ${failure.message}`;
      throw unreachable(
        `the embedded Postgres (process ${running.pid}) runs and does not answer${reason}`,
        server,
        failure,
      );
    }
    await pause(100);
  }
}

async function connectAnchor(server: Server, port: number): Promise<Client | Error> {
  const client = new Client({
    connectionString: urlOf(server, port, 'postgres'),
    application_name: anchorName,
    connectionTimeoutMillis: 10_000,
    keepAlive: true,
  });
  // Without a listener a crash of the server would be an uncaught exception.
  client.on('error', () => undefined);
  try {
    await client.connect();
    return client;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  }
}

async function isUsable(client: Client): Promise<boolean> {
  return client.query('select 1').then(
    () => true,
    () => false,
  );
}

async function makeDatabase(client: Client, name: string, fresh: boolean): Promise<void> {
  if (fresh) await client.query(`drop database if exists ${escapeIdentifier(name)} with (force)`);
  const { rows } = await client.query('select 1 from pg_catalog.pg_database where datname = $1', [name]);
  if (rows.length === 0) await client.query(`create database ${escapeIdentifier(name)}`);
}

function urlOf(server: Server, port: number, database: string): string {
  const { user, password } = server.access;
  // Overrides a PGSSLMODE that is set for another server.
  return `postgres://${user}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}?sslmode=disable`;
}

/** One process at a time creates, starts or stops the server. A killed one's lock ends after 10 seconds. */
async function underLock<Answer>(home: string, timeoutMs: number, work: () => Promise<Answer>): Promise<Answer> {
  const retryMs = 50;
  let release: () => Promise<void>;
  try {
    release = await lock(home, {
      lockfilePath: resolve(home, 'postgres.lock'),
      stale: 10_000,
      update: 2_000,
      retries: { retries: Math.ceil(timeoutMs / retryMs), factor: 1, minTimeout: retryMs, maxTimeout: retryMs },
      // A machine that slept may lose the lock, which is safe: Postgres allows one server per data directory, and a new
      // one appears by rename.
      onCompromised: () => undefined,
    });
  } catch (cause) {
    if (cause instanceof Error && 'code' in cause && cause.code === 'ELOCKED') {
      throw new ExpectedError(
        'database_unreachable',
        `another command has been starting or stopping the embedded Postgres in ${home} for ${Math.round(timeoutMs / 1000)} s`,
        { cure: 'wait for it or end it, then try again; or set DATABASE_URL', cause },
      );
    }
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new ExpectedError('database_unreachable', `${home} cannot be used: ${reason}`, {
      cure: 'set ENTRA_SYNC_HOME to a directory you may write, or set DATABASE_URL',
      cause,
    });
  }
  try {
    return await work();
  } finally {
    await release().catch(() => undefined);
  }
}

function unreachable(message: string, server: Server, cause?: unknown): ExpectedError {
  return new ExpectedError('database_unreachable', message, { cure: `see ${server.files.log}`, cause });
}
