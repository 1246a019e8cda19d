// Managers: the links of Graph's pages, what single reads add to them, and the fields that come from the manager.
import { describe, expect, test } from 'vitest';
import { decideRemovals } from '../../../src/store/commit/held-removals.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { readChanges } from '../../../src/store/feed/changes.ts';
import { runCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { forbidden } from '../../support/groups-world.ts';
import { expectLines, linesOf, managerName, managersDropped, managersKept } from '../../support/managers-truth.ts';
import { placesOf } from '../../support/places.ts';
import { setSettings } from '../../support/settings.ts';
import { expectSound } from '../../support/soundness.ts';
import { accountsOf, expectTruth, openWorld, personOf, type World } from '../../support/system.ts';
import { verify } from '../../support/verify.ts';

type Options = Parameters<typeof openWorld>[0];

/** Five users without managers, read once; `person(n)` is the id of the n-th. */
async function managedWorld(options: Options = {}, settings = managersKept) {
  const world = await openWorld({ users: 5, ...options });
  const ids = world.tenant.users().map(({ id }) => id);
  for (const id of ids) world.tenant.setManager(id, null);
  await setSettings(world.database, settings);
  const person = (place: number) => ids[place] ?? '';
  return { world, person, ...world };
}

async function expectManagers({ tenant, database }: World): Promise<void> {
  await expectTruth(tenant, database, undefined, undefined, managerName(tenant));
  await expectLines(tenant, database);
  await expectSound(database, tenant.tenantId);
}

const changesOfBatch = async ({ database }: World, from: string | null) =>
  (await readChanges(database, from, 1_000)).filter(({ kind }) => kind.startsWith('account.'));
const profileOf = async ({ database, tenant }: World, id: string) =>
  (await accountsOf(database, tenant.tenantId))[id]?.profile;
const asked = ({ simulator }: World, part: string) =>
  simulator.requests.filter(({ path }) => path.includes(part)).length;

describe('rule 40: the links', () => {
  test('come spread over pages, replaced, cleared, in loops, and to managers that come later', async () => {
    const { world, person, tenant, simulator } = await managedWorld({
      simulator: { pageSize: 2, managersApart: 1, formerManagers: 1, shuffle: true },
    });
    tenant.setManager(person(0), person(1));
    tenant.setManager(person(1), person(0));
    tenant.setManager(person(2), person(3));
    tenant.setManager(person(4), person(4));
    await world.cycle();
    await expectManagers(world);
    tenant.setManager(person(2), person(1));
    tenant.setManager(person(0), null);
    const late = tenant.createUser({ displayName: 'Late' });
    tenant.setManager(person(3), late);
    simulator.clearRequests();
    await world.cycle();
    await expectManagers(world);
    tenant.setManager(person(2), person(3));
    tenant.setManager(person(2), null);
    await world.cycle();
    await expectManagers(world);
  });

  test('are kept where another property changed, and of a user who was removed and restored', async () => {
    const { world, person, tenant } = await managedWorld();
    tenant.setManager(person(0), person(1));
    tenant.setManager(person(2), person(0));
    await world.cycle();
    tenant.updateUser(person(0), { displayName: 'Other' });
    await world.cycle();
    await expectManagers(world);
    tenant.deleteUser(person(0));
    await world.cycle();
    await expectManagers(world);
    expect(await profileOf(world, person(2))).not.toHaveProperty('managerName');
    tenant.restoreUser(person(0));
    await world.cycle();
    await expectManagers(world);
    expect(await profileOf(world, person(2))).toMatchObject({ managerName: 'Other' });
  });

  test.runIf(isDeep)(
    'outlive a full round in which the manager is deleted, and come back with the manager',
    async () => {
      const { world, person, tenant } = await managedWorld();
      tenant.setManager(person(0), person(1));
      tenant.setManager(person(2), person(1));
      await world.cycle();
      tenant.deleteUser(person(1));
      await world.cycle({ resync: true });
      await expectManagers(world);
      tenant.setManager(person(2), null);
      tenant.restoreUser(person(1));
      await world.cycle();
      await expectManagers(world);
      expect(await linesOf(world.database, tenant.tenantId)).toEqual([`${person(0)} ${person(1)}`]);
    },
  );

  test('of a manager who was deleted before the first round come by the direct reports', async () => {
    const { world, person, tenant } = await managedWorld();
    tenant.setManager(person(0), person(1));
    tenant.deleteUser(person(1));
    await world.cycle();
    await expectManagers(world);
    tenant.restoreUser(person(1));
    await world.cycle();
    await expectManagers(world);
    expect(asked(world, '/directReports')).toBe(1);
  });

  test.runIf(isDeep)('whose direct reports cannot be read are asked for again', async () => {
    const { world, person, tenant, simulator } = await managedWorld();
    tenant.setManager(person(0), person(1));
    tenant.deleteUser(person(1));
    await world.cycle();
    tenant.restoreUser(person(1));
    const off = simulator.intercept(({ url }) => (url.includes('/directReports') ? forbidden : undefined));
    await world.cycle();
    off();
    expect(await linesOf(world.database, tenant.tenantId)).toEqual([]);
    await world.cycle();
    await expectManagers(world);
    expect(await rows(world.database, 'select * from directory.set_aside')).toEqual([]);
  });

  test('that a full round lacks are asked for, and only GET ends them', async () => {
    const { world, person, tenant, simulator } = await managedWorld();
    tenant.setManager(person(0), person(1));
    tenant.setManager(person(2), person(1));
    await world.cycle();
    const off = simulator.transform(({ url }, body) => {
      const { value } = body as { value?: Record<string, unknown>[] };
      if (!url.startsWith('/v1.0/users/delta') || !value) return body;
      return { ...body, value: value.map(({ 'manager@delta': _, ...one }) => one) };
    });
    tenant.purgeUser(person(3));
    await world.cycle({ resync: true });
    await expectManagers(world);
    tenant.setManager(person(2), null);
    await world.cycle({ resync: true });
    off();
    await expectManagers(world);
  });

  test('that cannot be read keep what is known, and are set aside until they can', async () => {
    const { world, person, tenant, simulator, database } = await managedWorld();
    tenant.setManager(person(0), person(1));
    await world.cycle();
    simulator.options.stuck.objects.push({ id: person(0), at: 'manager', status: 403 });
    tenant.deleteUser(person(0));
    await world.cycle();
    tenant.restoreUser(person(0));
    await world.cycle();
    expect(await linesOf(database, tenant.tenantId)).toEqual([`${person(0)} ${person(1)}`]);
    expect(await rows(database, 'select entra_object_id as key from directory.set_aside')).toEqual([
      { key: `${person(0)}/manager` },
    ]);
    simulator.options.stuck.objects.pop();
    await world.cycle();
    await expectManagers(world);
    expect(await rows(database, 'select * from directory.set_aside')).toEqual([]);
  });

  test('of a user who enters the scope are read, since the page shows what changed alone', async () => {
    const { world, person, tenant } = await managedWorld();
    tenant.setManager(person(0), person(1));
    tenant.updateUser(person(0), { department: 'Sales' });
    await setSettings(world.database, {
      scope: { userType: 'any', where: [{ property: 'department', notIn: ['Sales'] }] },
    });
    await world.cycle();
    tenant.updateUser(person(0), { department: 'Marketing' });
    await world.cycle();
    expect(await linesOf(world.database, tenant.tenantId)).toEqual([`${person(0)} ${person(1)}`]);
  });

  test.runIf(isDeep)('come with a user read on demand, who is asked for the manager', async () => {
    const { world, person, tenant } = await managedWorld();
    await world.cycle();
    tenant.setManager(person(0), person(1));
    await personOf(world, person(0));
    await expectManagers(world);
    tenant.setManager(person(0), null);
    await personOf(world, person(0));
    await expectManagers(world);
  });

  test('are read when the setting is turned on, and go when it is turned off, by a full round each', async () => {
    const { world, person, tenant, database, simulator } = await managedWorld({}, managersDropped);
    tenant.setManager(person(0), person(1));
    await world.cycle();
    expect(await linesOf(database, tenant.tenantId)).toEqual([]);
    expect(simulator.requests.filter(({ path }) => /manager|directReports/.test(path))).toEqual([]);
    await setSettings(database, managersKept);
    expect((await world.cycle()).streams.users).toMatchObject({ round: 'full', reason: 'settings_changed' });
    await expectManagers(world);
    await setSettings(database, managersDropped);
    expect((await world.cycle()).streams.users).toMatchObject({ round: 'full', reason: 'settings_changed' });
    expect(await linesOf(database, tenant.tenantId)).toEqual([]);
    expect(await profileOf(world, person(0))).not.toHaveProperty('managerName');
    await expectSound(database, tenant.tenantId);
    expect(await rows(database, 'select from entra_sync.accounts where manager_object_id is not null')).toEqual([]);
  });
});

describe('rule 41: the fields of the manager', () => {
  test('follow a rename, a replacement and a removal in the commit that brings it, with change rows of the reports', async () => {
    const { world, person, tenant, database } = await managedWorld();
    for (const place of [1, 2]) tenant.setManager(person(place), person(0));
    await world.cycle();
    const accounts = await accountsOf(database, tenant.tenantId);
    const names = new Map(Object.entries(accounts).map(([id, { accountId }]) => [accountId, id]));
    const told = async (act: () => void) => {
      const before = (await readChanges(database, null, 1_000)).at(-1)?.position ?? null;
      act();
      await world.cycle();
      await expectManagers(world);
      return (await changesOfBatch(world, before)).map(({ kind, account_id, after, cycle_id }) => ({
        kind,
        who: names.get(account_id ?? ''),
        name: (after as { profile?: Record<string, unknown> } | null)?.profile?.managerName,
        cycle_id,
      }));
    };
    const renamed = await told(() => tenant.updateUser(person(0), { displayName: 'Renamed' }));
    expect(renamed).toHaveLength(3);
    for (const place of [1, 2])
      expect(renamed).toContainEqual(
        expect.objectContaining({ kind: 'account.updated', who: person(place), name: 'Renamed' }),
      );
    expect(new Set(renamed.map(({ cycle_id }) => cycle_id)).size).toBe(1);
    const replaced = await told(() => tenant.setManager(person(1), person(3)));
    expect(replaced).toEqual([expect.objectContaining({ kind: 'account.updated', who: person(1) })]);
    const removed = await told(() => tenant.deleteUser(person(0)));
    expect(removed).toContainEqual(expect.objectContaining({ kind: 'account.updated', who: person(2), name: null }));
    expect(removed).toContainEqual(expect.objectContaining({ kind: 'account.removed', who: person(0) }));
  });

  test('show under a person’s value, which stays, and come back with a revert', async () => {
    const { world, person, tenant, database } = await managedWorld();
    await setSettings(database, { sourceOfTruth: 'hybrid', fields: { managerName: { owner: 'user' } } });
    tenant.setManager(person(1), person(0));
    tenant.updateUser(person(0), { displayName: 'Boss' });
    await world.cycle();
    const id = (await accountsOf(database, tenant.tenantId))[person(1)]?.accountId ?? '';
    await rows(database, `select directory.edit_as(:id, :id, '{"managerName": "Mine"}')`, { id });
    tenant.updateUser(person(0), { displayName: 'Chief' });
    await world.cycle();
    expect(await profileOf(world, person(1))).toMatchObject({ managerName: 'Mine' });
    const [explained] = await rows(
      database,
      "select directory_value, user_value, mapped_from from directory.explain_account(:id) where field = 'managerName'",
      { id },
    );
    expect(explained).toEqual({
      directory_value: 'Chief',
      user_value: 'Mine',
      mapped_from: 'displayName of the manager',
    });
    await expectSound(database, tenant.tenantId);
    await rows(database, 'select directory.revert_as(:id, :id, null)', { id });
    expect(await profileOf(world, person(1))).toMatchObject({ managerName: 'Chief' });
    await expectSound(database, tenant.tenantId);
  });

  test('follow a removal that a person approves, and its undoing', async () => {
    const { world, person, tenant, database } = await managedWorld();
    tenant.setManager(person(1), person(0));
    await world.cycle();
    await setSettings(database, { removals: { max: 0, percent: 0, floor: 0 } });
    tenant.deleteUser(person(0));
    await world.cycle();
    const name = tenant.findUser(person(0))?.properties.displayName;
    expect(await profileOf(world, person(1))).toMatchObject({ managerName: name });
    const [list] = await rows<{ id: string }>(database, 'select list_id as id from entra_sync.removal_lists');
    const decision = { tenantId: tenant.tenantId, listId: list?.id ?? '', ids: null, actor: 'test' };
    await decideRemovals(database, { ...decision, side: 'vendor', decision: 'approve' });
    expect(await profileOf(world, person(1))).not.toHaveProperty('managerName');
    await expectSound(database, tenant.tenantId);
    const id = (await rows<{ id: string }>(database, 'select account_id as id from directory.removed_accounts'))[0]?.id;
    await rows(database, "select directory.restore_account(:id, 'test', 'manager')", { id });
    expect(await profileOf(world, person(1))).toMatchObject({ managerName: name });
    await expectSound(database, tenant.tenantId);
    await rows(database, "select directory.remove_account(:id, 'test', 'manager')", { id });
    expect(await profileOf(world, person(1))).not.toHaveProperty('managerName');
    await expectSound(database, tenant.tenantId);
  });

  test('leave no value of a manager who is purged or erased, in no row of the reports', async () => {
    const mark = 'quagmire';
    for (const how of ['purge', 'erase', 'disconnect'] as const) {
      const { world, person, tenant, database, url } = await managedWorld();
      tenant.updateUser(person(0), { displayName: `Glenn ${mark}` });
      for (const place of [1, 2]) tenant.setManager(person(place), person(0));
      await world.cycle();
      tenant.updateUser(person(0), { displayName: `Ann ${mark}` });
      tenant.setManager(person(2), person(3));
      await world.cycle();
      expect(await placesOf(database, mark)).toContain('changes.after');
      const cli = (...words: string[]) => runCli(words, { DATABASE_URL: url });
      if (how === 'disconnect') expect((await cli('tenant', 'disconnect', tenant.tenantId)).code).toBe(0);
      if (how === 'purge') {
        tenant.deleteUser(person(0));
        await world.cycle();
        await database.raw('update entra_sync.accounts set purge_at = now() where removed_at is not null');
        await world.cycle();
      } else {
        const erased = await cli('person', 'erase', person(0), '--confirm', `Ann ${mark}`);
        expect(erased.code, erased.stderr).toBe(0);
        expect(await placesOf(database, person(0))).toEqual([]);
      }
      expect(await placesOf(database, mark), how).toEqual([]);
      await expectSound(database, tenant.tenantId);
      if (how === 'erase') {
        await world.cycle({ resync: true });
        expect(await placesOf(database, person(0))).toEqual([]);
      }
    }
  });
});

test.runIf(isDeep)(
  'rule 40: verify finds a link that is missing, extra or another, and no fault in that to a deleted manager',
  async () => {
    const { world, person, tenant, database, simulator } = await managedWorld();
    for (const place of [0, 1, 3]) tenant.setManager(person(place), person(4));
    await world.cycle();
    expect((await verify(world)).drift).toEqual([]);
    const store = (place: number, manager: string | null) =>
      rows(
        database,
        `update entra_sync.accounts
          set source = case when :manager::text is null then source - 'manager' else source || jsonb_build_object('manager', :manager::text) end
        where entra_object_id = :id`,
        { id: person(place), manager },
      );
    await store(0, null);
    await store(1, person(0));
    await store(2, person(4));
    const [none, zero, four] = [null, person(0), person(4)];
    const { drift } = await verify(world);
    const found = drift.map(({ kind, what, entra_object_id: id, stored, fresh }) => [kind, what, id, stored, fresh]);
    expect(found.toSorted()).toEqual(
      [
        ['manager', 'missing', person(0), none, four],
        ['manager', 'different', person(1), zero, four],
        ['manager', 'extra', person(2), four, none],
      ].toSorted(),
    );
    for (const [place, manager] of [
      [0, four],
      [1, four],
      [2, none],
    ] as const)
      await store(place, manager);
    simulator.intercept(({ url }) => (url.includes(`${person(3)}/manager`) ? forbidden : undefined));
    const unread = await verify(world);
    expect([unread.drift, unread.unread.map(({ object_key: key }) => key)]).toEqual([[], [`${person(3)}/manager`]]);
    simulator.intercept(() => undefined);
    tenant.deleteUser(person(4));
    await world.cycle();
    expect((await verify(world)).drift).toEqual([]);
  },
);
