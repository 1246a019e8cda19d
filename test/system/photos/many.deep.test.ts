// Photos of very many people: half of the people have a photo. The worker keeps to bounded memory and a share of
// the requests, and goes on after a kill -9 in the middle (rule 55).
import { readFileSync } from 'node:fs';
import { setTimeout as wait } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { type Running, startCli } from '../../support/cli.ts';
import { isSweep } from '../../support/deep.ts';
import { photoRequests, photosOf, photosSeen, readPhotosIn } from '../../support/photos.ts';
import { openWorld, type World } from '../../support/system.ts';

// 100 photos a second at most: 20,000 people take four minutes.
const people = isSweep ? 20_000 : 6_000;
const maxGrowthMiB = 64;

/** The most memory that a process has had, in MiB (Linux). */
const peakOf = ({ child }: Running) =>
  Number(/^VmHWM:\s+(\d+) kB/m.exec(readFileSync(`/proc/${child.pid}/status`, 'utf8'))?.[1]) / 1024;

async function committed({ database }: World): Promise<Set<string>> {
  const found = await rows<{ id: string }>(
    database,
    'select a.entra_object_id as id from entra_sync.photos join entra_sync.accounts a using (account_id)',
  );
  return new Set(found.map(({ id }) => id));
}

async function untilCommitted(world: World, count: number): Promise<Set<string>> {
  for (;;) {
    const done = await committed(world);
    if (done.size >= count) return done;
    await wait(100);
  }
}

test(`rule 55: the photos of ${people} people, by a process that is killed amid them and one that goes on`, async () => {
  const world = await openWorld({ users: people, firstLoad: 'quick' });
  await world.cycle();
  await readPhotosIn(world.database);
  world.simulator.clearRequests();
  const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
  const start = () => {
    const running = startCli(['sync', '--photos', '--json'], environment);
    onTestFinished(() => void running.child.kill('SIGKILL'));
    return running;
  };
  const first = start();
  await untilCommitted(world, people / 4);
  first.child.kill('SIGKILL');
  await first.ended;
  const before = await committed(world);
  expect(before.size).toBeLessThan(people / 2);
  const second = start();
  await untilCommitted(world, people / 2);
  const early = peakOf(second);
  await untilCommitted(world, people * 0.99);
  const late = peakOf(second);
  const ended = await second.ended;
  expect(ended.code, ended.stderr).toBe(0);
  const [{ asked, seconds }] = JSON.parse(ended.stdout).photos;
  expect(asked).toBe(people - before.size);
  // The share of requests: no more than 100 a second, whatever the machine can do.
  expect(asked / seconds).toBeLessThanOrEqual(101);
  const times = photoRequests(world);
  const twice = [...times].filter(([, count]) => count > 1).map(([id]) => id);
  expect(times.size).toBe(people);
  expect(twice.filter((id) => before.has(id))).toEqual([]);
  // The batch that was under way.
  expect(twice.length).toBeLessThanOrEqual(20);
  const photos = photosOf(world.tenant);
  expect(await photosSeen(world.database, world.tenant.tenantId)).toEqual(photos);
  expect(Math.abs(Object.keys(photos).length - people / 2)).toBeLessThan(people / 50);
  process.stderr.write(
    `${people} people: peak ${Math.round(early)} MiB after half, ${Math.round(late)} MiB at the end\n`,
  );
  expect(late - early).toBeLessThan(maxGrowthMiB);
});
