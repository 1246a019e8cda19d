// Rules 7, 19, 22 at the edges of a scope by groups: users and groups that are deleted, restored, or unreadable.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { changeSettings } from '../../../src/store/preview/settings.ts';
import { disconnectTenant, reconnectTenant } from '../../../src/store/tenants/disconnect.ts';
import { runCli } from '../../support/cli.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import {
  alterPages,
  down,
  groupsWorld,
  type Item,
  isLive,
  notFound,
  ofUsers,
  setScope,
} from '../../support/groups-world.ts';
import { setSettings } from '../../support/settings.ts';
import { removedOf, type World } from '../../support/system.ts';

test('rule 7: a user restored outside the scope enters it by joining a group, with the same account', async () => {
  const { world, tenant, person, group } = await groupsWorld({ Scope: [0, 1] });
  await setScope(world, { groups: [group('Scope')] });
  await world.cycle();
  tenant.deleteUser(person(0));
  await world.cycle();
  const [was] = await rows(world.database, 'select account_id, purge_at from directory.removed_accounts');
  tenant.restoreUser(person(0));
  tenant.removeMember(group('Scope'), person(0));
  await world.cycle();
  expect(await removedOf(world.database, tenant.tenantId)).toEqual({ [person(0)]: 'out_of_scope' });
  expect(await rows(world.database, 'select account_id, purge_at from directory.removed_accounts')).toEqual([was]);
  tenant.addMember(group('Scope'), person(0));
  expect((await world.cycle()).streams.users).toMatchObject({ restored: 1, created: 0 });
});

test.runIf(isDeep)(
  'rule 22: a user removed as disabled and enabled outside the scope groups enters by joining one',
  async () => {
    const { world, tenant, person, group } = await groupsWorld({ Scope: [0, 1] });
    await setScope(world, { groups: [group('Scope')] });
    await setSettings(world.database, { disabledAccounts: 'remove' });
    await world.cycle();
    tenant.updateUser(person(0), { accountEnabled: false });
    await world.cycle();
    expect(await removedOf(world.database, tenant.tenantId)).toEqual({ [person(0)]: 'disabled' });
    tenant.removeMember(group('Scope'), person(0));
    await world.cycle();
    tenant.updateUser(person(0), { accountEnabled: true });
    await world.cycle();
    expect(await removedOf(world.database, tenant.tenantId)).toEqual({ [person(0)]: 'out_of_scope' });
    tenant.addMember(group('Scope'), person(0));
    expect((await world.cycle()).streams.users).toMatchObject({ restored: 1, created: 0 });
  },
);

test.each(
  rowsOf(
    [
      ['is manual', () => Promise.resolve()],
      [
        'was removed by hand',
        ({ database }: World, object: string) =>
          rows(
            database,
            "select directory.remove_account(account_id, 'ann', 'manager') from entra_sync.accounts where entra_object_id = :object",
            { object },
          ),
      ],
    ],
    (_, n) => n === 0,
  ),
)(
  'rule 22: a released account, %s since and outside at the reconnect, is managed again on joining a scope group',
  async (_, meanwhile) => {
    const { world, tenant, person, group } = await groupsWorld({ Scope: [0, 1] });
    await setScope(world, { groups: [group('Scope')] });
    await world.cycle();
    await disconnectTenant(world.database, tenant.tenantId, { actor: 'test', dryRun: false });
    await meanwhile(world, person(0));
    tenant.removeMember(group('Scope'), person(0));
    await reconnectTenant(world.database, tenant.tenantId, 'test');
    await world.cycle();
    const state = () =>
      rows(
        world.database,
        'select state, removed_at is null as live from entra_sync.accounts where entra_object_id = :id',
        { id: person(0) },
      );
    expect(await state()).toMatchObject([{ state: 'manual' }]);
    tenant.addMember(group('Scope'), person(0));
    await world.cycle();
    expect(await state()).toEqual([{ state: 'managed', live: true }]);
    // No user is asked for again and again.
    expect((await world.cycle()).streams.users).toMatchObject({ distinct: 0 });
  },
);

test.runIf(isDeep)('a user restored while the scope group is deleted comes back with the group', async () => {
  const { world, tenant, person, group } = await groupsWorld({ Scope: [0, 1] });
  await setScope(world, { groups: [group('Scope')] });
  await world.cycle();
  tenant.deleteUser(person(0));
  await world.cycle();
  tenant.deleteGroup(group('Scope'));
  await world.cycle();
  tenant.restoreUser(person(0));
  await world.cycle();
  tenant.restoreGroup(group('Scope'));
  await world.cycle();
  expect([await isLive(world, person(0)), await isLive(world, person(1))]).toEqual([true, true]);
});

test.runIf(isDeep)(
  'rule 22: a user who becomes eligible outside the scope groups is asked for when joining one',
  async () => {
    const { world, tenant, person, group } = await groupsWorld({ Scope: [0, 1] });
    await setScope(world, { accountEnabled: true, groups: [group('Scope')] });
    tenant.updateUser(person(0), { accountEnabled: false });
    await world.cycle();
    tenant.removeMember(group('Scope'), person(0));
    tenant.updateUser(person(0), { accountEnabled: true });
    await world.cycle();
    tenant.addMember(group('Scope'), person(0));
    await world.cycle();
    expect(await isLive(world, person(0))).toBe(true);
  },
);

test.runIf(isDeep)(
  'rule 22: a user who joins a scope group and is not found by GET yet is asked again; a dry run keeps nothing',
  async () => {
    const { world, tenant, person, group } = await groupsWorld({ Scope: [0] });
    await setScope(world, { groups: [group('Scope')] });
    await world.cycle();
    tenant.addMember(group('Scope'), person(3));
    const lag = world.simulator.intercept(({ url }) => (url.includes(`/users/${person(3)}`) ? notFound : undefined));
    const up = world.simulator.intercept(({ url }) => (ofUsers(url) ? down : undefined));
    await world.cycle().catch(() => {});
    up();
    await world.cycle({ dryRun: true });
    expect(await rows(world.database, 'select from entra_sync.outside_scope')).toEqual([]);
    await world.cycle();
    expect(await isLive(world, person(3))).toBe(false);
    lag();
    await world.cycle();
    expect(await isLive(world, person(3))).toBe(true);
  },
);

test('rule 19: an unreadable nested group holds the removals of accounts that may be in it', async () => {
  const { world, tenant, person, group } = await groupsWorld({ Scope: ['Inner', 1], Inner: [0], Far: [2] });
  const nul = (item: Item): Item => (item.id === group('Inner') ? { ...item, displayName: 'a\0b' } : item);
  const pages = alterPages(world, nul);
  const single = world.simulator.transform(({ url }, body) =>
    url.includes(`/groups/${group('Inner')}?`) ? nul(body as Item) : body,
  );
  await world.cycle();
  const scoped = { scope: { userType: 'any' as const, groups: [group('Scope')] } };
  const told = await changeSettings(
    world.database,
    loadDefaults(),
    { tenantId: null, document: scoped, actor: 'test' },
    { dryRun: true },
  );
  expect(told.tenants).toMatchObject([{ leaving: { out_of_scope: 0 }, missingGroups: [group('Inner')] }]);
  await setScope(world, { groups: [group('Scope')] });
  expect(await world.cycle()).toMatchObject({
    outcome: 'held',
    streams: { users: { removed: 0, held: 11, scope_gaps: [{ id: group('Inner'), why: 'set_aside' }] } },
  });
  expect(await isLive(world, person(0))).toBe(true);
  const environment = { ...world.simulator.environment(tenant.tenantId), DATABASE_URL: world.url };
  const { code, stderr } = await runCli(['sync'], environment);
  expect([code, stderr]).toEqual([4, expect.stringContaining(`scope group ${group('Inner')} cannot be read`)]);
  pages();
  single();
  await world.cycle();
  expect([await isLive(world, person(0)), await isLive(world, person(1)), await isLive(world, person(2))]).toEqual([
    true,
    true,
    false,
  ]);
});

test('a missing scope group is named, even if no account is held', async () => {
  const { world, tenant } = await groupsWorld({ Team: [0] });
  const missing = randomUUID();
  await setScope(world, { groups: [missing] });
  const environment = { ...world.simulator.environment(tenant.tenantId), DATABASE_URL: world.url };
  const { code, stderr } = await runCli(['sync'], environment);
  expect([code, stderr]).toEqual([0, expect.stringContaining(`scope group ${missing} is not there`)]);
  expect((await runCli(['status'], environment)).stdout).toContain(`scope group ${missing} is not there`);
});

test('a dry run after a change of the scope groups reports the removals that the next cycle makes, and keeps nothing', async () => {
  const { world, tenant, person, group } = await groupsWorld({ Scope: [0, 1] });
  await world.cycle();
  await setScope(world, { groups: [group('Scope')] });
  const dry = await world.cycle({ dryRun: true });
  expect(dry.streams.users).toMatchObject({ removed: 10, held: 0 });
  expect(await rows(world.database, 'select from entra_sync.rounds where dry_run')).toEqual([]);
  expect(await removedOf(world.database, tenant.tenantId)).toEqual({});
  expect((await world.cycle()).streams.users).toMatchObject({ removed: 10 });
  tenant.removeMember(group('Scope'), person(0));
  tenant.addMember(group('Scope'), person(2));
  const later = await world.cycle({ dryRun: true });
  expect(later.streams.users).toMatchObject({ removed: 1, restored: 1 });
  expect(later.sample.filter((one) => one.kind === 'account.removed')).toHaveLength(1);
  expect((await world.cycle()).streams.users).toMatchObject({ removed: 1, restored: 1 });
});
