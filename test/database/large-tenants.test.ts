// A large tenant's memberships are read whole, a small one's by its groups, and both ways show the same rows.
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { noCounts } from '../../src/rules/counts.ts';
import { inTransaction } from '../../src/store/database/pool.ts';
import { analyzeTables, noteLargeTenants } from '../../src/store/stage/statistics.ts';
import { openHousekeeper } from '../../src/worker/housekeeper.ts';
import { type EditStore, openEditStore } from '../support/people-edit.ts';
import { rowsRead } from '../support/plans.ts';
import { readingWorld, smallTenants } from '../support/reading-world.ts';
import { ask } from '../support/stage.ts';
import { bufferLog } from '../support/system.ts';

const large = randomUUID();
const one = randomUUID();
const others = Array.from({ length: 300 }, () => randomUUID());

let store: EditStore;
let reader: Client;

beforeAll(async () => {
  store = await openEditStore();
  for (const sql of readingWorld) await ask(store, sql, { tenant: large, people: 1_000, groups: 60, each: 8 });
  for (const sql of readingWorld) await ask(store, sql, { tenant: one, people: 10, groups: 5, each: 2 });
  for (const sql of smallTenants) await ask(store, sql, { others });
  await store.database.raw('analyze');
  reader = await (await store.application({ grant: 'tenant-bound' })).connect();
});

afterAll(() => store.close());

const noted = async () =>
  (await ask<{ id: string }>(store, 'select tenant_id as id from entra_sync.large_tenants')).map(({ id }) => id);

const note = (...tenants: string[]) =>
  ask(
    store,
    `with gone as (delete from entra_sync.large_tenants where tenant_id <> all(:tenants::uuid[]))
     insert into entra_sync.large_tenants select unnest(:tenants::uuid[]) on conflict do nothing`,
    { tenants },
  );

const views = ['effective_memberships', 'memberships'] as const;

/** The rows of a view that the role sees of a tenant, as texts in order. */
async function rowsOf(view: string, tenant: string, where = 'true'): Promise<string[]> {
  await reader.query(`set directory.tenant = '${tenant}'`);
  const { rows } = await reader.query(`select v::text as row from directory.${view} v where ${where} order by 1`);
  return rows.map(({ row }) => row);
}

describe('rule 39: the same rows are shown', () => {
  test.each(views)('of directory.%s, whether the tenant is noted as large or not', async (view) => {
    for (const tenant of [large, one]) {
      const seen: string[][] = [];
      for (const tenants of [[], [tenant], [large, ...others]]) {
        await note(...tenants);
        seen.push(await rowsOf(view, tenant));
      }
      const [first = []] = seen;
      expect(first.length).toBeGreaterThan(10);
      expect(new Set(first).size).toBe(first.length);
      expect(seen).toEqual([first, first, first]);
    }
  });

  test.each(views)('of directory.%s to a role that is narrowed to none, or to another tenant', async (view) => {
    await note(large, one);
    expect(await rowsOf(view, large, `tenant_id = '${one}'`)).toEqual([]);
    expect(await rowsOf(view, randomUUID())).toEqual([]);
    expect(await rowsOf(view, '')).toEqual([]);
  });
});

/** The rows of effective_members that a question reads. */
async function membersRead(tenant: string, sql: string): Promise<number> {
  await reader.query(`set directory.tenant = '${tenant}'`);
  const { rows } = await reader.query(`explain (analyze, timing off, format json) ${sql}`);
  return rowsRead(rows[0]['QUERY PLAN'][0].Plan).get('effective_members') ?? 0;
}

describe.each(views)('rule 39: directory.%s', (view) => {
  test('is read by the groups of a small tenant, and no membership of another one', async () => {
    await note(large);
    const count = (await rowsOf('effective_memberships', one)).length;
    const read = await membersRead(one, `select * from directory.${view}`);
    expect(read).toBeGreaterThan(0);
    expect(read).toBeLessThanOrEqual(count);
  });

  test('is read once and whole for a large tenant', async () => {
    await note(large);
    const [all] = await ask<{ count: number }>(
      store,
      'select count(*)::int as count from entra_sync.effective_members',
    );
    expect(await membersRead(large, `select * from directory.${view}`)).toBe(all?.count);
  });

  test('is read by an index for one account or one group of a large tenant', async () => {
    await note(large);
    const [some = ''] = await rowsOf('effective_memberships', large);
    const [, group, account] = some.replaceAll(/[()]/g, '').split(',');
    for (const condition of [`account_id = '${account}'`, `group_id = '${group}'`]) {
      const count = (await rowsOf('effective_memberships', large, condition)).length;
      expect(count).toBeGreaterThan(0);
      expect(await membersRead(large, `select * from directory.${view} where ${condition}`)).toBeLessThanOrEqual(count);
    }
  });
});

test.each([
  ['large', () => large],
  ['small', () => one],
])(
  'rule 39: a function of the role sees no membership of another tenant than its own, a %s one',
  async (_what, own) => {
    await note(large);
    const client = await (await store.application({ grant: { tenant: own() } })).connect();
    const told: string[] = [];
    client.on('notice', ({ message }) => told.push(message ?? ''));
    await client.query(
      `create function pg_temp.tells(tenant uuid, id uuid) returns boolean language plpgsql cost 0.0001 as $$
     begin raise notice '%', tenant; return true; end $$`,
    );
    for (const view of views) {
      told.length = 0;
      const { rowCount } = await client.query(`select from directory.${view} where pg_temp.tells(tenant_id, group_id)`);
      expect(rowCount).toBeGreaterThan(10);
      expect(told).toHaveLength(rowCount ?? 0);
      expect(new Set(told)).toEqual(new Set([own()]));
    }
  },
);

describe('rule 39: a tenant is noted as large', () => {
  test('with a tenth of all accounts, as the statistics have it', async () => {
    await note(one);
    await noteLargeTenants(store.database);
    expect(await noted()).toEqual([large]);
    await noteLargeTenants(store.database);
    expect(await noted()).toEqual([large]);
  });

  test.each([
    ['a look of the housekeeper', () => openHousekeeper(store.database, bufferLog().log)()],
    [
      'a commit that wrote a large part of the accounts',
      () => analyzeTables(store.database, 'users', { ...noCounts, set_aside: 0, created: 3_000 }),
    ],
  ])('by %s', async (_what, work) => {
    await note(one);
    await work();
    expect(await noted()).toEqual([large]);
  });

  test('at the next time where a commit holds it, which nothing waits for', async () => {
    await note();
    await inTransaction(store.database, async (commit) => {
      await commit.raw(`select from entra_sync.tenants where tenant_id = '${large}' for update`);
      await noteLargeTenants(store.database);
      expect(await noted()).toEqual([]);
    });
    await noteLargeTenants(store.database);
    expect(await noted()).toEqual([large]);
  });

  test('without statistics none is, and an erased tenant is not', async () => {
    await note(one);
    await ask(store, 'delete from entra_sync.tenants where tenant_id = :one', { one });
    expect(await noted()).toEqual([]);
    await ask(store, "delete from pg_statistic where starelid = 'entra_sync.accounts'::regclass");
    await note(large);
    await noteLargeTenants(store.database);
    expect(await noted()).toEqual([]);
  });
});
