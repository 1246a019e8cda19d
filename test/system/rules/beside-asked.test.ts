// An object that changes beside an open full round is asked again, through whole cycles against the simulated tenant.
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectFeedRebuilds } from '../../support/feed-replay.ts';
import { groupsSeen, groupTruth } from '../../support/groups-truth.ts';
import { expectGroups, makeFullDue, ofUsers } from '../../support/groups-world.ts';
import { accountsOf, expectTruth, openWorld, type World } from '../../support/system.ts';

const nothing = { created: 0, updated: 0, removed: 0, restored: 0, set_aside: 0, held: 0 };

const cityOf = async ({ database, tenant }: World, id: string) =>
  (await accountsOf(database, tenant.tenantId))[id]?.profile.city;

const isSingle = (url: string) => url.startsWith('/v1.0/') && !url.includes('/delta');

const heal = ({ simulator }: World) => {
  simulator.options.stuck = { links: [], objects: [] };
};

const askedOf = async ({ database }: World) =>
  (
    await rows<{ id: string }>(
      database,
      "select q.object_id as id from entra_sync.stage_asked q join entra_sync.rounds r using (round_id) where r.kind = 'full'",
    )
  ).map(({ id }) => id);

test('rule 24: a user that changes between two pages of a full round keeps the new value when that round is committed', async () => {
  const world = await openWorld({ users: 25, simulator: { pageSize: 10 } });
  const { tenant, simulator, database } = world;
  await world.cycle();
  await makeFullDue(world, 'users');
  const [first = { id: '' }, second = { id: '' }] = tenant.users();
  // The change comes during the request for the second page, when the first, with the old value, is staged.
  let pages = 0;
  const off = simulator.intercept(({ url }) => {
    if (!ofUsers(url)) return undefined;
    pages += 1;
    if (pages === 2) {
      tenant.updateUser(first.id, { city: 'New' });
      tenant.deleteUser(second.id);
    }
    return undefined;
  });
  simulator.options.stuck.links = [{ stream: 'users', round: 'full', page: 3, status: 500 }];
  const beside = await world.cycle();
  off();
  expect(beside.streams.users).toMatchObject({ round: 'incremental', updated: 1, removed: 1 });
  expect(beside.unfinished.map(({ stream }) => stream)).toEqual(['users']);
  expect(await cityOf(world, first.id)).toBe('New');
  heal(world);
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'full', reason: 'due', ...nothing });
  await expectTruth(tenant, database);
  await expectFeedRebuilds(database, tenant.tenantId, null);
});

test('rules 22, 24: a user read by GET in a full round who changes before its commit is read again', async () => {
  const world = await openWorld({ users: 60, simulator: { pageSize: 20 } });
  const { tenant, simulator, database } = world;
  await world.cycle();
  await makeFullDue(world, 'users');
  const hidden = new Set(
    tenant
      .users()
      .slice(0, 30)
      .map(({ id }) => id),
  );
  // Full rounds do not show 30 users, so all of them are asked for, in two `$batch` requests.
  let isLater = false;
  simulator.transform(({ url }, body) => {
    const { value } = body as { value?: { id: string }[] };
    if (!ofUsers(url) || !value) return body;
    if (!url.includes('skiptoken')) isLater = url.includes('deltatoken');
    return isLater ? body : { ...body, value: value.filter(({ id }) => !hidden.has(id)) };
  });
  // After the first `$batch`, Graph answers only the requests of the rounds.
  let batches = 0;
  const off = simulator.intercept(({ url }) => {
    if (!isSingle(url)) return undefined;
    if (url.includes('$batch')) batches += 1;
    return batches === 1 ? undefined : { status: 503, body: {} };
  });
  await world.cycle();
  off();
  const asked = await askedOf(world);
  expect(asked).toHaveLength(20);
  const [first = ''] = asked;
  tenant.updateUser(first, { city: 'New' });
  // The ask fails once more, and the change is committed beside the full round.
  const down = simulator.intercept(({ url }) => (isSingle(url) ? { status: 503, body: {} } : undefined));
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'incremental', updated: 1 });
  down();
  expect((await askedOf(world)).sort()).toEqual(asked.filter((id) => id !== first).sort());
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'full', reason: 'due', ...nothing });
  expect(await cityOf(world, first)).toBe('New');
  await expectTruth(tenant, database);
});

test('rule 24: a member who leaves a group between two pages of a full round does not come back when that round is committed', async () => {
  const world = await openWorld({ users: 12, groups: 12, largestGroup: 5, simulator: { pageSize: 5 } });
  const { tenant, simulator, database } = world;
  await world.cycle();
  await makeFullDue(world, 'groups');
  const [team] = tenant.groups();
  const [member = ''] = team?.members.keys() ?? [];
  let pages = 0;
  const off = simulator.intercept(({ url }) => {
    if (!url.startsWith('/v1.0/groups/delta')) return undefined;
    pages += 1;
    // Earlier pages named the member who leaves. A new member would cause a read of the whole list anyway.
    if (pages === 2) tenant.removeMember(team?.id ?? '', member);
    return undefined;
  });
  simulator.options.stuck.links = [{ stream: 'groups', round: 'full', page: 3, status: 500 }];
  expect((await world.cycle()).streams.groups).toMatchObject({ round: 'incremental' });
  off();
  expect(await groupsSeen(database, tenant.tenantId)).toEqual(groupTruth(tenant));
  heal(world);
  expect((await world.cycle()).streams.groups).toMatchObject({
    ...{ round: 'full', reason: 'due', ...nothing },
    ...{ memberships_added: 0, memberships_removed: 0 },
  });
  await expectGroups(world);
});
