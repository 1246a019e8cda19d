// A cycle that finds nothing changed: two requests, few statements and no round; anything else goes the whole way.
import { expect, test } from 'vitest';
import { openDatabase, rows } from '../../src/store/pool.ts';
import { setSettings } from '../support/settings.ts';
import { expectTruth, isDeltaRequest, openWorld, type World } from '../support/system.ts';

/** Rounds that were ever begun. */
async function roundsBegun({ database }: World): Promise<number> {
  const [found] = await rows<{ last: string }>(
    database,
    "select last_value as last from pg_sequences where schemaname = 'entra_sync' and sequencename = 'rounds_round_id_seq'",
  );
  return Number(found?.last);
}

const deltas = ({ simulator }: World) =>
  simulator.requests.filter(({ path }) => path.includes('/delta')).map(({ path }) => path.split('?')[0]);

async function settled(options: Parameters<typeof openWorld>[0] = {}): Promise<World & { begun: number }> {
  const world = await openWorld({ groups: 3, ...options });
  await world.cycle();
  world.simulator.clearRequests();
  return { ...world, begun: await roundsBegun(world) };
}

test('rule 1: nothing changed is a request a stream, a checkpoint each that moves, no round, and a report as ever', async () => {
  const world = await settled();
  const links = () => rows(world.database, 'select stream, delta_link from entra_sync.checkpoints order by stream');
  const before = await links();
  const through = openDatabase(world.url);
  let statements = 0;
  through.on('query', () => {
    statements += 1;
  });
  const result = await world.cycle({ through });
  await through.destroy();
  expect(result).toMatchObject({ kind: 'incremental', outcome: 'committed', lists: [], failures: [] });
  const report = { outcome: 'committed', round: 'incremental', reason: 'changes', requests: 1, pages: 1, seen: 0 };
  expect(result.streams).toMatchObject({
    users: { ...report, created: 0, updated: 0, removed: 0, held: 0, set_aside: 0 },
    groups: report,
  });
  expect(result.sinceMs).toBeGreaterThan(0);
  expect(deltas(world).sort()).toEqual(['/v1.0/groups/delta', '/v1.0/users/delta']);
  expect(await roundsBegun(world)).toBe(world.begun);
  expect(await links()).not.toEqual(before);
  expect(statements).toBeLessThan(30);
  world.tenant.createUser();
  await world.cycle();
  await expectTruth(world.tenant, world.database);
});

test('a page that is not empty goes into a round, and is asked for once', async () => {
  const world = await settled();
  world.tenant.createUser();
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ pages: 1, requests: 1, created: 1 });
  expect(await roundsBegun(world)).toBe(world.begun + 1);
  await expectTruth(world.tenant, world.database);
});

test('rule 5: a first page that is empty and goes on is no end', async () => {
  const world = await settled({ simulator: { emptyPages: 1 } });
  world.tenant.createUser();
  const { streams } = await world.cycle();
  expect(streams.users.pages).toBeGreaterThan(1);
  expect(streams.users.requests).toBe(streams.users.pages);
  expect(streams.users.created).toBe(1);
  await expectTruth(world.tenant, world.database);
});

test('rule 15: a token that is dead at the first request leads to a full round', async () => {
  const world = await settled();
  let dead = true;
  world.simulator.intercept(({ url }) => {
    if (!isDeltaRequest(url) || !dead) return undefined;
    dead = false;
    return { status: 410, body: { error: { code: 'syncStateNotFound', message: 'gone' } } };
  });
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ outcome: 'committed', round: 'full', reason: 'token_expired' });
  await expectTruth(world.tenant, world.database);
});

test('rule 17: settings that change while the empty page is read begin the round anew under them', async () => {
  const world = await settled();
  let changed = false;
  world.simulator.intercept(async ({ url }) => {
    if (!isDeltaRequest(url) || changed) return undefined;
    changed = true;
    await setSettings(world.database, { scope: { userType: ['Member'] } });
    return undefined;
  });
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ round: 'full', reason: 'settings_changed' });
});

test('rule 23: where groups make the scope, each commit judges it', async () => {
  const world = await settled();
  const [group] = world.tenant.groups();
  await setSettings(world.database, { scope: { groups: [group?.id ?? ''] } });
  await world.cycle();
  const begun = await roundsBegun(world);
  await world.cycle();
  expect(await roundsBegun(world)).toBe(begun + 2);
});

test('a dry run of it says the same, and moves nothing', async () => {
  const world = await settled();
  const links = () => rows(world.database, 'select * from entra_sync.checkpoints order by stream');
  const before = await links();
  const dry = await world.cycle({ dryRun: true });
  expect(await links()).toEqual(before);
  const real = await world.cycle();
  const counts = ({ streams }: typeof real) => [streams.users, streams.groups].map(({ outcome: _, ...rest }) => rest);
  expect(counts(dry)).toEqual(counts(real));
});
