// Links and checkpoints that fail for ever while Graph answers elsewhere: no stream stands still for one (rules 14, 15, 24).
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { groupsSeen, groupTruth } from '../../support/groups-truth.ts';
import { setSettings } from '../../support/settings.ts';
import { accountsOf, expectTruth, failureOf, openWorld, type World } from '../../support/system.ts';

type Stuck = World['simulator']['options']['stuck'];

/** A tenant of three pages of users, whose third page fails for ever in full rounds. */
async function openStuck(status = 500): Promise<World> {
  const world = await openWorld({ users: 25, simulator: { pageSize: 10 } });
  world.simulator.options.stuck = { links: [{ stream: 'users', round: 'full', page: 3, status }], objects: [] };
  return world;
}

const heal = ({ simulator }: World) => {
  simulator.options.stuck = { links: [], objects: [] };
};

const checkpointFails = (status: number, code?: string): Stuck => ({
  links: [{ stream: 'users', round: 'later', page: 1, status, ...(code && { code }) }],
  objects: [],
});

const lastCycle = async ({ database }: World) => {
  const [cycle] = await rows<{ outcome: string; error_code: string | null; streams: Record<string, object> }>(
    database,
    'select outcome, error_code, streams from directory.cycles order by cycle_id desc limit 1',
  );
  return cycle;
};

const editOne = ({ tenant }: World, city: string) => {
  const [one] = tenant.users();
  tenant.updateUser(one?.id ?? '', { city });
};

const requestsTo = ({ simulator }: World, part: string) =>
  simulator.requests.filter(({ path }) => path.startsWith('/v1.0/users/delta') && path.includes(part)).length;

test.runIf(isDeep)('rule 21: a failed first round is reported as it was: full, its pages, its requests', async () => {
  const world = await openStuck(400);
  world.simulator.options.stuck.links = [{ stream: 'users', round: 'full', page: 2, status: 409, code: 'Conflict' }];
  await failureOf(world.cycle());
  const users = (await lastCycle(world))?.streams.users;
  expect(users).toMatchObject({ round: 'full', begun_for: 'first', pages: 1, seen: 10, outcome: 'failed' });
  // Two pages, and the count for the progress bar.
  expect(users).toMatchObject({ requests: 3, reason: 'graph_answer_invalid' });
});

test('rule 21: a later round that fails at its checkpoint is reported with its requests', async () => {
  const world = await openStuck();
  heal(world);
  await world.cycle();
  world.simulator.options.stuck = checkpointFails(500);
  await failureOf(world.cycle());
  expect((await lastCycle(world))?.streams.users).toMatchObject({
    ...{ round: 'incremental', begun_for: 'changes', reason: 'graph_unavailable', pages: 0, requests: 3 },
  });
});

test('rule 14: a first round whose kept link fails for ever restarts in its third cycle, and not before', async () => {
  const world = await openStuck();
  for (const _ of [1, 2]) {
    expect(await failureOf(world.cycle())).toMatchObject({ code: 'graph_unavailable' });
    expect(requestsTo(world, '$select')).toBe(1);
  }
  // The same page of another round is answered: only the kept link is stuck.
  const [{ id } = { id: '' }] = await rows<{ id: string }>(
    world.database,
    "select round_id as id from entra_sync.rounds where stream = 'users'",
  );
  world.simulator.options.stuck.links = [{ stream: 'users', round: 'full', page: 3, status: 500, edits: 1 }];
  editOne(world, 'Anew');
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ outcome: 'committed', round: 'full', reason: 'first', created: 25 });
  expect(await rows(world.database, 'select from entra_sync.rounds where round_id = ?', [id])).toEqual([]);
  await expectTruth(world.tenant, world.database, []);
});

test.runIf(isDeep)(
  'rule 12: the stage is kept while Graph does not answer at all, however many cycles fail',
  async () => {
    const world = await openStuck();
    await failureOf(world.cycle());
    const down = world.simulator.intercept(({ url }) =>
      url.startsWith('/v1.0/users/delta') ? { status: 503, body: {} } : undefined,
    );
    for (const _ of [1, 2, 3, 4]) await failureOf(world.cycle());
    down();
    heal(world);
    world.simulator.clearRequests();
    expect((await world.cycle()).streams.users).toMatchObject({ created: 25, pages: 3 });
    expect(world.deltaRequests()).toHaveLength(1);
  },
);

test.runIf(isDeep)('rule 14: a round restarts when it is older than Graph keeps its links', async () => {
  const world = await openStuck();
  await failureOf(world.cycle());
  heal(world);
  await world.database.raw("update entra_sync.rounds set started_at = now() - interval '40 days'");
  world.simulator.clearRequests();
  expect((await world.cycle()).streams.users).toMatchObject({ created: 25, pages: 3 });
  expect(requestsTo(world, '$select')).toBe(1);
});

test('rule 24: no changes wait for a due full round that cannot be finished', async () => {
  const world = await openStuck();
  heal(world);
  await world.cycle();
  await world.database.raw("update entra_sync.checkpoints set full_at = now() - interval '30 days'");
  world.simulator.options.stuck = {
    links: [{ stream: 'users', round: 'full', page: 3, status: 500 }],
    objects: [],
  };
  const [, second, third] = world.tenant.users();
  // In the third and the fifth cycle the full round restarts, so that after the sixth it is older than the last changes.
  for (const number of [1, 2, 3, 4, 5, 6]) {
    editOne(world, `City ${number}`);
    if (number === 2) world.tenant.deleteUser(second?.id ?? '');
    if (number === 3) world.tenant.purgeUser(third?.id ?? '');
    if (number === 6) world.tenant.restoreUser(second?.id ?? '');
    const result = await world.cycle();
    expect(result.streams.users).toMatchObject({ outcome: 'committed', round: 'incremental', reason: 'changes' });
    expect(result.unfinished.map(({ stream }) => stream)).toEqual(['users']);
    await expectTruth(world.tenant, world.database);
    expect(await lastCycle(world)).toMatchObject({ outcome: 'committed', error_code: 'graph_unavailable' });
  }
  heal(world);
  const { streams, unfinished } = await world.cycle();
  expect(unfinished).toEqual([]);
  // A user that was staged before its edit is asked again: no value goes back to the old one, not for one cycle.
  expect(streams.users).toMatchObject({
    round: 'full',
    reason: 'due',
    updated: 0,
    removed: 0,
    created: 0,
    restored: 0,
  });
  await expectTruth(world.tenant, world.database);
  expect(await rows(world.database, 'select from entra_sync.rounds')).toEqual([]);
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'incremental', set_aside: 0, updated: 0 });
});

test('rule 17: beside a full round for other settings nothing is applied from the old checkpoint', async () => {
  const world = await openStuck();
  heal(world);
  await world.cycle();
  const before = await accountsOf(world.database, world.tenant.tenantId);
  await setSettings(world.database, { fields: { town: { from: 'city' } }, scope: { userType: 'any' } });
  world.simulator.options.stuck.links = [{ stream: 'users', round: 'full', page: 3, status: 500 }];
  editOne(world, 'Elsewhere');
  await failureOf(world.cycle());
  await failureOf(world.cycle());
  expect(await accountsOf(world.database, world.tenant.tenantId)).toEqual(before);
});

const refusals: readonly (readonly [number, string | undefined])[] = [
  [400, 'Request_BadRequest'],
  [403, 'Authorization_RequestDenied'],
  [409, 'Conflict'],
  [422, undefined],
  [500, undefined],
  [501, undefined],
];

test.each(rowsOf(refusals, ([status]) => status === 403 || status === 500))(
  'rule 15: a checkpoint that is refused with %i for ever leads to a full round in the second cycle',
  async (status, code) => {
    const world = await openWorld({ users: 25, simulator: { pageSize: 10 } });
    await world.cycle();
    world.simulator.options.stuck = checkpointFails(status, code);
    editOne(world, 'Refused');
    const error = await failureOf(world.cycle());
    expect(error.cure).not.toMatch(/field mapping/);
    const { streams } = await world.cycle();
    expect(streams.users).toMatchObject({ round: 'full', reason: 'checkpoint_refused', updated: 1, removed: 0 });
    await expectTruth(world.tenant, world.database, []);
  },
);

test('rules 13, 15: a checkpoint whose page links to another host for ever leads to a full round in the second cycle', async () => {
  const world = await openWorld({ users: 25, simulator: { pageSize: 10 } });
  await world.cycle();
  for (const { id } of world.tenant.users()) world.tenant.updateUser(id, { city: 'Everywhere' });
  world.simulator.transform(({ url }, body) =>
    url.includes('deltatoken=') ? { ...body, '@odata.nextLink': 'https://example.org/v1.0/users/delta?x' } : body,
  );
  expect(await failureOf(world.cycle())).toMatchObject({ code: 'foreign_link' });
  expect((await world.cycle()).streams.users).toMatchObject({ reason: 'checkpoint_refused', updated: 25 });
});

test('rule 14: a person who asks for a full round is not sent to the same failing link for ever', async () => {
  const world = await openStuck();
  heal(world);
  await world.cycle();
  world.simulator.options.stuck.links = [{ stream: 'users', round: 'full', page: 3, status: 500 }];
  await failureOf(world.cycle({ resync: true }));
  // The same page is answered in a round that begins after this edit.
  world.simulator.options.stuck.links = [{ stream: 'users', round: 'full', page: 3, status: 500, edits: 1 }];
  editOne(world, 'Anew');
  expect((await world.cycle({ resync: true })).streams.users).toMatchObject({
    round: 'full',
    reason: 'resync',
    updated: 1,
  });
});

test.each([
  [400, 'BadRequest'],
  [403, 'Authorization_RequestDenied'],
])('rule 15: a checkpoint that fails with %i while Graph answers nowhere is kept', async (status, code) => {
  const world = await openWorld({ users: 25, simulator: { pageSize: 10 } });
  await world.cycle();
  const down = world.simulator.intercept(({ url }) =>
    url.startsWith('/v1.0/users/delta') ? { status, body: { error: { code } } } : undefined,
  );
  for (const _ of [1, 2, 3]) await failureOf(world.cycle());
  down();
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'incremental', reason: 'changes' });
});

test('rule 15: a later round whose second page fails for ever leads to a full round in the second cycle', async () => {
  const world = await openWorld({ users: 25, simulator: { pageSize: 10 } });
  await world.cycle();
  for (const { id } of world.tenant.users()) world.tenant.updateUser(id, { city: 'Everywhere' });
  world.simulator.options.stuck.links = [{ stream: 'users', round: 'later', page: 2, status: 504 }];
  await failureOf(world.cycle());
  expect((await world.cycle()).streams.users).toMatchObject({
    round: 'full',
    reason: 'checkpoint_refused',
    updated: 25,
  });
  await expectTruth(world.tenant, world.database, []);
});

test.runIf(isDeep)(
  'rule 24: a full round of groups that is due and cannot be finished keeps no memberships waiting',
  async () => {
    const world = await openWorld({ users: 12, groups: 12, largestGroup: 5, simulator: { pageSize: 5 } });
    const { tenant, database } = world;
    await world.cycle();
    await database.raw(
      "update entra_sync.checkpoints set full_at = now() - interval '30 days' where stream = 'groups'",
    );
    world.simulator.options.stuck.links = [{ stream: 'groups', round: 'full', page: 3, status: 500 }];
    const [team, other, third] = tenant.groups().map(({ id }) => id);
    const [person = '', leaver = ''] = tenant.users().map(({ id }) => id);
    const steps = [
      () => tenant.addMember(team ?? '', person),
      () => tenant.updateGroup(other ?? '', { displayName: 'Renamed' }),
      () => tenant.removeMember(team ?? '', person),
      () => tenant.deleteGroup(third ?? ''),
      () => tenant.deleteUser(leaver),
      () => tenant.updateGroup(other ?? '', { displayName: 'Renamed again' }),
    ];
    for (const step of steps) {
      step();
      const { streams, unfinished } = await world.cycle();
      expect(unfinished.map(({ stream }) => stream)).toEqual(['groups']);
      expect(streams.groups).toMatchObject({ outcome: 'committed', round: 'incremental' });
      expect(await groupsSeen(database, tenant.tenantId)).toEqual(groupTruth(tenant));
    }
    heal(world);
    expect((await world.cycle()).streams.groups).toMatchObject({
      ...{ round: 'full', reason: 'due', updated: 0, created: 0, removed: 0, restored: 0 },
      ...{ memberships_added: 0, memberships_removed: 0 },
    });
    expect(await groupsSeen(database, tenant.tenantId)).toEqual(groupTruth(tenant));
    expect(await rows(database, 'select from entra_sync.rounds')).toEqual([]);
  },
);
