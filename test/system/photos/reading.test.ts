// Photos of the simulated tenant, read in their lane and shown by the contract (rules 55, 56).
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { claimLane } from '../../../src/store/photos/lanes.ts';
import { readPhotoStates } from '../../../src/store/photos/state.ts';
import { disconnectTenant } from '../../../src/store/tenants/disconnect.ts';
import { isDeep, runsOf } from '../../support/deep.ts';
import { drawn } from '../../support/histories.ts';
import {
  faultReasons,
  makeDue,
  passOf,
  photoChanges,
  photoFaults,
  photoRequests,
  photosOf,
  photosSeen,
  readPhotosIn,
} from '../../support/photos.ts';
import { expectSound } from '../../support/soundness.ts';
import { accountsOf, failureOf, interruption, openWorld, type World } from '../../support/system.ts';

/** A tenant that was read, whose photos are on. */
async function photoWorld(options: Parameters<typeof openWorld>[0] = {}): Promise<World> {
  const world = await openWorld({ users: 45, ...options });
  await world.cycle();
  await readPhotosIn(world.database);
  world.simulator.clearRequests();
  return world;
}

const seen = ({ database, tenant }: World) => photosSeen(database, tenant.tenantId);

test('rule 55: photos are asked for once, in batches of twenty with low priority, within the share of requests', async () => {
  const world = await photoWorld();
  const began = performance.now();
  const report = await passOf(world, { perSecond: 100 });
  expect(performance.now() - began).toBeGreaterThanOrEqual(449);
  expect(report).toMatchObject({ asked: 45, left: 0, requests: 3 });
  expect(await seen(world)).toEqual(photosOf(world.tenant));
  expect([...photoRequests(world).values()]).toEqual(Array.from({ length: 45 }, () => 1));
  expect((await photoChanges(world.database)).length).toBe(report?.photos);
  expect(report?.none).toBe(45 - Object.keys(await seen(world)).length);
  const sent = world.simulator.requests.filter(({ path }) => /photos|batch/.test(path));
  expect(new Set(sent.map(({ headers }) => headers['x-ms-throttle-priority']))).toEqual(new Set(['Low']));
  expect(await passOf(world)).toMatchObject({ asked: 0, requests: 0 });
});

test('rule 56: another photo is told by its hash alone, and a photo goes by a 404', async () => {
  const world = await photoWorld({ users: 6, photos: 1 });
  await passOf(world);
  const [changed = '', gone = ''] = world.tenant.users().map(({ id }) => id);
  const ids = await accountsOf(world.database, world.tenant.tenantId);
  const hashesOf = async () =>
    Object.fromEntries(Object.entries(await seen(world)).map(([id, one]) => [id, one.split(' ')[1]]));
  const before = await hashesOf();
  world.tenant.setPhoto(changed, 'another');
  world.tenant.setPhoto(gone, null);
  await makeDue(world.database);
  expect(await passOf(world)).toMatchObject({ asked: 6, photos: 5, none: 1, changed: 2 });
  const after = await hashesOf();
  expect(await seen(world)).toEqual(photosOf(world.tenant));
  const told = (await photoChanges(world.database)).slice(-2);
  expect(told).toEqual(
    expect.arrayContaining([
      { account_id: ids[changed]?.accountId, before: { photo: before[changed] }, after: { photo: after[changed] } },
      { account_id: ids[gone]?.accountId, before: { photo: before[gone] }, after: { photo: null } },
    ]),
  );
});

test('rule 56: what is no photo is set aside and takes none away; a large answer is halved; a good one ends the fault', async () => {
  const world = await photoWorld({ users: 20, photos: 1 });
  await passOf(world);
  const good = await seen(world);
  const kinds = Object.keys(faultReasons) as (keyof typeof faultReasons)[];
  // Together far beyond the limit of one answer.
  const all = [...kinds, 'large'] as const;
  const faulty = world.tenant.users().map(({ id }) => id);
  world.simulator.options.photoFaults = all.map((as, n) => ({ id: faulty[n] ?? '', as }));
  const other = faulty[all.length] ?? '';
  world.tenant.setPhoto(other, 'another');
  await makeDue(world.database);
  world.simulator.clearRequests();
  expect(await passOf(world)).toMatchObject({ asked: 20, photos: 20 - all.length, faults: all.length, changed: 1 });
  const now = await seen(world);
  expect(now).toEqual({ ...good, [other]: photosOf(world.tenant)[other] });
  const reasons = await photoFaults(world.database);
  for (const [n, as] of all.entries())
    expect([as, reasons[faulty[n] ?? '']]).toEqual([as, expect.stringMatching(faultReasons[as])]);
  expect(Object.keys(reasons)).toHaveLength(all.length);
  world.simulator.options.photoFaults = [];
  await makeDue(world.database);
  await passOf(world);
  expect(await photoFaults(world.database)).toEqual({});
});

test('a missing permission ends the lane alone: nothing is lost, cycles go on, and the grant resumes it', async () => {
  const world = await photoWorld({ photos: 1 });
  const { options } = world.simulator;
  options.roles = ['Directory.Read.All'];
  const error = await failureOf(passOf(world));
  expect([error.code, error.cure]).toEqual(['permission_missing', expect.stringContaining('ProfilePhoto.Read.All')]);
  const [state] = await readPhotoStates(world.database, null);
  expect(state).toMatchObject({ photos: 0, due: 45, faults: 0, trouble: 'permission_missing' });
  expect((await world.cycle()).outcome).toBe('committed');
  options.roles = ['Directory.Read.All', 'ProfilePhoto.Read.All'];
  await passOf(world);
  expect(await seen(world)).toEqual(photosOf(world.tenant));
  expect((await readPhotoStates(world.database, null))[0]).toMatchObject({ due: 0, trouble: null });
  // What was read stays, also where the permission is taken back.
  options.roles = ['Directory.Read.All'];
  await makeDue(world.database);
  expect((await failureOf(passOf(world))).code).toBe('permission_missing');
  expect(await seen(world)).toEqual(photosOf(world.tenant));
});

test('a permission that was taken away is found by refusals in a row, also where few photos are due at a time', async () => {
  const world = await photoWorld({ users: 9, photos: 1 });
  await passOf(world);
  world.simulator.options.roles = ['Directory.Read.All'];
  const due = (most: number) =>
    rows(
      world.database,
      `update entra_sync.photos set read_at = read_at - interval '100 days' where account_id in (
         select p.account_id from entra_sync.photos p left join entra_sync.photo_faults f using (account_id)
          where f.account_id is null limit :most)`,
      { most },
    );
  await due(4);
  expect(await passOf(world)).toMatchObject({ asked: 4, faults: 4 });
  await due(1);
  expect((await failureOf(passOf(world))).code).toBe('permission_missing');
  world.simulator.options.roles = ['User.Read.All'];
  await makeDue(world.database);
  expect(await passOf(world)).toMatchObject({ asked: 9, photos: 9 });
  expect(await photoFaults(world.database)).toEqual({});
});

test('rule 55: a pass that is stopped amid its batches goes on behind the last one that was committed', async () => {
  const world = await photoWorld({ users: 70 });
  const stop = new AbortController();
  const stopped = passOf(world, {
    signal: stop.signal,
    onProgress: ({ asked }) => {
      if (asked >= 40) stop.abort(interruption());
    },
  });
  expect((await failureOf(stopped)).code).toBe('interrupted');
  expect(await passOf(world)).toMatchObject({ asked: 30, left: 0 });
  expect(new Set(photoRequests(world).values())).toEqual(new Set([1]));
  expect(await seen(world)).toEqual(photosOf(world.tenant));
});

test('rule 55: one process has the lane; a claim without a sign of life ends, and its holder stores nothing more', async () => {
  const world = await photoWorld({ users: 25, photos: 1 });
  const { database, tenant } = world;
  expect(await claimLane(database, tenant.tenantId)).toBeDefined();
  expect(await passOf(world)).toBeUndefined();
  const expire = () => rows(database, "update entra_sync.photo_lanes set claimed_until = now() - interval '1 second'");
  await expire();
  const taken = passOf(world, {
    onProgress: ({ asked }) => {
      if (asked > 20) return;
      // Another process takes the lane between two batches.
      void rows(database, 'update entra_sync.photo_lanes set claim = gen_random_uuid()');
    },
    perSecond: 100,
  });
  expect((await failureOf(taken)).code).toBe('lease_lost');
  expect(Object.keys(await seen(world)).length).toBeLessThan(Object.keys(photosOf(tenant)).length);
  await expire();
  await passOf(world);
  expect(await seen(world)).toEqual(photosOf(tenant));
});

test('throttling is waited out, and a batch that fails as a whole leaves the lane where it stood', async () => {
  const world = await photoWorld({ users: 30 });
  let refused = 0;
  const end = world.simulator.intercept(({ url }) => {
    if (!url.includes('/photos/') || refused >= 3) return undefined;
    refused += 1;
    return { status: 429, headers: { 'Retry-After': '0' }, body: { error: { code: 'TooManyRequests', message: '' } } };
  });
  await passOf(world);
  end();
  expect(refused).toBe(3);
  expect(await seen(world)).toEqual(photosOf(world.tenant));
  await makeDue(world.database);
  const down = world.simulator.intercept(() => ({ status: 503, body: {} }));
  expect((await failureOf(passOf(world))).code).toBe('graph_unavailable');
  down();
  expect(await seen(world)).toEqual(photosOf(world.tenant));
  expect(await photoFaults(world.database)).toEqual({});
  expect(await passOf(world)).toMatchObject({ asked: 30 });
});

test.runIf(isDeep)(
  'another size makes every photo due, and photos that were read a while ago are due before others',
  async () => {
    const world = await photoWorld({ users: 30, photos: 1 });
    await passOf(world);
    await readPhotosIn(world.database, { size: '96x96' });
    expect(await passOf(world)).toMatchObject({ asked: 30 });
    expect(await seen(world)).toEqual(photosOf(world.tenant, 96));
    const [first = '', second = ''] = world.tenant.users().map(({ id }) => id);
    for (const [id, age] of [
      [first, '30 hours'],
      [second, '40 hours'],
    ])
      await rows(
        world.database,
        `update entra_sync.photos p set read_at = read_at - :age::interval
         from entra_sync.accounts a where a.account_id = p.account_id and a.entra_object_id = :id`,
        { id: id ?? '', age: age ?? '' },
      );
    const hired = world.tenant.createUser();
    await world.cycle();
    world.simulator.clearRequests();
    expect(await passOf(world)).toMatchObject({ asked: 3 });
    const batch = world.simulator.requests.flatMap(({ path }) => /users\/([^/]+)\/photos/.exec(path)?.[1] ?? []);
    expect(batch).toEqual([hired, second, first]);
  },
);

test('photos that are turned off go with change rows; a disconnect keeps them', async () => {
  const world = await photoWorld({ users: 10, photos: 1 });
  await passOf(world);
  const photos = photosOf(world.tenant);
  await disconnectTenant(world.database, world.tenant.tenantId, { actor: 'test', dryRun: false });
  expect(await seen(world)).toEqual(photos);
  await readPhotosIn(world.database, { read: false });
  expect(await passOf(world)).toMatchObject({ removed: 10 });
  expect(await seen(world)).toEqual({});
  expect(await readPhotoStates(world.database, null)).toEqual([]);
  const told = (await photoChanges(world.database)).slice(10);
  expect(told.map(({ after }) => after)).toEqual(Array.from({ length: 10 }, () => ({ photo: null })));
});

type Act =
  | 'change'
  | 'none'
  | 'fault'
  | 'mend'
  | 'delete'
  | 'restore'
  | 'hire'
  | 'cycle'
  | 'pass'
  | 'stop'
  | 'due'
  | 'size'
  | 'off';
const acts: readonly Act[] = [
  'change',
  'none',
  'fault',
  'mend',
  'delete',
  'restore',
  'hire',
  'cycle',
  'pass',
  'stop',
  'due',
  'size',
  'off',
];

test('rules 55, 56: whatever happens between passes, the photos become those of the tenant, and the feed tells them', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.tuple(fc.constantFrom(...acts), fc.nat(1_000)), { minLength: 5, maxLength: isDeep ? 25 : 12 }),
      fc.nat(1_000),
      async (history, seed) => {
        const world = await photoWorld({ users: isDeep ? 24 : 6, seed: seed + 1, photos: 0.7 });
        const { database, tenant, simulator } = world;
        const width = { now: 240 };
        const one = (n: number) => tenant.users()[n % tenant.users().length]?.id ?? '';
        const does: Record<Act, (n: number) => unknown> = {
          change: (n) => tenant.setPhoto(one(n), 'another'),
          none: (n) => tenant.setPhoto(one(n), null),
          fault: (n) => {
            const kinds = Object.keys(faultReasons) as (keyof typeof faultReasons)[];
            const as = kinds[n % kinds.length] ?? 'cut';
            simulator.options.photoFaults = [...simulator.options.photoFaults, { id: one(n), as }];
          },
          mend: () => {
            simulator.options.photoFaults = [];
          },
          delete: (n) => tenant.users().length > 3 && tenant.deleteUser(one(n)),
          restore: (n) => {
            const gone = tenant.deletedUsers();
            if (gone.length > 0) tenant.restoreUser(gone[n % gone.length]?.id ?? '');
          },
          hire: () => tenant.setPhoto(tenant.createUser(), 'another'),
          cycle: () => world.cycle(),
          pass: () => passOf(world),
          stop: async () => {
            const stop = new AbortController();
            const onProgress = () => stop.abort(interruption());
            await passOf(world, { signal: stop.signal, onProgress }).catch(() => {});
          },
          due: () => makeDue(database),
          size: (n) => {
            width.now = n % 2 === 0 ? 96 : 240;
            return readPhotosIn(database, { size: n % 2 === 0 ? '96x96' : '240x240' });
          },
          off: async () => {
            await readPhotosIn(database, { read: false });
            await passOf(world);
            await readPhotosIn(database);
          },
        };
        for (const [act, n] of history) await does[act](n);
        simulator.options.photoFaults = [];
        await world.cycle();
        await makeDue(database);
        await passOf(world);
        expect(await seen(world)).toEqual(photosOf(tenant, width.now));
        await expectSound(database, tenant.tenantId);
      },
    ),
    { ...drawn, numRuns: runsOf(1, 40) },
  );
});

test('photos that are switched off while a pass runs are gone by its end', async () => {
  const world = await photoWorld();
  world.simulator.intercept(async ({ url }) => {
    if (url.endsWith('/$batch')) await readPhotosIn(world.database, { read: false });
    return undefined;
  });
  const report = await passOf(world);
  expect(report).toMatchObject({ asked: 20, removed: report?.photos, left: 0 });
  expect(await seen(world)).toEqual({});
  expect(await readPhotoStates(world.database, null)).toEqual([]);
});

test('one photo that Graph throttles for good keeps none of its lot back', async () => {
  const world = await photoWorld({ users: 15, photos: 1 });
  const [id = ''] = world.tenant.users().map((user) => user.id);
  world.simulator.options.photoFaults = [{ id, as: 'throttled' }];
  expect((await failureOf(passOf(world))).code).toBe('graph_throttled');
  expect(await seen(world)).toEqual(photosOf(world.tenant, 240, [id]));
  world.simulator.options.photoFaults = [];
  expect(await passOf(world)).toMatchObject({ asked: 1, photos: 1 });
});

test.runIf(isDeep)('people whose photos Exchange refuses do not stand before the others in each pass', async () => {
  const world = await photoWorld({ users: 60, photos: 1 });
  const half = await rows<{ id: string }>(
    world.database,
    'select entra_object_id as id from entra_sync.accounts order by account_id limit 30',
  );
  world.simulator.options.photoFaults = half.map(({ id }) => ({ id, as: 'refused' as const }));
  expect(await passOf(world)).toMatchObject({ asked: 60, photos: 30, faults: 30 });
});
