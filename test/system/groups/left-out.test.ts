// Groups that the settings leave out (rule 43): what is kept of them, what runs through them, and how they come and go.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { loadDefaults } from '../../../src/settings/settings.ts';
import { decideRemovals } from '../../../src/store/commit/held-removals.ts';
import { openLists } from '../../../src/store/commit/removal-lists.ts';
import { undoRemovals } from '../../../src/store/commit/undo-removals.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { changeSettings } from '../../../src/store/preview/settings.ts';
import { runCli, temporaryDirectory } from '../../support/cli.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { groupsSeen, groupTruth } from '../../support/groups-truth.ts';
import { groupsWorld, ofGroups } from '../../support/groups-world.ts';
import { setSettings } from '../../support/settings.ts';
import { expectSound } from '../../support/soundness.ts';
import type { World } from '../../support/system.ts';

type Choice = { only?: string[]; except?: string[] };

const choose = ({ database }: World, groups: Choice) =>
  setSettings(database, { groups: { only: [], except: [], ...groups } });
const preview = async ({ database }: World, groups: Choice) => {
  const change = { tenantId: null, document: { groups: { only: [], except: [], ...groups } }, actor: 'test' };
  const { tenants } = await changeSettings(database, loadDefaults(), change, { dryRun: true });
  return tenants[0] ?? expect.unreachable();
};

/** Expects the tenant's truth with these groups copied by name, sound tables, and no trace of the others' names. */
async function expectCopied(world: World, isCopied: (name: string) => boolean): Promise<void> {
  const { database, tenant } = world;
  expect(await groupsSeen(database, tenant.tenantId)).toEqual(
    groupTruth(
      tenant,
      () => true,
      (_, name) => isCopied(name),
    ),
  );
  await expectSound(database, tenant.tenantId);
}

const rowOf = async ({ database, tenant }: World, object: string) =>
  (
    await rows<Record<string, unknown>>(
      database,
      'select *, purge_at::text as purge from entra_sync.groups where tenant_id = :tenant and entra_object_id = :object',
      { tenant: tenant.tenantId, object },
    )
  )[0];
const kindsOf = async ({ database, tenant }: World, object: string) =>
  (
    await rows<{ kind: string }>(
      database,
      `select c.kind from directory.read_changes(null, 100000) c join entra_sync.groups g using (group_id)
        where g.tenant_id = :tenant and g.entra_object_id = :object and c.kind like 'group.%'`,
      { tenant: tenant.tenantId, object },
    )
  ).map(({ kind }) => kind);

function shellOf(world: World) {
  const environment = { ...world.simulator.environment(world.tenant.tenantId), DATABASE_URL: world.url };
  return (...words: string[]) => runCli(words, environment);
}

/** Board holds Hidden, which holds Inner and user 1; Inner holds user 2, Board user 0. */
const nested = (options: Parameters<typeof groupsWorld>[1] = {}) =>
  groupsWorld(
    { Inner: [2], Hidden: [1, 'Inner'], Board: [0, 'Hidden'], Other: [3] },
    { users: 5, groups: 0, ...options },
  );

test.each(rowsOf(['quick', 'delta'] as const, (_, n) => n === 0))(
  'rule 43: of a group that is not copied no name is stored, and nested membership runs through it (first load: %s)',
  async (firstLoad) => {
    const { world, tenant, group, person } = await nested({ firstLoad });
    await setSettings(world.database, { scope: { userType: 'any' } });
    await choose(world, { only: ['BOARD', group('Inner').toUpperCase()] });
    expect((await world.cycle()).streams.groups).toMatchObject({ not_copied: 2 });
    const isCopied = (name: string) => name === 'Board' || name === 'Inner';
    await expectCopied(world, isCopied);
    expect((await groupsSeen(world.database, tenant.tenantId)).effective).toContain(
      `${group('Board')} ${person(2)} nested`,
    );
    const hidden = await rowOf(world, group('Hidden'));
    expect(hidden).toMatchObject({
      copied: false,
      removed_reason: 'not_copied',
      purge: 'infinity',
      display_name: null,
      source: {},
    });
    expect(await kindsOf(world, group('Hidden'))).toEqual([]);
    expect(await rows(world.database, 'select * from directory.removed_groups')).toEqual([]);

    // Who joins and leaves it moves in the groups above, without a change row of its own.
    tenant.addMember(group('Hidden'), person(4));
    tenant.removeMember(group('Hidden'), person(1));
    world.simulator.clearRequests();
    await world.cycle();
    await expectCopied(world, isCopied);
    expect(
      world.simulator.requests.filter(({ path }) => path.includes('$batch')),
      'its name is not asked for',
    ).toEqual([]);
    tenant.deleteUser(person(4));
    await world.cycle();
    await expectCopied(world, isCopied);
    tenant.restoreUser(person(4));
    tenant.addMember(group('Other'), group('Board'));
    tenant.addMember(group('Inner'), group('Other'));
    await world.cycle();
    await expectCopied(world, isCopied);
    expect(await shellOf(world)('verify'), 'no drift').toMatchObject({ code: 0 });
    await world.cycle({ resync: true });
    await expectCopied(world, isCopied);
  },
);

test('rule 43: fewer groups leave with the next cycle, by the stored names; more groups come with a full round, each with its group_id', async () => {
  const { world, tenant, group, person } = await nested();
  const { database } = world;
  await setSettings(database, { scope: { userType: 'any' } });
  await world.cycle();
  const id = String((await rowOf(world, group('Hidden')))?.group_id);
  const slot = { tenant: tenant.tenantId, group: id };
  await database.raw(`select directory.put_slot(:tenant, 'banner', 1, null, 'Ann')`, slot);
  await database.raw(`select directory.put_item(:tenant, 'banner', 'spring', null, null, 'Ann')`, slot);
  await database.raw(
    `select directory.assign(:tenant, 'banner', 'spring', jsonb_build_object('group', :group::text), '{}', 'Ann')`,
    slot,
  );
  const assigned = () =>
    rows(
      database,
      'select state, group_name, (select count(*)::int from directory.assigned) as gets from directory.assignments',
    );
  expect(await assigned()).toEqual([{ state: 'active', group_name: 'Hidden', gets: 2 }]);

  const told = await preview(world, { except: ['hid*', 'none*'] });
  expect(told).toMatchObject({
    ...{ fullRound: false, narrower: true },
    groups: { staying: 3, leaving: 1, coming: 0, unknown: 0, unmatched: ['groups.except "none*"'] },
  });
  expect(told.groups?.leavers).toEqual([{ group_id: id, display_name: 'Hidden', why: 'groups.except: "hid*"' }]);
  await choose(world, { except: ['hid*'] });
  world.simulator.clearRequests();
  expect((await world.cycle()).streams.groups).toMatchObject({
    ...{ round: 'incremental', reason: 'changes', removed: 1, not_copied: 1, distinct: 0 },
  });
  expect(
    world.simulator.requests.filter(({ path }) => ofGroups(path)),
    'one page, from the checkpoint',
  ).toHaveLength(1);
  await expectCopied(world, (name) => name !== 'Hidden');
  expect(await kindsOf(world, group('Hidden'))).toEqual(['group.created', 'group.removed']);
  expect(await assigned()).toEqual([{ state: 'dormant', group_name: null, gets: 0 }]);
  expect((await world.cycle()).streams.groups).toMatchObject({ removed: 0, distinct: 0 });

  tenant.addMember(group('Hidden'), person(4));
  await world.cycle();
  await expectCopied(world, (name) => name !== 'Hidden');
  expect(await preview(world, {})).toMatchObject({ fullRound: true, groups: { leaving: 0, coming: 0, unknown: 1 } });
  expect(await preview(world, { only: ['*'], except: [group('Other')] })).toMatchObject({
    groups: { leaving: 1, unknown: 1 },
  });
  expect(await preview(world, { only: [group('Hidden')] })).toMatchObject({
    groups: { leaving: 3, coming: 1, unknown: 0 },
  });
  await choose(world, {});
  expect((await world.cycle()).streams.groups).toMatchObject({
    round: 'full',
    reason: 'settings_changed',
    restored: 1,
  });
  await expectCopied(world, () => true);
  expect(String((await rowOf(world, group('Hidden')))?.group_id)).toBe(id);
  expect(await assigned()).toEqual([{ state: 'active', group_name: 'Hidden', gets: 3 }]);
});

test.each(rowsOf(['default', 'minimal'] as const, (_, n) => n === 1))(
  'rule 43: a name that comes to fit, or no longer fits, shows or hides the group (%s form)',
  async (form) => {
    const { world, tenant, group, person } = await nested({ simulator: { form } });
    await setSettings(world.database, { scope: { userType: 'any' } });
    await choose(world, { only: ['Team*', 'Board'] });
    await world.cycle();
    tenant.updateGroup(group('Hidden'), { displayName: 'Team Hidden', description: 'for all' });
    tenant.addMember(group('Hidden'), person(4));
    expect((await world.cycle()).streams.groups).toMatchObject({ created: 1, restored: 0, not_copied: 2 });
    await expectCopied(world, (name) => name === 'Team Hidden' || name === 'Board');
    tenant.updateGroup(group('Hidden'), { displayName: 'Hidden again' });
    expect((await world.cycle()).streams.groups).toMatchObject({ removed: 1, not_copied: 3 });
    await expectCopied(world, (name) => name === 'Board');
    tenant.updateGroup(group('Hidden'), { displayName: 'Team again' });
    expect((await world.cycle()).streams.groups).toMatchObject({ created: 0, restored: 1 });
    await expectCopied(world, (name) => name === 'Team again' || name === 'Board');
  },
);

test('rules 7, 43: a group that is not copied lives and dies with Entra ID: deleted, restored, missed and purged', async () => {
  const { world, tenant, group, person } = await nested();
  const { database } = world;
  await setSettings(database, { scope: { userType: 'any' } });
  await choose(world, { only: ['Board', 'Inner'] });
  await world.cycle();
  const isCopied = (name: string) => name === 'Board' || name === 'Inner';
  tenant.deleteGroup(group('Hidden'));
  await world.cycle();
  await expectCopied(world, isCopied);
  expect(await rowOf(world, group('Hidden'))).toMatchObject({ removed_reason: 'deleted_restorable', copied: false });
  expect(await rows(database, 'select * from directory.removed_groups')).toEqual([]);
  tenant.restoreGroup(group('Hidden'));
  tenant.addMember(group('Hidden'), person(4));
  await world.cycle();
  await expectCopied(world, isCopied);
  expect(await rowOf(world, group('Hidden'))).toMatchObject({ removed_reason: 'not_copied', purge: 'infinity' });
  tenant.purgeGroup(group('Hidden'));
  tenant.expireTokens('410');
  await world.cycle();
  await expectCopied(world, isCopied);
  await database.raw("update entra_sync.groups set purge_at = now() where removed_reason <> 'not_copied'");
  expect((await world.cycle()).streams.groups).toMatchObject({ purged: 0 });
  expect(await rowOf(world, group('Hidden'))).toBeUndefined();
  expect(await rowOf(world, group('Other'))).toMatchObject({ removed_reason: 'not_copied' });
  await expectCopied(world, isCopied);
});

test.each(['Graph restores it', 'a person undoes its removal'])(
  'rule 43: a group that comes back holds what it held, though its groups are no longer copied (%s)',
  async (way) => {
    const { world, tenant, group, person } = await nested();
    const { database } = world;
    await setSettings(database, { scope: { userType: 'any' } });
    await world.cycle();
    tenant.deleteGroup(group('Board'));
    const removed = await world.cycle();
    await choose(world, { except: ['hid*'] });
    await world.cycle();
    if (way === 'Graph restores it') {
      tenant.restoreGroup(group('Board'));
      await world.cycle();
      await expectCopied(world, (name) => name !== 'Hidden');
    } else {
      const of = { cycle: String(removed.cycleId) };
      await undoRemovals(database, { tenantId: tenant.tenantId, of, actor: 'Ann', dryRun: false });
      await expectSound(database, tenant.tenantId);
    }
    expect((await groupsSeen(database, tenant.tenantId)).effective).toContain(`${group('Board')} ${person(2)} nested`);
  },
);

test('rules 10, 43: groups that leave in numbers are held, stay shown and up to date, and a person decides', async () => {
  const names = Object.fromEntries(Array.from({ length: 24 }, (_, n) => [`Team ${n}`, [n % 3]]));
  const { world, tenant, group } = await groupsWorld(names, { users: 3, groups: 0 });
  const { database } = world;
  const { tenantId } = tenant;
  await setSettings(database, { scope: { userType: 'any' }, removals: { max: 500, percent: 20, floor: 20 } });
  await world.cycle();
  await choose(world, { only: ['Team 1*'] });
  expect((await world.cycle()).streams.groups).toMatchObject({ removed: 0, held: 13 });
  await expectCopied(world, () => true);
  tenant.updateGroup(group('Team 2'), { description: 'still shown' });
  tenant.updateGroup(group('Team 3'), { displayName: 'Team 100' });
  expect((await world.cycle()).streams.groups).toMatchObject({ held: 0 });
  await expectCopied(world, () => true);
  const [list] = await openLists(database, tenantId);
  expect(list, 'one group came back by its new name').toMatchObject({ held: 12 });
  expect((await shellOf(world)('removals', 'list')).stdout).toContain('not copied: groups.only or groups.except');
  const decide = (decision: 'approve' | 'reject', ids: string[] | null) =>
    decideRemovals(database, { tenantId, listId: String(list?.list_id), ids, decision, side: 'vendor', actor: 'Ann' });
  expect(await decide('reject', [group('Team 4')])).toMatchObject({ groups: 1 });
  expect(await decide('approve', null)).toMatchObject({ groups: 11 });
  const stays = (name: string) => name.startsWith('Team 1') || name === 'Team 4';
  await expectCopied(world, stays);
  await world.cycle({ resync: true });
  await expectCopied(world, stays);
  expect(await rowOf(world, group('Team 4'))).toMatchObject({ state: 'manual', copied: true });
  const undone = await undoRemovals(database, {
    tenantId,
    of: { list: String(list?.list_id) },
    actor: 'Ann',
    dryRun: false,
  });
  expect(new Set(undone.removals.map(({ outcome }) => outcome))).toEqual(new Set(['not_copied']));
  await choose(world, {});
  await world.cycle();
  await expectCopied(world, () => true);
  expect(await rowOf(world, group('Team 4'))).toMatchObject({ state: 'managed' });
});

test('rule 43: scope groups are copied in any case, and a group that is not copied holds users in scope', async () => {
  const { world, group, person } = await nested();
  await setSettings(world.database, {
    scope: { userType: 'any', groups: [group('Board')] },
    groups: { except: ['*'] },
  });
  expect((await world.cycle()).streams).toMatchObject({ groups: { not_copied: 3 }, users: { created: 3 } });
  const seen = await groupsSeen(world.database, world.tenant.tenantId);
  expect(Object.keys(seen.groups)).toEqual([group('Board')]);
  expect(seen.effective).toEqual(
    [
      `${group('Board')} ${person(0)} direct`,
      `${group('Board')} ${person(1)} nested`,
      `${group('Board')} ${person(2)} nested`,
    ].sort(),
  );
  await expectSound(world.database, world.tenant.tenantId);
});

test.runIf(isDeep)('rule 43: disconnect and reconnect change nothing about what is copied', async () => {
  const { world, tenant, person, group } = await nested();
  await setSettings(world.database, { scope: { userType: 'any' } });
  await choose(world, { except: ['hidden'] });
  await world.cycle();
  const cli = shellOf(world);
  expect(await cli('tenant', 'disconnect', tenant.tenantId)).toMatchObject({ code: 0 });
  await expectSound(world.database, tenant.tenantId);
  expect(await cli('tenant', 'reconnect', tenant.tenantId)).toMatchObject({ code: 0 });
  tenant.addMember(group('Hidden'), person(3));
  await world.cycle();
  await expectCopied(world, (name) => name !== 'Hidden');
});

test('explain and find say why a group is not there, and settings apply tells which groups come and go', async () => {
  const { world, group } = await nested();
  await setSettings(world.database, { scope: { userType: 'any' } });
  await world.cycle();
  const cli = shellOf(world);
  const directory = await temporaryDirectory(onTestFinished);
  const file = join(directory, 'groups.yaml');
  await writeFile(file, stringify({ groups: { except: ['hid*', 'nobody*', group('Other')] } }));
  const { stdout } = await cli('settings', 'apply', file, '--dry-run');
  expect(stdout).toContain('2 groups no longer copied, 2 stay:');
  expect(stdout).toMatch(/^Hidden +groups\.except: "hid\*"$/m);
  expect(stdout).toContain(
    'warning: no copied group fits the glob of groups.except "nobody*": check how it is written',
  );
  expect(stdout).toContain('the narrower scope or choice of groups with the next cycle, which is no full one');
  expect(await cli('settings', 'apply', file)).toMatchObject({ code: 0 });
  expect((await cli('sync')).stdout).toContain('2 groups not copied (groups.only, groups.except)');
  const why = 'not copied: a glob of groups.except fits its name';
  expect((await cli('explain', group('Hidden'))).stdout).toContain(`the group ${group('Hidden')} is ${why}`);
  expect((await cli('explain', group('Other'))).stdout).toContain(`not copied: groups.except: "${group('Other')}"`);
  expect(JSON.parse((await cli('explain', group('Hidden'), '--json')).stdout)).toMatchObject({
    ...{ verdict: 'not_copied', groups: [{ entra_object_id: group('Hidden'), display_name: null, copied: false }] },
  });
  expect((await cli('explain', 'Hidden')).stderr).toContain(
    'a group of that name is not copied (groups.except: "hid*")',
  );
  const found = await cli('find', group('Hidden'));
  expect(found.stdout).toMatch(/group .*not copied/);
  expect(found.stdout).toContain(why);
  expect((await cli('find', 'Hidden', '--tenant', world.tenant.tenantId)).stderr).toContain('groups.except: "hid*"');
  expect((await cli('history', group('Hidden'))).stdout).toContain('group.removed');
});
