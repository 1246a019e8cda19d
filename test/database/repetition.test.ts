// Objects repeated in one round or several, and properties absent or null in a later round (rules 3 and 4).
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Lease } from '../../src/store/cycle/lease.ts';
import {
  ask,
  begin,
  leasedTenant,
  objectId,
  openStore,
  type Store,
  stageNext,
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

describe('rules 3 and 4: repeated objects change nothing', () => {
  const all = [
    [user(1), user(2, { jobTitle: null })],
    [user(3, { accountEnabled: false }), user(1)],
  ];

  test.each(['full', 'incremental'] as const)('an identical %s round writes no account row', async (kind) => {
    await sync(store, lease, 'full', all);
    const rowsOf = () =>
      ask(store, 'select xmin::text, ctid::text, a.* from entra_sync.accounts a order by account_id');
    const before = await rowsOf();
    const { counts } = await sync(store, lease, kind, all);
    expect(await rowsOf()).toEqual(before);
    expect(counts).toEqual({
      distinct: 3,
      created: 0,
      adopted: 0,
      updated: 0,
      suspended: 0,
      resumed: 0,
      removed: 0,
      restored: 0,
      purged: 0,
      held: 0,
      memberships_added: 0,
      memberships_removed: 0,
      set_aside: 0,
    });
    // No batch without changes: applications are not notified.
    expect(await ask(store, 'select from entra_sync.batches')).toHaveLength(1);
  });

  test('staging the same objects again does not change the stage', async () => {
    const stage = () => ask(store, 'select xmin::text, s.* from entra_sync.stage_users s order by entra_object_id');
    let round = await begin(store, lease, 'full');
    round = await stageNext(store, lease, round, [user(1), user(2), tombstone(3)]);
    const before = await stage();
    round = await stageNext(store, lease, round, [user(1), user(2), tombstone(3)]);
    expect(before).toHaveLength(3);
    expect(await stage()).toEqual(before);
    expect(round).toMatchObject({ pages: 2, seen: 6 });
  });

  test('full round: absent is no value; later round: absent is unchanged and null is cleared', async () => {
    const profiles = () => ask(store, 'select profile from directory.accounts order by entra_object_id');
    await sync(store, lease, 'full', [[user(1), user(2), user(3)]]);
    const only = (n: number, more: object) => ({ id: objectId(n), ...more });
    await sync(store, lease, 'incremental', [
      [only(1, { jobTitle: 'Head' }), only(2, { jobTitle: null }), only(3, { userPrincipalName: 'x@example.com' })],
    ]);
    expect(await profiles()).toEqual([
      { profile: { displayName: 'User 1', mail: 'user1@example.com', jobTitle: 'Head' } },
      { profile: { displayName: 'User 2', mail: 'user2@example.com' } },
      { profile: { displayName: 'User 3', mail: 'user3@example.com', jobTitle: 'Clerk' } },
    ]);
    // The union of the round's occurrences, without the account's earlier values.
    await sync(store, lease, 'full', [
      [only(1, { userPrincipalName: 'user1@example.com', displayName: 'One' }), user(2), user(3)],
      [only(1, { jobTitle: 'Boss' })],
    ]);
    expect((await profiles())[0]).toEqual({ profile: { displayName: 'One', jobTitle: 'Boss' } });
  });

  test('the last occurrence wins, across pages', async () => {
    await sync(store, lease, 'full', [[user(1), user(2)], [tombstone(2)], [user(1, { displayName: 'Later' })]]);
    expect(await ask(store, 'select display_name as name from directory.accounts')).toEqual([{ name: 'Later' }]);
  });
});
