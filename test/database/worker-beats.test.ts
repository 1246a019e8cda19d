// Beats of workers in the database, and the signs that are read from them. Times are set back by the database's clock.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { describeWorkers } from '../../src/rules/workers.ts';
import { makeDue, setPaused } from '../../src/store/cycle/next-cycle.ts';
import { inTransaction } from '../../src/store/database/pool.ts';
import { forgetOldBeats, readWorkerSigns, workerSeenSeconds, writeBeat } from '../../src/store/queue/worker-beats.ts';
import { openBeat } from '../../src/worker/beat.ts';
import { ask, openStore, type Store } from '../support/stage.ts';

let store: Store;
beforeAll(async () => {
  store = await openStore();
});
afterAll(() => store.close());
beforeEach(() =>
  store.database.raw('delete from entra_sync.tenants; delete from entra_sync.worker_beats').then(() => undefined),
);

async function tenant(dueMinutesAgo: number): Promise<string> {
  const tenantId = randomUUID();
  await store.database.raw(
    `insert into entra_sync.tenants (tenant_id, name, status, next_cycle_at)
     values (?, ?, 'active', clock_timestamp() - ? * interval '1 minute')`,
    [tenantId, tenantId, dueMinutesAgo],
  );
  return tenantId;
}

/** Adds a cycle that began and ended these minutes ago. */
async function cycle(tenantId: string, began: number, ended: number, kind = 'incremental'): Promise<void> {
  await store.database.raw(
    `insert into entra_sync.cycles (tenant_id, kind, actor, fence, settings_version, started_at, finished_at, outcome)
     values (?, ?, 'test', 1, 1, clock_timestamp() - ? * interval '1 minute', clock_timestamp() - ? * interval '1 minute',
             'committed')`,
    [tenantId, kind, began, ended],
  );
}

async function beat(minutesAgo: number, stopped = false): Promise<string> {
  const id = randomUUID();
  await writeBeat(store.database, id, stopped);
  await store.database.raw(
    "update entra_sync.worker_beats set seen_at = seen_at - ? * interval '1 minute' where worker_id = ?",
    [minutesAgo, id],
  );
  return id;
}

const judged = async () => describeWorkers(await readWorkerSigns(store.database), false);
const beats = () =>
  ask<{ worker_id: string; stopped: boolean }>(
    store,
    'select worker_id, stopped_at is not null as stopped from entra_sync.worker_beats order by seen_at',
  );

test('rule 31: a worker beats, not at each call, and its end is noted so that the last beat stays known', async () => {
  await openBeat(store.database).stop();
  expect(await beats(), 'a worker that never began').toEqual([]);
  expect(await workerSeenSeconds(store.database)).toBeNull();
  const worker = openBeat(store.database);
  await worker.tell();
  expect(await judged()).toMatchObject({ state: 'working', lack: null });
  await store.database.raw("update entra_sync.worker_beats set seen_at = seen_at - interval '1 minute'");
  await worker.tell();
  expect(await workerSeenSeconds(store.database), 'too early for the next beat').toBeGreaterThanOrEqual(60);
  await worker.stop();
  expect(await beats()).toMatchObject([{ stopped: true }]);
  expect(await workerSeenSeconds(store.database)).toBeLessThan(60);
  expect((await judged()).state, 'a stopped worker works no more').toBe('absent');
});

test('rule 31: the newest beat of any worker counts, and the tenant that has waited longest', async () => {
  await tenant(25);
  await tenant(-10);
  expect((await judged()).lack).toBe('no worker has ever been seen, and a cycle has been due for 25 min');
  await beat(90);
  await beat(40);
  expect((await judged()).lack).toBe('no worker has been seen for 40 min, and a cycle has been due for 25 min');
  await beat(30, true);
  expect((await judged()).lack).toBe('no worker has been seen for 30 min, and a cycle has been due for 25 min');
  await beat(0);
  expect(await judged()).toMatchObject({ state: 'working', lack: null });
});

test('rule 31: no cycle waits of a tenant that is paused, disconnected or being synced; a request does', async () => {
  const tenantId = await tenant(25);
  await setPaused(store.database, [tenantId], true);
  expect((await judged()).lateSeconds).toBeNull();
  await setPaused(store.database, [tenantId], false);
  await store.database.raw("update entra_sync.tenants set status = 'disconnected'");
  expect((await judged()).lateSeconds).toBeNull();
  await store.database.raw("update entra_sync.tenants set status = 'active'");
  await store.database.raw(
    "insert into entra_sync.heartbeats (tenant_id, fence, expires_at) values (?, 1, clock_timestamp() + interval '1 hour')",
    [tenantId],
  );
  expect(await judged()).toMatchObject({ lateSeconds: null, state: 'commands' });
  await store.database.raw('delete from entra_sync.heartbeats');
  await makeDue(store.database, [tenantId]);
  expect((await judged()).lack, 'due since now').toBeNull();
  await store.database.raw("update entra_sync.tenants set next_cycle_at = clock_timestamp() + interval '1 hour'");
  await store.database.raw(
    `insert into entra_sync.cycle_requests (tenant_id, actor, requested_at)
     values (?, 'test', clock_timestamp() - interval '20 minutes')`,
    [tenantId],
  );
  expect((await judged()).lack).toBe('no worker has ever been seen, and a cycle has been due for 20 min');
});

test('rule 31: cycles that began after the last beat were run by sync, others by the worker that died', async () => {
  const tenantId = await tenant(25);
  await beat(40);
  await cycle(tenantId, 41, 39.5);
  await cycle(tenantId, 39.7, 39.2);
  await cycle(tenantId, 5, 4, 'on_demand');
  expect((await judged()).state, 'of the worker, and on demand').toBe('absent');
  await cycle(tenantId, 30, 29);
  expect(await judged()).toMatchObject({ state: 'commands', lack: null });
});

test('rule 31: old beats are deleted without a wait, the newest one stays', async () => {
  const [old, held, last] = [await beat(5_000), await beat(4_000), await beat(3_000)];
  await inTransaction(store.database, async (other) => {
    await other.raw('select from entra_sync.worker_beats where worker_id = ? for update', [held]);
    await forgetOldBeats(store.database);
  });
  expect(old).toBeTruthy();
  expect((await beats()).map((one) => one.worker_id)).toEqual([held, last]);
});
