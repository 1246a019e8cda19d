// Settings that are replaced before a round has committed them, and settings of which one stream alone has: what was read or judged
// under them leaves no trace (rules 17, 24, 35).
import { expect, test } from 'vitest';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { changeSettings } from '../../../src/store/preview/settings.ts';
import { isDeep } from '../../support/deep.ts';
import { alterPages, down, groupsWorld, makeFullDue, ofUsers } from '../../support/groups-world.ts';
import { setSettings } from '../../support/settings.ts';
import { accountsOf, failureOf, personOf, type World } from '../../support/system.ts';

type Scope = { userType?: 'any' | ('Member' | 'Guest')[]; groups?: string[] };

const setScope = ({ database }: World, scope: Scope) =>
  setSettings(database, { scope: { userType: 'any', groups: [], ...scope } });
const live = async ({ database, tenant }: World) => Object.keys(await accountsOf(database, tenant.tenantId)).sort();

test.each([
  ['fewer scope groups come', false],
  ['the scope before it is back', true],
])(
  'rule 35: a user read on demand under a scope that no round has committed counts as any other when %s',
  async (_what, fromTheFirst) => {
    const { world, tenant, group, person } = await groupsWorld({ A: [0, 2] }, { users: 6, groups: 0 });
    const byGroup = { groups: [group('A')] };
    tenant.updateUser(person(1), { userType: 'Guest' });
    if (fromTheFirst) {
      tenant.addMember(group('A'), person(1));
      await setScope(world, byGroup);
    }
    await world.cycle();
    expect(await live(world)).toContain(person(1));
    await setScope(world, { userType: ['Member'], ...(fromTheFirst && byGroup) });
    await personOf(world, person(1));
    await setScope(world, byGroup);
    if (fromTheFirst) tenant.removeMember(group('A'), person(1));
    await world.cycle();
    expect(await live(world)).toEqual([person(0), person(2)].sort());
    tenant.addMember(group('A'), person(1));
    await world.cycle();
    expect(await live(world)).toEqual([person(0), person(1), person(2)].sort());
  },
);

test('rule 35: an account that an on-demand read made under a wider scope leaves with the next cycle when that scope is taken back', async () => {
  const { world, tenant, person } = await groupsWorld({ A: [0] }, { users: 4, groups: 0 });
  tenant.updateUser(person(1), { userType: 'Guest' });
  await setScope(world, { userType: ['Member'] });
  await world.cycle();
  await setScope(world, {});
  await personOf(world, person(1));
  expect(await live(world)).toHaveLength(4);
  await setScope(world, { userType: ['Member'] });
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'incremental', removed: 1 });
  expect(await live(world)).not.toContain(person(1));
  expect(
    await rows(world.database, 'select condition from entra_sync.outside_scope where entra_object_id = :id', {
      id: person(1),
    }),
  ).toEqual([{ condition: 1 }]);
});

test.runIf(isDeep)(
  'rule 35: a preview tells the full round of groups that had committed other scope groups than the users',
  async () => {
    const { world, group } = await groupsWorld({ A: [0, 1], B: [2, 3] }, { users: 6, groups: 0 });
    await setScope(world, { groups: [group('A'), group('B')] });
    await world.cycle();
    await setScope(world, { groups: [group('A')] });
    const up = world.simulator.intercept(({ url }) => (ofUsers(url) ? down : undefined));
    await failureOf(world.cycle());
    up();
    const document = { scope: { userType: 'any' as const, groups: [group('B')] } };
    const change = { tenantId: null, document, actor: 'test' };
    const { tenants } = await changeSettings(world.database, loadDefaults(), change, { dryRun: true });
    expect(tenants).toMatchObject([{ fullRound: true, mayEnter: false }]);
    await setScope(world, { groups: [group('B')] });
    expect((await world.cycle()).streams).toMatchObject({ users: { round: 'incremental' }, groups: { round: 'full' } });
    expect(await live(world)).toHaveLength(2);
  },
);

test('rules 24, 35: a narrower scope is applied beside a due full round that cannot be finished', async () => {
  const { world, tenant, group, person } = await groupsWorld(
    { A: [0] },
    { users: 8, groups: 0, simulator: { pageSize: 2 } },
  );
  await world.cycle();
  await makeFullDue(world, 'users');
  const up = world.simulator.intercept(({ url }) => (ofUsers(url) && url.includes('$skiptoken') ? down : undefined));
  await setScope(world, { groups: [group('A')] });
  tenant.updateUser(person(0), { jobTitle: 'Changed' });
  const { unfinished, streams } = await world.cycle();
  expect(unfinished).toHaveLength(1);
  expect(streams.users).toMatchObject({ removed: 7, updated: 1 });
  expect(await live(world)).toEqual([person(0)]);
  up();
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'full', removed: 0, updated: 0 });
  expect(await live(world)).toEqual([person(0)]);
});

test('rules 19, 35: while the member list of a group that becomes a scope group cannot be read, no account leaves for it', async () => {
  const { world, tenant, group, person } = await groupsWorld({ A: [0, 1], B: [2] }, { users: 6, groups: 0 });
  await world.cycle();
  tenant.addMember(group('A'), person(5));
  const shown = alterPages(world, (item) =>
    item.id === group('A') ? ({ ...item, 'members@delta': 'none' } as unknown as typeof item) : item,
  );
  const read = world.simulator.intercept(({ url }) =>
    url.includes(`/groups/${group('A')}`) ? { status: 500, body: {} } : undefined,
  );
  await world.cycle();
  await setScope(world, { groups: [group('A')] });
  expect((await world.cycle()).streams.users).toMatchObject({ removed: 0, held: 4 });
  expect(await live(world)).toHaveLength(6);
  shown();
  read();
  await world.cycle();
  await world.cycle();
  expect(await live(world)).toEqual([person(0), person(1), person(5)].sort());
});
