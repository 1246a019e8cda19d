// Rules 7, 8, 19, 22 when a round of groups is incomplete: unreadable parts, users who are soft-deleted during it, lists
// that Graph refuses.
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { groupsSeen, groupTruth } from '../../support/groups-truth.ts';
import {
  alterPages,
  expectGroups,
  forbidden,
  forgetLeavers,
  groupsWorld,
  type Item,
  isLive,
  makeFullDue,
  notFound,
  ofGroups,
  ofUsers,
  setScope,
  unified,
} from '../../support/groups-world.ts';
import { setSettings } from '../../support/settings.ts';
import { until } from '../../support/stage.ts';
import { storing } from '../../support/stored-memberships.ts';
import { interruption, removedOf, type World } from '../../support/system.ts';

const quiet = { simulator: { restoredMembers: false } };

const asideOf = async ({ database }: World) =>
  (await rows<{ id: string }>(database, 'select entra_object_id as id from directory.set_aside order by 1')).map(
    (row) => row.id,
  );

const nul = (item: Item): Item => ({ ...item, displayName: 'a\0b' });

const doubtful: { what: string; alter: (item: Item, slice: number) => Item }[] = [
  { what: 'no member list can be read', alter: (item) => ({ ...item, 'members@delta': { broken: true } as never }) },
  { what: 'the first slice comes with a bad property', alter: (item, slice) => (slice === 0 ? nul(item) : item) },
  { what: 'the second slice comes with a bad property', alter: (item, slice) => (slice === 1 ? nul(item) : item) },
  {
    what: 'properties come once, and cannot be read',
    alter: (item, slice) => (slice === 0 ? nul(item) : { id: item.id, 'members@delta': item['members@delta'] ?? [] }),
  },
  {
    what: 'the ids of members cannot be read',
    alter: (item) => ({ ...item, 'members@delta': (item['members@delta'] ?? []).map((one) => ({ ...one, id: '' })) }),
  },
];

const badly = rowsOf(doubtful, (_, n) => n === 2);

test.each(badly)(
  'rule 19: in a full round, $what: no user or group leaves its group or the scope for it',
  async ({ alter }) => {
    const { world, group } = await groupsWorld(
      { Team: [0, 1, 2, 3, 4, 5] },
      { simulator: { pageSize: 1, memberSlice: 3 } },
    );
    await setScope(world, { groups: [group('Team')] });
    await world.cycle();
    let slice = 0;
    const mend = alterPages(world, (item) => (item['members@delta'] ? alter(item, slice++) : item));
    const { streams } = await world.cycle({ resync: true });
    expect(slice).toBeGreaterThan(1);
    mend();
    expect(streams.users).toMatchObject({ removed: 0, held: 0 });
    expect(streams.groups).toMatchObject({ memberships_removed: 0, set_aside: 0 });
    expect(await world.cycle()).toMatchObject({
      streams: { users: { restored: 0 }, groups: { memberships_added: 0 } },
    });
  },
);

test('rule 19: a first round that shows properties once, and unreadable, still gets them and all members', async () => {
  const { world } = await groupsWorld({ Team: [0, 1, 2, 3, 4, 5] }, { simulator: { pageSize: 1, memberSlice: 3 } });
  let slice = 0;
  alterPages(world, (item) =>
    item['members@delta']
      ? slice++ === 0
        ? nul(item)
        : { id: item.id, 'members@delta': item['members@delta'] }
      : item,
  );
  await world.cycle();
  await expectGroups(world);
});

test('rule 19: while GET shows a member without an id too, no membership ends; the list is read again until it is readable', async () => {
  const { world, tenant, group, person } = await groupsWorld({ Team: [0, 1] });
  await world.cycle();
  tenant.removeMember(group('Team'), person(1));
  const noId = (entry: unknown) => ({ ...(entry as object), id: '' });
  const ofMembers = (url: string) => url.includes(`/groups/${group('Team')}/members`);
  const pages = alterPages(world, (item) => ({ ...item, 'members@delta': (item['members@delta'] ?? []).map(noId) }));
  const lists = world.simulator.transform(({ url }, body) =>
    ofMembers(url) ? { ...body, value: (body as { value: unknown[] }).value.map(noId) } : body,
  );
  const bad = await world.cycle({ resync: true });
  expect(bad.streams.groups).toMatchObject({ memberships_removed: 0, set_aside: 1 });
  expect(await asideOf(world)).toEqual([`${group('Team')}/`]);
  pages();
  lists();
  expect((await world.cycle()).streams.groups).toMatchObject({ round: 'incremental', memberships_removed: 1 });
  expect(await asideOf(world)).toEqual([]);
  await expectGroups(world);
});

test.runIf(isDeep)('rule 8: a group whose properties can never be read has the members that it has', async () => {
  const { world, tenant, person, group } = await groupsWorld({ Team: [0, 1] });
  await setScope(world, { groups: [group('Team')] });
  await world.cycle();
  alterPages(world, (item) => (item.id === group('Team') ? nul(item) : item));
  world.simulator.transform(({ url }, body) => (url.includes(`/groups/${group('Team')}?`) ? nul(body as Item) : body));
  tenant.removeMember(group('Team'), person(0));
  tenant.addMember(group('Team'), person(2));
  await world.cycle();
  expect(await asideOf(world)).toEqual([group('Team')]);
  expect([await isLive(world, person(0)), await isLive(world, person(2))]).toEqual([false, true]);
  tenant.addMember(group('Team'), person(3));
  await world.cycle({ resync: true });
  expect(await isLive(world, person(3))).toBe(true);
  expect((await world.cycle()).streams.users).toMatchObject({ removed: 0 });
});

test('rule 8: a full round ends memberships of users who are removed for being out of scope', async () => {
  const { world, tenant, person, group } = await groupsWorld({ Scope: [0, 1], Team: [0, 2] });
  forgetLeavers(world);
  await setScope(world, { groups: [group('Scope')] });
  await world.cycle();
  tenant.removeMember(group('Scope'), person(0));
  await world.cycle();
  expect(await removedOf(world.database, tenant.tenantId)).toEqual({ [person(0)]: 'out_of_scope' });
  tenant.removeMember(group('Team'), person(0));
  await makeFullDue(world, 'groups');
  await world.cycle();
  tenant.addMember(group('Scope'), person(0));
  await world.cycle();
  expect(await isLive(world, person(0))).toBe(true);
  const seen = await rows(
    world.database,
    `select from directory.memberships m join directory.groups g using (group_id) join directory.accounts a using (account_id)
      where g.entra_object_id = :team and a.entra_object_id = :person`,
    { team: group('Team'), person: person(0) },
  );
  expect(seen).toEqual([]);
});

test.runIf(isDeep)('rule 8: a user outside who left the scope group and becomes eligible stays outside', async () => {
  const { world, tenant, person, group } = await groupsWorld({ Scope: [0, 1] });
  forgetLeavers(world);
  await setScope(world, { accountEnabled: true, groups: [group('Scope')] });
  await world.cycle();
  tenant.updateUser(person(0), { accountEnabled: false });
  await world.cycle();
  tenant.removeMember(group('Scope'), person(0));
  tenant.expireTokens('410');
  await world.cycle();
  tenant.updateUser(person(0), { accountEnabled: true });
  await world.cycle();
  expect(await isLive(world, person(0))).toBe(false);
});

test('rule 8: a user restored during a full groups round keeps its memberships', async () => {
  const { world, tenant, person } = await groupsWorld(
    { Team: [0, 1], Other: [2] },
    { simulator: { pageSize: 1, restoredMembers: false } },
  );
  await world.cycle();
  tenant.deleteUser(person(0));
  await world.cycle();
  await makeFullDue(world, 'groups');
  let pages = 0;
  world.simulator.intercept(async ({ url }) => {
    if (url.startsWith('/v1.0/groups/delta') && ++pages >= 2)
      await until('the account', () => isLive(world, person(0)));
    if (!ofUsers(url)) return undefined;
    await until('the full round has begun', () => pages >= 2);
    if (tenant.deletedUsers().length > 0) tenant.restoreUser(person(0));
    return undefined;
  });
  const { streams } = await world.cycle();
  expect(streams).toMatchObject({ users: { restored: 1 }, groups: { round: 'full', memberships_removed: 0 } });
  await expectGroups(world);
});

test.runIf(isDeep)('rule 8: if two lists decide one membership the later one counts', async () => {
  const { world, tenant, person, group } = await groupsWorld({ Team: [0, 1] }, quiet);
  await world.cycle();
  tenant.deleteUser(person(0));
  await world.cycle();
  await makeFullDue(world, 'groups');
  // Drift that makes the full round read the list of Team while user 0 is soft-deleted.
  await world.database.raw(
    storing(
      "select tenant_id, group_no, :stale::uuid as member_object_id, 'u' as member_type from entra_sync.groups where entra_object_id = :team",
    ),
    { stale: person(5), team: group('Team') },
  );
  let listRead = false;
  world.simulator.intercept(async ({ url }) => {
    if (url.includes(`/users/${person(5)}`)) {
      listRead = true;
      await until('the account', () => isLive(world, person(0)));
    }
    if (ofUsers(url)) {
      await until('the list was read', () => listRead);
      if (tenant.deletedUsers().length > 0) tenant.restoreUser(person(0));
    }
    return undefined;
  });
  const { streams } = await world.cycle();
  expect(streams).toMatchObject({ users: { restored: 1 }, groups: { round: 'full', memberships_removed: 1 } });
  // Not the feed: it lacks the row that was inserted by hand.
  expect(await groupsSeen(world.database, tenant.tenantId)).toEqual(groupTruth(tenant));
});

test.runIf(isDeep)(
  'rule 8: a deleted user that no list names keeps its memberships while users cannot be read',
  async () => {
    const { world, tenant, person } = await groupsWorld({ Team: [0, 1] }, quiet);
    await world.cycle();
    tenant.deleteUser(person(0));
    const up = world.simulator.intercept(({ url }) => (ofUsers(url) ? { status: 503, body: {} } : undefined));
    await makeFullDue(world, 'groups');
    await world.cycle().catch(() => {});
    up();
    tenant.restoreUser(person(0));
    await world.cycle();
    await expectGroups(world);
  },
);

/** Runs a cycle that is interrupted at the n-th page of groups/delta, before users were read. */
async function cutOff(world: World, page: number, wishes: { resync?: boolean } = {}): Promise<void> {
  const stop = new AbortController();
  let pages = 0;
  const off = world.simulator.intercept(({ url }) => {
    if (ofGroups(url) && ++pages === page) stop.abort(interruption());
    return ofUsers(url) ? { hang: true } : undefined;
  });
  await world.cycle({ ...wishes, signal: stop.signal }).catch(() => {});
  off();
  expect(pages).toBeGreaterThanOrEqual(page);
}

test.each(
  rowsOf(
    [
      ['the first groups round', true],
      ['another full groups round', false],
    ],
    (_, n) => n === 1,
  ),
)(
  'rule 8: a user deleted when %s begins and restored before it resumes has all groups at once',
  async (_what, first) => {
    const { world, tenant, person, group } = await groupsWorld(
      { Team: [0, 1], Other: [0, 2], More: [3] },
      { simulator: { pageSize: 1, restoredMembers: false } },
    );
    if (!first) await world.cycle();
    // Joined and deleted between two cycles, so nothing of this is stored; users/delta never shows the deletion.
    tenant.addMember(group('More'), person(0));
    const late = tenant.createGroup({ displayName: 'Late', ...unified });
    tenant.addMember(late, person(0));
    tenant.deleteUser(person(0));
    if (!first) await makeFullDue(world, 'groups');
    await cutOff(world, 2);
    tenant.restoreUser(person(0));
    // The users are committed first, when the new group is not stored yet.
    const roundOfUsers = () =>
      rows(world.database, "select round_id from entra_sync.checkpoints where stream = 'users'");
    const before = JSON.stringify(await roundOfUsers());
    const wait = world.simulator.intercept(async ({ url }) => {
      if (ofGroups(url)) await until('the users', async () => JSON.stringify(await roundOfUsers()) !== before);
      return undefined;
    });
    await world.cycle();
    wait();
    await world.cycle();
    await expectGroups(world);
    expect(await rows(world.database, 'select from entra_sync.deleted_strangers')).toEqual([]);
  },
);

test('rule 8: a group deleted when a full groups round begins and restored before it resumes is whole at once', async () => {
  const { world, tenant, group } = await groupsWorld(
    { First: [5], Outer: ['Inner', 2], Inner: [0, 1] },
    { simulator: { pageSize: 1, restoredMembers: false, roles: ['User.Read.All', 'Group.Read.All'] } },
  );
  tenant.deleteGroup(group('Inner'));
  await cutOff(world, 2);
  tenant.restoreGroup(group('Inner'));
  await world.cycle();
  await expectGroups(world);
});

test('rule 22: a tenant whose deleted objects Graph does not list is synced all the same', async () => {
  const { world } = await groupsWorld({ Team: [0, 1] });
  world.simulator.intercept(({ url }) => (url.includes('/directory/deletedItems/') ? forbidden : undefined));
  expect(await world.cycle()).toMatchObject({ outcome: 'committed' });
  await expectGroups(world);
});

test.runIf(isDeep)(
  'rule 8: a nested group that was taken out of another one while it was deleted is not in it after its restore',
  async () => {
    const { world, tenant, group } = await groupsWorld(
      { Outer: ['Inner', 2], Other: ['Inner'], New: [3], Inner: [0, 1] },
      quiet,
    );
    await world.cycle();
    // The least that Graph may show: nothing about deleted members.
    alterPages(world, (item) => ({
      ...item,
      'members@delta': (item['members@delta'] ?? []).filter((one) => one.id !== group('Inner')),
    }));
    tenant.addMember(group('New'), group('Inner'));
    tenant.deleteGroup(group('Inner'));
    await world.cycle();
    tenant.removeMember(group('Outer'), group('Inner'));
    await world.cycle();
    tenant.restoreGroup(group('Inner'));
    const { streams } = await world.cycle();
    expect(streams.groups).toMatchObject({ round: 'incremental', restored: 1 });
    await expectGroups(world);
  },
);

test.runIf(isDeep)(
  'rule 7: a group that is purged before it is restored in Entra ID has its members again',
  async () => {
    const { world, tenant, group } = await groupsWorld({ Team: [0, 1] }, quiet, unified);
    await setSettings(world.database, { retention: '1d', scope: { userType: 'any' } });
    await world.cycle();
    tenant.deleteGroup(group('Team'));
    await world.cycle();
    await world.database.raw(
      "update entra_sync.groups set purge_at = now() - interval '1 minute' where removed_at is not null",
    );
    expect((await world.cycle()).streams.groups).toMatchObject({ purged: 1 });
    tenant.restoreGroup(group('Team'));
    await world.cycle();
    await expectGroups(world);
  },
);

test.runIf(isDeep)(
  'rule 7: a user purged before its restore in Entra ID has its groups again, with a full groups round between',
  async () => {
    const { world, tenant, person } = await groupsWorld({ Team: [0, 1] }, quiet);
    forgetLeavers(world);
    await setSettings(world.database, { retention: '1d', scope: { userType: 'any' } });
    await world.cycle();
    tenant.deleteUser(person(0));
    await world.cycle();
    await world.database.raw(
      "update entra_sync.accounts set purge_at = now() - interval '1 minute' where removed_at is not null",
    );
    expect((await world.cycle()).streams.users).toMatchObject({ purged: 1 });
    await makeFullDue(world, 'groups');
    await world.cycle();
    tenant.restoreUser(person(0));
    await world.cycle();
    await expectGroups(world);
  },
);

test.each(rowsOf([forbidden, notFound], (_, n) => n === 0))(
  'rule 22: refused members of a group ($status) stop no other group, and are asked for again',
  async (refusal) => {
    const { world, tenant, person, group } = await groupsWorld({ Team: [0, 1], Other: [2] }, quiet);
    await world.cycle();
    tenant.deleteGroup(group('Team'));
    await world.cycle();
    tenant.restoreGroup(group('Team'));
    tenant.addMember(group('Team'), person(4));
    tenant.addMember(group('Other'), person(3));
    const mend = world.simulator.intercept(({ url }) =>
      url.includes(`/groups/${group('Team')}/members`) ? refusal : undefined,
    );
    expect((await world.cycle()).streams.groups).toMatchObject({ restored: 1, set_aside: 1 });
    expect(await asideOf(world)).toEqual([`${group('Team')}/members`]);
    expect((await world.cycle()).streams.groups).toMatchObject({ set_aside: 1 });
    mend();
    await world.cycle();
    expect(await asideOf(world)).toEqual([]);
    await expectGroups(world);
  },
);

test.each(rowsOf([forbidden, notFound], (_, n) => n === 1))(
  'rule 22: refused groups of a user ($status) stop no other user, and are asked for again',
  async (refusal) => {
    const { world, tenant, person, group } = await groupsWorld({ Team: [0, 1], Other: [2] }, quiet);
    await world.cycle();
    tenant.deleteUser(person(0));
    await world.cycle();
    tenant.restoreUser(person(0));
    tenant.addMember(group('Other'), person(0));
    const mend = world.simulator.intercept(({ url }) => (url.includes('/memberOf') ? refusal : undefined));
    expect((await world.cycle()).streams.users).toMatchObject({ restored: 1, set_aside: 1 });
    expect(await asideOf(world)).toEqual([`${person(0)}/memberOf`]);
    mend();
    await world.cycle();
    expect(await asideOf(world)).toEqual([]);
    await expectGroups(world);
  },
);
