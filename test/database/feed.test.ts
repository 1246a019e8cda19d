// The order of the feed: however transactions overlap and whenever batches are numbered, a follower gets every change
// once, and the changes of each account in commit order.
import { randomBytes } from 'node:crypto';
import { setImmediate } from 'node:timers/promises';
import type { Client } from 'pg';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { isDeep } from '../support/deep.ts';
import {
  addOne,
  type Counted,
  closeFeedBatch,
  countedAccounts,
  type FeedRow,
  feedPosition,
  number,
  readAll,
  readFeed,
  takeBatch,
  writeBatch,
} from '../support/feed-writer.ts';
import { ask, leasedTenant, openStore, type Store, sync, tombstone, untilBlocked, user } from '../support/stage.ts';

let store: Store;

beforeEach(async () => {
  store = await openStore();
});

afterEach(async () => {
  await store.close();
});

/** Begins a transaction that adds one to an account and writes its batch, without COMMIT. */
async function almostCommitted(client: Client, tenantId: string, account = ''): Promise<void> {
  await client.query('begin');
  const batch = await takeBatch(client);
  await addOne(client, tenantId, account, batch);
  await closeFeedBatch(client, tenantId, batch);
}

/** Follows the feed from its position at the time of the call. */
function follower(after: string | null) {
  const seen: FeedRow[] = [];
  return {
    seen,
    async poll(max?: number) {
      const fresh = await readAll(store, seen.at(-1)?.position ?? after, max);
      seen.push(...fresh);
      return fresh.map((row) => row.account_id);
    },
  };
}

const ids = (rows: readonly FeedRow[]) => rows.map((row) => row.change_id);

/** The state of an account by its changes: each must start where the one before ended. */
function expectUnbrokenChains(seen: readonly FeedRow[], start: ReadonlyMap<string, string>): Map<string, string> {
  const now = new Map(start);
  for (const row of seen) {
    expect({ account: row.account_id, from: row.before?.profile.displayName }).toEqual({
      account: row.account_id,
      from: now.get(row.account_id),
    });
    now.set(row.account_id, row.after?.profile.displayName ?? '');
  }
  return now;
}

async function accountsNow(on: Store | Client): Promise<Map<string, string>> {
  const sql = 'select account_id, profile from directory.accounts order by account_id';
  type Row = Counted & { account_id: string };
  const found = 'query' in on ? (await on.query<Row>(sql)).rows : await ask<Row>(on, sql);
  return new Map(found.map((row) => [row.account_id, row.profile.displayName]));
}

describe('transactions that overlap', () => {
  test('the one that began first and committed last comes last, and is not missed', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 2);
    const [slow, quick] = [await store.connect(), await store.connect()];
    const reader = follower(await feedPosition(store));
    await almostCommitted(slow, tenantId, accounts[0]);
    await writeBatch(quick, tenantId, [accounts[1] ?? '']);
    expect(await reader.poll()).toEqual([accounts[1]]);
    const between = follower(await feedPosition(store));
    await slow.query('commit');
    expect(await reader.poll()).toEqual([accounts[0]]);
    expect(await between.poll()).toEqual([accounts[0]]);
    await number(store);
    for (const one of [reader, between]) expect(await one.poll()).toEqual([]);
    expect(await readAll(store, null)).toHaveLength(2);
  });

  test('one that commits after a later one was numbered gets a higher number', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 2);
    const [slow, quick] = [await store.connect(), await store.connect()];
    await almostCommitted(slow, tenantId, accounts[0]);
    await writeBatch(quick, tenantId, [accounts[1] ?? '']);
    await number(store);
    const reader = follower(null);
    expect(await reader.poll()).toEqual([accounts[1]]);
    await slow.query('commit');
    await number(store);
    expect(await reader.poll()).toEqual([accounts[0]]);
    expect(Number(reader.seen[0]?.change_id)).toBeGreaterThan(Number(reader.seen[1]?.change_id));
    expect((await readAll(store, null)).map((row) => row.account_id)).toEqual([accounts[1], accounts[0]]);
  });

  test('one that rolls back leaves no trace', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 2);
    const [broken, quick] = [await store.connect(), await store.connect()];
    const reader = follower(null);
    for (const numbered of [false, true]) {
      await almostCommitted(broken, tenantId, accounts[0]);
      await broken.query('set constraints all immediate');
      await writeBatch(quick, tenantId, [accounts[1] ?? '']);
      if (numbered) await number(store);
      await broken.query('rollback');
    }
    expect(await reader.poll()).toEqual([accounts[1], accounts[1]]);
    expect(await readFeed(store, await feedPosition(store))).toEqual([]);
  });

  test('the first of two to commit on one account comes first, numbered together or apart', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 3);
    const [first, second] = [await store.connect(), await store.connect()];
    for (const apart of [false, true]) {
      const start = await feedPosition(store);
      // The second gets ids before the first, and both change account 0.
      await second.query('begin');
      const batch = await takeBatch(second);
      await addOne(second, tenantId, accounts[1] ?? '', batch);
      await almostCommitted(first, tenantId, accounts[0]);
      const waiting = addOne(second, tenantId, accounts[0] ?? '', batch);
      await untilBlocked(store);
      await first.query('commit');
      if (apart) await number(store);
      await waiting;
      await closeFeedBatch(second, tenantId, batch);
      await second.query('commit');
      expect((await readAll(store, start)).map((row) => row.account_id)).toEqual([0, 1, 0].map((n) => accounts[n]));
      await number(store);
    }
    const told = await readAll(store, null);
    expect(told.map((row) => row.account_id)).toEqual([0, 1, 0, 0, 1, 0].map((n) => accounts[n]));
    expectUnbrokenChains(told, new Map(accounts.map((account) => [account, '0'])));
  });

  test('a page may end inside a batch', async () => {
    const { tenantId, accounts } = await countedAccounts(store, 5);
    const writer = await store.connect();
    await writeBatch(writer, tenantId, accounts);
    await writeBatch(writer, tenantId, accounts);
    const whole = ids(await readAll(store, null));
    expect(whole).toHaveLength(10);
    for (const max of [1, 3, 7]) expect(ids(await readAll(store, null, max))).toEqual(whole);
    await number(store);
    for (const max of [1, 3, 7]) expect(ids(await readAll(store, null, max))).toEqual(whole);
  });
});

test('position and views of one repeatable read transaction match, whatever commits meanwhile', async () => {
  const { tenantId, accounts } = await countedAccounts(store, 2);
  const [writer, open, reader] = [await store.connect(), await store.connect(), await store.connect()];
  await writeBatch(writer, tenantId, accounts);
  await almostCommitted(open, tenantId, accounts[0]);
  await reader.query('begin isolation level repeatable read');
  const { rows: positions } = await reader.query('select directory.feed_position() as position');
  await open.query('commit');
  await writeBatch(writer, tenantId, accounts);
  const start = await accountsNow(reader);
  await reader.query('commit');
  const seen = await readAll(store, positions[0].position);
  expect(seen).toHaveLength(3);
  expect(expectUnbrokenChains(seen, start)).toEqual(await accountsNow(store));
});

test('ten simultaneous writers, slow, quick or rolled back, numbered at random: every follower gets each change once', async () => {
  const { tenantId, accounts } = await countedAccounts(store, 6);
  const random = seeded(20_261_123);
  const zero = await accountsNow(store);
  const committed = new Set<string>();
  let writing = 10;

  async function write(client: Client): Promise<void> {
    for (let transaction = 0; transaction < (isDeep ? 20 : 8); transaction += 1) {
      await client.query('begin');
      const batch = await takeBatch(client);
      // In id order, so that no two wait for each other.
      const touched = accounts.filter(() => random() < 0.3).toSorted();
      for (const account of touched) {
        await addOne(client, tenantId, account, batch);
        for (let pause = random() * 8; pause > 1; pause -= 1) await client.query('select 1');
      }
      if (touched.length > 0) await closeFeedBatch(client, tenantId, batch);
      if (random() < 0.3) await client.query('set constraints all immediate');
      const keeps = random() < 0.75;
      await client.query(keeps ? 'commit' : 'rollback');
      if (keeps && touched.length > 0) committed.add(batch);
    }
    writing -= 1;
  }

  async function numberAtRandom(): Promise<void> {
    while (writing > 0) {
      for (let pause = random() * 30; pause > 1; pause -= 1) await setImmediate();
      await number(store);
    }
  }

  async function follow(max: number): Promise<FeedRow[]> {
    const client = await store.connect();
    await client.query('set default_transaction_read_only = on');
    const seen: FeedRow[] = [];
    for (let last = false; ; last = writing === 0) {
      const { rows } = await client.query<FeedRow>('select * from directory.read_changes($1, $2)', [
        seen.at(-1)?.position ?? null,
        max,
      ]);
      seen.push(...rows);
      if (last && rows.length === 0) return seen;
    }
  }

  async function takeSnapshots(client: Client): Promise<{ position: string; start: Map<string, string> }[]> {
    const taken = [];
    while (writing > 0) {
      await client.query('begin isolation level repeatable read');
      const { rows } = await client.query('select directory.feed_position() as position');
      await client.query('select pg_sleep(0)');
      taken.push({ position: rows[0].position, start: await accountsNow(client) });
      await client.query('commit');
    }
    return taken;
  }

  const clients = await Promise.all(Array.from({ length: 11 }, () => store.connect()));
  const [snapshotter, ...writers] = clients;
  if (!snapshotter) throw new Error('no client');
  const [followed, byOne, byThree, snapshots] = await Promise.all([
    follow(1000),
    follow(1),
    follow(3),
    takeSnapshots(snapshotter),
    numberAtRandom(),
    ...writers.map(write),
  ]);

  const end = await accountsNow(store);
  // By the writers' own records: their commits are there, and nothing else.
  expect(await ask(store, 'select batch_id from entra_sync.batches')).toHaveLength(committed.size);
  expect(committed.size).toBeGreaterThan(isDeep ? 100 : 30);
  const written = ids(await ask<FeedRow>(store, 'select change_id from entra_sync.changes')).toSorted();
  for (const seen of [followed, byOne, byThree]) {
    expect(ids(seen).toSorted()).toEqual(written);
    expect(expectUnbrokenChains(seen, zero)).toEqual(end);
  }
  // Continuing from any returned position gives all later changes, whatever was numbered since.
  for (const seen of [byOne, byThree]) {
    for (let at = seen.length - 1; at >= 0; at -= 7) {
      const rest = await readAll(store, seen[at]?.position ?? null, 100);
      expect(ids(rest).toSorted()).toEqual(ids(seen.slice(at + 1)).toSorted());
    }
  }
  const midway = snapshots.filter((one) => one.position !== snapshots[0]?.position).slice(0, 40);
  expect(midway.length).toBeGreaterThan(5);
  for (const { position, start } of midway)
    expect(expectUnbrokenChains(await readAll(store, position, 50), start)).toEqual(end);
  await number(store);
  const numbered = await readAll(store, null);
  expect(expectUnbrokenChains(numbered, zero)).toEqual(end);
  // Transactions did overlap: the order by change_id would differ.
  expect(ids(numbered)).not.toEqual(ids(numbered).toSorted((one, other) => Number(one) - Number(other)));
  expect(Math.max(...[...followed, ...byOne, ...byThree].map((row) => row.position.length))).toBeLessThan(400);
  expect(
    await ask(
      store,
      `select from (select committed_at, lag(committed_at) over (order by number) as before from entra_sync.batches) b
        where b.committed_at < b.before`,
    ),
  ).toEqual([]);
});

test('the changes of commits lead each account from its creation to its last state', async () => {
  const lease = await leasedTenant(store);
  const reader = follower(null);
  const full = [user(1), user(2), user(3, { jobTitle: null })];
  const rounds = [
    () => sync(store, lease, 'full', [full]),
    () =>
      sync(store, lease, 'incremental', [
        [user(1, { displayName: 'Renamed', accountEnabled: false }), user(3, { jobTitle: 'Head', mail: null })],
      ]),
    () => sync(store, lease, 'incremental', [[tombstone(2)], [user(1, { userPrincipalName: 'new@example.com' })]]),
    () => sync(store, lease, 'full', [full]),
    () => sync(store, lease, 'full', [full]),
  ];
  type Facts = Record<string, unknown> & { profile?: Record<string, unknown> };
  const told = new Map<string, Facts>();
  for (const round of rounds) {
    await round();
    await reader.poll(2);
  }
  expect(reader.seen.map((row) => row.kind)).toContain('account.restored');
  for (const row of reader.seen) {
    const [before, after] = [row.before as Facts | null, row.after as Facts | null];
    const { removed: _gone, ...old } = told.get(row.account_id) ?? {};
    if (row.kind === 'account.updated' || row.kind === 'account.suspended' || row.kind === 'account.resumed') {
      const { profile, ...rest } = before ?? {};
      expect(pick(old, rest)).toEqual(rest);
      expect(pick(old.profile, profile ?? {})).toEqual(profile ?? {});
    }
    told.set(row.account_id, { ...old, ...after, profile: { ...old.profile, ...after?.profile } });
  }
  const shown = await ask<Facts & { account_id: string }>(
    store,
    'select account_id, entra_object_id, state, enabled, user_principal_name, mail, profile from directory.accounts',
  );
  expect(shown).toHaveLength(3);
  for (const { account_id: account, ...facts } of shown) {
    const { profile, ...rest } = told.get(account) ?? {};
    const present = Object.fromEntries(Object.entries(profile ?? {}).filter(([, value]) => value !== null));
    expect({ ...rest, profile: present }).toEqual(facts);
  }
  await lease.release();
});

test('a role with USAGE alone on sequences numbers several batches at once, without a gap', async () => {
  const { tenantId, accounts } = await countedAccounts(store, 1);
  const client = await store.connect();
  const role = `numbering_${randomBytes(6).toString('hex')}`;
  await client.query(`
    create role ${role};
    grant usage on schema entra_sync to ${role};
    grant select, update on all tables in schema entra_sync to ${role};
    grant usage on all sequences in schema entra_sync to ${role};
    grant execute on all functions in schema entra_sync to ${role}`);
  const numberAll = async (count: number) => {
    for (let batch = 0; batch < count; batch += 1) await writeBatch(client, tenantId, accounts);
    await client.query(`set role ${role}`);
    const { rows } = await client.query('select entra_sync.number_batches() as numbered');
    await client.query('reset role');
    return rows[0].numbered;
  };
  try {
    expect([await numberAll(3), await numberAll(1), await numberAll(2)]).toEqual([3, 1, 2]);
    const numbers = await ask<{ number: string }>(store, 'select number from entra_sync.batches order by number');
    const [first = 0] = numbers.map(({ number }) => Number(number));
    expect(numbers.map(({ number }) => Number(number) - first)).toEqual([0, 1, 2, 3, 4, 5]);
  } finally {
    await client.query(`reset role; drop owned by ${role}; drop role ${role}`);
  }
});

/** The values of `of` under the keys of `like`; null for a missing one. */
function pick(of: Record<string, unknown> | undefined, like: object): Record<string, unknown> {
  return Object.fromEntries(Object.keys(like).map((key) => [key, of?.[key] ?? null]));
}

/** Random numbers that are the same in every run (mulberry32). */
function seeded(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
