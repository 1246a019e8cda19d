// Rule 19 for one unreadable property: the rest of its object is stored, its own known value stays, and it heals.
import { expect, test } from 'vitest';
import { showOdd } from '../../../src/simulator/index.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { runCli } from '../../support/cli.ts';
import { groupsSeen, groupTruth } from '../../support/groups-truth.ts';
import { accountsOf, expectTruth, openWorld, personOf, type World } from '../../support/system.ts';

const whole = { users: 8, groups: 4, largestGroup: 5 };
const aside = ({ database }: World) =>
  rows<{ id: string; reason: string }>(
    database,
    'select entra_object_id as id, reason from directory.set_aside order by 1',
  );
const accountOf = async ({ database, tenant }: World, id: string) => (await accountsOf(database, tenant.tenantId))[id];

async function openTenant(): Promise<{ world: World; id: string }> {
  const world = await openWorld(whole);
  const id = world.tenant.users()[2]?.id ?? '';
  world.tenant.updateUser(id, { mobilePhone: '+47 1', city: 'Oslo' });
  await world.cycle();
  return { world, id };
}

test.each([false, true])(
  'rule 19: a phone that is a number holds up no suspension (full round: %s)',
  async (resync) => {
    const { world, id } = await openTenant();
    world.tenant.updateUser(id, { accountEnabled: false, city: 'Bergen' });
    const heal = showOdd(world.simulator, 'users', [id], { mobilePhone: 4420 });
    const { streams } = await world.cycle({ resync });
    expect(streams.users).toMatchObject({ seen: resync ? 8 : 1, suspended: 1, updated: 1, removed: 0, set_aside: 1 });
    const reason = 'mobilePhone is not of the type string';
    expect(await aside(world)).toEqual([{ id: `${id}/mobilePhone`, reason }]);
    expect(await accountOf(world, id)).toMatchObject({
      enabled: false,
      profile: { mobilePhone: '+47 1', city: 'Bergen' },
    });
    // The next rounds do not show the user: it is asked for, first still unreadable, then readable.
    expect((await world.cycle()).streams.users).toMatchObject({ updated: 0, set_aside: 1 });
    heal();
    world.tenant.updateUser(id, { mobilePhone: '+47 2' });
    expect((await world.cycle({ resync })).streams.users).toMatchObject({ updated: 1, set_aside: 0 });
    expect(await aside(world)).toEqual([]);
    await expectTruth(world.tenant, world.database, []);
  },
);

test.each([false, true])(
  'rule 19: a group with an unreadable description is updated in everything else (full round: %s)',
  async (resync) => {
    const world = await openWorld(whole);
    const id = world.tenant.groups()[0]?.id ?? '';
    world.tenant.updateGroup(id, { description: 'Decks' });
    await world.cycle();
    const [someone] = world.tenant.users().filter((user) => !world.tenant.findGroup(id)?.members.has(user.id));
    if (someone) world.tenant.addMember(id, someone.id);
    world.tenant.updateGroup(id, { displayName: 'Pilots' });
    const heal = showOdd(world.simulator, 'groups', [id], { description: ['no text'] });
    expect((await world.cycle({ resync })).streams.groups).toMatchObject({
      updated: 1,
      memberships_added: 1,
      set_aside: 1,
    });
    expect(await groupsSeen(world.database, world.tenant.tenantId)).toEqual(groupTruth(world.tenant));
    expect((await aside(world)).map((one) => one.id)).toEqual([`${id}/description`]);
    world.simulator.clearRequests();
    await world.cycle();
    expect(world.simulator.requests.filter(({ path }) => path.includes('/members?'))).toEqual([]);
    heal();
    expect((await world.cycle()).streams.groups).toMatchObject({ set_aside: 0 });
    expect(await aside(world)).toEqual([]);
  },
);

test('rule 19: a new user with an unreadable property gets an account without it, by quick first load, by delta and on demand', async () => {
  const world = await openWorld({ ...whole, firstLoad: 'quick' });
  const id = world.tenant.users()[2]?.id ?? '';
  world.tenant.updateUser(id, { city: 'Oslo' });
  showOdd(world.simulator, 'users', [id], { mobilePhone: { no: 'text' } });
  const first = await world.cycle();
  expect(first.firstLoad?.streams.users).toMatchObject({ created: 8 });
  expect(first.streams.users).toMatchObject({ set_aside: 1, updated: 0 });
  const fresh = world.tenant.createUser({ displayName: 'New Hire' });
  const heal = showOdd(world.simulator, 'users', [fresh], { officeLocation: 7 });
  expect(await personOf(world, fresh)).toMatchObject({ verdict: 'created', reason: null });
  expect((await aside(world)).map((one) => one.id).sort()).toEqual(
    [`${fresh}/officeLocation`, `${id}/mobilePhone`].sort(),
  );
  heal();
  expect((await personOf(world, fresh)).verdict).toMatch(/^(updated|unchanged)$/);
  expect((await aside(world)).map((one) => one.id)).toEqual([`${id}/mobilePhone`]);
  // Permanently deleted and purged: its set-aside entry is deleted with the account.
  world.tenant.purgeUser(id);
  await world.cycle();
  expect(await aside(world)).toEqual([]);
});

test('rule 19: on demand the known value of an unreadable property stays, and status and explain name it', async () => {
  const { world, id } = await openTenant();
  world.tenant.updateUser(id, { city: 'Bergen' });
  showOdd(world.simulator, 'users', [id], { mobilePhone: 4420 });
  expect(await personOf(world, id)).toMatchObject({ verdict: 'updated' });
  expect(await accountOf(world, id)).toMatchObject({ profile: { mobilePhone: '+47 1', city: 'Bergen' } });
  const environment = { ...world.simulator.environment(world.tenant.tenantId), DATABASE_URL: world.url };
  const status = await runCli(['status', '--set-aside', '--json'], environment);
  const reason = 'mobilePhone is not of the type string';
  expect(JSON.parse(status.stdout).set_aside).toMatchObject([{ entra_object_id: `${id}/mobilePhone`, reason }]);
  expect((await runCli(['explain', id], environment)).stdout).toContain(reason);
  const verified = await runCli(['verify', '--json'], environment);
  expect(verified.code).toBe(0);
  expect(JSON.parse(verified.stdout).tenants[0]).toMatchObject({
    drift: [],
    unread: [{ stream: 'users', object_key: `${id}/mobilePhone`, reason }],
  });
});
