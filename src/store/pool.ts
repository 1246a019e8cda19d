// The connection pool and transactions. The only file that makes a knex; callers pass the Database on without looking in.
import knex, { type Knex } from 'knex';
import { ExpectedError } from '../errors.ts';

// knex prints its warnings on stdout, which belongs to the answer of a command; what they say is in what is thrown, too.
const silent = { debug() {}, warn() {}, error() {}, deprecate() {} };

export type Database = Knex;
export type Transaction = Knex.Transaction;

/**
 * Opens a pool on `url`. No connection is made before the first statement. `maxConnections` defaults to 8; a server that
 * takes the connection and says nothing is given up after `connectTimeoutMs` (12 s).
 */
export function openDatabase(
  url: string,
  options: { maxConnections?: number; applicationName?: string; connectTimeoutMs?: number } = {},
): Database {
  const database = knex({
    client: 'pg',
    connection: {
      connectionString: url,
      application_name: options.applicationName ?? 'entra-sync',
      // Below the time that the pool waits, which could not say why.
      connectionTimeoutMillis: options.connectTimeoutMs ?? 12_000,
      // Of a server that is gone without a word, a wait for its answer would otherwise last for hours.
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
    },
    // min 0: an idle command holds no connection that keeps an embedded server from stopping.
    pool: { min: 0, max: options.maxConnections ?? 8 },
    acquireConnectionTimeout: 15_000,
    compileSqlOnError: false,
    log: silent,
  });
  beginAtOnce(database.client);
  return database;
}

type KnexClient = { query(connection: unknown, sql: string): Promise<unknown> };
type KnexTransaction = { client: KnexClient; trxClient: KnexClient; begin(connection: unknown): Promise<unknown> };
type TransactionParts = readonly [container: unknown, config?: Begun, outer?: unknown];
type Begun = { readonly mayBeLost?: true };

// BEGIN and what is set for the transaction go to the server as one message, which saves each a round trip. The connection
// itself is left as it is: behind a pooler it is somebody else's a moment later.
function beginAtOnce(client: { transaction(...parts: TransactionParts): KnexTransaction }): void {
  const { transaction } = client;
  client.transaction = function (this: typeof client, ...parts) {
    const made = transaction.apply(this, [...parts]);
    const sql = `BEGIN; ${limitIdleness}${parts[1]?.mayBeLost ? '; set local synchronous_commit = off' : ''}`;
    made.begin = (connection) =>
      made.trxClient.query(connection, sql).catch(async (error: unknown) => {
        // It may have begun all the same, and the connection goes back into the pool.
        await made.client.query(connection, 'ROLLBACK').catch(() => {});
        throw error;
      });
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

/**
 * Runs `work` in one transaction and returns its answer. Deadlocks are tried again, three times at most.
 * A client that freezes in the middle is cut off by the server after a minute, or sooner where the
 * database's own idle_in_transaction_session_timeout says so, so its locks cannot stay for ever.
 * `mayBeLost`: nobody waits for the disk, so a crash of the server may undo the last of them, whole and in order.
 */
export async function inTransaction<Answer>(
  database: Database,
  work: (transaction: Transaction) => Promise<Answer>,
  options: Begun = {},
): Promise<Answer> {
  const config: Knex.TransactionConfig & Begun = { ...options };
  return againAfterDeadlock(() => database.transaction(async (transaction) => work(transaction), config));
}

/**
 * The rest of the transaction compares whole sets by sorting or hashing alone. For statements over tables that nobody may
 * have analyzed: on a guess of a few rows each of one set would be compared with all of the other.
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

/** The SQLSTATE or network error code of a failed statement, if it has one. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

const unreachable = new Set([
  'ECONNREFUSED',
  'ECONNRESET',
  'ENOTFOUND',
  'EAI_AGAIN',
  'ETIMEDOUT',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'EPIPE',
  'ENOENT',
  '08000',
  '08001',
  '08003',
  '08004',
  '08006',
  // What PgBouncer says when the server behind it is gone.
  '08P01',
  '57P01',
  '57P02',
  '57P03',
  '53300',
  '25P03',
]);
const refused = new Set(['28P01', '28000', '3D000']);

/** Whether a statement failed because the connection, not the statement, broke. */
export function isConnectionLost(error: unknown): boolean {
  const message = error instanceof Error ? error.message : '';
  return unreachable.has(sqlState(error) ?? '') || lostInWords.test(message);
}

// What pg and knex say without a code; "is not queryable" is said of the ROLLBACK that follows a loss. The last is the
// server's, of a database that is closed for maintenance, under a code that means other things too.
const lostInWords =
  /Connection terminated|is not queryable|Unable to acquire a connection|Timeout acquiring a connection|^timeout expired$|not currently accepting connections/;

/** Says an error of the database in one line with its cure; anything else is returned as it came. */
export function describeDatabaseError(error: unknown): unknown {
  if (error instanceof ExpectedError) return error;
  const code = sqlState(error) ?? '';
  const nested = error instanceof AggregateError ? error.errors[0] : error;
  // knex puts the statement before the server's words.
  const words = (nested instanceof Error ? nested.message : String(nested)).replace(/^.* - (?=[^-]*$)/s, '');
  const message = /^timeout expired$|Timeout acquiring/.test(words) ? 'it does not answer in time' : words;
  if (refused.has(code)) {
    return new ExpectedError('database_refused', `the database refused: ${message}`, {
      cure: 'check user, password and database name in DATABASE_URL',
      cause: error,
    });
  }
  if (code === '42501') {
    return new ExpectedError('database_refused', `the database refused: ${message}`, {
      cure: 'use the role that owns the schemas, or grant it create on the database',
      cause: error,
    });
  }
  if (isConnectionLost(error) || isConnectionLost(nested) || error instanceof AggregateError) {
    return new ExpectedError('database_unreachable', `the database cannot be reached: ${message}`, {
      cure: 'check DATABASE_URL and that the server is running',
      cause: error,
    });
  }
  if (/SSL|TLS|certificate/i.test(message) && !code.startsWith('42')) {
    return new ExpectedError('database_unreachable', `no TLS connection to the database: ${message}`, {
      cure: 'check sslmode in DATABASE_URL (see README, "Environment")',
      cause: error,
    });
  }
  return error;
}
