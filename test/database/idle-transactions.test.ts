// The server ends the transaction of a frozen client after a time, and releases its locks (rule 11).
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction, isConnectionLost, openDatabase, rows } from '../../src/store/database/pool.ts';
import { ask, openStore, type Store, until } from '../support/stage.ts';

let store: Store;

beforeAll(async () => {
  store = await openStore();
});

afterAll(() => store.close());

async function underTimeout<Answer>(time: string, work: (fresh: Store) => Promise<Answer>): Promise<Answer> {
  const [name] = await ask<{ name: string }>(store, 'select current_database() as name');
  await ask(store, `alter database ${name?.name} set idle_in_transaction_session_timeout = '${time}'`);
  const database = openDatabase(store.url);
  try {
    return await work({ ...store, database });
  } finally {
    await database.destroy();
  }
}

test.each([
  { set: '0', holds: '1min' },
  { set: '10min', holds: '1min' },
  { set: '5s', holds: '5s' },
])('where the database says $set, a transaction may idle for $holds', async ({ set, holds }) => {
  const told = await underTimeout(set, ({ database }) =>
    inTransaction(database, (transaction) =>
      rows(transaction, "select current_setting('idle_in_transaction_session_timeout') as time"),
    ),
  );
  expect(told).toEqual([{ time: holds }]);
});

test('rule 11: a transaction idle for too long is ended, its locks are released, and its client gets an error', async () => {
  await ask(store, "insert into entra_sync.tenants (tenant_id, name) values (gen_random_uuid(), 'frozen')");
  const frozen = await underTimeout('200ms', ({ database }) =>
    inTransaction(database, async (transaction) => {
      await transaction.raw('select from entra_sync.tenants for update');
      await until('the row can be locked', () =>
        ask(store, 'select from entra_sync.tenants for update nowait').then(
          () => true,
          () => false,
        ),
      );
      return transaction.raw("update entra_sync.tenants set name = 'thawed'");
    }).catch((error: unknown) => error),
  );
  expect(isConnectionLost(frozen)).toBe(true);
  expect(await ask(store, 'select name from entra_sync.tenants')).toEqual([{ name: 'frozen' }]);
});
