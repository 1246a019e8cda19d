// Unreadable objects are set aside (rule 19), objects in doubt are asked for (rule 22), and neither removes an account.
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lease } from '../../src/store/cycle/lease.ts';
import {
  ask,
  badUser,
  commit,
  leasedTenant,
  objectId,
  openStore,
  pull,
  type Store,
  settle,
  sync,
  tombstone,
  user,
} from '../support/stage.ts';

let store: Store;
let lease: Lease;

beforeEach(async () => {
  store = await openStore();
  lease = await leasedTenant(store);
});

afterEach(async () => {
  await lease.release();
  await store.close();
});

const aside = () =>
  ask<{ id: string; reason: string }>(
    store,
    'select entra_object_id as id, reason from directory.set_aside order by entra_object_id',
  );

const live = async () =>
  (
    await ask<{ n: number }>(
      store,
      'select right(entra_object_id::text, 12)::int as n from directory.accounts order by entra_object_id',
    )
  ).map((row) => row.n);

describe('rule 19: one bad object does not stop a round', () => {
  test('it is stored with its reason, counted, and shown', async () => {
    const { counts } = await sync(store, lease, 'full', [[user(1), badUser(2), { id: 'no-guid\u0000' }], [user(3)]]);
    expect(counts).toMatchObject({ created: 2, set_aside: 2 });
    expect(await live()).toEqual([1, 3]);
    expect(await aside()).toEqual([
      { id: objectId(2), reason: 'mail holds half a surrogate pair' },
      { id: 'no-guid?', reason: 'its id is not a GUID' },
    ]);
    expect(await ask(store, 'select set_aside from directory.tenants')).toEqual([{ set_aside: 2 }]);
  });

  test('a full round does not sweep a user with an unreadable body, and keeps the known values', async () => {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const { counts } = await sync(store, lease, 'full', [[user(1), badUser(2)]]);
    expect(counts).toMatchObject({ removed: 0, updated: 0, set_aside: 1 });
    expect(await live()).toEqual([1, 2]);
    expect(await ask(store, 'select display_name from directory.accounts order by entra_object_id')).toEqual([
      { display_name: 'User 1' },
      { display_name: 'User 2' },
    ]);
  });

  test('it is no longer set aside when it is readable, removed, or not found', async () => {
    await sync(store, lease, 'full', [[user(1), badUser(2), badUser(3), badUser(4)]]);
    expect((await aside()).map((row) => row.id)).toEqual([2, 3, 4].map(objectId));
    // Asked for in every round: 2 is readable now, 3 is not, 4 is not found.
    const { counts } = await sync(store, lease, 'incremental', [[tombstone(4)]], { now: [user(2), badUser(3)] });
    expect(counts).toMatchObject({ created: 1, set_aside: 1 });
    expect((await aside()).map((row) => row.id)).toEqual([objectId(3)]);
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    expect(await aside()).toEqual([]);
    expect(await live()).toEqual([1, 2]);
  });

  test('a later readable body in the round ends it, and a later unreadable one starts it', async () => {
    const { counts } = await sync(store, lease, 'full', [
      [badUser(1), user(2)],
      [user(1), badUser(2)],
    ]);
    expect((await aside()).map((row) => row.id)).toEqual([objectId(2)]);
    expect(counts).toMatchObject({ set_aside: 1 });
  });

  test('first_seen_at stays and the reason follows the last round', async () => {
    const times = () => ask<{ first: string }>(store, 'select first_seen_at::text as first from directory.set_aside');
    await sync(store, lease, 'full', [[badUser(1)]]);
    const before = await times();
    await sync(store, lease, 'full', [[user(1, { mail: 7 })]], { now: [user(1, { mail: 7 })] });
    expect(await times()).toEqual(before);
    expect(await aside()).toEqual([{ id: objectId(1), reason: 'mail is not of the type string' }]);
    expect(await ask(store, 'select last_seen_at > first_seen_at as later from directory.set_aside')).toEqual([
      { later: true },
    ]);
  });
});

describe('rule 22: objects in doubt are asked for before the commit', () => {
  test('doubts: live and removed in one round, unknown and in part, restored, set aside before', async () => {
    await sync(store, lease, 'full', [[user(1), user(2), user(3), badUser(6)]]);
    await sync(store, lease, 'incremental', [[tombstone(3)]], { now: [badUser(6)] });
    const round = await pull(store, lease, 'incremental', [
      [user(1), tombstone(2), { id: objectId(4), jobTitle: 'Partial' }],
      [tombstone(1), user(2), user(3), user(5)],
    ]);
    const asked = await settle(store, lease, round, [user(2), user(3), user(4)]);
    expect(asked.toSorted()).toEqual([1, 2, 3, 4, 6].map(objectId));
    const { counts } = await commit(store, lease, round);
    expect(counts).toMatchObject({ removed: 1, restored: 1, created: 2 });
    expect(await live()).toEqual([2, 3, 4, 5]);
  });

  test('live on the page and not found by GET: set aside, never removed', async () => {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const { counts } = await sync(store, lease, 'full', [[tombstone(1), user(2)], [user(1)]], { now: [] });
    expect(counts).toMatchObject({ removed: 0, set_aside: 1 });
    expect(await live()).toEqual([1, 2]);
    expect((await aside()).map((row) => row.id)).toEqual([objectId(1)]);
  });

  test('set aside before, unreadable on the page and not found by GET: set aside, never removed', async () => {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    await sync(store, lease, 'incremental', [[badUser(1)]]);
    const { counts } = await sync(store, lease, 'full', [[badUser(1), user(2)]], { now: [] });
    expect(counts).toMatchObject({ removed: 0, set_aside: 1 });
    expect(await live()).toEqual([1, 2]);
  });

  test('removed on the page and not found by GET: removed', async () => {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const { counts } = await sync(store, lease, 'full', [[user(1), user(2)], [tombstone(1)]], { now: [] });
    expect(counts).toMatchObject({ removed: 1, set_aside: 0 });
    expect(await live()).toEqual([2]);
  });

  test.each(['full', 'incremental'] as const)(
    'removed on a page of a %s round and found by GET, but unreadable: set aside, never removed',
    async (kind) => {
      await sync(store, lease, 'full', [[user(1), user(2)]]);
      const { counts } = await sync(store, lease, kind, [[user(1), user(2)], [tombstone(1)]], { now: [badUser(1)] });
      expect(counts).toMatchObject({ removed: 0, set_aside: 1 });
      expect(await live()).toEqual([1, 2]);
      expect((await aside()).map((row) => row.id)).toEqual([objectId(1)]);
    },
  );
});
