// States of a real server: exit code 7 with the setting and its value, and recovery without a restart.
import { randomBytes } from 'node:crypto';
import { expect, onTestFinished, test } from 'vitest';
import { ExpectedError, exitCodeOf } from '../../src/errors.ts';
import { judgeLimits } from '../../src/rules/time-limits.ts';
import { readConnectionLimits, readTimeLimits } from '../../src/store/database/health.ts';
import { type Database, inTransaction, openDatabase, rows, tellDatabaseError } from '../../src/store/database/pool.ts';
import { rememberLimits } from '../../src/store/database/pool-sizes.ts';
import { freshDatabase } from '../support/postgres.ts';

type Limited = {
  /** The URL with the limited role. */
  readonly database: Database;
  readonly admin: Database;
  readonly role: string;
  readonly name: string;
};

/** A database, and its own unprivileged role, which is limited by `limit` before it connects. */
async function openLimited(limit: (names: { role: string; name: string }) => string): Promise<Limited> {
  const fresh = await freshDatabase({ migrated: false });
  const url = new URL(fresh.url);
  const [role, name] = [`limited_${randomBytes(6).toString('hex')}`, url.pathname.slice(1)];
  const admin = openDatabase(fresh.url);
  await admin.raw(`create role ${role} login password 'limited'; ${limit({ role, name })}`);
  url.username = role;
  url.password = 'limited';
  const database = openDatabase(url.href);
  onTestFinished(async () => {
    await database.destroy();
    await admin.raw(`drop owned by ${role}; drop role ${role}`);
    await admin.destroy();
    await fresh.drop();
  });
  return { database, admin, role, name };
}

async function told(database: Database, work: (on: Database) => Promise<unknown>): Promise<ExpectedError> {
  const error = await work(database).then(
    () => undefined,
    (thrown: unknown) => tellDatabaseError(database, thrown),
  );
  if (!(error instanceof ExpectedError)) throw error ?? new Error('it did not fail');
  expect(exitCodeOf(error)).toBe(7);
  return error;
}

const sleeping = (on: Database) => on.raw('select pg_sleep(60)');

test.each<[setting: string, value: string, work: (on: Database) => Promise<unknown>, message: RegExp]>([
  ['statement_timeout', '400ms', sleeping, /^the database ends long statements by its statement_timeout \(400ms\)$/],
  [
    'default_transaction_read_only',
    'on',
    (on) => on.raw('create temp table t (); create table x ()'),
    /takes no writes/,
  ],
  [
    'transaction_timeout',
    '400ms',
    (on) => inTransaction(on, (transaction) => transaction.raw('select pg_sleep(60)')),
    /^the database ends long transactions by its transaction_timeout \(400ms\)$/,
  ],
  [
    'temp_file_limit',
    '64kB',
    (on) =>
      on.raw("set work_mem = '64kB'; select from generate_series(1, 100000) n order by md5(n::text) offset 99999"),
    /needs more temporary files than its temp_file_limit \(64kB\)$/,
  ],
])(
  '%s of the role is named with its value, and lifting it takes effect at once',
  async (setting, value, work, message) => {
    const { database, admin, role } = await openLimited(
      (names) =>
        `do $$ begin alter role ${names.role} set ${setting} = '${value}'; exception when undefined_object then end $$`,
    );
    const [{ there } = { there: true }] = await rows<{ there: boolean }>(
      admin,
      'select exists (select from pg_settings where name = ?) as there',
      [setting],
    );
    // transaction_timeout exists only from Postgres 17 on.
    if (!there) return;
    const error = await told(database, work);
    expect(error.message).toMatch(message);
    expect(error.cure).toContain(`set ${setting} = `);
    await admin.raw(`alter role ${role} reset ${setting}`);
    const [now] = await rows<{ value: string }>(database, 'select current_setting(?) as value', [setting]);
    expect(now?.value).not.toBe(value);
  },
);

test.each<[place: string, limit: (names: { role: string; name: string }) => string]>([
  ['for the role', ({ role }) => `alter role ${role} set statement_timeout = '900ms'`],
  ['for the database', ({ name }) => `alter database ${name} set statement_timeout = '900ms'`],
  [
    'for the role in this database',
    ({ role, name }) =>
      `alter role ${role} set statement_timeout = '3s'; alter role ${role} in database ${name} set statement_timeout = '900ms'`,
  ],
])('a statement_timeout set %s is reported as such, and its cure lifts it', async (place, limit) => {
  const { database, role, name } = await openLimited(limit);
  const judged = judgeLimits(await readTimeLimits(database));
  expect(judged).toMatchObject({
    state: 'fatal',
    says: expect.stringContaining(`statement_timeout is 900ms, set ${place}: `),
    cure: `alter role "${role}" in database "${name}" set statement_timeout = 0`,
  });
  // The role may do this itself.
  await database.raw(judged.cure ?? '');
  const again = openDatabase(database.client.config.connection.connectionString);
  onTestFinished(() => again.destroy());
  expect(judgeLimits(await readTimeLimits(again)).state).toBe('fine');
});

test.each([
  ['statement_timeout', '400ms', sleeping],
  ['default_transaction_read_only', 'on', (on: Database) => on.raw('create table x ()')],
])('the cure of a failed statement lifts %s, set for the role in this database too', async (setting, value, work) => {
  const { database, admin, role, name } = await openLimited(
    (names) => `alter role ${names.role} in database ${names.name} set ${setting} = '${value}'`,
  );
  const { cure = '' } = await told(database, work);
  const [statement = ''] = /alter role .* set \w+ = \w+/.exec(cure) ?? [];
  await admin.raw(statement.replace('ROLE', role).replace('NAME', name));
  const [now] = await rows<{ value: string }>(database, 'select current_setting(?) as value', [setting]);
  expect(now?.value).not.toBe(value);
});

test('a statement_timeout of DATABASE_URL is reported as such', async () => {
  const { database } = await openLimited(() => '');
  const url = new URL(database.client.config.connection.connectionString);
  url.searchParams.set('options', '-c statement_timeout=5s');
  const limited = openDatabase(url.href);
  onTestFinished(() => limited.destroy());
  expect(judgeLimits(await readTimeLimits(limited))).toMatchObject({
    state: 'short',
    says: expect.stringMatching(/^statement_timeout is 5s, set by DATABASE_URL/),
    cure: expect.stringContaining('out of DATABASE_URL'),
  });
});

test('lock_timeout of the role is named', async () => {
  const { database, admin } = await openLimited(
    ({ role }) => `alter role ${role} set lock_timeout = '40ms'; create table t (); grant all on t to ${role}`,
  );
  await inTransaction(admin, async (transaction) => {
    await transaction.raw('lock table t');
    const error = await told(database, (on) => on.raw('select from t'));
    expect(error).toMatchObject({ code: 'database_locked', message: expect.stringMatching(/lock_timeout/) });
  });
});

test.each<[string, (names: { role: string; name: string }) => string, RegExp]>([
  [
    'role',
    ({ role }) => `alter role ${role} connection limit 0`,
    /^the role has reached its connection limit; this process may open \d+$/,
  ],
  [
    'database',
    ({ name }) => `alter database ${name} connection limit 0`,
    /^the database has reached its connection limit; this process may open \d+$/,
  ],
])('a limit of connections of the %s', async (_of, limit, message) => {
  const { database } = await openLimited(limit);
  const error = await told(database, (on) => on.raw('select 1'));
  expect(error.message).toMatch(message);
  expect(error.cure).toContain('each opens 3 for each and 10 more');
});

test('rule 21: a pool that the server grants no more connections waits for one of its own', async () => {
  const { database } = await openLimited(({ role }) => `alter role ${role} connection limit 1`);
  const held = await database.transaction();
  const refused = new Promise((resolve) => database.client.pool.on('createFail', resolve));
  const second = Promise.allSettled([rows(database, 'select 17 as n')]);
  await refused;
  await held.rollback();
  expect(await second).toEqual([{ status: 'fulfilled', value: [{ n: 17 }] }]);
});

test('the limits of connections are read for the role, and for a superuser without those that do not hold for it', async () => {
  const { database, admin, role, name } = await openLimited(
    (names) => `alter role ${names.role} connection limit 7; alter database ${names.name} connection limit 9`,
  );
  onTestFinished(() => rememberLimits(undefined));
  const [{ all, kept } = { all: 0, kept: 0 }] = await rows<{ all: number; kept: number }>(
    admin,
    `select current_setting('max_connections')::int as all,
            current_setting('superuser_reserved_connections')::int as kept`,
  );
  expect(await readConnectionLimits(database)).toEqual({ server: all, reserved: kept, role: 7, database: 9 });
  expect(await readConnectionLimits(admin)).toEqual({ server: all, reserved: 0, role: null, database: null });
  await admin.raw(`alter role ${role} connection limit -1; alter database ${name} connection limit -1`);
  expect(await readConnectionLimits(database)).toEqual({ server: all, reserved: kept, role: null, database: null });
});

test('idle_session_timeout cuts an idle connection, and the next statement uses another', async () => {
  const { database, admin, role } = await openLimited(
    ({ role }) => `alter role ${role} set idle_session_timeout = '400ms'`,
  );
  await database.raw('select 1');
  const left = () => rows(admin, 'select from pg_stat_activity where usename = ?', [role]);
  await expect.poll(left, { timeout: 120_000 }).toEqual([]);
  await expect
    .poll(() => database.raw('select 1').then(() => 'answered', String), { timeout: 120_000 })
    .toBe('answered');
});

test.each([
  ['pg_cancel_backend', 'database_unable', /^an administrator of the database cancelled the statement$/],
  ['pg_terminate_backend', 'database_unreachable', /^the database is shutting down, or an administrator ended/],
])('an administrator calls %s', async (call, code, message) => {
  const { database, admin, role } = await openLimited(() => '');
  const error = await told(database, async (on) => {
    const [ended] = await Promise.allSettled([
      sleeping(on),
      expect
        .poll(
          () =>
            rows(
              admin,
              `select ${call}(pid) as done from pg_stat_activity where usename = ? and query like '%pg_sleep%'`,
              [role],
            ),
          { timeout: 120_000 },
        )
        .toEqual([{ done: true }]),
    ]);
    if (ended.status === 'rejected') throw ended.reason;
  });
  expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
});

test.each([
  ['53100', 'could not extend file: No space left on device', /^the disk of the database is full$/],
  ['53200', 'out of memory', /run out of memory$/],
  ['58030', 'could not read block 1: Input/output error', /cannot read or write its files$/],
])('%s as the server raises it', async (errcode, words, message) => {
  const { database } = await openLimited(() => '');
  const error = await told(database, (on) =>
    on.raw(`do $$ begin raise exception '${words}' using errcode = '${errcode}'; end $$`),
  );
  expect(error.message).toMatch(message);
});

test.each(['German, DMY', 'SQL, DMY', 'Postgres, MDY'])(
  'a role that shows dates as %s is read like any other',
  async (style) => {
    const { database } = await openLimited(({ role }) => `alter role ${role} set datestyle = '${style}'`);
    const shown = await rows(
      database,
      "select '2026-03-04T05:06:07.089Z'::timestamptz as at, '2026-03-04'::date::text as day",
    );
    expect(shown).toEqual([{ at: new Date('2026-03-04T05:06:07.089Z'), day: '2026-03-04' }]);
  },
);
