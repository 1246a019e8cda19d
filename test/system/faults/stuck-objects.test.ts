// One object that Graph cannot serve: it is set aside, nothing of it is lost, and the others are committed (rules 19, 22).
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { groupsSeen, groupTruth } from '../../support/groups-truth.ts';
import { groupsWorld } from '../../support/groups-world.ts';
import { accountsOf, expectTruth, failureOf, openWorld, personOf, type World } from '../../support/system.ts';

const openGroups = () => openWorld({ users: 12, groups: 4, largestGroup: 6 });

const asideOf = ({ database }: World) =>
  rows<{ id: string; reason: string }>(
    database,
    'select entra_object_id as id, reason from directory.set_aside order by stream, entra_object_id',
  );

async function expectStep(world: World): Promise<void> {
  await expectTruth(world.tenant, world.database);
  expect(await groupsSeen(world.database, world.tenant.tenantId)).toEqual(groupTruth(world.tenant));
}

const heal = ({ simulator }: World) => {
  simulator.options.stuck = { links: [], objects: [] };
};

const usersOf = ({ tenant }: World) => tenant.users().map(({ id }) => id);
const groupsOf = ({ tenant }: World) => tenant.groups().map(({ id }) => id);

test.each([500, 503, 504])(
  'rule 22: a user who came back and whose GET answers %i for ever is set aside, and the others are committed',
  async (status) => {
    const world = await openGroups();
    await world.cycle();
    const [back = '', other = '', second = ''] = usersOf(world);
    for (const id of [back, second]) world.tenant.deleteUser(id);
    await world.cycle();
    for (const id of [back, second]) world.tenant.restoreUser(id);
    world.tenant.updateUser(other, { city: 'Elsewhere' });
    world.simulator.options.stuck.objects = [{ id: back, at: 'object', status }];
    expect((await world.cycle()).streams.users).toMatchObject({
      outcome: 'committed',
      restored: 1,
      updated: 1,
      set_aside: 1,
    });
    expect(await asideOf(world)).toEqual([{ id: back, reason: `it cannot be read by itself (${status})` }]);
    // No round shows the user any more; it is asked for all the same, alone.
    expect((await world.cycle()).streams.users).toMatchObject({ outcome: 'committed', restored: 0, set_aside: 1 });
    heal(world);
    expect((await world.cycle()).streams.users).toMatchObject({ restored: 1, set_aside: 0 });
    await expectStep(world);
  },
);

test('rule 19: groups whose members answer 504 in a full round keep theirs, and the others are committed', async () => {
  const world = await openGroups();
  await world.cycle();
  const before = await groupsSeen(world.database, world.tenant.tenantId);
  const [stuck = '', fine = ''] = groupsOf(world);
  // Slices that name no members: each list is read by GET before anything ends.
  const silent = world.simulator.transform(({ url }, body) => {
    if (!url.startsWith('/v1.0/groups/delta')) return body;
    const value = (body as { value: Record<string, unknown>[] }).value.map(({ 'members@delta': _, ...rest }) => rest);
    return { ...body, value };
  });
  world.simulator.options.stuck.objects = [{ id: stuck, at: 'members', status: 504 }];
  world.tenant.updateGroup(fine, { displayName: 'Renamed' });
  const { streams } = await world.cycle({ resync: true });
  expect(streams.groups).toMatchObject({ outcome: 'committed', updated: 1, set_aside: 1, memberships_removed: 0 });
  expect((await groupsSeen(world.database, world.tenant.tenantId)).direct).toEqual(before.direct);
  silent();
  heal(world);
  expect((await world.cycle()).streams.groups).toMatchObject({ set_aside: 0 });
  await expectStep(world);
});

test('rule 19: a group that came back keeps what is known of it while its GET, its list or its holders fail', async () => {
  for (const at of ['object', 'members', 'memberOf'] as const) {
    const { world, group } = await groupsWorld({ Stuck: [0, 1, 2], Fine: [3], Holder: ['Stuck'] });
    await world.cycle();
    const [stuck, fine] = [group('Stuck'), group('Fine')];
    world.tenant.deleteGroup(stuck);
    await world.cycle();
    world.tenant.restoreGroup(stuck);
    world.tenant.updateGroup(fine, { displayName: 'Renamed' });
    world.simulator.options.stuck.objects = [{ id: stuck, at, status: 500 }];
    const told = (await world.cycle()).streams.groups;
    expect(told, at).toMatchObject({ outcome: 'committed', updated: 1, set_aside: 1, memberships_removed: 0 });
    heal(world);
    expect((await world.cycle()).streams.groups, at).toMatchObject({ set_aside: 0 });
    await expectStep(world);
  }
});

test('rule 22: a `$batch` that fails as a whole for one of its objects is asked by halves', async () => {
  const world = await openGroups();
  await world.cycle();
  const back = usersOf(world).slice(0, 5);
  for (const id of back) world.tenant.deleteUser(id);
  await world.cycle();
  for (const id of back) world.tenant.restoreUser(id);
  const [stuck = ''] = back;
  world.simulator.options.stuck.objects = [{ id: stuck, at: 'batch', status: 504 }];
  expect((await world.cycle()).streams.users).toMatchObject({ outcome: 'committed', restored: 4, set_aside: 1 });
});

test('rule 19: a user that a list no longer names keeps the membership while GET cannot say whether the user is deleted', async () => {
  const { world, group, person } = await groupsWorld({ Team: [0, 1, 2] });
  await world.cycle();
  const stuck = person(0);
  for (const id of [stuck, person(1)]) world.tenant.removeMember(group('Team'), id);
  world.simulator.options.stuck.objects = [{ id: stuck, at: 'object', status: 500 }];
  const quiet = world.simulator.transform(({ url }, body) => {
    if (!url.startsWith('/v1.0/groups/delta')) return body;
    const value = (body as { value: Record<string, unknown>[] }).value.map(({ 'members@delta': _, ...rest }) => rest);
    return { ...body, value };
  });
  expect((await world.cycle({ resync: true })).streams.groups).toMatchObject({ memberships_removed: 1 });
  quiet();
  heal(world);
  await world.cycle({ resync: true });
  await expectStep(world);
});

test('rules 14, 19: a member list whose links form a loop is set aside, and the others are committed', async () => {
  const { world, group, person } = await groupsWorld({ Stuck: [0, 1], Fine: [2] });
  await world.cycle();
  for (const name of ['Stuck', 'Fine']) world.tenant.deleteGroup(group(name));
  await world.cycle();
  for (const name of ['Stuck', 'Fine']) world.tenant.restoreGroup(group(name));
  world.tenant.addMember(group('Fine'), person(3));
  world.simulator.transform(({ url }, body) =>
    url.includes(`/groups/${group('Stuck')}/members`)
      ? { ...body, '@odata.nextLink': `${world.simulator.origin}${url}` }
      : body,
  );
  expect((await world.cycle()).streams.groups).toMatchObject({ outcome: 'committed', restored: 2, set_aside: 1 });
  expect(await groupsSeen(world.database, world.tenant.tenantId)).toEqual(groupTruth(world.tenant));
});

test('rule 19: the list of deleted items that fails alone stops no round', async () => {
  const world = await openGroups();
  world.simulator.options.roles = ['User.Read.All', 'Group.Read.All'];
  world.simulator.intercept(({ url }) => (url.includes('/deletedItems/') ? { status: 500, body: {} } : undefined));
  expect((await world.cycle()).streams.groups).toMatchObject({ outcome: 'committed', created: 4 });
  await expectStep(world);
});

test('rule 19: a user is read on demand even if the groups of the user cannot be read', async () => {
  const world = await openGroups();
  await world.cycle();
  const [id = ''] = usersOf(world);
  world.tenant.updateUser(id, { city: 'On demand' });
  world.simulator.options.stuck.objects = [{ id, at: 'memberOf', status: 500 }];
  expect(await personOf(world, id)).toMatchObject({ verdict: 'updated', groups: undefined });
  expect((await accountsOf(world.database, world.tenant.tenantId))[id]).toBeDefined();
});

test('rule 16: if Graph answers for no object at all the cycle fails, and no object is set aside', async () => {
  const world = await openGroups();
  await world.cycle();
  const [back = ''] = usersOf(world);
  world.tenant.deleteUser(back);
  await world.cycle();
  world.tenant.restoreUser(back);
  world.simulator.intercept(({ url }) =>
    /\/users(\/[0-9a-f-]{36})?[?]/.test(url) ? { status: 500, body: {} } : undefined,
  );
  expect(await failureOf(world.cycle())).toMatchObject({ code: 'graph_unavailable' });
  expect(await asideOf(world)).toEqual([]);
});
