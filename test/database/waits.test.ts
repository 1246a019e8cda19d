// The activities of this process as its worker sees them: statements with their tenant, and waits for locks.
import { expect, test } from 'vitest';
import { activities, forTenant } from '../../src/store/database/activity.ts';
import { statementStates } from '../../src/store/database/health.ts';
import { inTransaction } from '../../src/store/database/pool.ts';
import { openStore, untilBlocked } from '../support/stage.ts';

const tenantId = '605d1257-ffff-40b6-8e6f-528a53f5dc55';

test('a running statement is listed with its tenant and whether it waits for a lock, as is a wait between tries', async () => {
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
  await expect.poll(() => mine().map(({ kind }) => kind), { timeout: 120_000 }).toContain('lock');
  await holder.rollback();
  await waiting;
  expect(mine()).toEqual([]);
  expect(await statementStates(database, [])).toEqual([]);
});
