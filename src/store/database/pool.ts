// The connection pool and transactions. The only file that makes a knex; callers pass the Database on without looking in.
import knex, { type Knex } from 'knex';
import type { Client } from 'pg';
import { ExpectedError } from '../../errors.ts';
import { connectWatched, watchAcquisition, watchConnection } from './activity.ts';
import { askForReadableTimes, connectionTo } from './address.ts';
import { describeDatabaseError, serverStateOf, sqlState } from './errors.ts';
import { currentAttempt, type LockPatience, openWaits, type WaitOptions, type Waits } from './lock-waits.ts';

// Modules that hold a database describe its errors, too.
export { describeDatabaseError, isConnectionLost, serverStateOf, sqlState, throwDefect } from './errors.ts';

// knex prints its warnings on stdout, which belongs to the answer of a command; what they say is in what is thrown, too.
const silent = { debug() {}, warn() {}, error() {}, deprecate() {} };

export type Database = Knex;
export type Transaction = Knex.Transaction;

/**
 * Opens a pool on `url`. No connection is made before the first statement. `maxConnections` defaults to 8; a server that
 * takes the connection and says nothing is given up after `connectTimeoutMs` (12 s). `waits` says how long its transactions
 * wait for locks; with `unlimited` the server's limits on time are lifted in them, which is for migrations alone.
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
  const database = knex({
    client: 'pg',
    connection: {
      ...connectionTo(url),
      application_name: options.applicationName ?? 'entra-sync',
      // Below the time that the pool waits, which could not say why.
      connectionTimeoutMillis: options.connectTimeoutMs ?? 12_000,
      // Of a server that is gone without a word, a wait for its answer would otherwise last for hours.
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    },
    // min 0: an idle command holds no connection that keeps an embedded server from stopping.
    pool: { min: 0, max: options.maxConnections ?? 8, afterCreate: watch, maxConnectionLifetimeMillis: 60_000 },
    acquireConnectionTimeout: 15_000,
    compileSqlOnError: false,
    log: silent,
  });
  const waits = openWaits(database.client, options.waits ?? {});
  waitsOfClients.set(database.client, waits);
  beginAtOnce(database.client, waits, options.unlimited ? liftLimits : limitIdleness);
  watchPool(database.client);
  return database;
}

const waitsOfClients = new WeakMap<object, Waits>();

type Answers = { readonly response: readonly { readonly rows: readonly InForce[] }[] };
type KnexClient = { query(connection: unknown, sql: string): Promise<Answers> };
type PoolClient = {
  readonly driver: { Client: new (settings: unknown) => Connection };
  readonly connectionSettings: unknown;
  acquireConnection(): Promise<Connection>;
  releaseConnection(connection: Connection): Promise<void>;
  _acquireOnlyConnection(): Promise<Connection>;
};
// knex asks `__knex__disposed` before it hands a connection out again.
type Connection = Client & { __knex__disposed?: unknown };

// As knex connects, but told of while it lasts.
function watchPool(client: PoolClient): void {
  const { acquireConnection } = client;
  client.acquireConnection = () => watchAcquisition(() => acquireConnection.call(client));
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

// A setting of the role or the database holds for new connections alone, and another host may be the primary by now. So a
// connection is not used again after an error of that kind, and none is older than a minute.
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

// BEGIN and what is set for the transaction go to the server as one message, which saves each a round trip. The connection
// itself is left as it is: behind a pooler it is somebody else's a moment later.
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
      if (parts[1]?.mayBeLost) settings.push('set local synchronous_commit = off');
      try {
        const { response } = await made.trxClient.query(connection, ['BEGIN', ...settings, inForce].join('; '));
        const told = response.at(-1)?.rows[0];
        if (told) attempt?.begun(told.pid, told.lock_ms);
      } catch (error) {
        // It may have begun all the same, and the connection goes back into the pool.
        await made.client.query(connection, 'ROLLBACK').catch(() => {});
        throw error;
      }
    };
    return made;
  };
}

/** Values bound into a statement: `?` in order, or `:name` by name. */
export type Bindings = readonly unknown[] | Readonly<Record<string, unknown>>;

/** Runs one statement and returns its rows. The jsonb operator `?` would be taken for a binding: use jsonb_exists. */
export async function rows<Row>(on: Database | Transaction, sql: string, values: Bindings = []): Promise<Row[]> {
  const result = await on.raw(sql, values as Knex.RawBinding[]);
  return result.rows as Row[];
}

/** Like {@link rows} for statements whose answer is the number of rows written. */
export async function rowCount(on: Database | Transaction, sql: string, values: Bindings = []): Promise<number> {
  const result = await on.raw(sql, values as Knex.RawBinding[]);
  return result.rowCount as number;
}

// A deadlock's victim has changed nothing, so the same work may simply be done again (Postgres: 40P01, 40001).
const retryable = new Set(['40P01', '40001']);

// A database that is set to a shorter time keeps it.
const limitIdleness = `
select set_config('idle_in_transaction_session_timeout', '60s', true)
 where current_setting('idle_in_transaction_session_timeout')::interval not between interval '1 ms' and interval '60 s'`;

// A server that knows no transaction_timeout (before 17) is not asked for it.
const liftLimits = `
select set_config(name, '0', true) from pg_settings
 where name in ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`;

// A role that is set to a shorter time keeps it.
const limitLocks = (ms: number) => `
select set_config('lock_timeout', '${ms}', true)
 where current_setting('lock_timeout')::interval not between interval '1 ms' and interval '${ms} ms'`;

// The server itself is asked: behind a pooler the connection knows another pid.
const inForce = `
select pg_backend_pid() as pid, (extract(epoch from current_setting('lock_timeout')::interval) * 1000)::int as lock_ms`;

/**
 * Runs `work` in one transaction and returns its answer. Deadlocks are tried again, three times at most; so is the wait for a
 * lock, from the beginning of `work` and with nothing held in between, until `patience` ends it: then `database_locked`
 * names the session in the way.
 * A client that freezes in the middle is cut off by the server after a minute, or sooner where the
 * database's own idle_in_transaction_session_timeout says so, so its locks cannot stay for ever.
 * `mayBeLost`: nobody waits for the disk, so a crash of the server may undo the last of them, whole and in order.
 */
export async function inTransaction<Answer>(
  database: Database,
  work: (transaction: Transaction) => Promise<Answer>,
  { patience, ...begun }: Begun & { readonly patience?: Partial<LockPatience> | undefined } = {},
): Promise<Answer> {
  const config: Knex.TransactionConfig & Begun = begun;
  return patiently(database, () => againAfterDeadlock(() => tellingCause(database, work, config)), patience);
}

// Where the server ended the connection, the ROLLBACK that follows fails too, and knows nothing of the cause.
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

/** For transactions that are begun by other code: `work` is done again where a lock was not free in time. See {@link inTransaction}. */
export function patiently<Answer>(
  database: Database,
  work: () => Promise<Answer>,
  patience?: Partial<LockPatience>,
): Promise<Answer> {
  const waits = waitsOfClients.get(database.client);
  // Inside another transaction a lock that is not free ends that one, too: there is nothing to do again.
  return waits ? waits.patiently(work, patience) : work();
}

/** {@link rows} of a statement that writes and is a transaction of its own: it may wait for a lock, so that the wait has an end. */
export function written<Row>(
  database: Database,
  sql: string,
  values: Bindings = [],
  patience?: Partial<LockPatience>,
): Promise<Row[]> {
  return inTransaction(database, (transaction) => rows<Row>(transaction, sql, values), { patience });
}

/**
 * The rest of the transaction compares whole sets by sorting or hashing alone. For statements over tables that may never
 * have been analyzed: on a guess of a few rows, each row of one set would be compared with all of the other.
 */
export async function compareWholeSets(transaction: Transaction): Promise<void> {
  await transaction.raw("select set_config('enable_nestloop', 'off', true), set_config('jit', 'off', true)");
}

/** For one transaction, or one statement that is its own: done again where Postgres gave it up, three times at most. */
export async function againAfterDeadlock<Answer>(work: () => Promise<Answer>): Promise<Answer> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await work();
    } catch (error) {
      if (attempt >= 3 || !retryable.has(sqlState(error) ?? '')) throw error;
    }
  }
}

/** {@link describeDatabaseError} with the value of the server's setting that led to it, if `database` still tells it. */
export async function tellDatabaseError(database: Database, error: unknown): Promise<unknown> {
  const setting = error instanceof ExpectedError ? undefined : serverStateOf(error)?.setting;
  if (setting === undefined) return describeDatabaseError(error);
  return describeDatabaseError(error, await askSetting(database, setting).catch(() => undefined));
}

// On a connection of its own, which has the setting as it is now, and is not kept: it is the one that is to be changed.
async function askSetting(database: Database, setting: string): Promise<string | undefined> {
  const client: PoolClient = database.client;
  const connection = await client.acquireConnection();
  try {
    const asked = await database.raw('select current_setting(?, true) as value', [setting]).connection(connection);
    return (asked.rows as { value: string | null }[])[0]?.value ?? undefined;
  } finally {
    connection.__knex__disposed = setting;
    await client.releaseConnection(connection);
  }
}

/** The database's time: what was asked of Graph after it was seen live after it. */
export async function databaseTime(database: Database): Promise<Date> {
  const [now] = await rows<{ now: Date }>(database, 'select clock_timestamp() as now');
  if (!now) throw new Error('the database told no time');
  return now.now;
}
