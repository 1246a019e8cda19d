// The table of server states: each SQLSTATE with its message and cure, and no tenant to blame.
import { expect, test } from 'vitest';
import { ExpectedError, exitCodeOf } from '../../src/errors.ts';
import { failuresAfter, isDatabasesFault } from '../../src/rules/quarantine.ts';
import { judgeServerState, knownServerStates } from '../../src/rules/server-states.ts';
import { describeDatabaseError, isConnectionLost } from '../../src/store/database/pool.ts';

const cases: readonly [sqlState: string, words: string, gone: boolean, says: RegExp, cure: RegExp][] = [
  [
    '25006',
    'cannot execute UPDATE in a read-only transaction',
    false,
    /takes no writes/,
    /default_transaction_read_only = off/,
  ],
  [
    '25P03',
    'terminating connection due to idle-in-transaction timeout',
    true,
    /idle_in_transaction_session_timeout/,
    /'60s' or longer/,
  ],
  [
    '25P04',
    'terminating connection due to transaction timeout',
    true,
    /transaction_timeout/,
    /set transaction_timeout = 0/,
  ],
  ['42501', 'could not open file "base/1/2": Read-only file system', false, /disk .* is read-only/, /server's log/],
  ['53000', 'could not open file: Too many open files', false, /run out of a resource/, /server's log/],
  ['53100', 'could not extend file "base/1/2": No space left on device', false, /disk .* is full/, /free disk space/],
  ['53200', 'out of memory', false, /run out of memory$/, /work_mem/],
  ['53200', 'out of shared memory', false, /shared memory for locks/, /raise max_locks_per_transaction/],
  [
    '53300',
    'sorry, too many clients already',
    true,
    /no connection left, by its max_connections/,
    /raise max_connections.* 3 for each and 10 more/,
  ],
  [
    '53300',
    'remaining connection slots are reserved for roles with the SUPERUSER attribute',
    true,
    /by its max_connections/,
    /raise max_connections/,
  ],
  [
    '53300',
    'too many connections for role "x"',
    true,
    /the role has reached its connection limit/,
    /alter role ROLE connection limit/,
  ],
  [
    '53300',
    'too many connections for database "x"',
    true,
    /the database has reached its connection limit/,
    /alter database NAME connection limit/,
  ],
  [
    '53400',
    'temporary file size exceeds temp_file_limit (1024kB)',
    false,
    /its temp_file_limit/,
    /set temp_file_limit = -1/,
  ],
  ['53400', 'all replication slots are in use', false, /limit of its configuration/, /raise that limit/],
  ['57014', 'canceling statement due to statement timeout', false, /statement_timeout/, /set statement_timeout = 0/],
  [
    '57014',
    'storniere Anfrage wegen Zeitüberschreitung der Anfrage',
    false,
    /statement_timeout/,
    /set statement_timeout = 0/,
  ],
  ['57014', 'canceling statement due to user request', false, /administrator .* cancelled/, /try again/],
  ['57P01', 'terminating connection due to administrator command', true, /shutting down/, /start the server/],
  ['57P02', 'terminating connection because of crash of another server process', true, /crashed/, /start the server/],
  ['57P03', 'the database system is in recovery mode', true, /starting or recovering/, /wait/],
  ['57P04', 'terminating connection due to drop of database', true, /dropped/, /DATABASE_URL/],
  [
    '57P05',
    'terminating connection due to idle-session timeout',
    true,
    /idle_session_timeout/,
    /set idle_session_timeout = 0/,
  ],
  ['58000', 'could not fsync', false, /cannot read or write its files/, /server's log/],
  ['58030', 'could not read block 1: Input/output error', false, /cannot read or write its files/, /its disk/],
  ['58P01', 'could not open file "base/1/2"', false, /cannot read or write its files/, /its disk/],
  ['58P02', 'duplicate file', false, /cannot read or write its files/, /its disk/],
  ['XX000', 'could not write to file "base/1/2": Disk quota exceeded', false, /disk .* is full/, /quota/],
  ['XX001', 'invalid page in block 1', false, /damaged data/, /server's log/],
  ['XX002', 'index "x" contains unexpected zero page', false, /damaged index/, /reindex/],
];

test.each(cases)(
  'rule 21: %s "%s" is reported in one line with its cure and exit code 7, and counts against no tenant',
  (code, words, gone, says, cure) => {
    const told = describeDatabaseError(Object.assign(new Error(`update x set y = $1 - ${words}`), { code }));
    expect(told).toBeInstanceOf(ExpectedError);
    expect(told).toMatchObject({ message: expect.stringMatching(says), cure: expect.stringMatching(cure) });
    expect(exitCodeOf(told)).toBe(7);
    expect(isConnectionLost({ code, message: words })).toBe(gone);
    const { code: ours } = told as ExpectedError;
    expect(ours).toBe(gone ? 'database_unreachable' : 'database_unable');
    expect(isDatabasesFault(ours)).toBe(true);
    for (const outcome of ['failed', 'partial'] as const)
      expect(failuresAfter(2, { outcome, code: ours, lately: { tried: 1, failing: 0 } })).toBe(2);
  },
);

test('each row of the table has a case above', () => {
  expect(new Set(cases.map(([code]) => code))).toEqual(new Set(knownServerStates));
});

test.each([
  ['42501', 'permission denied for schema public'],
  ['XX000', 'unexpected node type'],
  ['23505', 'duplicate key value'],
  ['54000', 'index row size 2712 exceeds btree maximum'],
  ['', 'No space left on device'],
])('%s "%s" is about the statement, not the server', (code, words) => {
  expect(judgeServerState(code, words)).toBeUndefined();
});

test('the value of the setting is shown if it is known', () => {
  expect(
    describeDatabaseError({ code: '57014', message: 'canceling statement due to statement timeout' }, '40ms'),
  ).toMatchObject({
    message: 'the database ends long statements by its statement_timeout (40ms)',
  });
});

test('a copy of an error from pg-boss is reported like an error', () => {
  const copy = { code: 'ECONNREFUSED', message: 'connect ECONNREFUSED 127.0.0.1:5432', queue: 'cycles' };
  expect(describeDatabaseError(copy)).toMatchObject({
    code: 'database_unreachable',
    message: 'the database cannot be reached: connect ECONNREFUSED 127.0.0.1:5432',
  });
  // If the host has several addresses, the copied error has a code and no message.
  expect(describeDatabaseError({ code: 'ECONNREFUSED', message: '' })).toMatchObject({
    message: 'the database cannot be reached: ECONNREFUSED',
  });
});

test.each(['timeout exceeded when trying to connect', 'timeout expired'])(
  'rule 21: a server that does not answer the queue is not a defect: %s',
  (words) => {
    const copy = { message: `${words} (Queue: cycles, Worker: 0b9d6f5e-6a55-4c0a-8b52-6d1d1f0a7b11)`, queue: 'cycles' };
    expect(describeDatabaseError(copy)).toMatchObject({
      code: 'database_unreachable',
      message: 'the database cannot be reached: it does not answer in time',
    });
  },
);
