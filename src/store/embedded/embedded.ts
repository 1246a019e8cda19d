// The embedded Postgres that serves when DATABASE_URL is unset: started on demand, shared by every command that uses the
// same home, stopped by the last one. How the server is made and run is in embedded-server.ts.
import { resolve } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { Client, DatabaseError, escapeIdentifier } from 'pg';
import { lock } from 'proper-lockfile';
import { ExpectedError } from '../../errors.ts';
import { runningServer } from './binaries.ts';
import { makeHome, prepareServer, type Server, startServer, stopServer } from './server.ts';

export type EmbeddedPostgres = {
  /** Where to connect, password included. */
  url: string;
  /** Whether this call started the server (false: it ran already). */
  started: boolean;
  /** Whether this call made the data directory. */
  created: boolean;
  /** Ends this use; stops the server when nobody else is connected. May be called more than once. */
  close(): Promise<void>;
};

type Options = {
  /** The directory that holds `postgres/`, `postgres.json` and `postgres.log`; made when missing. */
  home: string;
  /** The database to serve, made when missing. */
  database?: string;
  /** Drops the database first, so that it is empty: for the demo, which starts from nothing each time. */
  fresh?: boolean;
  /** Server settings (`name=value`, no spaces) beyond our own; they count only for the call that starts the server. */
  settings?: readonly string[];
  /** Once it is aborted no server is started; one that runs is opened all the same. */
  signal?: AbortSignal;
  /** How long to wait for another process that starts or stops the server, in milliseconds. */
  lockTimeoutMs?: number;
};

const anchorName = 'entra-sync anchor';
const answerTimeoutMs = 60_000;

/**
 * Opens (creating and starting when needed) the embedded server under `home`, and counts this process as a user of it
 * by one open connection. The server runs in a session of its own: Ctrl-C does not reach it, so a caller that wants it
 * stopped then calls `close`. After a kill -9 it stays, and the next command that opens it stops it at its end.
 * Throws `database_unreachable`, with the cure, when it cannot be had.
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

/** Ends the anchor and stops the server when no one else is connected. */
async function leave(server: Server, anchor: Client): Promise<void> {
  // The anchor may have been cut (the server crashed, an administrator ended it): then a new one asks.
  const asking = (await isUsable(anchor)) ? anchor : (await connectRunning(server))?.client;
  if (asking === undefined) return;
  const used = await isUsedByOthers(asking);
  await asking.end();
  if (!used) await stopServer(server);
}

/** A process that just ended may still be on its way out, so a stray connection that is no anchor is given a moment. */
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
 * Connects to the server that runs on these files; undefined when none does. Waits for one that is just starting, and
 * for the end of one that is just stopping (its starter or stopper may have been killed meanwhile).
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
  // Without a listener a crash of the server would be an uncaught exception; close() finds out by itself.
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
  // pg would otherwise obey a PGSSLMODE that was set for some other server.
  return `postgres://${user}:${password}@127.0.0.1:${port}/${encodeURIComponent(database)}?sslmode=disable`;
}

/** One process at a time makes, starts or stops the server. The lock of a killed process is void after 10 seconds. */
async function underLock<Answer>(home: string, timeoutMs: number, work: () => Promise<Answer>): Promise<Answer> {
  const retryMs = 50;
  let release: () => Promise<void>;
  try {
    release = await lock(home, {
      lockfilePath: resolve(home, 'postgres.lock'),
      stale: 10_000,
      update: 2_000,
      retries: { retries: Math.ceil(timeoutMs / retryMs), factor: 1, minTimeout: retryMs, maxTimeout: retryMs },
      // A machine that slept may lose it. Going on is safe: Postgres itself lets one server onto a data directory, and
      // a new data directory appears by rename.
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
