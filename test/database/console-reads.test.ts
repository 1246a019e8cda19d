// The console's own statements, whose cost does not grow with the tenant, say what the slower ones say.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { changeAccount } from '../../src/store/accounts/edit.ts';
import { listChanges } from '../../src/store/console/changes.ts';
import { ask, openStore, type Store, sync, tombstone, user } from '../support/stage.ts';
import { openScene, type Scene } from '../support/writers.ts';

let store: Store;
let scene: Scene;

beforeAll(async () => {
  store = await openStore();
  scene = await openScene(store);
  const account = { tenant_id: scene.tenantId, account_id: scene.accounts[5] ?? '' };
  for (const displayName of ['One', 'Two'])
    await changeAccount(
      store.database,
      account,
      { edits: { displayName }, reverts: [] },
      { actor: 'Ann', role: 'user' },
    );
  await sync(store, scene.lease, 'incremental', [[tombstone(6), user(7, { jobTitle: 'Captain' }), user(2)]]);
});

afterAll(() => store.close());

test('changes by pages are all changes in the order of the feed, the newest first, packed memberships too', async () => {
  await ask(store, 'update entra_sync.batches set number = null where tenant_id = :tenant and batch_id % 3 = 0', {
    tenant: scene.tenantId,
  });
  for (const kind of [undefined, 'membership.*', 'account.*']) {
    const all = await ask<{ id: string }>(
      store,
      `select c.change_id as id from entra_sync.batches b join entra_sync.change_rows c on c.batch_id = b.batch_id
        where b.tenant_id = :tenant and c.kind like :kind order by b.number desc nulls first, c.change_id desc`,
      { tenant: scene.tenantId, kind: kind?.replace('*', '%') ?? '%' },
    );
    expect(all.length).toBeGreaterThan(5);
    const seen: string[] = [];
    for (let after: (string | null)[] | null = null; ; ) {
      const found = await store.database.transaction((read) =>
        listChanges(read, { tenantId: scene.tenantId, kind }, { after, limit: 2 }),
      );
      const last = found.at(-1);
      if (!last) break;
      seen.push(...found.map((one) => one.change_id));
      after = [last.number, last.change_id];
    }
    expect(seen).toEqual(all.map(({ id }) => id));
  }
});
