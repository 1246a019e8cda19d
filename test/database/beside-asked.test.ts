// Changes of a later round beside an open full round are newer than GET's answers in that full round.
import { expect, test } from 'vitest';
import { doubts } from '../../src/rules/merge.ts';
import { doubtfulObjects, notAsked } from '../../src/store/stage/doubts.ts';
import {
  ask,
  badUser,
  commit,
  leasedTenant,
  objectId,
  openStore,
  pull,
  settle,
  sync,
  tombstone,
  user,
} from '../support/stage.ts';

test('rule 24: an object that GET answered is asked again when a later round beside the full round brings it', async () => {
  const store = await openStore();
  const lease = await leasedTenant(store);
  try {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const full = await pull(store, lease, 'full', [[user(1), user(2)]]);
    for (const n of [1, 2]) {
      await ask(
        store,
        `insert into entra_sync.stage_asked (round_id, object_id) values (${full.round_id}, '${objectId(n)}')`,
      );
    }
    await commit(store, lease, await pull(store, lease, 'incremental', [[user(1, { jobTitle: 'Chief' })]]));
    expect(await notAsked(store.database, full.round_id, [objectId(1), objectId(2)])).toEqual([objectId(1)]);
  } finally {
    await lease.release();
    await store.close();
  }
});

test('rules 6, 24: a user that GET did not find and a later round brought back is asked again before the full round removes users', async () => {
  const store = await openStore();
  const lease = await leasedTenant(store);
  try {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const full = await pull(store, lease, 'full', [[user(1)]]);
    await ask(
      store,
      `insert into entra_sync.stage_asked (round_id, object_id) values (${full.round_id}, '${objectId(2)}')`,
    );
    await commit(
      store,
      lease,
      await pull(store, lease, 'incremental', [[tombstone(2), user(2)]]).then(async (round) => {
        await settle(store, lease, round, [user(2)]);
        return round;
      }),
    );
    expect(await notAsked(store.database, full.round_id, [objectId(2)])).toEqual([objectId(2)]);
  } finally {
    await lease.release();
    await store.close();
  }
});

test('rules 22, 24: properties in doubt do not hide that a later round beside the full round brought more of the object', async () => {
  const store = await openStore();
  const lease = await leasedTenant(store);
  try {
    await sync(store, lease, 'full', [[user(1)]]);
    const full = await pull(store, lease, 'full', [[user(1)]]);
    await ask(store, `update entra_sync.stage_users set doubt = '${doubts.lacking}' where round_id = ${full.round_id}`);
    await commit(store, lease, await pull(store, lease, 'incremental', [[user(1, { jobTitle: 'Chief' })]]));
    const found = await doubtfulObjects(store.database, lease.tenantId, full.round_id, 'users');
    expect(found).toEqual([{ id: objectId(1), wholly: true }]);
  } finally {
    await lease.release();
    await store.close();
  }
});

test('rules 19, 24: an object that a later round sets aside beside the full round is asked again there', async () => {
  const store = await openStore();
  const lease = await leasedTenant(store);
  try {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const full = await pull(store, lease, 'full', [[user(1), user(2)]]);
    await ask(
      store,
      `insert into entra_sync.stage_asked (round_id, object_id) values (${full.round_id}, '${objectId(1)}')`,
    );
    await commit(store, lease, await pull(store, lease, 'incremental', [[badUser(1)]]));
    expect(await notAsked(store.database, full.round_id, [objectId(1)])).toEqual([objectId(1)]);
  } finally {
    await lease.release();
    await store.close();
  }
});

test('rules 6, 10, 24: users that a later round creates beside a full round, in any number, are not missing from it', async () => {
  const store = await openStore();
  const lease = await leasedTenant(store);
  const limits = { removals: { max: 2, percent: 100, floor: 0 } };
  const created = Array.from({ length: 10 }, (_, n) => user(n + 3));
  try {
    await sync(store, lease, 'full', [[user(1), user(2)]]);
    const full = await pull(store, lease, 'full', [[user(1), user(2)]]);
    await commit(store, lease, await pull(store, lease, 'incremental', [created]), limits);
    expect((await settle(store, lease, full, created)).sort()).toEqual(created.map(({ id }) => id));
    const { counts } = await commit(store, lease, full, limits);
    expect(counts).toMatchObject({ held: 0, removed: 0, updated: 0, created: 0 });
    expect(await ask(store, 'select from entra_sync.accounts where removed_at is null')).toHaveLength(12);
  } finally {
    await lease.release();
    await store.close();
  }
});
