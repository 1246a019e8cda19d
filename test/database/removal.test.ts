// Accounts that are removed and kept: sweep (rule 6), soft removal, restore and purge (rule 7).
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

type Account = { n: number; id: string; reason: string | null; hidden: boolean };

/** All accounts by number, with their state. */
const accounts = () =>
  ask<Account>(
    store,
    `select right(a.entra_object_id::text, 12)::int as n, a.account_id as id, r.reason, l.account_id is null as hidden
       from entra_sync.accounts a
       left join directory.accounts l using (account_id) left join directory.removed_accounts r using (account_id)
      order by 1`,
  );

const changesOf = (account: string) =>
  ask(store, 'select kind, before, after from directory.changes where account_id = :account order by change_id', {
    account,
  });

/** Ends the retention of all removed accounts. */
const passRetention = () =>
  ask(store, "update entra_sync.accounts set purge_at = now() - interval '1 second' where removed_at is not null");

const firstId = async () => (await accounts())[0]?.id ?? '';

describe('rule 6: absence removes only after a full round has reached its delta link', () => {
  test('a user that a full round did not see is removed after it', async () => {
    await sync(store, lease, 'full', [[user(1), user(2), user(3)]]);
    const { counts } = await sync(store, lease, 'full', [[user(1)], [user(3)]]);
    expect(counts).toMatchObject({ removed: 1, updated: 0, created: 0 });
    expect(await accounts()).toMatchObject([
      { n: 1, hidden: false, reason: null },
      { n: 2, hidden: true, reason: 'not_seen' },
      { n: 3, hidden: false, reason: null },
    ]);
    expect(await changesOf((await accounts())[1]?.id ?? '')).toMatchObject([
      { kind: 'account.created' },
      { kind: 'account.removed', before: null, after: { removed: 'not_seen' } },
    ]);
  });

  test('a later round changes no user that it does not contain', async () => {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const { counts } = await sync(store, lease, 'incremental', [[user(1, { displayName: 'Renamed' })]]);
    expect(counts).toMatchObject({ removed: 0, updated: 1 });
    expect(await accounts()).toMatchObject([{ hidden: false }, { hidden: false }]);
  });

  test('a full round that has not reached its delta link is not committed', async () => {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const round = await stageNext(store, lease, await pull(store, lease, 'full', []), [user(1)]);
    await expect(commit(store, lease, round)).rejects.toMatchObject({ code: 'round_changed' });
    expect(await accounts()).toMatchObject([{ hidden: false }, { hidden: false }]);
  });

  test('tombstones of a first round affect only known objects', async () => {
    const first = await sync(store, lease, 'full', [[tombstone(1), user(2), user(4)], [tombstone(3, 'deleted')]]);
    expect(first.counts).toMatchObject({ distinct: 4, created: 2, removed: 0 });
    expect(await accounts()).toMatchObject([
      { n: 2, hidden: false },
      { n: 4, hidden: false },
    ]);
    const later = await sync(store, lease, 'full', [[tombstone(2), tombstone(1), user(4)]]);
    expect(later.counts).toMatchObject({ removed: 1 });
    expect(await accounts()).toMatchObject([
      { n: 2, hidden: true, reason: 'deleted_restorable' },
      { n: 4, hidden: false },
    ]);
  });

  test('a live account without a user in Entra ID is not swept', async () => {
    await ask(
      store,
      `insert into entra_sync.accounts (tenant_id, entra_object_id, state) values (:tenantId, null, 'manual'), (:tenantId, :id, 'manual')`,
      { tenantId: lease.tenantId, id: objectId(9) },
    );
    expect((await sync(store, lease, 'full', [[user(1)]])).counts).toMatchObject({ removed: 0, created: 1 });
    expect(await ask(store, 'select from directory.accounts')).toHaveLength(3);
  });
});

describe('rule 7: removal is soft', () => {
  test('rule 26: a removed account is hidden at once and comes back as itself, with its edits; its row tells the old values', async () => {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const id = await firstId();
    await ask(store, `update entra_sync.accounts set overrides = '{"jobTitle": "Head"}' where account_id = :id`, {
      id,
    });
    const removed = await sync(store, lease, 'incremental', [[tombstone(1)]]);
    expect(removed.counts).toMatchObject({ removed: 1 });
    expect(await accounts()).toMatchObject([{ n: 1, hidden: true, reason: 'deleted_restorable' }, { n: 2 }]);
    // Only a few properties, because Graph may restore with a partial body. GET returns the rest.
    const restored = await sync(
      store,
      lease,
      'incremental',
      [[{ id: objectId(1), userPrincipalName: 'user1@example.com' }]],
      { now: [user(1, { displayName: 'Back' })] },
    );
    expect(restored.counts).toMatchObject({ restored: 1, created: 0, updated: 0 });
    expect(await accounts()).toMatchObject([{ n: 1, id, hidden: false, reason: null }, { n: 2 }]);
    expect(
      await ask(store, 'select profile, edited_fields from directory.accounts where account_id = :id', { id }),
    ).toEqual([
      {
        profile: { displayName: 'Back', mail: 'user1@example.com', jobTitle: 'Head' },
        edited_fields: ['jobTitle'],
      },
    ]);
    expect((await changesOf(id)).slice(1)).toMatchObject([
      { kind: 'account.removed' },
      {
        kind: 'account.restored',
        before: { removed: 'deleted_restorable', profile: { displayName: 'User 1' } },
        after: { profile: { displayName: 'Back' } },
      },
    ]);
  });

  test('a full round that sees a removed account restores it', async () => {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const id = await firstId();
    await sync(store, lease, 'full', [[user(2)]]);
    expect((await sync(store, lease, 'full', [[user(1), user(2)]])).counts).toMatchObject({ restored: 1, created: 0 });
    expect(await accounts()).toMatchObject([{ n: 1, id, hidden: false }, { n: 2 }]);
  });

  test('a repeated tombstone, or one for permanent deletion, does not restart the retention', async () => {
    const fate = () => ask(store, 'select removed_at, purge_at from entra_sync.accounts');
    await sync(store, lease, 'full', [[user(1)]]);
    await sync(store, lease, 'incremental', [[tombstone(1)]]);
    const before = await fate();
    expect((await sync(store, lease, 'incremental', [[tombstone(1)]])).counts).toMatchObject({ removed: 0 });
    expect((await sync(store, lease, 'incremental', [[tombstone(1, 'deleted')]])).counts).toMatchObject({ removed: 0 });
    expect(await fate()).toEqual(before);
    expect(await accounts()).toMatchObject([{ reason: 'deleted' }]);
    expect((await changesOf(await firstId())).map((change) => change.kind)).toEqual([
      'account.created',
      'account.removed',
    ]);
  });

  test('the retention in force at the removal counts', async () => {
    await sync(store, lease, 'full', [[user(1)]]);
    await sync(store, lease, 'incremental', [[tombstone(1)]], { retentionMs: 7 * 86_400_000 });
    expect(
      await ask(store, "select purge_at - removed_at = interval '168 hours' as week from directory.removed_accounts"),
    ).toEqual([{ week: true }]);
  });
});

describe('rule 7: the purge', () => {
  test('deletes the row and the values in its changes, only in a commit, and writes account.purged', async () => {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const id = await firstId();
    await sync(store, lease, 'incremental', [[user(1, { displayName: 'Secret name' })]]);
    await sync(store, lease, 'incremental', [[tombstone(1)]]);
    expect((await sync(store, lease, 'incremental', [[]])).counts).toMatchObject({ purged: 0 });
    await passRetention();
    // Only a commit purges: neither time nor a round without a commit does.
    const round = await pull(store, lease, 'incremental', [[user(2)]]);
    expect(await accounts()).toHaveLength(2);
    expect((await commit(store, lease, round)).counts).toMatchObject({ purged: 1, removed: 0 });
    expect(await accounts()).toMatchObject([{ n: 2 }]);
    expect(await changesOf(id)).toEqual(
      ['account.created', 'account.updated', 'account.removed', 'account.purged'].map((kind) => ({
        kind,
        before: null,
        after: null,
      })),
    );
    expect(await ask(store, "select from entra_sync.changes where (before, after)::text like '%Secret name%'")).toEqual(
      [],
    );
    // The values of others stay.
    expect(
      await ask(store, "select from entra_sync.changes where after is not null and after::text like '%User 2%'"),
    ).not.toEqual([]);
  });

  test('a dry run purges no account', async () => {
    await sync(store, lease, 'full', [[user(1)]]);
    await sync(store, lease, 'incremental', [[tombstone(1)]]);
    await passRetention();
    expect((await sync(store, lease, 'incremental', [[]], { dryRun: true })).counts).toMatchObject({ purged: 1 });
    expect(await accounts()).toHaveLength(1);
  });

  test('spares a user that the same round restores', async () => {
    await sync(store, lease, 'full', [[user(1)]]);
    const id = await firstId();
    await sync(store, lease, 'incremental', [[tombstone(1)]]);
    await passRetention();
    const { counts } = await sync(store, lease, 'incremental', [[user(1)]], { now: [user(1)] });
    expect(counts).toMatchObject({ restored: 1, purged: 0 });
    expect(await accounts()).toMatchObject([{ n: 1, id, hidden: false }]);
  });

  test('spares a user that is back with an unreadable body (rule 19)', async () => {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const id = await firstId();
    await sync(store, lease, 'incremental', [[tombstone(1)]]);
    await passRetention();
    const { counts } = await sync(store, lease, 'incremental', [[badUser(1)]]);
    expect(counts).toMatchObject({ purged: 0, set_aside: 1 });
    expect(await accounts()).toMatchObject([{ n: 1, id, hidden: true }, { n: 2 }]);
    const healed = await sync(store, lease, 'incremental', [[]], { now: [user(1)] });
    expect(healed.counts).toMatchObject({ restored: 1, purged: 0 });
    expect(await accounts()).toMatchObject([{ n: 1, id, hidden: false }, { n: 2 }]);
  });

  test('a user that comes back after it gets a new account', async () => {
    await sync(store, lease, 'full', [[user(1)]]);
    const id = await firstId();
    await sync(store, lease, 'incremental', [[tombstone(1)]]);
    await passRetention();
    await sync(store, lease, 'incremental', [[]]);
    const { counts } = await sync(store, lease, 'incremental', [[user(1)]]);
    expect(counts).toMatchObject({ created: 1, restored: 0 });
    expect(await accounts()).toMatchObject([{ n: 1, hidden: false }]);
    expect(await firstId()).not.toBe(id);
  });

  test('a tombstone for a purged user changes nothing', async () => {
    await sync(store, lease, 'full', [[user(1)]]);
    await sync(store, lease, 'incremental', [[tombstone(1)]]);
    await passRetention();
    const { counts } = await sync(store, lease, 'incremental', [[tombstone(1, 'deleted')]]);
    expect(counts).toMatchObject({ purged: 1, removed: 0 });
    const round = await pull(store, lease, 'incremental', [[tombstone(1, 'deleted')]]);
    expect(await settle(store, lease, round, [])).toEqual([]);
    expect((await commit(store, lease, round)).counts).toMatchObject({ purged: 0, removed: 0, created: 0 });
    expect(await accounts()).toEqual([]);
  });
});
