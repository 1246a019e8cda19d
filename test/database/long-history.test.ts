// The changes of a tenant with large batches: a list reads what it shows of each, and a count unfolds no packed row.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { listChanges } from '../../src/store/console/changes.ts';
import { inTransaction } from '../../src/store/database/pool.ts';
import { countChanges } from '../../src/store/feed/changes.ts';
import { tenantWith } from '../support/people-edit.ts';
import { rowsRead } from '../support/rows-read.ts';
import { ask, openStore, type Store } from '../support/stage.ts';

const size = 20_000;

let store: Store;
let tenant: string;

/** Two large batches, and the newest with few changes: a list of them goes on into the batch before. */
beforeAll(async () => {
  store = await openStore();
  tenant = await tenantWith(store, {});
  const bind = { tenant, size, group: randomUUID() };
  await ask(
    store,
    `with batch as (
       insert into entra_sync.batches (batch_id, tenant_id, number)
       select 1000 + n, :tenant, 1000 + n from generate_series(1, 3) n returning batch_id)
     insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, before, after)
     select b.batch_id, :tenant, 'test', 'account.updated', gen_random_uuid(), '{"profile": {"phone": "1"}}', '{"profile": {"phone": "2"}}'
       from batch b cross join lateral generate_series(1, case b.batch_id when 1003 then 20 else :size::int end)
      order by b.batch_id`,
    bind,
  );
  await ask(
    store,
    `insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, change_ids, group_ids)
     select 1003, :tenant, 'test', 'membership.added', gen_random_uuid(), array[n, n + 1], array[:group::uuid, gen_random_uuid()]
       from generate_series(1000001, 1000009, 2) n`,
    bind,
  );
  await ask(store, 'vacuum analyze entra_sync.changes');
});

afterAll(() => store.close());

test('a list of changes reads a page of each batch, and none of the batches that are newer than its own', async () => {
  for (const kind of [undefined, 'account.*'])
    await inTransaction(store.database, async (read) => {
      const before = await rowsRead(read, 'changes');
      const found = await listChanges(read, { tenantId: tenant, kind }, { after: null, limit: 51 });
      expect(found).toHaveLength(51);
      expect((await rowsRead(read, 'changes')) - before).toBeLessThan(size / 10);
    });
});

test('changes are counted by kind, packed memberships each, of the tenant or of one group', async () => {
  expect(await countChanges(store.database, { tenantId: tenant })).toEqual([
    { kind: 'account.updated', count: 2 * size + 20 },
    { kind: 'membership.added', count: 10 },
  ]);
  const [one] = await ask<{ id: string }>(
    store,
    'select group_ids[1] as id from entra_sync.changes where group_ids is not null',
  );
  expect(await countChanges(store.database, { tenantId: tenant, groupId: one?.id })).toEqual([
    { kind: 'membership.added', count: 5 },
  ]);
});
