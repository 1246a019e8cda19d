// One application session blocks no other: the feed's order needs no lock that an open transaction keeps.
import type { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { changeAccount } from '../../src/store/accounts/edit.ts';
import { openDatabase } from '../../src/store/database/pool.ts';
import { numberBatches } from '../../src/store/feed/batches.ts';
import { positionBefore, readChanges } from '../../src/store/feed/changes.ts';
import { isDeep } from '../support/deep.ts';
import {
  countedAccounts,
  type FeedRow,
  feedPosition,
  number,
  readAll,
  readFeed,
  writeBatch,
} from '../support/feed-writer.ts';
import { accountOf, type EditStore, openEditStore, tenantWith } from '../support/people-edit.ts';
import { ask, leasedTenant, type Store, sync, user } from '../support/stage.ts';
import { openScene } from '../support/writers.ts';

let store: EditStore;

beforeEach(async () => {
  store = await openEditStore();
});

afterEach(() => store.close());

const edit = (on: Client, account: string | undefined, patch: object) =>
  on.query(`select directory.edit_account($1, $2, 'Ann', 'user')`, [account, JSON.stringify(patch)]);

/** Edits one field of each account that many times, in one statement. */
const editOften = (on: Client, accounts: readonly string[], times: number) =>
  on.query(
    `select count(directory.edit_account(a, jsonb_build_object('phone', n::text), 'Ann', 'user'))
       from generate_series(1, $2::int) n cross join unnest($1::uuid[]) a`,
    [accounts, times],
  );

const batches = () =>
  ask<{ tenant_id: string; changes: number }>(
    store,
    `select b.tenant_id, count(c.change_id)::int as changes from entra_sync.batches b
       left join entra_sync.changes c using (batch_id) group by b.batch_id, b.tenant_id order by b.batch_id`,
  );

test('a granted role that keeps an edit open and sends "set constraints all immediate" blocks no other account', async () => {
  const scene = await openScene(store);
  await number(store);
  const phones = await tenantWith(store, { phone: {} });
  const elsewhere = await accountOf(store, phones);
  const application = await store.application({ grant: 'open' });
  const [held, free] = [await application.connect(), await application.connect()];
  // No statement may wait here, so a wait is an error.
  const url = new URL(store.url);
  url.searchParams.set('options', '-c lock_timeout=5s');
  const hasty = openDatabase(url.href);
  await free.query("set lock_timeout = '5s'");
  const start = await feedPosition(store);
  await held.query('begin');
  await edit(held, scene.accounts[1], { displayName: 'Kept open' });
  await held.query('set constraints all immediate');
  try {
    await edit(free, scene.accounts[5], { displayName: 'Other account' });
    await edit(free, elsewhere, { phone: '1' });
    await sync({ ...(store as Store), database: hasty }, scene.lease, 'incremental', [
      [user(6, { mail: 'six@example.com' })],
    ]);
    const read = (await free.query<FeedRow>('select * from directory.read_changes($1)', [start])).rows;
    expect(read.map((row) => row.account_id)).toEqual([scene.accounts[5], elsewhere, scene.accounts[6]]);
    await numberBatches(hasty);
    expect(await ask(store, 'select from entra_sync.batches where number is null')).toEqual([]);
    expect((await free.query('select directory.feed_position() as p')).rows[0].p).toMatch(/^[0-9a-f]{8}:\d+:\d+$/);
    await held.query('commit');
    const rest = await readFeed(store, read.at(-1)?.position ?? null);
    expect(rest.map((row) => row.account_id)).toEqual([scene.accounts[1]]);
  } finally {
    await hasty.destroy();
    await scene.lease.release();
  }
});

describe('edits of one transaction', () => {
  test.runIf(isDeep)('1,000 of them are one batch per tenant, which each finds quickly', async () => {
    const tenants = [await tenantWith(store, { phone: {} }), await tenantWith(store, { phone: {} })];
    const accounts: string[] = [];
    for (const tenant of tenants) for (let n = 0; n < 5; n += 1) accounts.push(await accountOf(store, tenant));
    const client = await store.connect();
    await client.query('begin');
    await editOften(client, accounts, 100);
    await client.query('savepoint half');
    await editOften(client, accounts, 7);
    await client.query('rollback to half');
    const { rows: written } = await client.query(
      `select n_tup_ins::int as inserted, n_tup_upd::int as updated from pg_stat_xact_all_tables where relid = 'entra_sync.batches'::regclass`,
    );
    // A row updated by each edit would leave a dead version each time, which every look-up has to skip.
    expect(written).toEqual([{ inserted: 2, updated: 0 }]);
    await client.query('commit');
    expect(await batches()).toEqual(tenants.map((tenant_id) => ({ tenant_id, changes: 500 })));
    expect(await readAll(store, null, 300)).toHaveLength(1_000);
  });

  test('80 of them reach concurrent readers of 1, 2 and 3 changes once each, in order per account, also read-only ones', async () => {
    const tenant = await tenantWith(store, { phone: {} });
    const accounts: string[] = [];
    for (let n = 0; n < 4; n += 1) accounts.push(await accountOf(store, tenant));
    const lone = await accountOf(store, tenant);
    const application = await store.application({ grant: 'open' });
    const [writer, other] = [await application.connect(), await application.connect()];
    const expected = 80 + 8;
    const follow = async (max: number, begin: string) => {
      const reader = await application.connect();
      const seen: FeedRow[] = [];
      while (seen.length < expected) {
        await reader.query(begin);
        const { rows } = await reader.query<FeedRow>('select * from directory.read_changes($1, $2)', [
          seen.at(-1)?.position ?? null,
          max,
        ]);
        await reader.query('commit');
        seen.push(...rows);
      }
      return seen;
    };
    const readers = [
      follow(1, 'begin'),
      follow(2, 'begin read only'),
      follow(3, 'begin isolation level repeatable read read only'),
    ];
    await writer.query('begin');
    for (let n = 0; n < 4; n += 1) {
      await editOften(writer, accounts, 5);
      await edit(other, lone, { phone: `before ${n}` });
    }
    await writer.query('commit');
    for (let n = 0; n < 4; n += 1) {
      await edit(other, lone, { phone: `after ${n}` });
      await number(store);
    }
    const all = await readAll(store, null);
    const byAccount = (rows: readonly FeedRow[]) =>
      [...accounts, lone].map((id) => rows.filter((row) => row.account_id === id).map((row) => row.change_id));
    for (const seen of await Promise.all(readers)) {
      expect(byAccount(seen)).toEqual(byAccount(all));
      expect(new Set(seen.map((row) => row.change_id)).size).toBe(expected);
      // The edits of one transaction are contiguous, whatever else was committed.
      const places = seen.flatMap((row, place) => (row.account_id === lone ? [] : [place]));
      expect((places.at(-1) ?? 0) - (places[0] ?? 0)).toBe(79);
      expect(Math.max(...seen.map((row) => row.position.length))).toBeLessThan(60);
    }
  });

  test('rolling back a savepoint deletes its batch, and the next edit opens another', async () => {
    const tenant = await tenantWith(store, { phone: {} });
    const account = await accountOf(store, tenant);
    const client = await store.connect();
    await client.query('begin');
    await client.query('savepoint first');
    await edit(client, account, { phone: '1' });
    await client.query('rollback to first');
    await edit(client, account, { phone: '2' });
    await client.query('commit');
    expect(await batches()).toEqual([{ tenant_id: tenant, changes: 1 }]);
    expect(await readFeed(store, null)).toMatchObject([{ account_id: account }]);
  });

  test('a transaction with the id of an older one, as after a restore, does not join its batch', async () => {
    const tenant = await tenantWith(store, { phone: {} });
    const account = await accountOf(store, tenant);
    const client = await store.connect();
    await client.query('begin');
    const { rows } = await client.query('select pg_current_xact_id()::text as id');
    await ask(
      store,
      `insert into entra_sync.batches (tenant_id, opened_by, opened_at)
       values (:tenant, :id::xid8, now() - interval '1 day')`,
      { tenant, id: rows[0].id },
    );
    await edit(client, account, { phone: '1' });
    await client.query('commit');
    expect(await batches()).toEqual([
      { tenant_id: tenant, changes: 0 },
      { tenant_id: tenant, changes: 1 },
    ]);
    await number(store);
    expect(await ask(store, 'select from entra_sync.batches where opened_by is not null')).toEqual([]);
  });
});

describe('batches without a number', () => {
  test('are read and followed while another session numbers them, and get no number from reading', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 2);
    const [holder, writer] = [await store.connect(), await store.connect()];
    await holder.query('begin');
    await holder.query('select from entra_sync.feed_order for update');
    await writeBatch(writer, tenantId, accounts);
    expect(await numberBatches(store.database)).toBe(0);
    expect(await readAll(store, null, 1)).toHaveLength(2);
    await holder.query('rollback');
    expect(await numberBatches(store.database)).toBe(1);
    expect(await numberBatches(store.database)).toBe(0);
  });

  test('are read by a reader of one tenant', async () => {
    const [mine, other] = [await countedAccounts(store, 2), await countedAccounts(store, 2)];
    const [writer, reader] = [await store.connect(), await store.connect()];
    for (const { tenantId, accounts } of [mine, other, mine, other]) await writeBatch(writer, tenantId, accounts);
    await reader.query(`set directory.tenant = '${mine.tenantId}'`);
    const seen: FeedRow[] = [];
    for (;;) {
      const { rows } = await reader.query<FeedRow>('select * from directory.read_changes($1, 1)', [
        seen.at(-1)?.position ?? null,
      ]);
      if (rows.length === 0) break;
      seen.push(...rows);
      if (seen.length === 3) await number(store);
    }
    expect(seen.map((row) => row.account_id)).toEqual([...mine.accounts, ...mine.accounts]);
    // The rows of all tenants after the last batch.
    expect(await readAll(store, seen[1]?.position ?? null)).toHaveLength(6);
    expect(await readAll(store, seen[3]?.position ?? null)).toHaveLength(2);
  });

  test('are among the last changes that the command line shows', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 2);
    const writer = await store.connect();
    await writeBatch(writer, tenantId, accounts);
    await number(store);
    await writeBatch(writer, tenantId, accounts);
    await writeBatch(writer, tenantId, accounts);
    const all = (await readAll(store, null)).map((row) => row.change_id);
    for (let count = 1; count <= 6; count += 1) {
      const found = await readChanges(store.database, await positionBefore(store.database, count, null), 10);
      expect(found.map((row) => row.change_id)).toEqual(all.slice(-count));
    }
  });

  test.runIf(isDeep)('make a short position, whatever their number', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 1);
    const writer = await store.connect();
    for (let n = 0; n < 100; n += 1) await writeBatch(writer, tenantId, accounts);
    const read = await readAll(store, null, 30);
    expect(read).toHaveLength(100);
    expect(Math.max(...read.map((row) => row.position.length))).toBeLessThan(60);
    expect((await feedPosition(store)).length).toBeLessThan(40);
  });
});

describe('a batch that entra-sync itself commits', () => {
  const unnumbered = () => ask(store, 'select from entra_sync.batches where number is null');

  test('gets its number right after the commit, like earlier batches of applications', async () => {
    const tenant = await tenantWith(store, { phone: {} });
    const account = await accountOf(store, tenant);
    const client = await store.connect();
    await edit(client, account, { phone: '1' });
    expect(await unnumbered()).toHaveLength(1);
    const by = { actor: 'Ann', role: 'user' };
    await changeAccount(
      store.database,
      { tenant_id: tenant, account_id: account },
      { edits: { phone: '2' }, reverts: [] },
      by,
    );
    expect(await unnumbered()).toEqual([]);
    const lease = await leasedTenant(store);
    await sync(store, lease, 'full', [[user(1)]]);
    expect(await unnumbered()).toEqual([]);
    expect((await readAll(store, null)).map((row) => row.kind)).toEqual([
      'account.edited',
      'account.edited',
      'account.created',
    ]);
    await lease.release();
  });

  test('stays committed if numbering fails, and is read without a number', async () => {
    const lease = await leasedTenant(store);
    await ask(
      store,
      `create or replace function entra_sync.number_batches() returns integer language plpgsql as
         $$ begin raise exception 'no numbers today'; end $$`,
    );
    await sync(store, lease, 'full', [[user(1)]]);
    expect(await unnumbered()).toHaveLength(1);
    expect(await readAll(store, null)).toHaveLength(1);
    await lease.release();
  });
});
