// Pages of accounts in the order of their ids (rule 30): together they are the view, and each reads its own accounts alone.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction, rows } from '../../src/store/database/pool.ts';
import { rowsRead } from '../support/rows-read.ts';
import { ask, openStore, type Store } from '../support/stage.ts';

const [tenant, other] = [randomUUID(), randomUUID()];
const people = 5_000;

let store: Store;

beforeAll(async () => {
  store = await openStore();
  await ask(
    store,
    'insert into entra_sync.tenants (tenant_id, name) select t, t::text from unnest(:tenants::uuid[]) t',
    {
      tenants: [tenant, other],
    },
  );
  // Every seventh is removed, every fifth is an account of the other tenant.
  await ask(
    store,
    `insert into entra_sync.accounts (tenant_id, entra_object_id, state, mapped, overrides, removed_at, removed_reason, purge_at)
     select case when n % 5 = 0 then :other::uuid else :tenant::uuid end, gen_random_uuid(), 'managed',
            jsonb_build_object('displayName', 'Person ' || n), case when n % 3 = 0 then '{"jobTitle": "Boss"}'::jsonb else '{}' end,
            away, case when away is not null then 'deleted_restorable' end, away
       from generate_series(1, :people::int) n, lateral (select case when n % 7 = 0 then now() end as away) a`,
    { tenant, other, people },
  );
  await store.database.raw('analyze entra_sync.accounts');
});

afterAll(async () => {
  await store.close();
});

type Account = { account_id: string; edited_fields: string[] };

const pageOf = (after: string | null, max: number) =>
  ask<Account>(store, 'select * from directory.accounts_after(:tenant, :after, :max)', { tenant, after, max });

test('rule 30: the pages of a tenant, of any size, are its accounts of the view in the order of their ids', async () => {
  const all = await ask<Account>(
    store,
    'select * from directory.accounts where tenant_id = :tenant order by account_id',
    { tenant },
  );
  expect(all.length).toBeGreaterThan(people / 2);
  for (const max of [1_000, 333]) {
    const found: Account[] = [];
    for (let page = await pageOf(null, max); page.length > 0; page = await pageOf(page.at(-1)?.account_id ?? '', max)) {
      expect(page.length).toBeLessThanOrEqual(max);
      found.push(...page);
    }
    expect(found).toEqual(all);
  }
  expect(new Set(all.map(({ edited_fields }) => edited_fields.join()))).toEqual(new Set(['', 'jobTitle']));
});

test('rule 30: a page reads its own accounts alone, at any place', async () => {
  for (const after of [null, '80000000-0000-4000-8000-000000000000']) {
    const read = await inTransaction(store.database, async (transaction) => {
      const before = await rowsRead(transaction, 'accounts');
      const page = await rows(transaction, 'select * from directory.accounts_after(:tenant, :after)', {
        tenant,
        after,
      });
      expect(page.length).toBe(50);
      return (await rowsRead(transaction, 'accounts')) - before;
    });
    // Each twice, and those of the other tenant and the removed ones that lie between.
    expect(read).toBeLessThan(50 * 5);
  }
});

test('a page of none or of more than a thousand is refused, and so is an unknown tenant', async () => {
  for (const max of [0, 1_001])
    await expect(pageOf(null, max)).rejects.toMatchObject({
      code: '22023',
      message: expect.stringContaining('max must be'),
    });
  for (const unknown of ['gen_random_uuid()', 'null'])
    await expect(ask(store, `select * from directory.accounts_after(${unknown})`), unknown).rejects.toMatchObject({
      code: 'ES004',
    });
});
