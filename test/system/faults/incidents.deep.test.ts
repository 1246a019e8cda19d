// Public incidents that wiped out users elsewhere, re-enacted with the real cycle: the accounts that remain, status and exit
// code, and the recovery.
import { expect, test } from 'vitest';
import { exitCodeOf } from '../../../src/errors.ts';
import { decideRemovals } from '../../../src/store/commit/held-removals.ts';
import { openLists } from '../../../src/store/commit/removal-lists.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { disconnectTenant, reconnectTenant } from '../../../src/store/tenants/disconnect.ts';
import { runCli } from '../../support/cli.ts';
import { hideUsers, leaveOutUsers } from '../../support/glitches.ts';
import { membershipPairs } from '../../support/groups-truth.ts';
import { down, ofUsers } from '../../support/groups-world.ts';
import { setSettings } from '../../support/settings.ts';
import { accountsOf, expectTruth, openWorld, removedOf, type World } from '../../support/system.ts';

/** A tenant under the guard as it is by default, once in step. */
async function contoso(options: Parameters<typeof openWorld>[0] = {}): Promise<World & { people: string[] }> {
  const world = await openWorld({ users: 30, ...options });
  await setSettings(world.database, { removals: { max: 500, percent: 20, floor: 20 } });
  await world.cycle();
  return { ...world, people: world.tenant.users().map((user) => user.id) };
}

/** Runs a cycle and returns the exit code of `sync` and the error that `status` shows. */
async function sync(world: World, wishes: Parameters<World['cycle']>[0] = {}) {
  const code = await world.cycle(wishes).then(
    ({ outcome }) => (outcome === 'held' ? 4 : 0),
    (error: unknown) => exitCodeOf(error),
  );
  const [row] = await rows<{ told: string | null }>(
    world.database,
    'select last_error_code as told from directory.tenants where tenant_id = :tenantId',
    { tenantId: world.tenant.tenantId },
  );
  return { code, told: row?.told ?? null };
}

const quiet = { code: 0, told: null };
const held = { code: 4, told: 'removals_held' };
const live = async ({ database, tenant }: World) => Object.keys(await accountsOf(database, tenant.tenantId)).length;
const removed = async ({ database, tenant }: World) => Object.keys(await removedOf(database, tenant.tenantId)).length;
const lists = ({ database, tenant }: World) => openLists(database, tenant.tenantId);
const cli = (world: World, ...words: string[]) =>
  runCli(words, { ...world.simulator.environment(world.tenant.tenantId), DATABASE_URL: world.url });

test('o365-moodle#2048: the tokens are reset and the full sync fails half-way: no user counts as "not found"', async () => {
  const world = await contoso({ simulator: { pageSize: 10 } });
  world.tenant.expireTokens('410');
  world.tenant.updateUser(world.people[0] ?? '', { jobTitle: 'Captain' });
  world.simulator.clearRequests();
  // The dead link and the first page are answered, everything after is an API error.
  const up = world.simulator.intercept(({ url }) =>
    ofUsers(url) && world.deltaRequests().length > 2 ? down : undefined,
  );
  expect(await sync(world)).toEqual({ code: 5, told: 'graph_unavailable' });
  expect([await live(world), await removed(world)]).toEqual([30, 0]);
  expect(await sync(world), 'again, from where it was cut off').toEqual({ code: 5, told: 'graph_unavailable' });
  expect([await live(world), await removed(world)]).toEqual([30, 0]);
  up();
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ round: 'full', reason: 'token_expired', removed: 0, held: 0 });
  await expectTruth(world.tenant, world.database, world.people);
});

test('o365-moodle#1325: the list of users lacks some that GET shows: absence alone removes no user', async () => {
  const world = await contoso();
  // Few enough to be within the guard's limits.
  const cure = leaveOutUsers(world, world.people.slice(0, 4));
  expect(await sync(world, { resync: true })).toEqual(quiet);
  cure();
  expect([await live(world), await removed(world)]).toEqual([30, 0]);
  // GET still shows the user. A user that neither shows is removed.
  const gone = hideUsers(world, world.people.slice(0, 1));
  await world.cycle({ resync: true });
  expect(await removedOf(world.database, world.tenant.tenantId)).toEqual({ [world.people[0] ?? '']: 'not_seen' });
  gone();
  expect((await world.cycle({ resync: true })).streams.users).toMatchObject({ restored: 1 });
});

test('o365-moodle#1771: users of nested groups are in scope for every step, and a trickle of leavers meets the week', async () => {
  const world = await contoso({ users: 50 });
  const { tenant, database, people } = world;
  const [outer, inner] = ['Scope', 'Nested'].map((displayName) => tenant.createGroup({ displayName })) as [
    string,
    string,
  ];
  tenant.addMember(outer, inner);
  for (const id of people) tenant.addMember(inner, id);
  await setSettings(database, { scope: { userType: 'any', groups: [outer] } });
  expect(await sync(world)).toEqual(quiet);
  expect(await sync(world, { resync: true })).toEqual(quiet);
  expect([await live(world), await removed(world)]).toEqual([50, 0]);
  // A few wrong ones a day: each day is within the limit of a round, the week is not.
  const leavers = [...people];
  for (const [count, told] of [
    [9, quiet],
    [8, quiet],
    [3, quiet],
    [1, held],
  ] as const) {
    for (const id of leavers.splice(0, count)) tenant.removeMember(inner, id);
    expect(await sync(world)).toEqual(told);
  }
  expect([await live(world), await removed(world)]).toEqual([30, 20]);
  const { code, stderr } = await cli(world, 'sync');
  expect([code, stderr]).toEqual([4, expect.stringContaining('21 of 50 within seven days')]);
  // The mistake is fixed in Entra ID: all users are back without an approval.
  for (const id of people) tenant.addMember(inner, id);
  expect(await sync(world)).toEqual(quiet);
  expect([await live(world), (await lists(world)).length]).toEqual([50, 0]);
});

test.each([
  ['and GET shows everybody', leaveOutUsers, quiet],
  ['and GET nobody either', hideUsers, held],
] as const)('netbird#4068: in the night the source returns an empty list, %s', async (_what, glitch, told) => {
  const world = await contoso();
  const accounts = await accountsOf(world.database, world.tenant.tenantId);
  world.tenant.expireTokens('400');
  const cure = glitch(world, world.people);
  expect(await sync(world)).toEqual(told);
  expect(await accountsOf(world.database, world.tenant.tenantId), 'nobody deleted').toEqual(accounts);
  if (told === held) {
    const { code, stdout } = await cli(world, 'status');
    expect([code, stdout]).toEqual([0, expect.stringContaining('30 removals wait for a person')]);
    expect(await lists(world)).toMatchObject([{ held: 30, why: 'a full round showed nothing at all' }]);
  }
  cure();
  expect(await sync(world), 'healed without anybody').toEqual(quiet);
  expect(await accountsOf(world.database, world.tenant.tenantId), 'nobody added again').toEqual(accounts);
  expect(await lists(world)).toEqual([]);
});

test('defguard#2833: enabling the sync takes nothing from what is not the directory’s: accounts and groups of ours stay', async () => {
  const world = await contoso({ groups: 3, largestGroup: 12 });
  const { tenant, database } = world;
  const team = tenant.createGroup({ displayName: 'Admins' });
  for (const id of world.people.slice(0, 5)) tenant.addMember(team, id);
  await world.cycle();
  await disconnectTenant(database, tenant.tenantId, { actor: 'ann', dryRun: false });
  await rows(
    database,
    `select directory.create_account(:tenantId, '{"displayName": "Root", "mail": "root@ours.example"}', 'ann')`,
    {
      tenantId: tenant.tenantId,
    },
  );
  const before = await membershipPairs(database, tenant.tenantId);
  const people = await live(world);
  // The directory that is enabled now knows none of these groups, and two of the users are permanently deleted.
  for (const group of tenant.groups()) tenant.purgeGroup(group.id);
  for (const id of world.people.slice(0, 2)) tenant.purgeUser(id);
  await reconnectTenant(database, tenant.tenantId, 'ann');
  for (const wishes of [{}, {}, { resync: true }]) expect(await sync(world, wishes)).toEqual(quiet);
  expect([await live(world), await removed(world)]).toEqual([people, 0]);
  expect(await membershipPairs(database, tenant.tenantId)).toEqual(before);
  const [ours] = await rows(database, "select state, mail from directory.accounts where display_name = 'Root'");
  expect(ours).toEqual({ state: 'manual', mail: 'root@ours.example' });
});

test('defguard, 50 pages at most: a round has no last page but the one with the delta link, and a cut read is an error', async () => {
  const world = await contoso({ users: 60, simulator: { pageSize: 1 } });
  expect(await live(world)).toBe(60);
  const { streams } = await world.cycle({ resync: true });
  expect(streams.users).toMatchObject({ pages: 60, removed: 0 });
  let pages = 0;
  const cure = world.simulator.transform(({ url }, body) => {
    if (!ofUsers(url) || ++pages < 40) return body;
    const { '@odata.nextLink': _, ...cut } = body as Record<string, unknown>;
    return cut;
  });
  expect(await sync(world, { resync: true })).toEqual({ code: 5, told: 'graph_answer_invalid' });
  expect([await live(world), await removed(world)]).toEqual([60, 0]);
  cure();
  expect(await sync(world)).toEqual(quiet);
  expect([await live(world), await removed(world)]).toEqual([60, 0]);
});

test('ory/polis: an empty first page is not an empty directory', async () => {
  const world = await contoso({ simulator: { pageSize: 4 } });
  let pages = 0;
  const cure = world.simulator.transform(({ url }, body) =>
    ofUsers(url) && ++pages === 1 ? { ...body, value: [] } : body,
  );
  expect(await sync(world, { resync: true })).toEqual(quiet);
  cure();
  expect([await live(world), await removed(world)]).toEqual([30, 0]);
  await expectTruth(world.tenant, world.database, world.people);
});

test('bitwarden directory connector: leavers of the time that a dead token covered are gone after it, and joiners are there', async () => {
  const world = await contoso();
  const { tenant, people } = world;
  const [leaver, gone] = people;
  tenant.deleteUser(leaver ?? '');
  tenant.purgeUser(gone ?? '');
  tenant.createUser();
  tenant.expireTokens('400');
  const result = await world.cycle();
  expect(result).toMatchObject({
    outcome: 'committed',
    streams: { users: { round: 'full', reason: 'token_expired' } },
  });
  await expectTruth(tenant, world.database, people);
  expect(await removed(world)).toBe(2);
});

test('WikiEduDashboard#583: the replica is down, so everything that is looked up seems deleted: no user is removed', async () => {
  const world = await contoso();
  const { tenant, people, simulator } = world;
  // Each of these is in doubt and read by GET: live and removed in one round, or back with a body that cannot be read.
  for (const id of people.slice(0, 6)) tenant.touchUser(id);
  const cure = simulator.transform(({ url }, body) => {
    if (!ofUsers(url)) return body;
    const { value } = body as { value: { id: string }[] };
    return { ...body, value: value.flatMap((one) => [{ id: one.id, '@removed': { reason: 'changed' } }, one]) };
  });
  const broken = simulator.intercept(({ url }) => (/\/users\/[0-9a-f]{8}-/.test(url) ? down : undefined));
  // Graph serves the collection but not these users: each is set aside, and asked for again by the next cycle.
  expect(await sync(world)).toEqual({ code: 0, told: null });
  expect([await live(world), await removed(world)]).toEqual([30, 0]);
  broken();
  // Up again, and empty: a user that a round shows live is not removed because GET does not find it.
  const empty = simulator.intercept(({ url }) =>
    /\/users\/[0-9a-f]{8}-/.test(url)
      ? { status: 404, body: { error: { code: 'Request_ResourceNotFound' } } }
      : undefined,
  );
  expect(await sync(world)).toEqual(quiet);
  expect([await live(world), await removed(world)]).toEqual([30, 0]);
  const { stdout } = await cli(world, 'status', '--set-aside');
  expect(stdout).toContain('cannot be read by itself');
  empty();
  cure();
  expect(await sync(world)).toEqual(quiet);
  await expectTruth(tenant, world.database, people);
  expect(await rows(world.database, 'select from directory.set_aside')).toEqual([]);
});

test('azure-docs#35848: a big change is let through as these removals, once; the guard is never off', async () => {
  const world = await contoso();
  const { tenant, people, database } = world;
  for (const id of people.slice(0, 10)) tenant.deleteUser(id);
  expect(await sync(world)).toEqual(held);
  tenant.restoreUser(people[0] ?? '');
  expect(await sync(world)).toEqual(held);
  const [list] = await lists(world);
  const listed = await cli(world, 'removals', 'list');
  expect(listed.stdout).toContain('9 accounts held');
  const decision = {
    tenantId: tenant.tenantId,
    listId: list?.list_id ?? '',
    decision: 'approve',
    side: 'vendor' as const,
    actor: 'ann',
  } as const;
  const decided = await decideRemovals(database, { ...decision, ids: people.slice(0, 10) });
  expect(decided).toMatchObject({ accounts: 9, skipped: [people[0]] });
  expect([await live(world), await removed(world)]).toEqual([21, 9]);
  // The next big one waits again, although the first was approved a moment ago.
  const cure = hideUsers(world, people);
  expect(await sync(world, { resync: true })).toEqual(held);
  expect([await live(world), await removed(world)]).toEqual([21, 9]);
  cure();
  expect(await sync(world)).toEqual(quiet);
  expect([await live(world), await removed(world)]).toEqual([21, 9]);
});

test('stripe/sync-engine#215: an upgrade rebuilds beside what is there: no row is ever missing, throttled or not', async () => {
  const world = await contoso({ simulator: { pageSize: 3 } });
  const { tenant, database, simulator } = world;
  const before = Object.entries(await accountsOf(database, tenant.tenantId)).map(([id, { accountId }]) => [
    id,
    accountId,
  ]);
  await setSettings(database, { fields: { language: { from: 'preferredLanguage' } } });
  const seen: number[] = [];
  let throttles = 0;
  simulator.intercept(async ({ url }) => {
    if (!ofUsers(url)) return undefined;
    seen.push(await live(world));
    return ++throttles % 2 ? { status: 429, headers: { 'Retry-After': '0' }, body: {} } : undefined;
  });
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ round: 'full', reason: 'settings_changed', removed: 0, created: 0 });
  expect([seen.length > 15, new Set(seen)]).toEqual([true, new Set([30])]);
  const after = await accountsOf(database, tenant.tenantId);
  expect(Object.entries(after).map(([id, { accountId }]) => [id, accountId])).toEqual(before);
  expect(Object.values(after).filter((one) => one.profile.language).length).toBeGreaterThan(0);
});
