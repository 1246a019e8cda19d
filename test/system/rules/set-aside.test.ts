// Rule 19: every kind of invalid object, in either stream and round, alone and among valid ones, is set aside with its
// reason, asked again (rule 22), and stored once it is valid. Also tests its listing.
import { expect, test } from 'vitest';
import { exactNumber } from '../../../src/simulator/index.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { runCli } from '../../support/cli.ts';
import { rowsOf } from '../../support/deep.ts';
import { groupsSeen, groupTruth } from '../../support/groups-truth.ts';
import { setSettings } from '../../support/settings.ts';
import { expectTruth, openWorld, type World } from '../../support/system.ts';

type Item = Record<string, unknown> & { id: string };
type Stream = 'users' | 'groups';

// A number that JSON can write and no machine can hold.
const tooLarge = exactNumber('1e999');
const bad: Record<Stream, Record<string, [patch: Record<string, unknown>, reason: RegExp]>> = {
  users: {
    'a NUL character': [{ mail: 'a\0b' }, /^mail holds a NUL character$/],
    'half a surrogate pair': [{ userType: 'a\ud800b' }, /^userType holds half a surrogate pair$/],
    'a number out of range': [{ accountEnabled: tooLarge }, /^accountEnabled is not of the type boolean$/],
    'a string of a megabyte': [{ userType: 'x'.repeat(1_048_576) }, /^userType is longer than 32768 characters$/],
  },
  groups: {
    'a NUL character': [{ displayName: 'a\0b' }, /^displayName holds a NUL character$/],
    'half a surrogate pair': [{ displayName: '\udc00' }, /^displayName holds half a surrogate pair$/],
    'a number out of range': [{ securityEnabled: tooLarge }, /^securityEnabled is not of the type boolean$/],
    'a string of a megabyte': [{ displayName: 'x'.repeat(1_048_576) }, /^displayName is longer than 32768 characters$/],
  },
};

/** Syncs a tenant with a property that holds any JSON, without limits on removals. */
async function openTenant(): Promise<World> {
  const world = await openWorld({ users: 8, groups: 6, largestGroup: 4 });
  await setSettings(world.database, {
    fields: { organisation: { from: 'employeeOrgData' } },
    scope: { userType: 'any' },
  });
  await world.cycle();
  return world;
}

/** Alters the objects in delta pages and in answers to GET. */
function alter({ simulator }: World, stream: Stream, change: (item: Item) => Item, alone?: string): () => void {
  return simulator.transform(({ url }, body) => {
    const { value } = body as { value?: Item[] };
    if (url.startsWith(`/v1.0/${stream}/delta`) && value)
      return { ...body, value: value.filter((one) => !alone || one.id === alone).map(change) };
    return new RegExp(`/${stream}/[0-9a-f-]{36}[?]`).test(url) ? change(body as Item) : body;
  });
}

function touch({ tenant }: World, stream: Stream, ids: readonly string[], number: number): void {
  for (const id of ids) {
    if (stream === 'users') tenant.updateUser(id, { city: `City ${number}` });
    else tenant.updateGroup(id, { mailNickname: `nick${number}` });
  }
}

const aside = ({ database }: World) =>
  rows<{ id: string; reason: string }>(
    database,
    'select entra_object_id as id, reason from directory.set_aside order by stream, entra_object_id',
  );

async function expectStep(world: World): Promise<void> {
  await expectTruth(world.tenant, world.database, []);
  expect(await groupsSeen(world.database, world.tenant.tenantId)).toEqual(groupTruth(world.tenant));
}

const idsOf = ({ tenant }: World, stream: Stream) =>
  (stream === 'users' ? tenant.users() : tenant.groups()).map((one) => one.id);

for (const stream of ['users', 'groups'] as const) {
  test.each(rowsOf(Object.keys(bad[stream]), (_, n) => n === (stream === 'users' ? 0 : 2)))(
    `rules 19, 22: ${stream} with %s are set aside, asked again, and heal`,
    async (kind) => {
      const world = await openTenant();
      const [patch, reason] = bad[stream][kind] ?? [{}, /^$/];
      const ids = idsOf(world, stream);
      let number = 0;
      for (const resync of [false, true])
        for (const alone of [false, true]) {
          const told = `${resync ? 'full' : 'later'} round, ${alone ? 'alone' : 'among good ones'}`;
          const id = ids[number++] ?? '';
          touch(world, stream, alone ? [id] : ids, number);
          const heal = alter(
            world,
            stream,
            (item) => (item.id === id ? { ...item, ...patch } : item),
            alone ? id : undefined,
          );
          const first = (await world.cycle({ resync })).streams[stream];
          expect(first, told).toMatchObject({ set_aside: 1, removed: 0, held: 0, memberships_removed: 0 });
          expect(await aside(world), told).toEqual([{ id, reason: expect.stringMatching(reason) }]);
          // No round shows it any more; it is asked for all the same.
          expect((await world.cycle()).streams[stream], told).toMatchObject({ set_aside: 1, removed: 0 });
          heal();
          expect((await world.cycle()).streams[stream], told).toMatchObject({ set_aside: 0, updated: 1 });
          expect(await aside(world), told).toEqual([]);
          await expectStep(world);
        }
    },
  );

  test(`rule 19: ${stream} whose id is no GUID are set aside under the id that was sent, and no account is missed for them`, async () => {
    const world = await openTenant();
    const ids = idsOf(world, stream);
    let number = 0;
    for (const resync of [false, true])
      for (const alone of [false, true]) {
        const told = `${resync ? 'full' : 'later'} round, ${alone ? 'alone' : 'among good ones'}`;
        const id = ids[number++] ?? '';
        touch(world, stream, alone ? [id] : ids, number);
        const heal = world.simulator.transform(({ url }, body) => {
          if (!url.startsWith(`/v1.0/${stream}/delta`)) return body;
          const { value } = body as { value: Item[] };
          const without = (one: Item) => (one.id === id ? { ...one, id: 'no\0guid' } : one);
          return { ...body, value: value.filter((one) => !alone || one.id === id).map(without) };
        });
        expect((await world.cycle({ resync })).streams[stream], told).toMatchObject({
          set_aside: 1,
          removed: 0,
          held: 0,
        });
        expect(await aside(world), told).toEqual([{ id: 'no?guid', reason: 'its id is not a GUID' }]);
        heal();
        await world.cycle({ resync: true });
        expect(await aside(world), told).toEqual([]);
        await expectStep(world);
      }
  });
}

test('rule 19: status --set-aside lists invalid objects with their reasons, until they are valid or permanently deleted', async () => {
  const world = await openTenant();
  const { tenant } = world;
  const environment = { ...world.simulator.environment(tenant.tenantId), DATABASE_URL: world.url };
  const expected: { stream: Stream; entra_object_id: string; reason: string }[] = [];
  const cures = (['users', 'groups'] as const).map((stream) => {
    const ids = idsOf(world, stream);
    const patches = new Map(Object.values(bad[stream]).map(([patch], index) => [ids[index], patch]));
    for (const [index, [, reason]] of Object.values(bad[stream]).entries()) {
      const words = reason.source.replaceAll(/[\\^$]/g, '');
      expected.push({ stream, entra_object_id: ids[index] ?? '', reason: words });
    }
    return alter(world, stream, (item) => ({ ...item, ...patches.get(item.id) }));
  });
  expect(await world.cycle({ resync: true })).toMatchObject({
    outcome: 'committed',
    streams: { users: { set_aside: 4 }, groups: { set_aside: 4 } },
  });
  const listed = await runCli(['status', '--set-aside'], environment);
  expect(listed.code).toBe(0);
  for (const { stream, entra_object_id: id, reason } of expected) {
    const line = listed.stdout.split('\n').find((text) => text.includes(id)) ?? '';
    expect([line.includes(stream), line.includes(reason)], `${line} tells of ${reason}`).toEqual([true, true]);
  }
  const json = JSON.parse((await runCli(['status', '--set-aside', '--json'], environment)).stdout);
  expect(json.set_aside).toEqual(expect.arrayContaining(expected.map((one) => expect.objectContaining(one))));
  expect(json.tenants).toMatchObject([{ set_aside: 8 }]);
  // For each kind, one is permanently deleted; the others become valid.
  const [person, group] = [expected[0]?.entra_object_id ?? '', expected[4]?.entra_object_id ?? ''];
  tenant.purgeUser(person);
  tenant.purgeGroup(group);
  await world.cycle();
  expect((await aside(world)).map((one) => one.id).sort()).toEqual(
    expected
      .map((one) => one.entra_object_id)
      .filter((id) => id !== person && id !== group)
      .sort(),
  );
  for (const cure of cures) cure();
  expect(await world.cycle()).toMatchObject({ streams: { users: { set_aside: 0 }, groups: { set_aside: 0 } } });
  const empty = await runCli(['status', '--set-aside'], environment);
  expect(empty.stdout).toContain('Nothing is set aside.');
  await expectTruth(tenant, world.database, [person]);
});
