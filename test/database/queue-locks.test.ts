// Locks that the queue waits for: a role that may only connect can hold none, and every wait ends and names the holder.
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { activities, giveUp } from '../../src/store/database/activity.ts';
import { databaseLocked } from '../../src/store/database/blockers.ts';
import { describeDatabaseError } from '../../src/store/database/pool.ts';
import { installQueue, openQueue } from '../../src/store/queue/queue.ts';
import { type EditStore, openEditStore } from '../support/people-edit.ts';
import { ask, until } from '../support/stage.ts';

let store: EditStore;
beforeEach(async () => {
  store = await openEditStore();
});
afterEach(() => store.close());

// The keys of pg-boss (plans.js, advisoryLockKey): made of the database, the schema, and the task.
const keys = ['', 'create-queue', 'bamClaim', 'queue-stats', 'queue-stats-insert'].concat(
  ['failJobsByTimeout', 'failJobsByHeartbeat', 'deletion', 'cleanupDependencies'].map((what) => `job_common${what}`),
);

test('rule 11: a role that may only connect, and holds every advisory lock of pg-boss, blocks neither cleanup of a dead job nor a migration', async () => {
  const stranger = await (await store.application()).connect();
  await stranger.query(
    `select pg_advisory_lock(('x' || encode(sha224((current_database() || '.pgboss.entra_sync_jobs' || k)::bytea), 'hex'))::bit(64)::bigint)
       from unnest($1::text[]) k`,
    [keys],
  );
  const errors: unknown[] = [];
  const queue = await openQueue(store.url, (error) => errors.push(error));
  const tenantId = randomUUID();
  await queue.start(1, async () => {});
  queue.takeNoMore();
  await queue.enqueue([{ tenantId, priority: 0, long: false }]);
  await ask(
    store,
    `update entra_sync_jobs.job set state = 'active', started_on = now() - interval '1 minute', heartbeat_on = now() - interval '1 minute'`,
  );
  const failed = () => ask(store, "select from entra_sync_jobs.job where state = 'failed'");
  await until('the job of a worker that died is let go', async () => (await failed()).length === 1);
  await queue.stop(1_000);
  expect(errors).toEqual([]);
  await ask(store, 'drop schema entra_sync_jobs cascade');
  await installQueue(store.url);
  expect(await ask(store, 'select name from entra_sync_jobs.queue')).toEqual([{ name: 'cycles' }]);
});

test("rule 11: a queue's statement that waits for a lock is listed, and can be cancelled with an error that names the holder", async () => {
  const holder = await store.connect();
  await holder.query('begin');
  await holder.query('lock table entra_sync_jobs.job in access exclusive mode');
  const queue = await openQueue(store.url, () => {});
  await queue.start(1, async () => {});
  queue.takeNoMore();
  const waiting = queue
    .enqueue([{ tenantId: randomUUID(), priority: 0, long: false }])
    .catch((error: unknown) => error);
  // pg-boss maintains its tables meanwhile, so another statement of the queue may wait first.
  const insert =
    "select pid from pg_stat_activity where datname = current_database() and query ilike '%insert into entra_sync_jobs%' and wait_event_type = 'Lock'";
  await until('the insert waits', async () => (await ask(store, insert)).length > 0);
  const blocked = await ask<{ pid: number }>(store, insert);
  const own = activities().filter(({ pid }) => blocked.some((one) => one.pid === pid));
  expect(own).not.toEqual([]);
  const error = databaseLocked([], 30_000, undefined);
  for (const one of activities()) if (one.kind === 'statement') giveUp(one, error);
  expect(describeDatabaseError(await waiting)).toBe(error);
  await holder.query('rollback');
  await queue.stop(1_000);
});
