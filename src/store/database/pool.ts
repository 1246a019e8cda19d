// The connection pool and transactions. Only this file creates a knex.
import knex, { type Knex } from 'knex';
import type { Client } from 'pg';
import { ExpectedError } from '../../errors.ts';
import { acquireOrWait } from './acquire.ts';
import { connectWatched, watchAcquisition, watchConnection } from './activity.ts';
import { askForReadableTimes, connectionTo } from './address.ts';
import { describeDatabaseError, serverStateOf, sqlState } from './errors.ts';
import { currentAttempt, type LockPatience, openWaits, type WaitOptions, type Waits } from './lock-waits.ts';
import { countWhileOpen } from './pool-sizes.ts';
import { limited, limitedStatements, limitInForce } from './time-limits.ts';

// Users of a database need its errors.
export { describeDatabaseError, isConnectionLost, serverStateOf, sqlState, throwDefect } from './errors.ts';

// knex would print them to stdout, between a command's answer. The errors contain them too.
const silent = { debug() {}, warn() {}, error() {}, deprecate() {} };

export type Database = Knex;
export type Transaction = Knex.Transaction;

/**
 * Opens a pool on `url`, which connects at the first statement. `maxConnections`: 8 by default; `connectTimeoutMs`: 12
 * s. `waits`: how long transactions wait for locks. `unlimited`: lifts the server's time limits, for migrations.
 */
export function openDatabase(
  url: string,
  options: {
    maxConnections?: number;
    applicationName?: string;
    connectTimeoutMs?: number;
    waits?: WaitOptions;
    unlimited?: boolean;
  } = {},
): Database {
  const max = options.maxConnections ?? 8;
  const database = knex({
    client: 'pg',
    connection: {
      ...connectionTo(url),
      application_name: options.applicationName ?? 'entra-sync',
      // Below the pool's timeout, whose error has no reason.
      connectionTimeoutMillis: options.connectTimeoutMs ?? 12_000,
      // Without keepalive, waiting for a server that vanished would last hours.
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    },
    // min 0: an idle command must not keep an embedded server running.
    pool: { min: 0, max, afterCreate: watch, maxConnectionLifetimeMillis: 60_000 },
    acquireConnectionTimeout: acquireTimeoutMs,
    compileSqlOnError: false,
    log: silent,
  });
  const waits = openWaits(database.client, options.waits ?? {});
  waitsOfClients.set(database.client, waits);
  beginAtOnce(database.client, waits, options.unlimited ? liftLimits : limitIdleness);
  watchPool(database.client);
  countWhileOpen(max, database.client);
  return database;
}

const acquireTimeoutMs = 15_000;

const waitsOfClients = new WeakMap<object, Waits>();

type Answers = { readonly response: readonly { readonly rows: readonly InForce[] }[] };
type KnexClient = { query(connection: unknown, sql: string): Promise<Answers> };
type PoolClient = {
  readonly driver: { Client: new (settings: unknown) => Connection };
  readonly connectionSettings: unknown;
  readonly pool: { numUsed(): number };
  acquireConnection(): Promise<Connection>;
  releaseConnection(connection: Connection): Promise<void>;
  _acquireOnlyConnection(): Promise<Connection>;
};
// knex does not reuse a connection with `__knex__disposed`.
type Connection = Client & { __knex__disposed?: unknown };

// Connects like knex, listed as an activity.
function watchPool(client: PoolClient): void {
  const { acquireConnection } = client;
  client.acquireConnection = () =>
    watchAcquisition(() => acquireOrWait(client, () => acquireConnection.call(client), acquireTimeoutMs));
  client._acquireOnlyConnection = async () => {
    const connection = new client.driver.Client(client.connectionSettings);
    const dispose = (error: unknown) => {
      connection.__knex__disposed = error ?? 'the connection ended';
    };
    connection.on('error', dispose);
    connection.on('end', () => dispose(undefined));
    askForReadableTimes(connection);
    await connectWatched(connection);
    return connection;
  };
}

// Changed settings and a new primary affect new connections only: drop one after such an error, or after a minute.
function watch(connection: Connection, done: (error: null, connection: Connection) => void): void {
  watchConnection(connection, (error) => {
    if (serverStateOf(error)) connection.__knex__disposed = error;
  });
  done(null, connection);
}

type KnexTransaction = { client: KnexClient; trxClient: KnexClient; begin(connection: unknown): Promise<unknown> };
type TransactionParts = readonly [container: unknown, config?: Begun, outer?: unknown];
type Begun = { readonly mayBeLost?: true };
type InForce = { readonly pid: number; readonly lock_ms: number };

// BEGIN and the settings go in one message, to save round trips. They end with the transaction: behind a pooler another
// client uses the session next.
function beginAtOnce(
  client: { transaction(...parts: TransactionParts): KnexTransaction },
  waits: Waits,
  limits: string,
): void {
  const { transaction } = client;
  client.transaction = function (this: typeof client, ...parts) {
    const made = transaction.apply(this, [...parts]);
    made.begin = async (connection) => {
      const attempt = currentAttempt();
      const settings = [limits, limitLocks(attempt?.lockMs ?? waits.eachMs)];
      settings.push(...limitedStatements());
      if (parts[1]?.mayBeLost) settings.push('set local synchronous_commit = off');
      try {
        const { response } = await made.trxClient.query(connection, ['BEGIN', ...settings, inForce].join('; '));
        const told = response.at(-1)?.rows[0];
        if (told) attempt?.begun(told.pid, told.lock_ms);
      } catch (error) {
        // The transaction may be open, and the connection returns to the pool.
        await made.client.query(connection, 'ROLLBACK').catch(() => {});
        throw error;
      }
    };
    return made;
  };
}

/** Values bound into a statement: `?` in order, or `:name` by name. */
export type Bindings = readonly unknown[] | Readonly<Record<string, unknown>>;

/** Runs one statement and returns its rows. knex reads the jsonb operator `?` as a binding: use jsonb_exists. */
export async function rows<Row>(on: Database | Transaction, sql: string, values: Bindings = []): Promise<Row[]> {
  return (await raw(on, sql, values)).rows as Row[];
}

/** Runs one statement and returns the number of rows that it wrote. */
export async function rowCount(on: Database | Transaction, sql: string, values: Bindings = []): Promise<number> {
  return (await raw(on, sql, values)).rowCount;
}

// The limit of a statement is one of its transaction.
function raw(
  on: Database | Transaction,
  sql: string,
  values: Bindings,
): Promise<{ rows: unknown[]; rowCount: number }> {
  if (limitInForce() === undefined || on.isTransaction === true) return asPromise(on, sql, values);
  return inTransaction(on, (transaction) => asPromise(transaction, sql, values));
}

const asPromise = async (on: Database | Transaction, sql: string, values: Bindings) =>
  on.raw(sql, values as Knex.RawBinding[]);

// deadlock_detected and serialization_failure: nothing was changed, so the work can be repeated.
const retryable = new Set(['40P01', '40001']);

// A shorter setting of the database stays.
const limitIdleness = `
select set_config('idle_in_transaction_session_timeout', '60s', true)
 where current_setting('idle_in_transaction_session_timeout')::interval
       not between interval '1 ms' and interval '60 s'`;

// Selects from pg_settings, because transaction_timeout exists only from Postgres 17 on.
const liftLimits = `
select set_config(name, '0', true) from pg_settings
 where name in ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`;

// A shorter setting of the role stays.
const limitLocks = (ms: number) => `
select set_config('lock_timeout', '${ms}', true)
 where current_setting('lock_timeout')::interval not between interval '1 ms' and interval '${ms} ms'`;

// Behind a pooler the driver knows another pid.
const inForce = `
select pg_backend_pid() as pid, (extract(epoch from current_setting('lock_timeout')::interval) * 1000)::int as lock_ms`;

/**
 * Runs `work` in one transaction, again after a deadlock (three times in all) and after a lock timeout until `patience`
 * ends; then throws `database_locked`. The server ends the transaction after a minute of idleness. `mayBeLost`: an
 * asynchronous commit, which a crash of the server may undo as a whole.
 */
export async function inTransaction<Answer>(
  database: Database,
  work: (transaction: Transaction) => Promise<Answer>,
  { patience, ...begun }: Begun & { readonly patience?: Partial<LockPatience> | undefined } = {},
): Promise<Answer> {
  const config: Knex.TransactionConfig & Begun = begun;
  return patiently(database, () => againAfterDeadlock(() => tellingCause(database, work, config)), limited(patience));
}

// After the server ended a connection, ROLLBACK fails too.
async function tellingCause<Answer>(
  database: Database,
  work: (transaction: Transaction) => Promise<Answer>,
  config: Knex.TransactionConfig & Begun,
): Promise<Answer> {
  let cause: unknown;
  const remember = (error: unknown) => {
    cause = error;
    throw error;
  };
  return database
    .transaction(async (transaction) => work(transaction).catch(remember), config)
    .catch((error: unknown) => Promise.reject(serverStateOf(cause) ? cause : error));
}

/** Repeats `work`, which begins transactions itself, after lock timeouts. */
export function patiently<Answer>(
  database: Database,
  work: () => Promise<Answer>,
  patience?: Partial<LockPatience>,
): Promise<Answer> {
  const waits = waitsOfClients.get(database.client);
  // Inside a transaction a lock timeout aborts all of it: only the outermost call repeats.
  return waits ? waits.patiently(work, patience) : work();
}

/** {@link rows} of one writing statement in its own transaction, whose wait for a lock ends. */
export function written<Row>(
  database: Database,
  sql: string,
  values: Bindings = [],
  patience?: Partial<LockPatience>,
): Promise<Row[]> {
  return inTransaction(database, (transaction) => rows<Row>(transaction, sql, values), { patience });
}

/**
 * Disables nested loops and JIT for the rest of the transaction: on tables never analyzed, the planner would compare
 * each row of one set with all of the other.
 */
export async function compareWholeSets(transaction: Transaction): Promise<void> {
  await transaction.raw("select set_config('enable_nestloop', 'off', true), set_config('jit', 'off', true)");
}

/** Runs one transaction or statement, again after a deadlock, three times in all. */
export async function againAfterDeadlock<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= 3 || !retryable.has(sqlState(error) ?? '')) throw error;
    }
  }
}

/** {@link describeDatabaseError} with the value of the server setting that caused the error. */
export async function tellDatabaseError(database: Database, error: unknown): Promise<unknown> {
  const setting = error instanceof ExpectedError ? undefined : serverStateOf(error)?.setting;
  if (setting === undefined) return describeDatabaseError(error);
  return describeDatabaseError(error, await askSetting(database, setting).catch(() => undefined));
}

// On a new connection, which has the current value, and which is dropped since the setting is about to change.
async function askSetting(database: Database, setting: string): Promise<string | undefined> {
  return onOneConnection(database, async (connection) => {
    connection.__knex__disposed = setting;
    const asked = await database.raw('select current_setting(?, true) as value', [setting]).connection(connection);
    return (asked.rows as { value: string | null }[])[0]?.value ?? undefined;
  });
}

async function onOneConnection<Answer>(
  database: Database,
  work: (connection: Connection) => Promise<Answer>,
): Promise<Answer> {
  const client: PoolClient = database.client;
  const connection = await client.acquireConnection();
  try {
    return await work(connection);
  } finally {
    await client.releaseConnection(connection);
  }
}

/** Returns whether a pooler is in between: its connections are not those of the server. */
export async function isPooled(database: Database): Promise<boolean> {
  return onOneConnection(database, async (connection) => {
    const asked = await database.raw('select pg_backend_pid() as pid').connection(connection);
    return (asked.rows as { pid: number }[])[0]?.pid !== (connection as { processID?: number }).processID;
  });
}

/** Returns the database's time. Graph's answers to later requests are newer. */
export async function databaseTime(database: Database): Promise<Date> {
  const [now] = await rows<{ now: Date }>(database, 'select clock_timestamp() as now');
  if (!now) throw new Error('the database returned no time');
  return now.now;
}
