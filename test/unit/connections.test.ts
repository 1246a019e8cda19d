// The connections that a worker may open, compared with those that the database grants.
import { afterEach, expect, test } from 'vitest';
import { type ConnectionLimits, judgeConnections } from '../../src/rules/connections.ts';
import { describeDatabaseError, openDatabase } from '../../src/store/database/pool.ts';
import { maxConnections, rememberLimits } from '../../src/store/database/pool-sizes.ts';

const limits = (more: Partial<ConnectionLimits> = {}): ConnectionLimits => ({
  ...{ server: 100, reserved: 3, role: null, database: null },
  ...more,
});

test.each<[string, ConnectionLimits, granted: number, says: RegExp, cure: RegExp]>([
  [
    'the server',
    limits({ server: 12 }),
    9,
    /may open 22 connections, and the database grants 9: max_connections is 12, 3 of them reserved$/,
    /^raise max_connections to 25 at least, and more for other processes; or put PgBouncer in between$/,
  ],
  ['a superuser', limits({ server: 12, reserved: 0 }), 12, /max_connections is 12$/, /to 22 at least/],
  [
    'the role',
    limits({ role: 16 }),
    16,
    /grants 16: the connection limit of the role is 16$/,
    /^alter role ROLE connection limit 22, .*; or start one worker alone with --concurrency 2, or put PgBouncer/,
  ],
  [
    'the database',
    limits({ database: 21 }),
    21,
    /limit of the database is 21$/,
    /alter database NAME connection limit 22/,
  ],
  [
    'several: the least is named, and each is raised',
    limits({ server: 20, role: 5 }),
    5,
    /limit of the role is 5$/,
    /^alter role ROLE connection limit 22, raise max_connections to 25 at least/,
  ],
])('%s grants fewer than a worker may open', (_, found, granted, says, cure) => {
  expect(judgeConnections(found, 22)).toEqual({
    granted,
    says: expect.stringMatching(says),
    cure: expect.stringMatching(cure),
  });
});

test.each([limits(), limits({ server: 25 }), limits({ role: 22, database: 22 })])('enough: %o', (found) => {
  expect(judgeConnections(found, 22)).toBeUndefined();
});

afterEach(() => rememberLimits(undefined));

test('a server without a free connection: the line has the limit and the number that this process may open', async () => {
  const before = maxConnections();
  const database = openDatabase('postgres://nobody@127.0.0.1:1/nowhere', { maxConnections: 19 });
  expect(maxConnections()).toBe(before + 19);
  const full = { code: '53300', message: 'sorry, too many clients already' };
  const open = `this process may open ${before + 19}`;
  expect(describeDatabaseError(full)).toMatchObject({
    message: `the database server has no connection left, by its max_connections; ${open}`,
  });
  rememberLimits(limits({ server: 12, role: 5 }));
  expect(describeDatabaseError(full)).toMatchObject({
    message: `the database server has no connection left, by its max_connections (12, 3 of them reserved); ${open}`,
  });
  expect(describeDatabaseError({ code: '53300', message: 'too many connections for role "x"' })).toMatchObject({
    message: `the role has reached its connection limit (5); ${open}`,
  });
  await database.destroy();
  expect(maxConnections()).toBe(before);
});
