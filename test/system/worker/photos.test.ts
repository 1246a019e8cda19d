// The lane of photos in the worker: beside the cycles, tenant by tenant, each in its turn (rule 55).
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { openGraphAccess } from '../../../src/app.ts';
import type { PhotosReport } from '../../../src/engine/photos.ts';
import { readEnvironment } from '../../../src/environment.ts';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { createTenant, type Tenant } from '../../../src/simulator/index.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { addTenant } from '../../../src/store/tenants/tenants.ts';
import { openPhotoReader, type PhotoReader } from '../../../src/worker/photo-reader.ts';
import { photosOf, photosSeen, readPhotosIn } from '../../support/photos.ts';
import { setSettings } from '../../support/settings.ts';
import { cycleOf, fastPolicy, openWorld, type World } from '../../support/system.ts';

type Lane = { reader: PhotoReader; reports: PhotosReport[]; stop: AbortController; look(): Promise<void> };

function openLane(world: World, turnMs = 60_000): Lane {
  const { openReader } = openGraphAccess(readEnvironment(world.simulator.environment()), { policy: fastPolicy });
  const reports: PhotosReport[] = [];
  const stop = new AbortController();
  const reader = openPhotoReader(
    { database: world.database, defaults: loadDefaults(), log: pino({ level: 'silent' }), openReader },
    {
      signal: stop.signal,
      everyMs: 0,
      turnMs,
      onPhotos: (report) => void reports.push(report),
      onError: (error) => {
        throw error;
      },
    },
  );
  onTestFinished(async () => {
    stop.abort();
    await reader.idle();
  });
  const look = async () => {
    reader.look();
    await reader.idle();
  };
  return { reader, reports, stop, look };
}

const seen = ({ database }: World, tenant: Tenant) => photosSeen(database, tenant.tenantId);

test('rule 55: each tenant has its turn, rests when nothing is due, and a failing one keeps none back', async () => {
  const others = [2, 3].map((seed) => createTenant({ seed, users: 25, name: `Tenant ${seed}` }));
  const world = await openWorld({ users: 25, others });
  const { database, simulator, tenant } = world;
  const all = [tenant, ...others];
  for (const { tenantId, name } of others) await addTenant(database, { tenantId, name, ref: null }, loadDefaults());
  for (const { tenantId } of all) await cycleOf(simulator, tenantId, database);
  const lane = openLane(world, 0);
  await lane.look();
  expect(lane.reports).toEqual([]);
  await readPhotosIn(database);
  const [failing] = others;
  const end = simulator.intercept(({ url, tenantId }) =>
    tenantId === failing?.tenantId && url.endsWith('/$batch') ? { status: 400, body: {} } : undefined,
  );
  // Twenty a turn: two tenants at once, and the third when there is room.
  for (let looks = 0; looks < 6; looks += 1) await lane.look();
  expect(await seen(world, tenant)).toEqual(photosOf(tenant));
  expect(await seen(world, others[1] ?? tenant)).toEqual(photosOf(others[1] ?? tenant));
  expect(lane.reports.map(({ asked }) => asked).toSorted()).toEqual([20, 20, 5, 5]);
  const lanes = await rows<{ trouble: string | null; rests: boolean }>(
    database,
    'select trouble, next_at > now() as rests from entra_sync.photo_lanes order by trouble nulls last',
  );
  expect(lanes).toEqual([
    { trouble: expect.any(String), rests: true },
    { trouble: null, rests: true },
    { trouble: null, rests: true },
  ]);
  end();
  await rows(database, 'update entra_sync.photo_lanes set next_at = now()');
  for (let looks = 0; looks < 2; looks += 1) await lane.look();
  expect(await seen(world, failing ?? tenant)).toEqual(photosOf(failing ?? tenant));
});

test('tenants whose settings contradict rest, and keep the others not back', async () => {
  const others = [2, 3].map((seed) => createTenant({ seed, users: 2, name: `Tenant ${seed}` }));
  const world = await openWorld({ users: 5, others });
  const { database, simulator, tenant } = world;
  for (const { tenantId, name } of others) await addTenant(database, { tenantId, name, ref: null }, loadDefaults());
  for (const { tenantId } of [tenant, ...others]) await cycleOf(simulator, tenantId, database);
  await readPhotosIn(database);
  // As an edit by hand, or of a later release, could leave it.
  for (const { tenantId } of others)
    await rows(
      database,
      `insert into entra_sync.settings (tenant_id, document, actor) values (:tenantId, '{"photos": {"size": 1}}', 'test')`,
      { tenantId },
    );
  // Before the others in line.
  await rows(
    database,
    `insert into entra_sync.photo_lanes (tenant_id, size, next_at) values (:tenantId, '240x240', now())`,
    tenant,
  );
  const lane = openLane(world);
  for (let looks = 0; looks < 3; looks += 1) await lane.look();
  expect(await seen(world, tenant)).toEqual(photosOf(tenant));
  expect(await rows(database, 'select from entra_sync.photo_lanes where next_at > now()')).toHaveLength(3);
});

test('a tenant that is paused, disconnected or in its first load is left alone; one that reads none any more is cleared', async () => {
  const world = await openWorld({ users: 5 });
  const { database, tenant } = world;
  await world.cycle();
  await readPhotosIn(database);
  const lane = openLane(world);
  const states = [
    { paused: true, provisional: false, status: 'active' },
    { paused: false, provisional: true, status: 'active' },
    { paused: false, provisional: false, status: 'quarantined' },
  ];
  const set = (state: (typeof states)[number]) =>
    rows(
      database,
      'update entra_sync.tenants set paused = :paused, provisional = :provisional, status = :status',
      state,
    );
  for (const state of states) {
    await set(state);
    await lane.look();
  }
  expect(lane.reports).toEqual([]);
  await set({ paused: false, provisional: false, status: 'active' });
  await lane.look();
  expect(await seen(world, tenant)).toEqual(photosOf(tenant));
  await setSettings(database, { photos: { read: false } }, tenant.tenantId);
  await rows(database, 'update entra_sync.photo_lanes set next_at = now()');
  await lane.look();
  expect(await seen(world, tenant)).toEqual({});
  expect(await rows(database, 'select from entra_sync.photo_lanes')).toEqual([]);
});
