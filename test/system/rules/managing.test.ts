// The edits of managers beside cycles: the links of accounts that no cycle reads any more, the groups of managedBy, and
// forms that were opened before a cycle.
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { runCli } from '../../support/cli.ts';
import { groupsWorld } from '../../support/groups-world.ts';
import { linesOf, managersDropped, managersKept } from '../../support/managers-truth.ts';
import { setSettings } from '../../support/settings.ts';
import { expectSound } from '../../support/soundness.ts';
import { accountsOf, openWorld, type World } from '../../support/system.ts';

const edited = {
  sourceOfTruth: 'hybrid',
  fields: { jobTitle: { owner: 'user' }, city: { owner: 'user' } },
} as const;

async function accountIn({ database, tenant }: World, user: string): Promise<string> {
  return (await accountsOf(database, tenant.tenantId))[user]?.accountId ?? expect.unreachable('no account');
}

/** Edits an account by another; returns the new profile, or the code and detail of the refusal. */
async function editAs({ database }: World, [actor, account]: [string, string], patch: object, at: unknown = null) {
  const asked = { actor, account, patch: JSON.stringify(patch), at };
  try {
    const [answer] = await rows<{ profile: object }>(
      database,
      'select directory.edit_as(:actor, :account, :patch, :at::timestamptz) as profile',
      asked,
    );
    return answer?.profile;
  } catch (error) {
    const { code, detail } = error as { code: string; detail?: string };
    return { code, ...(code === 'ES009' && detail && JSON.parse(detail)) };
  }
}

test('rule 42: the links of a disconnected tenant stay until its settings keep no managers, and count again once they do', async () => {
  const world = await openWorld({ users: 3 });
  const { tenant, database, url } = world;
  const [boss = '', ann = '', bob = ''] = tenant.users().map(({ id }) => id);
  for (const user of [boss, bob]) tenant.setManager(user, null);
  tenant.setManager(ann, boss);
  await setSettings(database, { ...edited, ...managersKept, fields: { ...edited.fields, ...managersKept.fields } });
  await world.cycle();
  const pair: [string, string] = [await accountIn(world, boss), await accountIn(world, ann)];
  const cli = (...words: string[]) => runCli(words, { DATABASE_URL: url });
  expect((await cli('tenant', 'disconnect', tenant.tenantId)).code).toBe(0);
  const line = [`${ann} ${boss}`];
  expect(await linesOf(database, tenant.tenantId)).toEqual(line);
  expect(await editAs(world, pair, { jobTitle: 'Clerk' })).toMatchObject({ jobTitle: 'Clerk' });
  await expectSound(database, tenant.tenantId);

  // Those of the installation, then the tenant's own.
  for (const of of [null, tenant.tenantId]) {
    await setSettings(database, managersDropped, of);
    expect(await linesOf(database, tenant.tenantId)).toEqual([]);
    expect(await editAs(world, pair, { jobTitle: 'Mine' })).toEqual({ code: 'ES003' });
    expect((await cli('managers', pair[1])).stdout).toContain('the managers of this tenant are not read');
    expect(JSON.parse((await cli('managers', pair[0], '--json')).stdout)).toMatchObject({ manages: { count: 0 } });
    await expectSound(database, tenant.tenantId);
    await setSettings(database, managersKept, of);
    expect(await linesOf(database, tenant.tenantId)).toEqual(line);
  }
});

test.each([
  { says: 'only', of: (other: string, _named: readonly string[]) => ({ only: [other], except: [] }) },
  { says: 'except', of: (_other: string, named: readonly string[]) => ({ only: [], except: [...named] }) },
])(
  'rule 43: the groups of managedBy are read although groups.$says leaves them out, from the next round on',
  async ({ of }) => {
    const { world, tenant, person, group } = await groupsWorld(
      { Chiefs: [0], Clerks: [1], Other: [2] },
      { users: 3, groups: 0 },
    );
    const { database } = world;
    const named = [group('Chiefs'), group('Clerks')];
    await setSettings(database, { groups: of(group('Other'), named) });
    await world.cycle();
    const shown = async () => ({
      groups: (
        await rows<{ name: string }>(database, 'select display_name as name from directory.groups order by 1')
      ).map(({ name }) => name),
      managed: await rows(
        database,
        `select a.entra_object_id as person, m.entra_object_id as manager, l.via from directory.managers l
           join directory.accounts a on a.account_id = l.account_id
           join directory.accounts m on m.account_id = l.manager_account_id`,
      ),
    });
    expect(await shown()).toEqual({ groups: ['Other'], managed: [] });
    const [managers = '', people = ''] = named;
    await setSettings(database, { managedBy: [{ managers, people }] });
    expect(await shown()).toEqual({ groups: ['Other'], managed: [] });
    await world.cycle();
    expect(await shown()).toEqual({
      groups: ['Chiefs', 'Clerks', 'Other'],
      managed: [{ person: person(1), manager: person(0), via: 'group' }],
    });
    await expectSound(database, tenant.tenantId);
  },
);

test('rule 42: a form that was opened before a cycle conflicts in the fields that the cycle changed, and in no other', async () => {
  const world = await openWorld({ users: 1 });
  const { tenant, database } = world;
  const [ann = ''] = tenant.users().map(({ id }) => id);
  tenant.updateUser(ann, { jobTitle: 'Clerk', city: 'Wien' });
  await setSettings(database, edited);
  await world.cycle();
  const id = await accountIn(world, ann);
  const open = async () =>
    (await rows<{ at: string }>(database, 'select updated_at::text as at from directory.accounts'))[0]?.at;
  const edit = (patch: object, at: unknown) => editAs(world, [id, id], patch, at);
  for (const [ahead, title, city] of [
    ['0', 'Boss', 'Linz'],
    // The clock was set back since the last change, or the commit began before it.
    ['1 hour', 'Chief', 'Graz'],
  ]) {
    await rows(database, 'update entra_sync.accounts set updated_at = updated_at + :ahead::interval', { ahead });
    const opened = await open();
    tenant.updateUser(ann, { jobTitle: title });
    await world.cycle();
    expect(await edit({ city, jobTitle: 'Mine' }, opened)).toEqual({
      ...{ code: 'ES009', field: 'jobTitle', yours: 'Mine', theirs: title },
    });
    expect(await edit({ city }, opened)).toMatchObject({ jobTitle: title, city });
    expect(await edit({ city: 'Wels' }, opened)).toMatchObject({ code: 'ES009', theirs: city });
  }
  expect(await edit({ jobTitle: 'Mine' }, await open())).toMatchObject({ jobTitle: 'Mine' });
  await expectSound(database, tenant.tenantId);
});
