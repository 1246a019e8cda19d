// Activities of this process on a real database, as its worker sees them: statements with their tenant, and waits for a lock.
import { expect, test } from 'vitest';
import { activities, forTenant } from '../../src/store/database/activity.ts';
import { statementStates } from '../../src/store/database/health.ts';
import { inTransaction } from '../../src/store/database/pool.ts';
import { openStore, untilBlocked } from '../support/stage.ts';

const tenantId = '605d1257-ffff-40b6-8e6f-528a53f5dc55';

test('a statement is told of with its tenant while it lasts, and whether it waits for a lock; a wait in tries as well', async () => {
  const store = await openStore();
  const { database } = store;
  const mine = () => activities().filter((one) => one.tenantId === tenantId);
  const holder = await database.transaction();
  await holder.raw('select from entra_sync.feed for update');
  const waiting = forTenant(tenantId, () =>
    inTransaction(database, (transaction) => transaction.raw('select from entra_sync.feed for update')),
  );
  await untilBlocked(store);
  const [statement] = mine().filter(({ kind }) => kind === 'statement');
  expect(statement).toMatchObject({ tenantId, reason: null });
  const pid = statement?.pid ?? 0;
  expect(await statementStates(database, [pid])).toMatchObject([{ pid, forLock: true, blockers: [{ own: true }] }]);
  await expect.poll(() => mine().map(({ kind }) => kind), { timeout: 20_000 }).toContain('lock');
  await holder.rollback();
  await waiting;
  expect(mine()).toEqual([]);
  expect(await statementStates(database, [])).toEqual([]);
});
