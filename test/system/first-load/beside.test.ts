// Events during a quick first load: a disconnect, an on-demand read, a directory that changes between its pages.
import { describe, expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { disconnectTenant, purgeTenant, reconnectTenant } from '../../../src/store/tenants/disconnect.ts';
import { expectFeedRebuilds } from '../../support/feed-replay.ts';
import { expectGroups, forbidden } from '../../support/groups-world.ts';
import { expectTruth, failureOf, openWorld, personOf, type World } from '../../support/system.ts';

const quick = { firstLoad: 'quick' } as const;
const isMembers = (url: string) => /^\/v1\.0\/groups\/[^/]+\/members/.test(url);

/** Does `act` when such a request arrives for the `nth` time, and answers it then. */
function atRequest(
  { simulator }: World,
  nth: number,
  hits: (url: string) => boolean,
  act: () => Promise<unknown>,
): void {
  let met = 0;
  simulator.intercept(async ({ url }) => {
    if (!hits(url)) return undefined;
    met += 1;
    if (met === nth) await act();
    return undefined;
  });
}

const kindsOf = ({ database }: World) =>
  rows<{ cycle: string; kind: string; count: number }>(
    database,
    `select y.kind as cycle, c.kind, count(*)::int as count from directory.changes c join directory.cycles y using (cycle_id)
      group by 1, 2 order by 1, 2`,
  );

const isProvisional = async ({ database }: World) =>
  (await rows<{ provisional: boolean }>(database, 'select provisional from directory.tenants'))[0]?.provisional;

async function expectNothingStaged({ database }: World): Promise<void> {
  for (const table of ['rounds', 'stage_users', 'stage_groups', 'stage_members', 'stage_lists', 'stage_set_aside'])
    expect(await rows(database, `select from entra_sync.${table}`), table).toEqual([]);
}

describe('a tenant that is disconnected while it is listed', () => {
  test.each<[string, (url: string) => boolean]>([
    ['people', (url) => url.startsWith('/v1.0/users?')],
    ['members', isMembers],
  ])('%s: it says so, leaves nothing behind, and is shown whole when it comes back', async (_, hits) => {
    const world = await openWorld({ ...quick, users: 6, groups: 3, largestGroup: 4 });
    const { tenant, database } = world;
    world.simulator.options.listPageSize = 2;
    atRequest(world, 2, hits, () => disconnectTenant(database, tenant.tenantId, { actor: 'test', dryRun: false }));
    expect(await failureOf(world.cycle())).toMatchObject({ code: 'tenant_disconnected' });
    await expectNothingStaged(world);
    expect(await isProvisional(world)).toBe(false);
    await reconnectTenant(database, tenant.tenantId, 'test');
    await world.cycle();
    await expectTruth(tenant, database);
    await expectGroups(world);
    await expectNothingStaged(world);
  });

  test('and erased: nothing of it comes back', async () => {
    const world = await openWorld({ ...quick, users: 6, groups: 3, largestGroup: 4 });
    const { tenant, database } = world;
    atRequest(world, 1, isMembers, async () => {
      await disconnectTenant(database, tenant.tenantId, { actor: 'test', dryRun: false });
      await purgeTenant(database, tenant.tenantId);
    });
    expect(await failureOf(world.cycle())).toMatchObject({ code: 'unknown_name' });
    await expectNothingStaged(world);
    for (const table of ['accounts', 'groups', 'memberships', 'cycles', 'leases'])
      expect(await rows(database, `select from entra_sync.${table}`), table).toEqual([]);
  });
});

test('sync --user in the middle: an earlier page does not undo it', async () => {
  const world = await openWorld({ ...quick, users: 5, groups: 2, largestGroup: 3 });
  const { tenant, database, simulator } = world;
  simulator.options.listPageSize = 2;
  // On the first page, which is read before the second is answered.
  const person = tenant.users()[0]?.id ?? expect.unreachable('a tenant without people');
  atRequest(
    world,
    1,
    (url) => url.startsWith('/v1.0/users?') && url.includes('skiptoken'),
    async () => {
      tenant.updateUser(person, { jobTitle: 'Newer' });
      await personOf(world, person);
    },
  );
  await world.cycle();
  const kinds = await kindsOf(world);
  expect(kinds.filter(({ kind }) => kind.startsWith('account.'))).toEqual([
    { cycle: 'first_load', kind: 'account.created', count: 4 },
    { cycle: 'on_demand', kind: 'account.created', count: 1 },
  ]);
  await expectTruth(tenant, database);
  await expectGroups(world);
  await expectFeedRebuilds(database, tenant.tenantId, null);
});

test('if only groups may be read they are provisional until their round is done, and no longer', async () => {
  const world = await openWorld({ ...quick, users: 4, groups: 3, largestGroup: 3 });
  world.simulator.intercept(({ url }) => (url.startsWith('/v1.0/users') ? forbidden : undefined));
  const before: unknown[] = [];
  atRequest(
    world,
    1,
    (url) => url.startsWith('/v1.0/groups/delta'),
    async () => before.push(await isProvisional(world)),
  );
  expect(await failureOf(world.cycle())).toMatchObject({ code: 'permission_missing' });
  expect([...before, await isProvisional(world)]).toEqual([true, false]);
});

test('lists that name a user twice, because they changed between their pages, are accepted', async () => {
  const world = await openWorld({ ...quick, users: 6, groups: 3, largestGroup: 5 });
  const { tenant, database, simulator } = world;
  simulator.transform(({ url }, body) => {
    const { value } = body as { value?: unknown[] };
    return value && !url.includes('/delta') ? { ...body, value: [...value, ...value] } : body;
  });
  const result = await world.cycle();
  expect(result.firstLoad).toMatchObject({ outcome: 'committed' });
  await expectTruth(tenant, database);
  await expectGroups(world);
  // A user's groups are such a list too.
  const [someone] = tenant.users().filter(({ id }) => tenant.groups().some(({ members }) => members.has(id)));
  expect(await personOf(world, someone?.id ?? '')).toMatchObject({ verdict: 'unchanged', changes: [] });
});
