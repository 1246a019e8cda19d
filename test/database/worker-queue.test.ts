// The queue of tenants: each is in it once, busy slots lose no time, and a worker that stops leaves the rest to others.
import { randomUUID } from 'node:crypto';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { installQueue, openQueue } from '../../src/store/queue/queue.ts';
import { isDeep } from '../support/deep.ts';
import { ask, openStore, type Store, until } from '../support/stage.ts';

let store: Store;
beforeEach(async () => {
  store = await openStore();
});
afterEach(() => store.close());

test.runIf(isDeep)(
  'the queue contains a tenant once, whichever replica adds it; installing the queue again changes nothing',
  async () => {
    const [one, other] = [randomUUID(), randomUUID()];
    const queues = [await openQueue(store.url, () => {}), await openQueue(store.url, () => {})];
    const begun: string[] = [];
    const work = (tenantId: string) => {
      begun.push(tenantId);
      return new Promise<void>(() => {});
    };
    for (const queue of queues) await queue.start(1, work);
    const both = [one, other].map((tenantId) => ({ tenantId, priority: 0, long: tenantId === other }));
    await Promise.all(queues.flatMap((queue) => [queue.enqueue(both), queue.enqueue([])]));
    await until('both are worked on', () => begun.length === 2);
    await installQueue(store.url);
    for (const queue of queues) await queue.enqueue(both);
    expect(new Set(begun)).toEqual(new Set([one, other]));
    const [all] = await ask<{ count: number }>(store, 'select count(*)::int as count from entra_sync_jobs.job');
    expect(all?.count, 'a job that is worked on holds its tenant too').toBe(2);
    await Promise.all(queues.map((queue) => queue.stop(1_000)));
  },
);

test('a slot takes jobs without waiting in between; long ones leave a slot to the others', async () => {
  const queue = await openQueue(store.url, () => {});
  const job = (long: boolean) => ({ tenantId: randomUUID(), priority: long ? 1 : 0, long });
  const longs = [job(true), job(true)];
  const shorts = Array.from({ length: 120 }, () => job(false));
  const isLong = new Set<string>(longs.map(({ tenantId }) => tenantId));
  const gate = Promise.withResolvers<void>();
  const begun: string[] = [];
  await queue.start(2, async (tenantId) => {
    begun.push(tenantId);
    if (isLong.has(tenantId)) await gate.promise;
  });
  await queue.enqueue([...longs, ...shorts]);
  // A slot that asked only twice a second would need a minute.
  await until('all short ones are done beside a long one', () => begun.length === shorts.length + 1);
  expect(begun.filter((tenantId) => isLong.has(tenantId))).toHaveLength(1);
  gate.resolve();
  await until('the other long one has its turn', () => begun.length === shorts.length + 2);
  expect(new Set(begun).size).toBe(begun.length);
  await queue.stop(1_000);
});

test('a worker that takes no more jobs ends its running ones, and leaves queued ones to others', async () => {
  const [stopping, other] = [await openQueue(store.url, () => {}), await openQueue(store.url, () => {})];
  const gate = Promise.withResolvers<void>();
  const begun: string[] = [];
  await stopping.start(1, async (tenantId) => {
    begun.push(tenantId);
    await gate.promise;
  });
  await stopping.enqueue(Array.from({ length: 20 }, () => ({ tenantId: randomUUID(), priority: 0, long: false })));
  await until('one is worked on', () => begun.length === 1);
  stopping.takeNoMore();
  gate.resolve();
  const elsewhere: string[] = [];
  await other.start(1, async (tenantId) => void elsewhere.push(tenantId));
  await until('everybody had a turn', () => begun.length + elsewhere.length === 20);
  expect(begun).toHaveLength(1);
  const done = () => ask(store, "select from entra_sync_jobs.job where state = 'completed'");
  await until('all are done', async () => (await done()).length === 20);
  await Promise.all([stopping.stop(1_000), other.stop(1_000)]);
});
