// Rules 3 and 22 in rounds of every kind: an object shown in part is read by GET, and keeps its known values if GET fails.
import { expect, test } from 'vitest';
import { showInPart } from '../../../src/simulator/index.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { groupsSeen, groupTruth } from '../../support/groups-truth.ts';
import { setSettings } from '../../support/settings.ts';
import { accountsOf, expectTruth, failureOf, openWorld, truthOf, type World } from '../../support/system.ts';

const whole = { users: 25, groups: 5, largestGroup: 6 };
const idOf = ({ tenant }: World, number: number) => tenant.users()[number]?.id ?? '';
const asked = ({ simulator }: World, collection = 'users') =>
  simulator.requests
    .map(({ path }) => new RegExp(`/${collection}/([0-9a-f-]{36})[?]`).exec(path)?.[1])
    .filter((id) => id !== undefined)
    .sort();
const asideOf = ({ database }: World) =>
  rows(database, 'select entra_object_id as id, reason from directory.set_aside');

async function expectWhole(world: World): Promise<void> {
  await expectTruth(world.tenant, world.database, []);
  expect(await groupsSeen(world.database, world.tenant.tenantId)).toEqual(groupTruth(world.tenant));
  expect(await asideOf(world)).toEqual([]);
}

test.each(
  rowsOf(
    [
      ['alone', ['id']],
      ['name and principal name alone', ['id', 'displayName', 'userPrincipalName']],
      ['all but the department', ['id', 'displayName', 'userPrincipalName', 'accountEnabled', 'mail', 'jobTitle']],
    ],
    (_, n) => n !== 1,
  ),
)('rules 3, 22: a known user that a full round shows in part (%s) is asked and loses nothing', async (_what, kept) => {
  const world = await openWorld(whole);
  await world.cycle();
  const ids = [idOf(world, 0), idOf(world, 7)];
  for (const id of ids) world.tenant.updateUser(id, { department: 'Fleet', city: 'Oslo' });
  await world.cycle();
  showInPart(world.simulator, 'users', ids, kept);
  world.simulator.clearRequests();
  const { streams } = await world.cycle({ resync: true });
  expect(streams.users).toMatchObject({ round: 'full', updated: 0, removed: 0, set_aside: 0 });
  expect(asked(world)).toEqual([...ids].sort());
  await expectWhole(world);
});

test('rule 3: a property that GET shows without a value in a full round is cleared', async () => {
  const world = await openWorld(whole);
  world.tenant.updateUser(idOf(world, 0), { department: 'Fleet' });
  await world.cycle();
  world.tenant.updateUser(idOf(world, 0), { department: null });
  const { streams } = await world.cycle({ resync: true });
  expect(streams.users).toMatchObject({ updated: 1 });
  await expectWhole(world);
});

test.each(['delta', 'quick'] as const)(
  'rule 22: a first load (%s) that shows all users in part makes no nameless account, and no Member of a guest',
  async (firstLoad) => {
    const world = await openWorld({ ...whole, firstLoad });
    const guest = idOf(world, 3);
    world.tenant.updateUser(guest, { userType: 'Guest' });
    await setSettings(world.database, { firstLoad, scope: { userType: ['Member'] } });
    const members = world.tenant.users().filter(({ properties }) => properties.userType === 'Member');
    showInPart(world.simulator, 'users', undefined, ['id', 'displayName']);
    const result = await world.cycle();
    if (firstLoad === 'quick') expect(result.firstLoad?.streams.users).toMatchObject({ created: 0 });
    expect(result.streams.users).toMatchObject({ round: 'full', created: members.length, set_aside: 0 });
    const truth = truthOf(world.tenant);
    const accounts = await accountsOf(world.database, world.tenant.tenantId);
    expect(Object.keys(accounts).sort()).toEqual(members.map(({ id }) => id).sort());
    for (const [id, account] of Object.entries(accounts)) expect(account).toMatchObject(truth[id] ?? {});
  },
);

test.each(
  rowsOf(
    [
      ['a group shown with its members alone', ['id', 'members@delta']],
      ['a group shown with id and name alone', ['id', 'displayName']],
    ],
    (_, n) => n === 1,
  ),
)('rules 3, 22: %s keeps its name, kind and members in full rounds, known or not', async (_what, kept) => {
  const world = await openWorld(whole);
  const end = showInPart(world.simulator, 'groups', undefined, kept);
  await world.cycle();
  await expectWhole(world);
  end();
  world.tenant.updateGroup(world.tenant.groups()[0]?.id ?? '', { description: 'Decks' });
  await world.cycle();
  showInPart(world.simulator, 'groups', undefined, kept);
  const { streams } = await world.cycle({ resync: true });
  expect(streams.groups).toMatchObject({ updated: 0, memberships_removed: 0, memberships_added: 0, set_aside: 0 });
  await expectWhole(world);
});

test('rule 22: a group whose description is cleared is asked by itself, without its members', async () => {
  const world = await openWorld(whole);
  const id = world.tenant.groups()[0]?.id ?? '';
  world.tenant.updateGroup(id, { description: 'Decks' });
  await world.cycle();
  world.tenant.updateGroup(id, { description: null });
  world.simulator.clearRequests();
  expect((await world.cycle({ resync: true })).streams.groups).toMatchObject({ updated: 1 });
  expect(asked(world, 'groups')).toEqual([id]);
  expect(world.simulator.requests.filter(({ path }) => path.includes('/members?'))).toEqual([]);
  await expectWhole(world);
});

test('rules 19, 22: if GET fails for users shown in part, a known user keeps everything and an unknown one is set aside', async () => {
  const world = await openWorld(whole);
  await world.cycle();
  const known = idOf(world, 0);
  const unknown = world.tenant.createUser();
  const truth = truthOf(world.tenant);
  const end = showInPart(world.simulator, 'users', [known, unknown], ['id', 'displayName']);
  const heal = world.simulator.intercept(({ url }) =>
    /\/users\/[0-9a-f-]{36}[?]/.test(url)
      ? { status: 403, body: { error: { code: 'Forbidden', message: '' } } }
      : undefined,
  );
  const { streams } = await world.cycle({ resync: true });
  expect(streams.users).toMatchObject({ created: 0, updated: 0, removed: 0, set_aside: 2 });
  const accounts = await accountsOf(world.database, world.tenant.tenantId);
  expect(accounts[known]).toMatchObject(truth[known] ?? {});
  expect(accounts[unknown]).toBeUndefined();
  heal();
  end();
  await world.cycle();
  await expectWhole(world);
});

test('rule 22: an answer to GET that is in part too changes nothing, and makes no account', async () => {
  const world = await openWorld(whole);
  await world.cycle();
  const known = idOf(world, 0);
  const unknown = world.tenant.createUser();
  const hollow = world.simulator.transform(({ url }, body) => {
    if (/\/users\/[0-9a-f-]{36}[?]/.test(url)) return { id: (body as { id: string }).id };
    const { value } = body as { value?: { id: string }[] };
    return value && url.startsWith('/v1.0/users/delta')
      ? { ...body, value: value.map((one) => (one.id === known || one.id === unknown ? { id: one.id } : one)) }
      : body;
  });
  expect((await world.cycle({ resync: true })).streams.users).toMatchObject({ created: 0, updated: 0, set_aside: 2 });
  hollow();
  await world.cycle();
  await expectWhole(world);
});

test.runIf(isDeep)('rule 10: many users that are shown in part at once are no suspension and no removal', async () => {
  const world = await openWorld(whole);
  world.tenant.updateUser(idOf(world, 1), { accountEnabled: false });
  await setSettings(world.database, { scope: { userType: ['Member'] } });
  await world.cycle();
  showInPart(world.simulator, 'users', undefined, ['id', 'displayName', 'userPrincipalName']);
  expect((await world.cycle({ resync: true, dryRun: true })).streams.users).toMatchObject({
    updated: 0,
    removed: 0,
    held: 0,
  });
  expect((await world.cycle({ resync: true })).streams.users).toMatchObject({
    ...{ created: 0, updated: 0, suspended: 0, resumed: 0, removed: 0, held: 0, set_aside: 0 },
  });
});

test('rules 12, 22: the cycle after an interrupted one does not ask again for users that GET has answered for', async () => {
  const world = await openWorld({ users: 260 });
  for (const { id } of world.tenant.users()) world.tenant.updateUser(id, { department: 'Fleet' });
  await world.cycle();
  for (const { id } of world.tenant.users()) world.tenant.updateUser(id, { department: null });
  world.simulator.clearRequests();
  let batches = 0;
  const cut = world.simulator.intercept(({ url }) =>
    (url.endsWith('/$batch') && ++batches > 10) || (batches > 10 && url.includes('$top=1'))
      ? { status: 503, body: {} }
      : undefined,
  );
  expect(await failureOf(world.cycle({ resync: true }))).toMatchObject({ code: 'graph_unavailable' });
  expect(asked(world)).toHaveLength(200);
  cut();
  const told: { objects: number; total: number | undefined }[] = [];
  await world.cycle({
    onProgress: ({ stream, phase, objects, total }) => {
      if (stream === 'users' && phase === 'ask' && total !== undefined) told.push({ objects, total });
    },
  });
  const all = asked(world);
  expect(all).toHaveLength(260);
  expect(new Set(all).size).toBe(260);
  expect(told).toEqual([
    { objects: 0, total: 60 },
    { objects: 60, total: 60 },
  ]);
  await expectWhole(world);
});

test.runIf(isDeep)(
  'rule 22: a full round with nothing missing asks for no object, and neither does one after other properties were selected',
  async () => {
    const world = await openWorld(whole);
    await world.cycle();
    world.simulator.clearRequests();
    await world.cycle({ resync: true });
    await setSettings(world.database, { fields: { employeeId: { from: 'employeeId' } }, scope: { userType: 'any' } });
    await world.cycle();
    await setSettings(world.database, { fields: { employeeId: null }, scope: { userType: 'any' } });
    await world.cycle();
    expect(asked(world)).toEqual([]);
  },
);
