// Membership changes are stored several per row and read one by one. With any size of a page, none is missed or
// repeated, even if a reader stops within a row.
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { closeCycle } from '../../src/store/cycle/cycles.ts';
import { acquireLease } from '../../src/store/cycle/lease.ts';
import {
  countedAccounts,
  type FeedRow,
  feedPosition,
  number,
  readAll,
  readFeed,
  writeBatch,
} from '../support/feed-writer.ts';
import { ask, openStore, type Store } from '../support/stage.ts';

let store: Store;

beforeEach(async () => {
  store = await openStore();
});

afterEach(() => store.close());

/** A batch of the tenant: a change of one account, then many memberships of each account in one row. */
async function joins(tenantId: string, accounts: readonly string[], each: number): Promise<void> {
  const groups = Array.from({ length: each }, () => randomUUID());
  const [made] = await ask<{ batch_id: string }>(
    store,
    'insert into entra_sync.batches (tenant_id) values (:tenantId) returning batch_id',
    { tenantId },
  );
  const batch = made?.batch_id ?? '';
  await ask(
    store,
    `insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id)
     values (:batch, :tenantId, 'test', 'account.updated', :account)`,
    { batch, tenantId, account: accounts[0] ?? '' },
  );
  await ask(
    store,
    `with numbered as (
       select p.*, nextval('entra_sync.changes_change_id_seq') as id from (
         select a.account_id, g.group_id from unnest(:accounts::uuid[]) as a (account_id)
          cross join unnest(:groups::uuid[]) as g (group_id) order by 1, 2) p
     )
     insert into entra_sync.changes (change_id, batch_id, tenant_id, actor, kind, account_id, change_ids, group_ids)
     overriding system value
     select min(id), :batch, :tenantId, 'test', 'membership.added', account_id, array_agg(id), array_agg(group_id)
       from numbered group by account_id`,
    { batch, tenantId, accounts, groups },
  );
}

const withoutPosition = (rows: readonly FeedRow[]) => rows.map(({ position: _, ...row }) => row);

test.each(['before they have numbers', 'numbered'])(
  '%s: one by one, in pages of any size and from any position, as the view shows them',
  async (when) => {
    const { tenantId, accounts } = await countedAccounts(store, 4);
    const client = await store.connect();
    await writeBatch(client, tenantId, accounts);
    await joins(tenantId, accounts, 5);
    await joins(tenantId, accounts.slice(0, 2), 3);
    await writeBatch(client, tenantId, accounts);
    if (when === 'numbered') await number(store);
    const all = await readAll(store, null);
    expect(all).toHaveLength(4 + 1 + 20 + 1 + 6 + 4);
    const shown = await ask(store, 'select change_id, account_id, group_id from directory.changes order by change_id');
    const facts = (rows: readonly object[]) =>
      rows.map((row) => {
        const { change_id, account_id, group_id } = row as Record<string, unknown>;
        return { change_id, account_id, group_id };
      });
    expect(facts(all)).toEqual(facts(shown));
    const told = withoutPosition(all);
    for (const size of [1, 2, 3, 7]) expect(withoutPosition(await readAll(store, null, size))).toEqual(told);
    expect(await feedPosition(store)).toBe(all.at(-1)?.position);
    const followed = async () => {
      for (const [index, { position }] of all.entries())
        expect(withoutPosition(await readAll(store, position, 4))).toEqual(told.slice(index + 1));
    };
    await followed();
    // A position inside a batch continues there, even if the batch was numbered meanwhile.
    await number(store);
    await followed();
  },
);

test('the position at the end and the pruned position count every change of a row', async () => {
  const { tenantId, accounts } = await countedAccounts(store, 2);
  await joins(tenantId, accounts, 5);
  await number(store);
  const all = await readAll(store, null);
  expect(await feedPosition(store)).toBe(all.at(-1)?.position);
  expect(await readFeed(store, await feedPosition(store))).toEqual([]);
  await joins(tenantId, accounts, 2);
  await number(store);
  await ask(store, "update entra_sync.batches set committed_at = now() - interval '2 days' where number = 1");
  const lease = await acquireLease(store.database, tenantId);
  await closeCycle(store.database, lease, '0', {
    outcome: 'committed',
    streams: {},
    error: null,
    intervalMs: 0,
    sinceStartMs: 0,
    chance: 0.5,
    retention: { changesMs: 86_400_000, cyclesMs: 86_400_000 },
  });
  await lease.release();
  expect(await readAll(store, all.at(-1)?.position ?? null)).toHaveLength(5);
  await expect(readFeed(store, all.at(-2)?.position ?? null)).rejects.toMatchObject({ code: 'ES006' });
});
