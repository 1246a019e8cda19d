// A service that starts waits for its database, and ends at once for what a person has to mend.
import { expect, test } from 'vitest';
import { ExpectedError } from '../../src/errors.ts';
import { describeDatabaseError, isWaitedOut } from '../../src/store/database/errors.ts';
import { awaitDatabase } from '../../src/worker/await-database.ts';
import { bufferLog } from '../support/system.ts';

const times = { betweenMs: 1, tellAfterMs: 0, tellAgainMs: 3_600_000 };
const refused = Object.assign(new Error('connect ECONNREFUSED 127.0.0.1:5432'), { code: 'ECONNREFUSED' });

function failing(...errors: readonly unknown[]): () => Promise<number> {
  const left = [...errors];
  return async () => {
    if (left.length > 0) throw left.shift();
    return 17;
  };
}

const linesOf = (text: string) =>
  text
    .split('\n')
    .filter(Boolean)
    .map((line) => JSON.parse(line));

test.each<[what: string, error: unknown]>([
  ['nothing listens', refused],
  ['no name', { code: 'ENOTFOUND', message: 'getaddrinfo ENOTFOUND db' }],
  ['no name server', { code: 'EAI_AGAIN', message: 'getaddrinfo EAI_AGAIN db' }],
  ['no socket file', { code: 'ENOENT', message: 'connect ENOENT /run/postgresql/.s.PGSQL.5432' }],
  ['several addresses', Object.assign(new AggregateError([refused], ''), { code: 'ECONNREFUSED' })],
  ['no answer', new Error('timeout expired')],
  ['no connection of the pool', new Error('Knex: Timeout acquiring a connection. The pool is probably full.')],
  ['it starts', { code: '57P03', message: 'the database system is starting up' }],
  ['it shuts down', { code: '57P01', message: 'terminating connection due to administrator command' }],
  ['no connection left', { code: '53300', message: 'sorry, too many clients already' }],
  ['closed for maintenance', { code: '55000', message: 'database "x" is not currently accepting connections' }],
  ['a full disk', { code: '53100', message: 'could not extend file' }],
  ['a pooler without its server', { code: '08P01', message: 'server login failed: connect timeout' }],
  ['a locked table', { code: '55P03', message: 'canceling statement due to lock timeout' }],
])('rule 21: is waited out: %s', (_, error) => {
  expect(isWaitedOut(error)).toBe(true);
  expect(isWaitedOut(describeDatabaseError(error))).toBe(true);
});

test.each<[what: string, error: unknown]>([
  ['a wrong password', { code: '28P01', message: 'password authentication failed for user "x"' }],
  ['a refused user', { code: '28000', message: 'role "x" is not permitted to log in' }],
  ['no such database', { code: '3D000', message: 'database "x" does not exist' }],
  ['no right', { code: '42501', message: 'permission denied for schema entra_sync' }],
  ['a certificate that is not trusted', { code: 'SELF_SIGNED_CERT_IN_CHAIN', message: 'self-signed certificate' }],
  ['a server without TLS', new Error('The server does not support SSL connections')],
  ['no schema yet', new ExpectedError('schema_not_current', 'the database has no entra-sync schema yet')],
  ['wrong settings', new ExpectedError('settings_invalid', 'config/default.yaml is damaged')],
  ['a defect', new TypeError('x is not a function')],
])('rule 21: ends at once: %s', async (_, error) => {
  expect(isWaitedOut(error)).toBe(false);
  expect(isWaitedOut(describeDatabaseError(error))).toBe(false);
  const { log, text } = bufferLog();
  const { signal } = new AbortController();
  await expect(awaitDatabase(failing(error), { log, signal, times })).rejects.toBe(error);
  expect(text()).toBe('');
});

test('rule 21: it starts as soon as the database answers, and says so in one line of each kind', async () => {
  const { log, text } = bufferLog();
  const { signal } = new AbortController();
  expect(await awaitDatabase(failing(refused, refused, refused), { log, signal, times })).toBe(17);
  expect(linesOf(text())).toMatchObject([
    {
      ...{ level: 40, msg: 'waiting for the database', code: 'database_unreachable', seconds: 0 },
      reason: 'the database cannot be reached: connect ECONNREFUSED 127.0.0.1:5432',
      cure: 'check DATABASE_URL and that the server is running',
    },
    { level: 30, msg: 'the database answers' },
  ]);
});

test('it says so again after a while, and not at all where the database comes soon', async () => {
  const { signal } = new AbortController();
  const [often, never] = [bufferLog(), bufferLog()];
  await awaitDatabase(failing(refused, refused, refused), {
    ...{ log: often.log, signal },
    times: { ...times, betweenMs: 2, tellAgainMs: 1 },
  });
  expect(linesOf(often.text()).filter(({ level }) => level === 40)).toHaveLength(3);
  await awaitDatabase(failing(refused, refused), {
    log: never.log,
    signal,
    times: { ...times, tellAfterMs: 3_600_000 },
  });
  expect(never.text()).toBe('');
});

test.each<[string, typeof times, () => Promise<number>]>([
  ['a try', times, () => new Promise<never>(() => {})],
  ['the time between two tries', { ...times, betweenMs: 3_600_000 }, failing(refused)],
])('a signal ends it during %s', async (_, own, start) => {
  const stop = new AbortController();
  const reason = new ExpectedError('interrupted', 'interrupted');
  const begun = async () => {
    setImmediate(() => stop.abort(reason));
    return start();
  };
  const waiting = awaitDatabase(begun, { log: bufferLog().log, signal: stop.signal, times: own });
  await expect(waiting).rejects.toBe(reason);
});
