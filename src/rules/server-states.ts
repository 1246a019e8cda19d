// States of the database server that stop a statement, each with its cure. No tenant is to blame for them.
import { type LimitOfConnections, workerConnections } from './connections.ts';

/** `database_unreachable`: no connection. `database_unable`: the server cannot do its work. */
export type ServerStateCode = 'database_unreachable' | 'database_unable';

export type ServerState = {
  readonly code: ServerStateCode;
  /** The event in words. The value of `setting` may follow in brackets. */
  readonly says: string;
  readonly cure: string;
  /** The server setting that led to it, if there is one. */
  readonly setting?: string;
  /** The limit of connections that is reached. */
  readonly limit?: LimitOfConnections;
};

type Row = Omit<ServerState, 'code'> & {
  readonly gone?: true;
  /** Matches the server's English message. A message in another language falls through to the next row. */
  readonly words?: RegExp;
};

// A role's setting for one database overrides every other setting on the server.
const lift = (setting: string, value = '0') =>
  `alter role ROLE in database NAME set ${setting} = ${value}, for those of DATABASE_URL`;
const shortLived = (setting: string, what: string): Row => ({
  says: `the database ends ${what} by its ${setting}`,
  setting,
  cure: lift(setting),
});
const diskFull: Row = {
  says: 'the disk of the database is full',
  cure: 'free disk space there, or raise the quota; entra-sync continues by itself',
};
const readOnly: Row = {
  says: 'the database takes no writes: it is a standby, or default_transaction_read_only is on',
  cure: `entra-sync doctor says which; name the primary in DATABASE_URL, or ${lift('default_transaction_read_only', 'off')}`,
};
const damaged: Row = {
  says: 'the database cannot read or write its files',
  cure: "see the server's log and its disk; entra-sync continues by itself once the server works",
};
const { perTenant, beside, queue } = workerConnections;
const lowerConcurrency = `lower --concurrency of the workers: each opens ${perTenant} for each and ${beside + queue} more`;
const noConnection = (limit: LimitOfConnections, says: string, raise: string): Row => ({
  gone: true,
  limit,
  says,
  cure: `${raise}, put PgBouncer in between, or ${lowerConcurrency}`,
});
const stopping: Row = {
  gone: true,
  says: 'the database is shutting down, or an administrator ended the connection',
  cure: 'start the server, or try again: entra-sync continues by itself',
};

const rows: Readonly<Record<string, readonly Row[]>> = {
  '25006': [readOnly],
  '25P03': [
    {
      gone: true,
      says: 'the database ended a transaction that was idle, by its idle_in_transaction_session_timeout',
      setting: 'idle_in_transaction_session_timeout',
      cure: lift('idle_in_transaction_session_timeout', "'60s' or longer"),
    },
  ],
  '25P04': [{ gone: true, ...shortLived('transaction_timeout', 'long transactions') }],
  '42501': [
    { ...readOnly, says: 'the disk of the database is read-only', cure: damaged.cure, words: /read-only file system/i },
  ],
  '53000': [{ says: 'the database has run out of a resource', cure: "see the server's log" }],
  '53100': [diskFull],
  '53200': [
    {
      words: /shared memory/i,
      says: 'the database has run out of shared memory for locks',
      setting: 'max_locks_per_transaction',
      cure: 'raise max_locks_per_transaction, or max_connections, and restart the server',
    },
    {
      says: 'the database has run out of memory',
      cure: 'give the server more memory, or lower its work_mem, shared_buffers or max_connections',
    },
  ],
  '53300': [
    {
      // Not the slots that are reserved `for roles with …`.
      words: /for role "/i,
      ...noConnection(
        'role',
        'the role has reached its connection limit',
        'alter role ROLE connection limit -1, or a higher one',
      ),
    },
    {
      words: /for database "/i,
      ...noConnection(
        'database',
        'the database has reached its connection limit',
        'alter database NAME connection limit -1, or a higher one',
      ),
    },
    noConnection(
      'server',
      'the database server has no connection left, by its max_connections',
      'raise max_connections',
    ),
  ],
  '53400': [
    {
      words: /temp_file_limit/,
      says: 'the database ended a statement that needs more temporary files than its temp_file_limit',
      setting: 'temp_file_limit',
      cure: `as a superuser, ${lift('temp_file_limit', '-1')}; or raise work_mem`,
    },
    {
      says: 'the database has reached a limit of its configuration',
      cure: "see the server's log, and raise that limit",
    },
  ],
  '57014': [
    {
      words: /user request/i,
      says: 'an administrator of the database cancelled the statement',
      cure: 'try again; entra-sync continues by itself',
    },
    shortLived('statement_timeout', 'long statements'),
  ],
  '57P01': [stopping],
  '57P02': [{ ...stopping, says: 'the database server has crashed and is restarting' }],
  '57P03': [
    {
      gone: true,
      says: 'the database is starting or recovering from a crash',
      cure: "wait, entra-sync continues by itself; see the server's log if it lasts",
    },
  ],
  '57P04': [{ gone: true, says: 'the database was dropped', cure: 'name another one in DATABASE_URL' }],
  '57P05': [{ gone: true, ...shortLived('idle_session_timeout', 'idle connections') }],
  '58000': [damaged],
  '58030': [damaged],
  '58P01': [damaged],
  '58P02': [damaged],
  // Errors of the operating system without a code of Postgres: a disk quota, before version 16.
  XX000: [{ ...diskFull, words: /no space left|disk quota exceeded/i }],
  XX001: [{ ...damaged, says: 'the database has damaged data' }],
  XX002: [{ ...damaged, says: 'the database has a damaged index', cure: "see the server's log, and reindex" }],
};

/** The SQLSTATEs in the table. */
export const knownServerStates: readonly string[] = Object.keys(rows);

/** Returns the server state that a failed statement's SQLSTATE and message show, or undefined. */
export function judgeServerState(sqlState: string, words: string): ServerState | undefined {
  const row = rows[sqlState]?.find((one) => one.words === undefined || one.words.test(words));
  if (!row) return undefined;
  const { gone, words: _, ...state } = row;
  return { code: gone ? 'database_unreachable' : 'database_unable', ...state };
}
