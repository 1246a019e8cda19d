// Pages of the accounts of one group (rule 30): together they are the join of the views, and each reads the group's members alone.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { inTransaction, rows } from '../../src/store/database/pool.ts';
import { isDeep } from '../support/deep.ts';
import { readingWorld } from '../support/reading-world.ts';
import { rowsRead } from '../support/rows-read.ts';
import { ask, openStore, type Store } from '../support/stage.ts';

const tenant = randomUUID();
const people = 4_000;

let store: Store;
let group = '';

beforeAll(async () => {
  store = await openStore();
  for (const sql of readingWorld) await ask(store, sql, { tenant, people, groups: 20, each: 4 });
  // Group 4 holds group 5.
  const [found] = await ask<{ group_id: string }>(
    store,
    `select group_id from directory.groups where display_name = 'Group 4'`,
  );
  group = found?.group_id ?? '';
  await ask(
    store,
    `update entra_sync.accounts set removed_at = now(), removed_reason = 'deleted_restorable', purge_at = now()
      where account_no % 9 = 0`,
  );
  await store.database.raw('analyze');
});

afterAll(async () => {
  await store.close();
});

type Account = { account_id: string };

const pageOf = (after: string | null, max: number, of: string | null = group) =>
  ask<Account>(store, 'select * from directory.accounts_of_group(:of, :after, :max)', { of, after, max });

test('rule 30: the pages of a group, of any size, are the accounts of its effective memberships in the order of their ids', async () => {
  const all = await ask<Account>(
    store,
    `select a.* from directory.accounts a join directory.effective_memberships m using (account_id)
      where m.group_id = :group order by a.account_id`,
    { group },
  );
  const direct = await ask(store, 'select from directory.memberships where group_id = :group', { group });
  expect(direct.length).toBeGreaterThan(0);
  expect(all.length).toBeGreaterThan(direct.length);
  for (const max of [1_000, 77]) {
    const found: Account[] = [];
    for (let page = await pageOf(null, max); page.length > 0; page = await pageOf(page.at(-1)?.account_id ?? '', max)) {
      expect(page.length).toBeLessThanOrEqual(max);
      found.push(...page);
    }
    expect(found).toEqual(all);
  }
});

test('rule 30: a page reads the accounts of its group alone', async () => {
  const read = await inTransaction(store.database, async (transaction) => {
    const before = await rowsRead(transaction, 'accounts');
    const page = await rows(transaction, 'select * from directory.accounts_of_group(:group, null, 20)', { group });
    expect(page.length).toBe(20);
    return (await rowsRead(transaction, 'accounts')) - before;
  });
  const [members] = await ask<{ count: string }>(
    store,
    'select count(*) from directory.effective_memberships where group_id = :group',
    { group },
  );
  expect(read).toBeLessThanOrEqual(Number(members?.count) + 20);
  expect(read).toBeLessThan(people / 2);
});

test.runIf(isDeep)(
  'rule 30: a page of a group of ten thousand accounts reads the next ones in the order of their ids',
  async () => {
    const large = randomUUID();
    for (const sql of readingWorld) await ask(store, sql, { tenant: large, people: 10_800, groups: 1, each: 1 });
    await store.database.raw('analyze');
    const [held] = await ask<{ id: string }>(
      store,
      'select group_id as id from directory.groups where tenant_id = :large',
      {
        large,
      },
    );
    const id = held?.id ?? '';
    const all = await ask<Account>(
      store,
      `select a.* from directory.accounts a join directory.effective_memberships m using (account_id)
      where m.group_id = :id order by a.account_id`,
      { id },
    );
    expect(all.length).toBeGreaterThan(10_000);
    const middle = all[5_000]?.account_id ?? '';
    const page = await inTransaction(store.database, async (transaction) => {
      const before = await rowsRead(transaction, 'accounts');
      const found = await rows(transaction, 'select * from directory.accounts_of_group(:id, :middle)', { id, middle });
      expect((await rowsRead(transaction, 'accounts')) - before).toBeLessThan(2_000);
      return found;
    });
    expect(page).toEqual(all.slice(5_001, 5_201));
  },
);

test('a group that is removed has no accounts; an unknown group, and a page of none or of more than a thousand, are refused', async () => {
  const [removed] = await ask<{ group_id: string }>(
    store,
    `update entra_sync.groups set removed_at = now(), removed_reason = 'deleted_restorable', purge_at = now()
      where display_name = 'Group 9' returning group_id`,
  );
  expect(await pageOf(null, 50, removed?.group_id ?? '')).toEqual([]);
  for (const unknown of [randomUUID(), null])
    await expect(pageOf(null, 50, unknown)).rejects.toMatchObject({ code: 'ES004' });
  for (const max of [0, 1_001])
    await expect(pageOf(null, max)).rejects.toMatchObject({
      code: '22023',
      message: expect.stringContaining('max must be'),
    });
});
