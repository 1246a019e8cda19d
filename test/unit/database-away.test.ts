// A silent database, behind a firewall that drops packets or on a server that hangs, is a one-line error and not a
// defect.
import { once } from 'node:events';
import { type AddressInfo, createServer } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { exitCodeOf } from '../../src/errors.ts';
import { describeDatabaseError, isConnectionLost, openDatabase } from '../../src/store/database/pool.ts';

test('a server that accepts the connection and sends nothing', async () => {
  const sockets = new Set<{ destroy(): void }>();
  const silent = createServer((socket) => sockets.add(socket)).listen(0, '127.0.0.1');
  await once(silent, 'listening');
  const { port } = silent.address() as AddressInfo;
  const database = openDatabase(`postgres://a:b@127.0.0.1:${port}/x`, { connectTimeoutMs: 50 });
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy();
    silent.close();
    await database.destroy();
  });
  const error = await database.raw('select 1').catch((thrown: unknown) => thrown);
  expect(isConnectionLost(error)).toBe(true);
  expect(describeDatabaseError(error)).toMatchObject({
    code: 'database_unreachable',
    message: 'the database cannot be reached: it does not answer in time',
  });
});

test('a pool whose connections all wait for a server that hangs', () => {
  const error = new Error('Knex: Timeout acquiring a connection. The pool is probably full.');
  expect(exitCodeOf(describeDatabaseError(error))).toBe(7);
});
