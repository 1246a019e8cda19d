// Rules 3, 4, 7, 8, 9, 12, 21 in cycles of groups: what a round shows of groups and members, and what applications see.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import type { CycleResult } from '../../../src/engine/cycle.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { runCli } from '../../support/cli.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { hideGroups } from '../../support/glitches.ts';
import { groupsSeen, groupTruth, membershipPairs, replayMemberships } from '../../support/groups-truth.ts';
import { expectTruth, failureOf, interruption, openWorld, type World } from '../../support/system.ts';

type Item = Record<string, unknown> & { id: string; 'members@delta'?: { id: string }[] };

const ofGroups = (url: string) => url.startsWith('/v1.0/groups/delta');
const ofUsers = (url: string) => url.startsWith('/v1.0/users/delta');
const down = { status: 503, body: {} };

/** Alters the objects of every page of groups/delta. */
function alterPages(world: World, alter: (items: Item[]) => Item[]): () => void {
  return world.simulator.transform(({ url }, body) =>
    ofGroups(url) ? { ...body, value: alter((body as { value: Item[] }).value) } : body,
  );
}

const unified = { groupTypes: ['Unified'], mailEnabled: true, securityEnabled: false };

/** Opens a world whose groups have these members: users by number, groups by name. */
async function worldOf(
  members: Record<string, (number | string)[]>,
  options: Parameters<typeof openWorld>[0] = {},
  properties: Record<string, unknown> = {},
) {
  const world = await openWorld(options);
  const { tenant } = world;
  const people = tenant.users().map((user) => user.id);
  const ids = new Map(
    Object.keys(members).map((name) => [name, tenant.createGroup({ displayName: name, ...properties })]),
  );
  const person = (number: number): string => people[number] ?? expect.unreachable('too few people');
  const group = (name: string): string => ids.get(name) ?? expect.unreachable('no such group');
  for (const [name, list] of Object.entries(members))
    for (const one of list) tenant.addMember(group(name), typeof one === 'number' ? person(one) : group(one));
  return { world, tenant, person, group };
}

/** Checks that the views show the tenant's truth, and that the feed replayed from empty gives the same. */
async function expectGroups({ tenant, database }: World): Promise<void> {
  expect(await groupsSeen(database, tenant.tenantId)).toEqual(groupTruth(tenant));
  expect(await replayMemberships(database, tenant.tenantId)).toEqual(await membershipPairs(database, tenant.tenantId));
}

/** Returns the stored memberships, shown or not, as "group member type". */
async function stored({ database }: World): Promise<string[]> {
  const found = await rows<{ fact: string }>(
    database,
    `select g.entra_object_id || ' ' || m.member_object_id || ' ' || m.member_type::text as fact
       from entra_sync.memberships m join entra_sync.groups g using (group_no)`,
  );
  return found.map((row) => row.fact).sort();
}

/** Returns the change rows of one cycle about groups and memberships, as "kind count". */
async function changesOf({ database }: World, { cycleId }: CycleResult): Promise<Record<string, number>> {
  const found = await rows<{ kind: string; count: number }>(
    database,
    `select kind, count(*)::int as count from directory.changes
      where cycle_id = :cycleId and (kind like 'group.%' or kind like 'membership.%') group by kind`,
    { cycleId },
  );
  return Object.fromEntries(found.map((row) => [row.kind, row.count]));
}

async function idOfGroup({ database }: World, object: string): Promise<string | undefined> {
  const [found] = await rows<{ group_id: string }>(
    database,
    'select group_id from entra_sync.groups where entra_object_id = :object',
    { object },
  );
  return found?.group_id;
}

async function removedGroups({ database }: World): Promise<Record<string, string>> {
  const found = await rows<{ entra_object_id: string; reason: string }>(
    database,
    'select entra_object_id, reason from directory.removed_groups',
  );
  return Object.fromEntries(found.map((row) => [row.entra_object_id, row.reason]));
}

const groupReads = ({ simulator }: World, pattern: RegExp) =>
  simulator.requests.filter(({ path }) => pattern.test(path)).length;

test('rule 8: a large group in slices over many pages is whole, in first, later and full rounds', async () => {
  const many = Array.from({ length: 40 }, (_, number) => number);
  const { world, tenant, person, group } = await worldOf(
    { Large: many.slice(0, 30), Small: [1, 'Large'] },
    { users: 40, simulator: { pageSize: 3, memberSlice: 4, shuffle: true } },
  );
  const first = await world.cycle();
  expect(first.streams.groups).toMatchObject({ distinct: 2, created: 2 });
  expect(await changesOf(world, first)).toEqual({ 'group.created': 2, 'membership.added': 32 });
  expect(first.streams.groups.seen).toBeGreaterThan(8);
  await expectGroups(world);
  for (const number of many.slice(0, 12)) tenant.removeMember(group('Large'), person(number));
  for (const number of many.slice(30)) tenant.addMember(group('Large'), person(number));
  const later = await world.cycle();
  expect(later.streams.groups).toMatchObject({ updated: 0, memberships_added: 10, memberships_removed: 12 });
  await expectGroups(world);
  const full = await world.cycle({ resync: true });
  expect(full.streams.groups.seen).toBeGreaterThan(7);
  expect(full.streams.groups).toMatchObject({ memberships_added: 0, memberships_removed: 0 });
  await expectGroups(world);
});

test.runIf(isDeep)(
  'rule 8: a later slice that lacks a member ends nothing, and "deleted" in it ends the membership alone',
  async () => {
    const { world, tenant, person, group } = await worldOf({ Team: [0, 1, 2] });
    await world.cycle();
    tenant.removeMember(group('Team'), person(1));
    const { streams } = await world.cycle();
    expect(streams.groups).toMatchObject({ memberships_added: 0, memberships_removed: 1 });
    await expectGroups(world);
    await expectTruth(tenant, world.database, []);
  },
);

test('rule 9: memberships that come before their users wait for them', async () => {
  const { world, group, person } = await worldOf({ Team: [0, 1], Outer: ['Team'] });
  const up = world.simulator.intercept(({ url }) => (ofUsers(url) ? down : undefined));
  expect(await failureOf(world.cycle())).toMatchObject({ code: 'graph_unavailable' });
  expect(await stored(world)).toHaveLength(3);
  const early = await groupsSeen(world.database, world.tenant.tenantId);
  expect([early.direct, early.effective]).toEqual([[`${group('Outer')} ${group('Team')}`], []]);
  up();
  const later = await world.cycle();
  expect(later.streams.users).toMatchObject({ created: 12, memberships_added: 2 });
  expect(later.streams.groups).toMatchObject({ seen: 0, memberships_added: 0 });
  await expectGroups(world);
  expect((await groupsSeen(world.database, world.tenant.tenantId)).effective).toContain(
    `${group('Outer')} ${person(0)} nested`,
  );
});

test('rule 9: users who come before their groups, and groups after the groups that hold them', async () => {
  const { world, tenant, person, group } = await worldOf({ Outer: [0] });
  const up = world.simulator.intercept(({ url }) => (ofGroups(url) ? down : undefined));
  await failureOf(world.cycle());
  expect((await groupsSeen(world.database, tenant.tenantId)).groups).toEqual({});
  up();
  const unborn = randomUUID();
  tenant.addMember(group('Outer'), unborn, '#microsoft.graph.group');
  await world.cycle();
  expect(await stored(world)).toContain(`${group('Outer')} ${unborn} g`);
  await expectGroups(world);
  tenant.createGroup({ id: unborn, displayName: 'Inner' });
  tenant.addMember(unborn, person(1));
  await world.cycle();
  await expectGroups(world);
  expect((await groupsSeen(world.database, tenant.tenantId)).effective).toContain(
    `${group('Outer')} ${person(1)} nested`,
  );
});

test('rule 9: devices, contacts, service principals and unknown types are stored and never shown', async () => {
  const { world, tenant, group, person } = await worldOf({ Mixed: [0] });
  const types = { device: 'd', orgContact: 'c', servicePrincipal: 's', agentIdentity: 'x' };
  const ids = Object.entries(types).map(([type, letter]) => {
    const id = randomUUID();
    tenant.addMember(group('Mixed'), id, `#microsoft.graph.${type}`);
    return { id, letter };
  });
  const result = await world.cycle();
  const facts = [
    `${group('Mixed')} ${person(0)} u`,
    ...ids.map(({ id, letter }) => `${group('Mixed')} ${id} ${letter}`),
  ];
  expect(await stored(world)).toEqual(facts.sort());
  expect(await changesOf(world, result)).toEqual({ 'group.created': 1, 'membership.added': 1 });
  expect(result.streams.groups.set_aside).toBe(0);
  await expectGroups(world);
  const full = await world.cycle({ resync: true });
  expect(full.streams.groups).toMatchObject({ memberships_added: 0, memberships_removed: 0 });
  expect(await stored(world)).toEqual(facts.sort());
  for (const { id } of ids) tenant.removeMember(group('Mixed'), id);
  expect(await changesOf(world, await world.cycle())).toEqual({});
  expect(await stored(world)).toEqual([`${group('Mixed')} ${person(0)} u`]);
});

test('rules 7 and 8: a soft-deleted user keeps its memberships, hidden, and has them back on restore', async () => {
  const { world, tenant, person } = await worldOf({ One: [0, 1], Two: [0], Outer: ['One'] });
  await world.cycle();
  const before = [await stored(world), await membershipPairs(world.database, tenant.tenantId)];
  tenant.deleteUser(person(0));
  const gone = await world.cycle();
  expect(await changesOf(world, gone)).toEqual({ 'membership.removed': 2 });
  expect(await stored(world)).toEqual(before[0]);
  await expectGroups(world);
  tenant.restoreUser(person(0));
  world.simulator.clearRequests();
  expect(await changesOf(world, await world.cycle())).toEqual({ 'membership.added': 2 });
  expect(groupReads(world, /\/memberOf/)).toBe(1);
  expect([await stored(world), await membershipPairs(world.database, tenant.tenantId)]).toEqual(before);
  world.simulator.clearRequests();
  await world.cycle();
  expect(groupReads(world, /\/memberOf/), 'only once').toBe(0);
  await expectGroups(world);
});

test.runIf(isDeep)(
  'rule 8: memberOf is read on restore and shows what groups/delta never showed of a deleted user',
  async () => {
    const { world, tenant, person, group } = await worldOf({ Left: [0], Kept: [0], Joined: [1] });
    await world.cycle();
    tenant.deleteUser(person(0));
    await world.cycle();
    alterPages(world, (items) => items.map(({ 'members@delta': _, ...rest }) => rest));
    tenant.removeMember(group('Left'), person(0));
    await world.cycle();
    tenant.restoreUser(person(0));
    tenant.addMember(group('Joined'), person(0));
    expect(await changesOf(world, await world.cycle())).toEqual({ 'membership.added': 2 });
    await expectGroups(world);
  },
);

test('rule 8: a user deleted between two cycles comes back with the groups that no list named', async () => {
  const { world, tenant, person } = await worldOf({ Team: [0, 1], Outer: ['Team'] });
  tenant.deleteUser(person(0));
  await world.cycle();
  tenant.restoreUser(person(0));
  expect(await changesOf(world, await world.cycle())).toEqual({ 'membership.added': 1 });
  await expectGroups(world);
});

test.runIf(isDeep)(
  'rule 8: a group deleted between two cycles comes back with members that no round shows again',
  async () => {
    const { world, tenant, group } = await worldOf(
      { Team: [0, 1], Outer: ['Team', 2] },
      { simulator: { restoredMembers: false } },
      unified,
    );
    tenant.deleteGroup(group('Team'));
    await world.cycle();
    tenant.restoreGroup(group('Team'));
    expect(await changesOf(world, await world.cycle())).toEqual({ 'group.created': 1, 'membership.added': 3 });
    await expectGroups(world);
  },
);

test.each(['at once', 'after a soft deletion'])(
  'rule 8: a user permanently deleted %s leaves every group, although Graph never reports it',
  async (how) => {
    const { world, tenant, person, group } = await worldOf({ One: [0, 1], Two: [0] });
    await world.cycle();
    let hidden = 0;
    if (how !== 'at once') {
      tenant.deleteUser(person(0));
      hidden = (await changesOf(world, await world.cycle()))['membership.removed'] ?? 0;
    }
    tenant.purgeUser(person(0));
    const result = await world.cycle();
    expect(result.streams.groups.seen, 'groups/delta is silent').toBe(0);
    expect(hidden + ((await changesOf(world, result))['membership.removed'] ?? 0)).toBe(2);
    expect(await stored(world)).toEqual([`${group('One')} ${person(1)} u`]);
    await expectGroups(world);
  },
);

test.each(
  rowsOf(
    [
      { kind: 'Microsoft 365', properties: unified, restoredMembers: true },
      { kind: 'security', properties: {}, restoredMembers: false },
    ],
    (_, n) => n === 0,
  ),
)(
  'rules 7 and 8: a $kind group deleted and restored is itself, nested and with its members (shown again: $restoredMembers)',
  async ({ properties, restoredMembers }) => {
    const { world, tenant, group } = await worldOf(
      { Inner: [0, 1], Outer: ['Inner', 2], Inmost: [3] },
      { simulator: { restoredMembers } },
      properties,
    );
    tenant.addMember(group('Inner'), group('Inmost'));
    await world.cycle();
    const id = await idOfGroup(world, group('Inner'));
    const pairs = await membershipPairs(world.database, tenant.tenantId);
    tenant.deleteGroup(group('Inner'));
    expect(await changesOf(world, await world.cycle())).toEqual({ 'group.removed': 1, 'membership.removed': 4 });
    expect(await removedGroups(world)).toEqual({ [group('Inner')]: 'deleted_restorable' });
    await expectGroups(world);
    tenant.restoreGroup(group('Inner'));
    expect(await changesOf(world, await world.cycle())).toEqual({ 'group.restored': 1, 'membership.added': 4 });
    expect(await idOfGroup(world, group('Inner'))).toBe(id);
    expect(await membershipPairs(world.database, tenant.tenantId)).toEqual(pairs);
    await expectGroups(world);
  },
);

test('rule 8: a permanently deleted group loses its memberships in both directions', async () => {
  const { world, tenant, group, person } = await worldOf(
    { Inner: [0], Outer: ['Inner', 1] },
    { securityGroupsRestorable: false },
  );
  await world.cycle();
  tenant.deleteGroup(group('Inner'));
  expect(await changesOf(world, await world.cycle())).toEqual({ 'group.removed': 1, 'membership.removed': 2 });
  expect(await removedGroups(world)).toEqual({ [group('Inner')]: 'deleted' });
  expect(await stored(world)).toEqual([`${group('Outer')} ${person(1)} u`]);
  await expectGroups(world);
});

test('rule 7: a group is purged past the retention, by a commit of its stream, with its values everywhere', async () => {
  const { world, tenant, group } = await worldOf({ Secret: [0], Back: [1] }, {}, unified);
  await world.cycle();
  const kept = await idOfGroup(world, group('Back'));
  for (const name of ['Secret', 'Back']) tenant.deleteGroup(group(name));
  await world.cycle();
  await world.database.raw(
    "update entra_sync.groups set purge_at = now() - interval '1 day' where purge_at is not null",
  );
  const up = world.simulator.intercept(({ url }) => (ofGroups(url) ? down : undefined));
  await failureOf(world.cycle());
  expect(Object.keys(await removedGroups(world)), 'who could not be read is not purged').toHaveLength(2);
  up();
  tenant.restoreGroup(group('Back'));
  const result = await world.cycle();
  expect(result.streams.groups).toMatchObject({ purged: 1, restored: 1 });
  expect(await idOfGroup(world, group('Back'))).toBe(kept);
  const found = await rows(
    world.database,
    "select * from entra_sync.changes where concat(before, after) like '%Secret%'",
  );
  expect(found).toEqual([]);
  expect((await stored(world)).filter((fact) => fact.startsWith(group('Secret')))).toEqual([]);
  await expectGroups(world);
});

test('rule 8: the sweep of a full round ends memberships that it missed, and spares soft-deleted members', async () => {
  const { world, tenant, person, group } = await worldOf({ Team: [0, 1, 2], Other: [0] }, {}, unified);
  tenant.addMember(group('Team'), group('Other'));
  await world.cycle();
  tenant.deleteUser(person(0));
  tenant.deleteGroup(group('Other'));
  await world.cycle();
  const before = await stored(world);
  const silent = alterPages(world, (items) => items.map(({ 'members@delta': _, ...rest }) => rest));
  tenant.removeMember(group('Team'), person(1));
  await world.cycle();
  silent();
  expect(await stored(world), 'nobody told').toEqual(before);
  // By default the simulator shows tombstones in a first round, too.
  alterPages(world, (items) =>
    items.map(({ 'members@delta': members, ...rest }) => ({
      ...rest,
      ...(members && { 'members@delta': members.filter((member) => !('@removed' in member)) }),
    })),
  );
  const full = await world.cycle({ resync: true });
  expect(await changesOf(world, full)).toEqual({ 'membership.removed': 1 });
  expect(await stored(world)).toEqual(before.filter((fact) => fact !== `${group('Team')} ${person(1)} u`));
  await expectGroups(world);
  tenant.restoreUser(person(0));
  tenant.restoreGroup(group('Other'));
  await world.cycle();
  await expectGroups(world);
});

test('rule 6: a group that a full round did not meet is removed, and keeps its id when it is met again', async () => {
  const { world, group } = await worldOf({ Shy: [0], Outer: ['Shy'] });
  await world.cycle();
  const id = await idOfGroup(world, group('Shy'));
  const show = hideGroups(world, [group('Shy')]);
  await world.cycle({ resync: true });
  expect(await removedGroups(world)).toEqual({ [group('Shy')]: 'not_seen' });
  show();
  expect((await world.cycle({ resync: true })).streams.groups).toMatchObject({ restored: 1, created: 0 });
  expect(await idOfGroup(world, group('Shy'))).toBe(id);
  await expectGroups(world);
});

test.runIf(isDeep)('rule 4: the same group ten times in a round writes no row when nothing changed', async () => {
  const { world } = await worldOf(
    { Inner: [0, 1, 2], Outer: ['Inner', 3], Loop: ['Outer'] },
    { simulator: { repeats: 1, memberSlice: 2, pageSize: 2 } },
  );
  const written = async () => {
    const found: Record<string, unknown> = {};
    for (const table of ['groups', 'member_groups', 'group_closure', 'changes', 'batches'])
      found[table] = await rows(world.database, `select xmin::text, ctid::text from entra_sync.${table} order by ctid`);
    return found;
  };
  await world.cycle();
  const before = await written();
  alterPages(world, (items) => [...items, ...items, ...items, ...items, ...items]);
  const full = await world.cycle({ resync: true });
  expect(full.streams.groups.seen).toBeGreaterThanOrEqual(30);
  expect(await written()).toEqual(before);
  const replay = await rows<{ id: string; name: string }>(
    world.database,
    'select entra_object_id as id, display_name as name from directory.groups',
  );
  const facts = await stored(world);
  const lists = replay.map(({ id, name }) => ({
    id,
    displayName: name,
    'members@delta': facts.filter((fact) => fact.startsWith(id)).map((fact) => ({ id: fact.split(' ')[1] ?? '' })),
  }));
  alterPages(world, () => [...lists, ...lists]);
  expect((await world.cycle()).streams.groups).toMatchObject({ round: 'incremental', seen: 6, distinct: 3 });
  expect(await written()).toEqual(before);
});

test('a rename keeps group_id, and the change row says only what changed', async () => {
  const { world, tenant, group } = await worldOf({ Before: [0] });
  await world.cycle();
  const id = await idOfGroup(world, group('Before'));
  tenant.updateGroup(group('Before'), { displayName: 'After' });
  const result = await world.cycle();
  expect(await changesOf(world, result)).toEqual({ 'group.updated': 1 });
  const changes = await rows(
    world.database,
    'select group_id, before, after from directory.changes where cycle_id = :cycleId',
    { cycleId: result.cycleId },
  );
  expect(changes).toEqual([{ group_id: id, before: { display_name: 'Before' }, after: { display_name: 'After' } }]);
  await expectGroups(world);
});

test('one membership row in the feed for each real difference, whichever ends and facts caused it', async () => {
  const { world, tenant, person, group } = await worldOf({ One: [0, 1, 2], Two: [0, 1], Out: ['One'] }, {}, unified);
  await world.cycle();
  const pairs = () => membershipPairs(world.database, tenant.tenantId);
  const before = await pairs();
  tenant.deleteUser(person(0));
  tenant.purgeUser(person(1));
  tenant.deleteGroup(group('Two'));
  tenant.removeMember(group('One'), person(2));
  tenant.addMember(group('One'), person(3));
  tenant.addMember(group('One'), tenant.createUser());
  const result = await world.cycle();
  const after = await pairs();
  expect(await changesOf(world, result)).toEqual({
    'group.removed': 1,
    'membership.removed': before.filter((pair) => !after.includes(pair)).length,
    'membership.added': after.filter((pair) => !before.includes(pair)).length,
  });
  await expectGroups(world);
});

test('rule 12: an interrupted groups round resumes from its last staged page', async () => {
  const { world } = await worldOf(
    { A: [0, 1], B: [2, 'A'], C: [3, 'B'], D: [4], E: [5, 'A'] },
    { simulator: { pageSize: 1 } },
  );
  const crash = new AbortController();
  const requests: string[] = [];
  world.simulator.intercept(({ url }) => {
    if (!ofGroups(url)) return undefined;
    requests.push(url);
    if (requests.length === 4) crash.abort(interruption());
    return undefined;
  });
  await expect(world.cycle({ signal: crash.signal })).rejects.toMatchObject({ code: 'interrupted' });
  expect((await groupsSeen(world.database, world.tenant.tenantId)).groups, 'nothing half').toEqual({});
  const { streams } = await world.cycle();
  expect(streams.groups).toMatchObject({ pages: 5, created: 5 });
  expect(
    requests.filter((url) => url.includes('$select')),
    'the walk began once',
  ).toHaveLength(1);
  await expectGroups(world);
});

test('rules 2 and 21: a tenant whose token may not read groups still gets its users, and a report of what is missing', async () => {
  const { world, tenant } = await worldOf({ Team: [0] }, { simulator: { roles: ['User.Read.All'] } });
  const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
  const synced = await runCli(['sync'], environment);
  expect(synced.code, synced.stderr).toBe(3);
  await expectTruth(tenant, world.database, []);
  expect(await rows(world.database, 'select outcome, error_code from directory.cycles')).toEqual([
    { outcome: 'partial', error_code: 'permission_missing' },
  ]);
  const status = await runCli(['status'], environment);
  expect(status.stdout).toMatch(/GroupMember\.Read\.All/);
  world.simulator.options.roles = ['User.Read.All', 'GroupMember.Read.All'];
  expect((await runCli(['sync'], environment)).code).toBe(0);
  await expectGroups(world);
});
