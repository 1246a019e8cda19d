// The conditions of the scope: judged on the stored documents, told before and after, and asked about.
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { stringify } from 'yaml';
import { loadDefaults, type SettingsDocument } from '../../../src/settings/settings.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { changeSettings } from '../../../src/store/preview/settings.ts';
import { runCli, temporaryDirectory } from '../../support/cli.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { setSettings } from '../../support/settings.ts';
import { accountsOf, openWorld, personOf, removedOf, type World } from '../../support/system.ts';

const change = ({ database }: World, scope: Scope, dryRun: boolean) =>
  changeSettings(database, loadDefaults(), { tenantId: null, document: { scope }, actor: 'test' }, { dryRun });

type Scope = NonNullable<SettingsDocument['scope']>;

const everybody: Scope = {
  ...{ userType: 'any', accountEnabled: 'any', external: 'include', agents: 'include' },
  ...{ domains: [], where: [], except: [], groups: [] },
};

const live = async ({ database, tenant }: World) => Object.keys(await accountsOf(database, tenant.tenantId)).sort();
const removed = ({ database, tenant }: World) => removedOf(database, tenant.tenantId);
const idsOf = ({ tenant }: World) => tenant.users().map(({ id }) => id);

async function openShell(world: World) {
  const directory = await temporaryDirectory(onTestFinished);
  const environment = { ...world.simulator.environment(world.tenant.tenantId), DATABASE_URL: world.url };
  const cli = (...words: string[]) => runCli(words, environment);
  let files = 0;
  const file = async (document: object) => {
    files += 1;
    const path = join(directory, `${files}.yaml`);
    await writeFile(path, stringify(document));
    return path;
  };
  return { cli, file };
}

/** A tenant with a user of each kind; every other user is in department IT. */
async function mixedWorld() {
  const world = await openWorld({ users: 8 });
  const { tenant } = world;
  tenant.run('clear-all department');
  for (const { id } of tenant.users())
    tenant.updateUser(id, { department: 'IT', userType: 'Member', accountEnabled: true, creationType: null });
  const [one = ''] = tenant.users().map(({ id }) => id);
  const agent = tenant.createKind('agent');
  const external = tenant.createKind('external');
  const guest = tenant.createKind('guest');
  const room = tenant.createKind('room');
  for (const id of [agent, external, guest, room]) tenant.updateUser(id, { department: 'it' });
  await setSettings(world.database, { scope: everybody });
  return { world, tenant, one, agent, external, guest, room };
}

test('rule 35: what a condition leaves out is told before, leaves without a full round, is explained, counted, and comes back', async () => {
  const { world, tenant, one, agent, external, guest, room } = await mixedWorld();
  const { cli, file } = await openShell(world);
  tenant.updateUser(one, { department: 'Sales', mobilePhone: null });
  await world.cycle();
  const all = await live(world);
  const name = String(tenant.findUser(one)?.properties.displayName);
  const ofHome = String(tenant.findUser(one)?.properties.mail).split('@')[1] ?? '';
  const cases: [Scope, string, string[]][] = [
    [{ userType: ['Member'] }, 'scope.userType: userType is "Guest"', [guest]],
    [{ accountEnabled: true }, 'scope.accountEnabled: accountEnabled is false', [room]],
    [{ agents: 'exclude' }, 'scope.agents: the user is an agent: @odata.type is "#microsoft.graph.agentUser"', [agent]],
    [{ domains: [ofHome] }, 'scope.domains: the domain is "partner.example"', [external, guest]],
    [{ except: [one.toUpperCase()] }, 'scope.except: the user is named there', [one]],
    [{ where: [{ property: 'department', in: ['IT'] }] }, 'scope.where[0]: department is "Sales"', [one]],
    [{ where: [{ property: 'department', notIn: ['SALES'] }] }, 'scope.where[0]: department is "Sales"', [one]],
    [{ where: [{ property: 'department', matches: 'i*' }] }, 'scope.where[0]: department is "Sales"', [one]],
    [{ where: [{ property: 'department', exists: true }] }, '', []],
    [
      {
        where: [
          { property: 'department', exists: true },
          { property: 'department', in: ['it'] },
        ],
      },
      'scope.where[1]: department is "Sales"',
      [one],
    ],
  ];
  const few = ['scope.agents', 'scope.except', 'scope.where[1]'];
  for (const [scope, why, leaving] of rowsOf(cases, ([, each]) => few.some((name) => each.startsWith(name)))) {
    const [preview] = (await change(world, scope, true)).tenants;
    expect(preview, why).toMatchObject({
      ...{ fullRound: false, mayEnter: false, narrower: true },
      leaving: { out_of_scope: leaving.length },
    });
    const condition = why.split(':')[0] ?? '';
    const counted = leaving.length > 0 ? { [condition]: leaving.length } : {};
    expect(preview?.conditions).toEqual(counted);
    expect(preview?.leavers.map((leaver) => leaver.why)).toEqual(leaving.map(() => why));
    if (condition === 'scope.where[1]') await expectTold(await file({ scope }), why);
    expect(await live(world), 'a dry run changes nothing').toEqual(all);
    await change(world, scope, false);
    world.simulator.clearRequests();
    const { streams } = await world.cycle();
    expect(streams.users, why).toMatchObject({ round: 'incremental', reason: 'changes', removed: leaving.length });
    expect(streams.users.distinct, 'the round showed no user').toBe(0);
    expect(world.deltaRequests(), 'one page, from the checkpoint').toHaveLength(1);
    expect(streams.users.outside ?? {}).toEqual(counted);
    expect(Object.keys(await removed(world)).sort()).toEqual([...leaving].sort());
    expect(new Set(Object.values(await removed(world)))).toEqual(new Set(leaving.length > 0 ? ['out_of_scope'] : []));
    const [gone] = leaving;
    if (gone) expect(JSON.parse((await cli('explain', gone, '--json')).stdout)).toMatchObject({ outside: why });
    const [wider] = (await change(world, everybody, false)).tenants;
    expect(wider).toMatchObject({ fullRound: true, mayEnter: true });
    const back = await world.cycle();
    expect(back.streams.users, why).toMatchObject({
      ...{ round: 'full', reason: 'settings_changed', restored: leaving.length },
    });
    expect(await live(world)).toEqual(all);
    expect(back.streams.users.outside).toBeUndefined();
  }

  async function expectTold(path: string, why: string) {
    const { stdout } = await cli('settings', 'apply', path, '--dry-run');
    expect(stdout).toContain('1 user leaves the scope');
    expect(stdout).toMatch(/^scope\.where\[1\] +1$/m);
    expect(stdout.split('\n').find((line) => line.includes(why))).toContain(name);
    expect(stdout).toContain('the narrower scope with the next cycle, which is no full one');
  }
});

test.runIf(isDeep)(
  'rule 35: users of other tenants leave by a full round, whose properties were never read, and no later cycle takes them',
  async () => {
    const { world, tenant, external, guest } = await mixedWorld();
    await world.cycle();
    await setSettings(world.database, { scope: { external: 'exclude' } });
    expect((await world.cycle()).streams.users).toMatchObject({
      ...{ round: 'full', removed: 2, outside: { 'scope.external': 2 } },
    });
    expect(Object.keys(await removed(world)).sort()).toEqual([external, guest].sort());
    const late = tenant.createKind('external');
    expect((await world.cycle()).streams.users).toMatchObject({ created: 0, outside: { 'scope.external': 3 } });
    expect(await live(world)).not.toContain(late);
    // A converted user keeps neither the mark in the name nor the mail.
    const converted = tenant.createUser({ creationType: 'Invitation', externalUserState: 'Accepted' });
    expect((await world.cycle()).streams.users).toMatchObject({ created: 0, outside: { 'scope.external': 4 } });
    tenant.updateUser(converted, { creationType: null });
    expect((await world.cycle()).streams.users).toMatchObject({ created: 1, outside: { 'scope.external': 3 } });
  },
);

test('agents are left out by default, told by their type alone, in a first load, a full round, a later one and on demand', async () => {
  const world = await openWorld({ users: 4, firstLoad: 'quick' });
  const { tenant, simulator } = world;
  const agent = tenant.createKind('agent');
  const group = tenant.createGroup({ displayName: 'Team' });
  tenant.addMember(group, agent);
  expect((await world.cycle()).streams.users).toMatchObject({ outside: { 'scope.agents': 1 } });
  expect(await live(world)).toEqual(
    idsOf(world)
      .filter((id) => id !== agent)
      .sort(),
  );
  tenant.run('agent bot@contoso.example');
  tenant.updateUser(agent, { displayName: 'Renamed' });
  expect((await world.cycle()).streams.users).toMatchObject({ created: 0, outside: { 'scope.agents': 2 } });
  expect(await personOf(world, agent)).toMatchObject({
    ...{
      verdict: 'out_of_scope',
      reason: 'scope.agents: the user is an agent: @odata.type is "#microsoft.graph.agentUser"',
    },
  });
  expect(simulator.requests.some(({ path }) => path.includes('identityParentId'))).toBe(false);
  await setSettings(world.database, { scope: { agents: 'include' } });
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'full', created: 2 });
  const [member] = await rows(world.database, 'select account_id from directory.memberships');
  expect(member, 'an agent is a member as other users are').toMatchObject({ account_id: expect.any(String) });
  await setSettings(world.database, { scope: { agents: 'exclude' } });
  await world.cycle();
  const { cli } = await openShell(world);
  expect(await cli('verify'), 'no drift').toMatchObject({ code: 0 });
});

test('rule 35: a user whose value changes leaves, and the values of the never-taken are read by --ask alone', async () => {
  const { world, tenant, one } = await mixedWorld();
  const { cli } = await openShell(world);
  const where: Scope['where'] = [
    { property: 'mail', exists: true },
    { property: 'department', in: ['IT'] },
  ];
  await setSettings(world.database, { scope: { ...everybody, where } });
  const stranger = tenant.createUser({ userPrincipalName: 'stranger@contoso.example', department: 'Board' });
  await world.cycle();
  expect(await live(world)).not.toContain(stranger);
  tenant.updateUser(one, { department: 'Sales' });
  const { streams } = await world.cycle();
  expect(streams.users).toMatchObject({ removed: 1, outside: { 'scope.where[1]': 2 } });
  expect((await cli('explain', one)).stdout).toMatch(/^outside the scope +scope\.where\[1\]: department is "Sales"$/m);
  const absent = (await cli('explain', stranger)).stdout;
  expect(absent).toContain('outside the scope of the settings by scope.where[1]: only the id is kept');
  expect(absent).not.toContain('Board');
  const asked = await cli('explain', 'stranger@contoso.example', '--ask');
  expect(asked).toMatchObject({ code: 0 });
  expect(asked.stdout).toContain('scope.where[1]: department is "Board"');
  expect(await live(world), 'it changes nothing').not.toContain(stranger);
  const kept = await rows<{ text: string }>(
    world.database,
    'select o::text as text from entra_sync.outside_scope o order by 1',
  );
  expect(kept.map(({ text }) => text.replace(/^\([0-9a-f-]{36},/, '(')).sort()).toEqual(
    [one, stranger].map((id) => `(${id},101)`).sort(),
  );
  // Another order of the same conditions is a narrower scope too, and the numbers follow.
  await setSettings(world.database, { scope: { where: where.toReversed() } });
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'incremental' });
  expect((await cli('explain', stranger)).stdout).toContain('by scope.where[0]');
  tenant.updateUser(stranger, { department: 'it' });
  tenant.updateUser(one, { department: 'IT' });
  expect((await world.cycle()).streams.users).toMatchObject({ created: 1, restored: 1 });
});

test('rule 35: an unknown user that a page shows without a property of a condition is read by GET', async () => {
  const { world, tenant } = await mixedWorld();
  await setSettings(world.database, { scope: { ...everybody, where: [{ property: 'department', notIn: ['Sales'] }] } });
  const outside = tenant.createUser({ department: 'Sales', mobilePhone: null });
  await world.cycle();
  Object.assign(world.simulator.options, { form: 'minimal' });
  const off = world.simulator.transform(({ url }, body) => {
    const { value } = body as { value?: Record<string, unknown>[] };
    if (!url.startsWith('/v1.0/users/delta') || value === undefined) return body;
    const { userPrincipalName, accountEnabled } = tenant.findUser(outside)?.properties ?? {};
    return { ...body, value: value.map((user) => ({ ...user, userPrincipalName, accountEnabled })) };
  });
  tenant.updateUser(outside, { mobilePhone: '+1' });
  expect((await world.cycle()).streams.users).toMatchObject({ created: 0, seen: 1 });
  expect(await live(world)).not.toContain(outside);
  tenant.updateUser(outside, { department: 'Board' });
  expect((await world.cycle()).streams.users).toMatchObject({ created: 1 });
  off();
});

test('rule 10: removals that a narrower scope causes are held beyond the limits, also where pages show them in part since', async () => {
  const { world, tenant, one, agent } = await mixedWorld();
  await world.cycle();
  const all = await live(world);
  await setSettings(world.database, {
    removals: { max: 0, percent: 0, floor: 0 },
    scope: { agents: 'exclude', where: [{ property: 'department', in: ['it'] }] },
  });
  tenant.updateUser(one, { department: 'Sales' });
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'incremental', removed: 0, held: 2 });
  Object.assign(world.simulator.options, { form: 'minimal' });
  tenant.updateUser(one, { mobilePhone: '+1 555' });
  const { streams, lists } = await world.cycle();
  expect(streams.users).toMatchObject({ removed: 0, held: 0 });
  expect(lists).toMatchObject([{ held: 2 }]);
  expect(await live(world)).toEqual(all);
  tenant.updateUser(one, { department: 'IT' });
  expect((await world.cycle()).lists).toMatchObject([{ held: 1 }]);
  expect(agent).toBeTruthy();
});

test('a condition on a property that was never read is told, and a glob that no user fits is a warning', async () => {
  const { world, tenant, one } = await mixedWorld();
  const { cli, file } = await openShell(world);
  tenant.setLicence(one, 'e5', true);
  await world.cycle();
  const scope: Scope = {
    where: [
      { property: 'assignedLicenses[*].skuId', exists: true },
      { property: 'department', matches: 'I' },
    ],
  };
  const path = await file({ scope });
  const said = await cli('settings', 'apply', path, '--dry-run');
  expect(said).toMatchObject({ code: 0 });
  expect(said.stdout).toContain(
    'assignedLicenses has never been read: the users who fail scope.where[0] are known after',
  );
  expect(said.stdout).toContain('warning: no stored user fits the glob of scope.where[1]');
  await setSettings(world.database, { scope: { where: scope.where?.slice(0, 1) } });
  expect((await world.cycle()).streams.users).toMatchObject({ round: 'full', reason: 'settings_changed' });
  expect(await live(world)).toEqual([one]);
  tenant.setLicence(one, 'e5', false);
  tenant.setLicence(idsOf(world)[1] ?? '', 'E3', true);
  await setSettings(world.database, { removals: { max: 100 } });
  expect((await world.cycle()).streams.users).toMatchObject({ restored: 1, removed: 1 });
  const wrong = await file({ scope: { where: [{ property: 'signInActivity', exists: true }] } });
  const refused = await cli('settings', 'apply', wrong);
  expect(refused).toMatchObject({ code: 2, stdout: '' });
  expect(refused.stderr).toContain('scope.where[0]: signInActivity cannot be synced by delta');
});
