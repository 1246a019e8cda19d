// The last changes of the feed, newest first: what `read_changes` ends with, backwards.
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { answerOf, type EditStore, openEditStore, tenantWith } from '../support/people-edit.ts';
import { ask } from '../support/stage.ts';

type Change = { change_id: string; tenant_id: string; group_id: string | null };

let store: EditStore;
let client: Client;
const tenants: string[] = [];

/** Writes a batch of a tenant: single rows, and packed rows of memberships between them. */
async function writeBatch(tenant: string, rows: number): Promise<void> {
  await ask(
    store,
    `with batch as (insert into entra_sync.batches (tenant_id) values (:tenant) returning batch_id)
     insert into entra_sync.changes (change_id, batch_id, tenant_id, actor, kind, account_id, group_ids, change_ids)
     overriding system value
     select x.ids[1], batch_id, :tenant, 'test', case when x.many = 1 then 'account.updated' else 'membership.added' end, :account,
            case when x.many > 1 then array(select gen_random_uuid() from generate_series(1, x.many)) end,
            case when x.many > 1 then x.ids end
       from batch cross join lateral (
         select n.many, array(select nextval('entra_sync.changes_change_id_seq') from generate_series(1, n.many) where n.many > 0) as ids
           from (select 1 + r % 4 as many from generate_series(1, :rows) r) n) x`,
    { tenant, rows, account: randomUUID() },
  );
}

beforeAll(async () => {
  store = await openEditStore();
  client = await (await store.application({ grant: 'open' })).connect();
  for (const _ of [1, 2]) tenants.push(await tenantWith(store, { jobTitle: {} }));
  for (const rows of [3, 1, 40, 2, 7, 1]) for (const tenant of tenants) await writeBatch(tenant, rows);
  await ask(store, 'select entra_sync.number_batches()');
  // The newest batches have no number yet.
  for (const tenant of tenants) await writeBatch(tenant, 5);
});

afterAll(() => store.close());

const latest = async (tenant: string | null, max: number | null) =>
  (await client.query<Change>('select * from directory.latest_changes($1, $2)', [tenant, max])).rows;

test('it is the end of the feed backwards, for one tenant and for all, at every number of rows', async () => {
  const { rows: feed } = await client.query<Change & { position?: string }>(
    'select * from directory.read_changes(null, 100000)',
  );
  const backwards = feed.map(({ position: _position, ...change }) => change).reverse();
  expect(backwards.length).toBeGreaterThan(200);
  for (const tenant of [null, ...tenants]) {
    const wanted = backwards.filter((change) => tenant === null || change.tenant_id === tenant);
    for (const max of [1, 2, 7, 12, 13, 50, 51, 120, 1000]) {
      expect(await latest(tenant, max), `${max}`).toEqual(wanted.slice(0, max));
    }
    expect(await latest(tenant, null)).toEqual(wanted.slice(0, 50));
  }
});

test('it reads a few rows of a table of many', async () => {
  const [tenant = ''] = tenants;
  await writeBatch(tenant, 20_000);
  await ask(store, 'select entra_sync.number_batches()');
  for (const ready of ['', 'analyze entra_sync.changes, entra_sync.batches'])
    for (const asked of [null, tenant]) {
      if (ready) await ask(store, ready);
      await client.query('begin');
      const read = async () =>
        Number(
          (
            await client.query(
              `select coalesce(sum(seq_tup_read + idx_tup_fetch), 0) as read from pg_stat_xact_all_tables
              where schemaname = 'entra_sync' and relname = 'changes'`,
            )
          ).rows[0].read,
        );
      const before = await read();
      expect(await latest(asked, 50)).toHaveLength(50);
      expect((await read()) - before).toBeLessThan(1000);
      await client.query('commit');
    }
});

test.each([0, -1])('max %i is refused', async (max) => {
  expect(await answerOf(client, 'select directory.latest_changes(null, $1)', [max])).toMatchObject({ code: '22023' });
});
