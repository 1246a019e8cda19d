// Held removals (rule 10): a round that would remove too many accounts removes none and reports it, and a person decides.
import { expect, test } from 'vitest';
import { decideRemovals } from '../../../src/store/commit/held-removals.ts';
import { openLists } from '../../../src/store/commit/removal-lists.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { disconnectTenant, reconnectTenant } from '../../../src/store/tenants/disconnect.ts';
import { runCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { hideUsers } from '../../support/glitches.ts';
import { membershipPairs, replayMemberships } from '../../support/groups-truth.ts';
import { setSettings } from '../../support/settings.ts';
import { accountsOf, failureOf, openWorld, removedOf, type World } from '../../support/system.ts';

const limits = { max: 500, percent: 20, floor: 20 };

async function guardedWorld(options: Parameters<typeof openWorld>[0] = {}): Promise<World> {
  const world = await openWorld({ users: 30, ...options });
  await setSettings(world.database, { removals: limits });
  return world;
}

const live = async ({ database, tenant }: World) => Object.keys(await accountsOf(database, tenant.tenantId)).length;
const removed = async ({ database, tenant }: World) => Object.keys(await removedOf(database, tenant.tenantId)).length;
const lists = ({ database, tenant }: World) => openLists(database, tenant.tenantId);
const kinds = async ({ database }: World, like: string) =>
  (
    await rows<{ kind: string; count: number }>(
      database,
      'select kind, count(*)::int as count from directory.changes where kind like :like group by kind order by kind',
      { like },
    )
  ).map((row) => `${row.kind} ${row.count}`);

const decide = (
  { database, tenant }: World,
  decision: 'approve' | 'reject',
  listId: string,
  ids: readonly string[] | null = null,
) => decideRemovals(database, { tenantId: tenant.tenantId, listId, ids, decision, side: 'vendor', actor: 'ann' });

function remove({ tenant }: World, count: number): string[] {
  const gone = tenant
    .users()
    .slice(0, count)
    .map((user) => user.id);
  for (const id of gone) tenant.deleteUser(id);
  return gone;
}

/** Makes Graph show only `count` of the users, by GET too, as a directory in trouble does. */
const shorten = (world: World, count: number) =>
  hideUsers(
    world,
    world.tenant
      .users()
      .slice(count)
      .map((user) => user.id),
  );

test('rule 10: removals beyond the limit are held, everything else of the round is committed, and approval removes at once', async () => {
  const world = await guardedWorld({ groups: 3 });
  const { tenant, database } = world;
  await world.cycle();
  const gone = remove(world, 7);
  const stays = tenant.users()[0]?.id ?? '';
  tenant.updateUser(stays, { jobTitle: 'New Title' });
  const hired = tenant.createUser();
  const result = await world.cycle();
  expect(result).toMatchObject({
    outcome: 'held',
    streams: { users: { removed: 0, held: 7, updated: 1, created: 1 } },
  });
  expect(await live(world)).toBe(31);
  expect((await accountsOf(database, tenant.tenantId))[hired]).toBeDefined();
  const [list] = await lists(world);
  expect(list).toMatchObject({
    held: 7,
    stream: 'users',
    unconfirmed: 0,
    why: '7 of 30 in one round are more than 20 %',
  });
  const shown = await rows(database, 'select account_id, reason from directory.held_removals');
  expect(shown).toEqual(Array(7).fill({ account_id: expect.any(String), reason: 'deleted_restorable' }));
  const [row] = await rows(database, 'select held_removals, last_error_code, last_success_at from directory.tenants');
  expect(row).toMatchObject({ held_removals: 7, last_error_code: 'removals_held', last_success_at: expect.any(Date) });
  expect(await kinds(world, 'removal.%')).toEqual(['removal.held 7']);
  // Without a decision nothing happens, and every cycle reports it.
  expect(await world.cycle()).toMatchObject({ outcome: 'held', lists: [{ held: 7 }] });
  expect(await kinds(world, 'removal.%')).toEqual(['removal.held 7']);
  expect(await decide(world, 'approve', list?.list_id ?? '')).toEqual({
    accounts: 7,
    suspended: 0,
    groups: 0,
    memberships: 0,
    skipped: [],
  });
  expect(Object.keys(await removedOf(database, tenant.tenantId)).sort()).toEqual(gone.sort());
  expect(await kinds(world, '%removal.%')).toEqual(['removal.approved 7', 'removal.held 7']);
  expect(await kinds(world, 'account.removed')).toEqual(['account.removed 7']);
  expect(await replayMemberships(database, tenant.tenantId)).toEqual(await membershipPairs(database, tenant.tenantId));
  expect(await failureOf(decide(world, 'approve', list?.list_id ?? ''))).toMatchObject({ code: 'unknown_name' });
  expect(await world.cycle()).toMatchObject({ outcome: 'committed' });
  tenant.restoreUser(gone[0] ?? '');
  expect((await world.cycle()).streams.users.restored).toBe(1);
});

test('rule 10: rejected accounts become manual, and are managed again when Graph shows them live', async () => {
  const world = await guardedWorld();
  const { tenant, database } = world;
  await world.cycle();
  const gone = remove(world, 8);
  await world.cycle();
  const [list] = await lists(world);
  expect(await decide(world, 'reject', list?.list_id ?? '')).toMatchObject({ accounts: 8 });
  const states = () =>
    rows(database, 'select state, count(*)::int as count from directory.accounts group by state order by state');
  expect(await states()).toEqual([
    { state: 'managed', count: 22 },
    { state: 'manual', count: 8 },
  ]);
  await world.cycle({ resync: true });
  expect(await states()).toHaveLength(2);
  tenant.restoreUser(gone[0] ?? '');
  await world.cycle();
  expect(await states()).toEqual([
    { state: 'managed', count: 23 },
    { state: 'manual', count: 7 },
  ]);
});

test('rule 10: a user who comes back leaves the list and is skipped in a decision, and an empty list ends', async () => {
  const world = await guardedWorld();
  const { tenant } = world;
  await world.cycle();
  const gone = remove(world, 7);
  await world.cycle();
  tenant.restoreUser(gone[0] ?? '');
  await world.cycle();
  const [list] = await lists(world);
  expect(list).toMatchObject({ held: 6 });
  const decided = await decide(world, 'approve', list?.list_id ?? '', [gone[0] ?? '', gone[1] ?? '']);
  expect(decided).toEqual({ accounts: 1, suspended: 0, groups: 0, memberships: 0, skipped: [gone[0]] });
  for (const id of gone.slice(2)) tenant.restoreUser(id);
  expect(await world.cycle()).toMatchObject({ outcome: 'committed' });
  expect(await lists(world)).toEqual([]);
  expect(await removed(world)).toBe(1);
});

test('rule 10: a list never grows: removals of a later round make another list', async () => {
  const world = await guardedWorld({ users: 40 });
  await world.cycle();
  remove(world, 9);
  await world.cycle();
  remove(world, 9);
  await world.cycle();
  expect((await lists(world)).map((list) => list.held)).toEqual([9, 9]);
  const [first] = await lists(world);
  await decide(world, 'approve', first?.list_id ?? '');
  expect(await removed(world)).toBe(9);
});

test('rule 10: a few a day come to the seven-day limit, which counts no approved ones', async () => {
  const world = await guardedWorld({ users: 50 });
  await world.cycle();
  for (const [count, held] of [
    [9, 0],
    [8, 0],
    [3, 0],
    [1, 1],
  ]) {
    remove(world, count ?? 0);
    expect((await world.cycle()).streams.users.held).toBe(held);
  }
  const [list] = await lists(world);
  expect(list?.why).toBe('21 of 50 within seven days are more than twice 20 %');
  await decide(world, 'approve', list?.list_id ?? '');
  await world.database.raw(
    "update entra_sync.accounts set removed_at = removed_at - interval '8 days' where removed_at is not null",
  );
  remove(world, 5);
  expect((await world.cycle()).streams.users).toMatchObject({ held: 0, removed: 5 });
});

test('rule 10: a tenant below the floor is not drained in portions of less than half', async () => {
  const world = await guardedWorld({ users: 10 });
  await world.cycle();
  for (const [count, held] of [
    [3, 0],
    [2, 0],
    [1, 1],
  ]) {
    remove(world, count ?? 0);
    expect((await world.cycle()).streams.users.held).toBe(held);
  }
  expect(await lists(world)).toMatchObject([{ held: 1, why: '6 of 10 within seven days are more than half' }]);
});

test.runIf(isDeep)('rule 10: approved removals do not count in the seven-day budget', async () => {
  const world = await guardedWorld({ users: 50 });
  await world.cycle();
  remove(world, 15);
  await world.cycle();
  const [list] = await lists(world);
  await decide(world, 'approve', list?.list_id ?? '');
  remove(world, 7);
  expect((await world.cycle()).streams.users).toMatchObject({ held: 0, removed: 7 });
});

test('rules 8, 10: a permanently deleted user who is held keeps its memberships until the removal is approved', async () => {
  const world = await guardedWorld();
  const { tenant, database } = world;
  const group = tenant.createGroup({ displayName: 'Team' });
  const gone = tenant
    .users()
    .slice(0, 8)
    .map((user) => user.id);
  for (const id of gone) tenant.addMember(group, id);
  await world.cycle();
  for (const id of gone) tenant.purgeUser(id);
  expect((await world.cycle()).streams.users).toMatchObject({ held: 8, memberships_removed: 0 });
  const stored = () => rows(database, 'select member_object_id from entra_sync.memberships');
  expect(await stored()).toHaveLength(8);
  const [list] = await lists(world);
  await decide(world, 'approve', list?.list_id ?? '');
  expect(await stored()).toEqual([]);
  expect(await replayMemberships(database, tenant.tenantId)).toEqual(await membershipPairs(database, tenant.tenantId));
});

test('rules 10, 24: a full round that shows too few users removes none; the next is full by itself and heals without approval', async () => {
  const world = await guardedWorld();
  await world.cycle();
  const cure = shorten(world, 20);
  expect(await world.cycle({ resync: true })).toMatchObject({
    outcome: 'held',
    streams: { users: { held: 10, removed: 0 } },
  });
  cure();
  const [list] = await lists(world);
  expect(list).toMatchObject({ unconfirmed: 10 });
  const refused = await failureOf(decide(world, 'approve', list?.list_id ?? ''));
  expect(refused).toMatchObject({ code: 'usage', message: expect.stringContaining('one full round') });
  const healed = await world.cycle();
  expect(healed.streams.users).toMatchObject({ round: 'full', reason: 'removals_held', held: 0 });
  expect(healed.outcome).toBe('committed');
  expect(await lists(world)).toEqual([]);
  expect(await live(world)).toBe(30);
  expect((await world.cycle()).streams.users.round).toBe('incremental');
});

test('rule 10: absence can be approved once a second full round missed the same users, and only for those', async () => {
  const world = await guardedWorld();
  await world.cycle();
  let cure = shorten(world, 20);
  await world.cycle({ resync: true });
  cure();
  cure = shorten(world, 22);
  await world.cycle();
  cure();
  const [list] = await lists(world);
  expect(list).toMatchObject({ held: 8, unconfirmed: 0 });
  expect((await world.cycle()).streams.users.round, 'daily from now on').toBe('incremental');
  expect(await decide(world, 'approve', list?.list_id ?? '')).toMatchObject({ accounts: 8 });
  expect(await live(world)).toBe(22);
});

test.each([1, 5])('rule 10: an empty answer removes no user in a tenant of %i', async (users) => {
  const world = await guardedWorld({ users });
  await world.cycle();
  const cure = shorten(world, 0);
  const result = await world.cycle({ resync: true });
  cure();
  expect(result.streams.users).toMatchObject({ held: users, removed: 0 });
  expect(await live(world)).toBe(users);
  await world.cycle();
  expect(await lists(world)).toEqual([]);
});

test('rule 10: suspensions count like removals and are held like them, while the rest of the user is updated', async () => {
  const world = await guardedWorld();
  const { tenant, database } = world;
  await world.cycle();
  const people = tenant.users().filter((user) => user.properties.accountEnabled !== false);
  const before = await rows<{ count: number }>(
    database,
    'select count(*)::int as count from directory.accounts where enabled',
  );
  for (const one of people.slice(0, 9)) tenant.updateUser(one.id, { accountEnabled: false, jobTitle: 'On Leave' });
  expect((await world.cycle()).streams.users).toMatchObject({ held: 9, suspended: 0, updated: 9 });
  expect(await rows(database, 'select count(*)::int as count from directory.accounts where enabled')).toEqual(before);
  tenant.updateUser(people[0]?.id ?? '', { accountEnabled: true });
  tenant.updateUser(people[1]?.id ?? '', { city: 'Elsewhere' });
  await world.cycle();
  const [list] = await lists(world);
  expect(list).toMatchObject({ held: 8 });
  expect(await decide(world, 'approve', list?.list_id ?? '')).toMatchObject({ suspended: 8, accounts: 0 });
  const [after] = await rows<{ count: number }>(
    database,
    'select count(*)::int as count from directory.accounts where enabled',
  );
  expect(after?.count).toBe((before[0]?.count ?? 0) - 8);
  expect(await world.cycle()).toMatchObject({ outcome: 'committed', streams: { users: { suspended: 0, resumed: 0 } } });
});

test.runIf(isDeep)(
  'rule 10: adoption suspends no account past the guard, and a rejected suspension stays rejected',
  async () => {
    const world = await guardedWorld();
    const { tenant, database } = world;
    await world.cycle();
    const enabled = async () =>
      (
        await rows<{ count: number }>(database, 'select count(*)::int as count from directory.accounts where enabled')
      )[0]?.count;
    const before = await enabled();
    const people = tenant.users().filter((user) => user.properties.accountEnabled !== false);
    for (const one of people.slice(0, 12)) tenant.updateUser(one.id, { accountEnabled: false });
    await world.cycle();
    const [list] = await lists(world);
    await disconnectTenant(database, tenant.tenantId, { actor: 'test', dryRun: false });
    await reconnectTenant(database, tenant.tenantId, 'test');
    expect(await world.cycle()).toMatchObject({
      outcome: 'held',
      streams: { users: { adopted: 30, suspended: 0, held: 12 } },
    });
    expect(await enabled()).toBe(before);
    const [again] = await lists(world);
    expect(again?.list_id).not.toBe(list?.list_id);
    await decide(world, 'reject', again?.list_id ?? '');
    expect(await world.cycle({ resync: true })).toMatchObject({
      outcome: 'committed',
      streams: { users: { adopted: 0 } },
    });
    expect(await enabled()).toBe(before);
    for (const one of people.slice(0, 12)) tenant.updateUser(one.id, { accountEnabled: true });
    expect((await world.cycle()).streams.users.adopted).toBe(12);
  },
);

test('rule 10: suspended accounts count once within the week, even if they are removed then', async () => {
  const world = await guardedWorld({ users: 50 });
  const { tenant } = world;
  await world.cycle();
  const people = tenant.users().filter((user) => user.properties.accountEnabled !== false);
  for (const count of [10, 9]) {
    for (const one of people.splice(0, count)) tenant.updateUser(one.id, { accountEnabled: false });
    expect((await world.cycle()).streams.users).toMatchObject({ suspended: count, held: 0 });
  }
  for (const one of people.splice(0, 8)) tenant.updateUser(one.id, { accountEnabled: false });
  expect((await world.cycle()).streams.users, '27 of 50').toMatchObject({ suspended: 0, held: 8 });
  const suspended = await rows<{ id: string }>(
    world.database,
    'select entra_object_id as id from directory.accounts where not enabled order by updated_at desc limit 9',
  );
  for (const { id } of suspended) tenant.deleteUser(id);
  expect((await world.cycle()).streams.users, 'people of the week, once').toMatchObject({ removed: 9, held: 0 });
});

test.runIf(isDeep)(
  'rule 10: a held suspension that becomes a deletion is judged again, and a surer tombstone is kept',
  async () => {
    const world = await guardedWorld();
    const { tenant, database } = world;
    await world.cycle();
    const people = tenant
      .users()
      .filter((user) => user.properties.accountEnabled !== false)
      .slice(0, 9);
    for (const one of people) tenant.updateUser(one.id, { accountEnabled: false });
    await world.cycle();
    const [suspensions] = await lists(world);
    for (const one of people) tenant.deleteUser(one.id);
    await world.cycle();
    const [deletions] = await lists(world);
    expect(deletions?.list_id).not.toBe(suspensions?.list_id);
    const reasons = () => rows(database, 'select distinct reason from directory.held_removals');
    expect(await reasons()).toEqual([{ reason: 'deleted_restorable' }]);
    for (const one of people) tenant.purgeUser(one.id);
    await world.cycle();
    expect(await reasons()).toEqual([{ reason: 'deleted' }]);
  },
);

test('rules 10, 19, 22: a user that a later round shows with an unreadable body exists, and leaves the list', async () => {
  const world = await guardedWorld();
  await world.cycle();
  let cure = shorten(world, 20);
  await world.cycle({ resync: true });
  cure();
  cure = world.simulator.transform((request, body) => {
    const { value } = body as { value?: Record<string, unknown>[] };
    if (request.url.startsWith('/v1.0/users/delta') && value)
      return { ...body, value: value.map((one, index) => (index < 20 ? one : { ...one, mail: 'a\0b' })) };
    return 'mail' in body ? { ...body, mail: 'a\0b' } : body;
  });
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'full', set_aside: 10, removed: 0 });
  expect(await lists(world)).toEqual([]);
  expect((await world.cycle()).streams.users.round).toBe('incremental');
  cure();
});

test('rule 10: groups have the same guard, and keep their members while they are held', async () => {
  const world = await guardedWorld({ users: 10, groups: 12 });
  const { tenant, database } = world;
  await world.cycle();
  const members = await membershipPairs(database, tenant.tenantId);
  const gone = tenant.groups().slice(0, 8);
  for (const group of gone) tenant.deleteGroup(group.id);
  const result = await world.cycle();
  expect(result.streams.groups).toMatchObject({ removed: 0, held: 8 });
  expect(await membershipPairs(database, tenant.tenantId)).toEqual(members);
  const [list] = await lists(world);
  expect(list).toMatchObject({ stream: 'groups', held: 8 });
  expect(await decide(world, 'approve', list?.list_id ?? '')).toMatchObject({ groups: 8 });
  const [left] = await rows<{ count: number }>(database, 'select count(*)::int as count from directory.groups');
  expect(left?.count).toBe(4);
  expect(await replayMemberships(database, tenant.tenantId)).toEqual(await membershipPairs(database, tenant.tenantId));
  expect(await world.cycle({ resync: true })).toMatchObject({ outcome: 'committed' });
});

test.runIf(isDeep)(
  'rules 10, 20: groups whose removal was rejected keep their members, whatever Graph reports later',
  async () => {
    const world = await guardedWorld({ users: 10, groups: 8 });
    const { tenant, database } = world;
    await world.cycle();
    const members = await membershipPairs(database, tenant.tenantId);
    for (const group of tenant.groups().slice(0, 6)) tenant.purgeGroup(group.id);
    await world.cycle();
    const [list] = await lists(world);
    expect(await decide(world, 'reject', list?.list_id ?? '')).toMatchObject({ groups: 6 });
    expect(await world.cycle({ resync: true })).toMatchObject({ outcome: 'committed' });
    expect(await membershipPairs(database, tenant.tenantId)).toEqual(members);
  },
);

test('rule 10: a member list that comes short ends nothing at once, of one large group or of all together', async () => {
  const world = await guardedWorld({ users: 40 });
  const { tenant, database, simulator } = world;
  const [large, small] = ['Large', 'Small'].map((displayName) => tenant.createGroup({ displayName })) as [
    string,
    string,
  ];
  for (const user of tenant.users()) tenant.addMember(large, user.id);
  for (const user of tenant.users().slice(0, 5)) tenant.addMember(small, user.id);
  await world.cycle();
  const before = await membershipPairs(database, tenant.tenantId);
  const keep = new Set(
    tenant
      .users()
      .slice(0, 25)
      .map((user) => user.id),
  );
  const cut = (request: { url: string }, body: object) => {
    const { value } = body as { value?: Record<string, unknown>[] };
    if (!value) return body;
    const members = (list: unknown) => (list as { id: string }[]).filter((one) => keep.has(one.id));
    if (request.url.includes(`/groups/${large}/members`)) return { ...body, value: members(value) };
    if (!request.url.startsWith('/v1.0/groups/delta')) return body;
    return {
      ...body,
      value: value.map((one) =>
        one.id === large && one['members@delta'] ? { ...one, 'members@delta': members(one['members@delta']) } : one,
      ),
    };
  };
  let cure = simulator.transform(cut);
  const held = await world.cycle({ resync: true });
  expect(held.streams.groups).toMatchObject({ held: 15, memberships_removed: 0 });
  expect(await membershipPairs(database, tenant.tenantId)).toEqual(before);
  expect(await lists(world)).toMatchObject([{ what: 'membership', held: 15, unconfirmed: 15 }]);
  cure();
  expect(await world.cycle(), 'the next full round names them again').toMatchObject({ outcome: 'committed' });
  expect(await lists(world)).toEqual([]);
  cure = simulator.transform(cut);
  await world.cycle({ resync: true });
  await world.cycle();
  cure();
  const [list] = await lists(world);
  expect(list).toMatchObject({ unconfirmed: 0, why: '15 of the 40 members of one group would leave it' });
  const gone = tenant
    .users()
    .slice(25)
    .map((user) => user.id);
  expect(await decide(world, 'reject', list?.list_id ?? '', gone.slice(0, 3))).toMatchObject({ memberships: 3 });
  expect(await decide(world, 'approve', list?.list_id ?? '')).toMatchObject({ memberships: 12 });
  cure = simulator.transform(cut);
  expect(await world.cycle({ resync: true }), 'what was rejected is not asked again').toMatchObject({
    outcome: 'committed',
  });
  cure();
  expect(await membershipPairs(database, tenant.tenantId)).toHaveLength(before.length - 12);
  expect(await replayMemberships(database, tenant.tenantId)).toEqual(await membershipPairs(database, tenant.tenantId));
});

test('rule 10: approving the memberships of one group ends those of no other', async () => {
  const world = await guardedWorld({ users: 40 });
  const { tenant, database, simulator } = world;
  const teams = ['One', 'Two'].map((displayName) => tenant.createGroup({ displayName })) as [string, string];
  const people = tenant
    .users()
    .slice(0, 15)
    .map((user) => user.id);
  for (const team of teams) for (const id of people) tenant.addMember(team, id);
  await world.cycle();
  const empty = (url: string) => teams.some((team) => url.includes(`/groups/${team}/members`));
  const cure = simulator.transform((request, body) => {
    const { value } = body as { value?: Record<string, unknown>[] };
    if (!value) return body;
    if (empty(request.url)) return { ...body, value: [] };
    if (!request.url.startsWith('/v1.0/groups/delta')) return body;
    return {
      ...body,
      value: value.map((one) => (teams.includes(String(one.id)) ? { ...one, 'members@delta': [] } : one)),
    };
  });
  await world.cycle({ resync: true });
  await world.cycle();
  cure();
  const [list] = await lists(world);
  expect(list).toMatchObject({ held: 30, unconfirmed: 0 });
  const [group] = await rows<{ id: string }>(
    database,
    'select group_id as id from directory.groups where entra_object_id = :id',
    { id: teams[0] },
  );
  expect(await decide(world, 'approve', list?.list_id ?? '', [group?.id ?? ''])).toMatchObject({ memberships: 15 });
  const [left] = await rows(
    database,
    'select count(*)::int as count, count(distinct group_no)::int as groups from entra_sync.memberships',
  );
  expect(left).toEqual({ count: 15, groups: 1 });
  expect(await lists(world)).toMatchObject([{ held: 15 }]);
});

test.runIf(isDeep)('rule 10: a membership whose member or group is removed leaves its list', async () => {
  const world = await guardedWorld({ users: 40, groups: 6 });
  const { tenant, simulator } = world;
  const team = tenant.createGroup({
    displayName: 'Team',
    groupTypes: ['Unified'],
    mailEnabled: true,
    securityEnabled: false,
  });
  for (const user of tenant.users().slice(0, 30)) tenant.addMember(team, user.id);
  await world.cycle();
  const cure = simulator.transform((request, body) => {
    const { value } = body as { value?: Record<string, unknown>[] };
    if (!value) return body;
    if (request.url.includes(`/groups/${team}/members`)) return { ...body, value: [] };
    if (!request.url.startsWith('/v1.0/groups/delta')) return body;
    return { ...body, value: value.map((one) => (one.id === team ? { ...one, 'members@delta': [] } : one)) };
  });
  await world.cycle({ resync: true });
  cure();
  expect(await lists(world)).toMatchObject([{ what: 'membership', held: 30 }]);
  tenant.deleteGroup(team);
  await world.cycle();
  expect(await lists(world)).toEqual([]);
  expect((await world.cycle()).streams.groups.round).toBe('incremental');
});

test('rule 10: a narrower scope is held like any other mass removal, and the list ends when the scope is widened again', async () => {
  const world = await guardedWorld();
  const { tenant, database } = world;
  const group = tenant.createGroup({ displayName: 'Licensed' });
  for (const user of tenant.users().slice(0, 3)) tenant.addMember(group, user.id);
  await world.cycle();
  await setSettings(database, { scope: { groups: [group], userType: 'any' } });
  expect(await world.cycle()).toMatchObject({ outcome: 'held', streams: { users: { held: 27, removed: 0 } } });
  for (const user of tenant.users().slice(3, 6)) tenant.addMember(group, user.id);
  await world.cycle();
  expect((await lists(world)).map((list) => list.held)).toEqual([24]);
  await setSettings(database, { scope: { groups: [], userType: 'any' } });
  expect(await world.cycle()).toMatchObject({ outcome: 'committed' });
  expect(await live(world)).toBe(30);
});

test('rule 10: the limits act at once when the settings change, without a full round', async () => {
  const world = await guardedWorld();
  await world.cycle();
  await setSettings(world.database, { removals: { max: 0 } });
  remove(world, 1);
  const result = await world.cycle();
  expect(result.streams.users).toMatchObject({ round: 'incremental', held: 1 });
});

test('a dry run says what would be held, and disconnecting leaves nothing to decide', async () => {
  const world = await guardedWorld();
  await world.cycle();
  remove(world, 9);
  const dry = await world.cycle({ dryRun: true });
  expect(dry.streams.users).toMatchObject({ held: 9, removed: 0 });
  expect(dry.sample.map((one) => [one.kind, one.after])).toEqual(
    Array.from({ length: 9 }, () => ['removal.held', { reason: 'deleted_restorable' }]),
  );
  expect(await lists(world)).toEqual([]);
  await world.cycle();
  expect(
    (await lists(world)).map((list) => list.list_id),
    'the dry run took no number',
  ).toEqual(['1']);
  const cli = (...words: string[]) =>
    runCli(words, { ...world.simulator.environment(world.tenant.tenantId), DATABASE_URL: world.url });
  const [held] = await rows<{ id: string }>(world.database, 'select account_id as id from directory.held_removals');
  const explained = await cli('explain', held?.id ?? '');
  expect(explained.stdout).toMatch(
    /held +the removal waits for a person, held .* in list \d+: soft-deleted in Entra ID/,
  );
  expect(await cli('verify'), 'what waits for a person is no drift').toMatchObject({ code: 0 });
  const listed = await cli('removals', 'list');
  expect(listed).toMatchObject({ code: 0 });
  expect(listed.stdout).toContain('9 accounts held');
  expect(listed.stdout).toContain('None of this has been applied.');
  const synced = await cli('sync');
  expect(synced).toMatchObject({ code: 4 });
  expect(synced.stderr).toMatch(/9 removals of users held in list \d+/);
  const [list] = await lists(world);
  const number = list?.list_id ?? '';
  for (const wrong of [
    ['--list', number],
    ['--list', 'x', '--all'],
    ['--list', '999', '--all'],
    ['--list', number, '49f093cb-32df-428f-a9a8-c4d7c17b1782'],
    ['--list', number, '--all', number],
  ])
    expect(await cli('removals', 'approve', world.tenant.tenantId, ...wrong), wrong.join(' ')).toMatchObject({
      code: 2,
    });
  const approved = await cli('removals', 'approve', world.tenant.tenantId, '--list', number, '--all', '--actor', 'Ann');
  expect(approved).toMatchObject({ code: 0 });
  expect(approved.stdout).toContain('9 accounts removed');
  expect(approved.stdout).toContain(`removals undo "${world.tenant.name}" --list ${number} takes it back.`);
  const actors = await rows(
    world.database,
    "select distinct actor from directory.changes where kind = 'removal.approved'",
  );
  expect(actors).toEqual([{ actor: 'Ann' }]);
  remove(world, 8);
  await world.cycle();
  await cli('tenant', 'disconnect', world.tenant.tenantId);
  expect(await lists(world)).toEqual([]);
});

test.runIf(isDeep)(
  'removals list shows as many as it is told, says how to see the rest, and prints all for a spreadsheet',
  async () => {
    const world = await openWorld({ users: 70, name: 'Contoso' });
    await setSettings(world.database, { removals: { max: 5, percent: 100, floor: 0 } });
    const [first] = world.tenant.users();
    world.tenant.updateUser(first?.id ?? '', { displayName: '=1+1, "formula"' });
    await world.cycle();
    remove(world, 60);
    await world.cycle();
    const cli = (...words: string[]) => runCli(['removals', 'list', ...words], { DATABASE_URL: world.url });
    const rowsOfTable = (text: string) =>
      text.match(/soft-deleted in Entra ID, where it can be restored for 30 days$/gm);
    const listed = await cli();
    expect(rowsOfTable(listed.stdout)).toHaveLength(50);
    expect(listed.stdout).toContain('… and 10 more -> entra-sync removals list "Contoso" --limit 60, or --csv');
    const all = await cli('Contoso', '--limit', '60');
    expect(rowsOfTable(all.stdout)).toHaveLength(60);
    expect(all.stdout).not.toContain('more ->');
    const { lists: asJson } = JSON.parse((await cli('--json')).stdout);
    expect(asJson[0].removals[0]).toMatchObject({ reason: 'deleted_restorable' });

    const csv = await cli('--csv');
    expect([csv.code, csv.stdout.endsWith('\r\n')]).toEqual([0, true]);
    const lines = csv.stdout.trimEnd().split('\r\n');
    expect(lines).toHaveLength(61);
    expect(lines[0]).toBe('list,tenant,what,id,name,user principal name,would leave,reason,reason code,held since');
    expect(lines.filter((line) => line.includes(`,"'=1+1, ""formula""",`))).toHaveLength(1);
    expect(lines[1]).toMatch(
      /^\d+,Contoso,account,[0-9a-f-]{36},.*,"soft-deleted in Entra ID, where .*",deleted_restorable,\d{4}-.*Z$/,
    );
    expect((await cli('--csv', '--json')).code).toBe(2);
  },
);
