// Classifies failed statements: whether the connection is lost, and the line and cure for an operator.
import { ExpectedError } from '../../errors.ts';
import { valueOfLimit } from '../../rules/connections.ts';
import { judgeServerState, type ServerState } from '../../rules/server-states.ts';
import { unwatchedLock } from './blockers.ts';
import { isLockTimeout } from './lock-waits.ts';
import { knownLimits, maxConnections } from './pool-sizes.ts';

/** Returns the SQLSTATE or network error code, if any. */
export function sqlState(error: unknown): string | undefined {
  const code = (error as { code?: unknown } | null)?.code;
  return typeof code === 'string' ? code : undefined;
}

// In addition to the table of rules/server-states.ts.
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
  // PgBouncer: the server behind it is gone.
  '08P01',
]);
const refused = new Set(['28P01', '28000', '3D000']);

/** Returns the server state that made a statement fail, if known. */
export function serverStateOf(error: unknown): ServerState | undefined {
  return judgeServerState(sqlState(error) ?? '', wordsOf(error));
}

/** Whether the connection broke, rather than the statement failed. */
export function isConnectionLost(error: unknown): boolean {
  const state = serverStateOf(error);
  if (state) return state.code === 'database_unreachable';
  return unreachable.has(sqlState(error) ?? '') || lostInWords.test(wordsOf(error));
}

/**
 * Returns whether a service that starts waits for this to pass, as it does while it runs. Ends at once, for a person to mend:
 * a refused login, a missing database, a schema of another release, a server without the TLS that is asked for.
 */
export function isWaitedOut(error: unknown): boolean {
  if (isLockTimeout(error) || (error instanceof ExpectedError && error.code === 'database_locked')) return true;
  const thrown = error instanceof ExpectedError ? error.cause : error;
  const nested = thrown instanceof AggregateError ? thrown.errors[0] : thrown;
  return serverStateOf(thrown) !== undefined || isConnectionLost(thrown) || isConnectionLost(nested);
}

// knex puts the statement before the server's message. pg-boss passes on copies that are not instances of Error.
function wordsOf(error: unknown): string {
  const message = (error as { message?: unknown } | null)?.message;
  return (typeof message === 'string' ? message : String(error))
    .replace(bossSuffix, '')
    .replace(/^.* - (?=[^-]*$)/s, '');
}

const bossSuffix = / \(Queue: [^()]*, Worker: [^()]*\)$/;

// Messages without a code. "is not queryable" comes from the ROLLBACK after a loss; the last one from a database closed
// for maintenance, whose code is ambiguous.
const lostInWords =
  /Connection terminated|is not queryable|Unable to acquire a connection|Timeout acquiring a connection|^timeout expired$|^timeout exceeded when trying to connect$|not currently accepting connections/;

/**
 * Handles the error of a note about failed work. Ignores expected ones, such as a lost lease: the next cycle writes the
 * note again.
 */
export function throwDefect(error: unknown): void {
  if (!(describeDatabaseError(error) instanceof ExpectedError)) throw error;
}

/**
 * Returns a database error as an `ExpectedError` with a cure, any other error unchanged. `value`: of the server setting
 * that caused it.
 */
export function describeDatabaseError(error: unknown, value?: string): unknown {
  if (error instanceof ExpectedError) return error;
  const { endedBy } = (error ?? {}) as { endedBy?: unknown };
  if (endedBy instanceof ExpectedError) return endedBy;
  if (isLockTimeout(error)) return unwatchedLock(error);
  const code = sqlState(error) ?? '';
  const state = serverStateOf(error);
  if (state) {
    return new ExpectedError(state.code, describeState(state, value), {
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
  // A server that requires TLS has no entry for "no encryption" in pg_hba.conf.
  if (code === '28000' && /no encryption/.test(message)) {
    return new ExpectedError('database_refused', 'the database accepts connections with TLS only', {
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
        : 'sslrootcert=FILE in DATABASE_URL names the CA that signed the certificate; sslmode=require skips the check',
      cause: error,
    });
  }
  return error;
}

function describeState({ says, limit }: ServerState, value: string | undefined): string {
  const limits = limit && knownLimits();
  const known = limits ? valueOfLimit(limits, limit) : value;
  const here = limit === undefined ? 0 : maxConnections();
  const valued = known === undefined ? says : `${says} (${known})`;
  return here > 0 ? `${valued}; this process may open ${here}` : valued;
}
