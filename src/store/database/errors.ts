// A failed statement tells whether its connection is lost, and gives people one line with the cure.
import { ExpectedError } from '../../errors.ts';
import { judgeServerState, type ServerState } from '../../rules/server-states.ts';
import { unwatchedLock } from './blockers.ts';
import { isLockTimeout } from './lock-waits.ts';

/** The SQLSTATE or network error code of a failed statement, if it has one. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

// Beside the states of the server that the table of rules/server-states.ts tells of.
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
  // PgBouncer says this when the server behind it is gone.
  '08P01',
]);
const refused = new Set(['28P01', '28000', '3D000']);

/** The state of the server that a failed statement tells of, if it tells of one. */
export function serverStateOf(error: unknown): ServerState | undefined {
  return judgeServerState(sqlState(error) ?? '', wordsOf(error));
}

/** Whether a statement failed because the connection, not the statement, broke. */
export function isConnectionLost(error: unknown): boolean {
  const state = serverStateOf(error);
  if (state) return state.code === 'database_unreachable';
  return unreachable.has(sqlState(error) ?? '') || lostInWords.test(wordsOf(error));
}

// knex puts the statement before the server's words, and pg-boss passes on copies of errors, which are no Error.
function wordsOf(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message;
  return (typeof message === 'string' ? message : String(error))
    .replace(bossSuffix, '')
    .replace(/^.* - (?=[^-]*$)/s, '');
}

// pg-boss adds this to the words of an error that it copies.
const bossSuffix = / \(Queue: [^()]*, Worker: [^()]*\)$/;

// Words of pg, its pool and knex, which have no code. "is not queryable" is said of the ROLLBACK that follows a loss. The
// last words are the server's, for a database that is closed for maintenance: their code means other things too.
const lostInWords =
  /Connection terminated|is not queryable|Unable to acquire a connection|Timeout acquiring a connection|^timeout expired$|^timeout exceeded when trying to connect$|not currently accepting connections/;

/**
 * For a note beside work whose own error has to reach the caller: the note may fail by what is expected (a lost lease, a
 * database that is away), because the next cycle makes it again. Throws a defect, which would fail each time without a word.
 */
export function throwDefect(error: unknown): void {
  if (!(describeDatabaseError(error) instanceof ExpectedError)) throw error;
}

/**
 * Says an error of the database in one line with its cure; anything else is returned as it came. `value` is that of the
 * server's setting which led to it, where it is known (pool.ts asks for it).
 */
export function describeDatabaseError(error: unknown, value?: string): unknown {
  if (error instanceof ExpectedError) return error;
  const { endedBy } = (error ?? {}) as { endedBy?: unknown };
  if (endedBy instanceof ExpectedError) return endedBy;
  if (isLockTimeout(error)) return unwatchedLock(error);
  const code = sqlState(error) ?? '';
  const state = serverStateOf(error);
  if (state) {
    return new ExpectedError(state.code, `${state.says}${value === undefined ? '' : ` (${value})`}`, {
      cure: state.cure,
      detail: `SQLSTATE ${code}`,
      cause: error,
    });
  }
  const nested = error instanceof AggregateError ? error.errors[0] : error;
  const words = wordsOf(nested) || code;
  const message = /^timeout expired$|^timeout exceeded when|Timeout acquiring/.test(words)
    ? 'it does not answer in time'
    : words;
  // Of a server that takes no connection without TLS, pg_hba.conf says: no entry, "no encryption".
  if (code === '28000' && /no encryption/.test(message)) {
    return new ExpectedError('database_refused', 'the database takes connections with TLS alone', {
      cure: 'add ?sslmode=require to DATABASE_URL, or sslmode=verify-full to check the server too',
      cause: error,
    });
  }
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
      cure: /does not support SSL/.test(message)
        ? 'the server has no TLS: set ssl = on there, or sslmode=disable in DATABASE_URL'
        : 'sslrootcert=FILE in DATABASE_URL names the CA that signed it; sslmode=require goes without the check',
      cause: error,
    });
  }
  return error;
}
