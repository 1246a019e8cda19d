// The preview of a settings change is compared with the change and its full round.
import { randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { loadDefaults, type SettingsDocument } from '../../../src/settings/settings.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { changeSettings, type TenantPreview } from '../../../src/store/preview/settings.ts';
import { addTenant } from '../../../src/store/tenants/tenants.ts';
import { runCli, temporaryDirectory } from '../../support/cli.ts';
import { setSettings } from '../../support/settings.ts';
import { untilBlocked } from '../../support/stage.ts';
import { openWorld, type World } from '../../support/system.ts';

type Row = { account_id: string; profile: Record<string, unknown>; enabled: boolean; removed_reason: string | null };

const accounts = async ({ database }: World) =>
  new Map(
    (await rows<Row>(database, 'select account_id, profile, enabled, removed_reason from entra_sync.accounts')).map(
      (row) => [row.account_id, row],
    ),
  );

const edit = ({ database }: World, accountId: string, patch: object) =>
  rows(database, "select directory.edit_account(:accountId, :patch::jsonb, 'ann', 'user')", {
    accountId,
    patch: JSON.stringify(patch),
  });

/** Counts the changes from the accounts themselves. */
function difference(before: Map<string, Row>, after: Map<string, Row>) {
  const fields: Record<string, number> = {};
  const leaving = { out_of_scope: 0, disabled: 0 };
  let [profiles, suspended, resumed] = [0, 0, 0];
  for (const [id, old] of before) {
    const now = after.get(id);
    if (!now || old.removed_reason !== null) continue;
    if (now.removed_reason === 'out_of_scope' || now.removed_reason === 'disabled') leaving[now.removed_reason] += 1;
    if (now.removed_reason !== null) continue;
    if (!old.enabled && now.enabled) resumed += 1;
    if (old.enabled && !now.enabled) suspended += 1;
    const names = new Set([...Object.keys(old.profile), ...Object.keys(now.profile)]);
    const changed = [...names].filter(
      (name) => JSON.stringify(old.profile[name] ?? null) !== JSON.stringify(now.profile[name] ?? null),
    );
    profiles += changed.length > 0 ? 1 : 0;
    for (const name of changed) fields[name] = (fields[name] ?? 0) + 1;
  }
  return { profiles, fields, leaving, suspended, resumed };
}

const change = (world: World, document: SettingsDocument, dryRun: boolean) =>
  changeSettings(world.database, loadDefaults(), { tenantId: null, document, actor: 'test' }, { dryRun });

const counted = ({ profiles, fields, leaving, suspended, resumed }: TenantPreview) => ({
  profiles,
  fields,
  leaving,
  suspended,
  resumed,
});

const hybrid: SettingsDocument = {
  sourceOfTruth: 'hybrid',
  fields: {
    mobilePhone: { from: 'mobilePhone', owner: 'user' },
    jobTitle: { from: 'jobTitle', owner: 'user' },
  },
};

const limits = { max: 500, percent: 20, floor: 20 };
const only = (department: string) => [{ property: 'department', in: [department] }];
const none = { users: 0, groups: 0, waiting: 0 };

const changes: Record<string, SettingsDocument> = {
  'a field goes to the directory': { fields: { jobTitle: { owner: 'directory' } } },
  'everything goes to the directory': { sourceOfTruth: 'directory' },
  'another mapping': {
    fields: { city: { from: { first: ['officeLocation', 'city'] } }, department: { from: { lower: 'department' } } },
  },
  'a field less and one more': {
    fields: { city: null, both: { from: { join: ['givenName', 'surname'], with: ' ' } } },
  },
  'owner and mapping of one field': {
    fields: { jobTitle: { from: { join: ['jobTitle', 'department'], with: ', ' }, owner: 'directory' } },
  },
  'a narrower scope': { scope: { userType: ['Guest'] } },
  'a narrower scope, and a field that assignments go by': {
    scope: { userType: ['Guest'] },
    fields: { jobTitle: { owner: 'directory' } },
  },
  'only enabled people': { scope: { accountEnabled: true } },
  'disabled people are removed': { disabledAccounts: 'remove' },
  'disabled people are as others': { disabledAccounts: 'ignore' },
};

// An account that gets other items by the change has a change row of these too.
const assignByTitle = `
select directory.put_slot(:tenant, 'banner', 1, null, 'ann'), directory.put_item(:tenant, 'banner', 'one', null, null, 'ann'),
       directory.assign(:tenant, 'banner', 'one', '{"field": "jobTitle", "in": ["Own Title"]}', '{}', 'ann')`;

test.each(Object.entries(changes))('rule 17: the preview of %s matches the change', async (_what, document) => {
  const world = await openWorld({ users: 14 });
  const { tenant } = world;
  await setSettings(world.database, hybrid);
  for (const one of tenant.users().slice(0, 3)) tenant.updateUser(one.id, { accountEnabled: false });
  await world.cycle();
  const [first, second, third] = [...(await accounts(world)).keys()] as [string, string, string];
  await edit(world, first, { jobTitle: 'Own Title', mobilePhone: null });
  await edit(world, second, { jobTitle: 'Another' });
  await edit(world, third, { mobilePhone: '+1 555', pronouns: 'they' });
  await rows(world.database, assignByTitle, { tenant: tenant.tenantId });
  const before = await accounts(world);
  const versions = await rows(world.database, 'select version from entra_sync.settings order by 1');
  const preview = await change(world, document, true);
  expect(await accounts(world), 'a preview changes nothing').toEqual(before);
  expect(await rows(world.database, 'select version from entra_sync.settings order by 1')).toEqual(versions);
  const done = await change(world, document, false);
  expect(done.tenants.map(counted)).toEqual(preview.tenants.map(counted));
  const result = await world.cycle();
  expect(result.streams.users.reason).toBe(preview.tenants[0]?.fullRound ? 'settings_changed' : 'changes');
  const [told] = preview.tenants.map(counted);
  expect(told).toEqual(difference(before, await accounts(world)));
  expect(told, 'the case is worth its name').not.toEqual(difference(before, before));
});

test('a preview names unread properties without a count', async () => {
  const world = await openWorld({ users: 5 });
  await world.cycle();
  const preview = await change(world, { fields: { number: { from: 'employeeId' } } }, true);
  expect(preview.tenants).toMatchObject([
    { fullRound: true, unread: { employeeId: ['number'] }, fields: {}, profiles: 0 },
  ]);
});

test('a preview includes an earlier change that waits for its full round', async () => {
  const world = await openWorld({ users: 5 });
  for (const one of world.tenant.users()) world.tenant.updateUser(one.id, { employeeId: 'E1' });
  world.tenant.updateUser(world.tenant.users()[0]?.id ?? '', { accountEnabled: false });
  await world.cycle();
  const { version } = await change(world, { fields: { jobTitle: { from: 'employeeId' } } }, false);
  const ownersOnly = await change(world, { retention: '31d' }, true);
  expect(ownersOnly.tenants).toMatchObject([
    { fullRound: true, pendingVersion: version, unread: { employeeId: ['jobTitle'] }, profiles: 0, fields: {} },
  ]);
  const back = await change(world, { fields: { jobTitle: { from: 'jobTitle' } } }, true);
  expect(back.tenants).toMatchObject([{ fullRound: false, pendingVersion: version, unread: {}, profiles: 0 }]);
  await change(world, { disabledAccounts: 'ignore' }, false);
  expect((await change(world, { retention: '31d' }, true)).tenants).toMatchObject([{ fullRound: true, resumed: 1 }]);
  await world.cycle();
  const done = await change(world, { retention: '31d' }, true);
  expect(done.tenants).toMatchObject([{ fullRound: false, pendingVersion: null, unread: {}, resumed: 0 }]);
});

test('accounts leave a scope by groups as the preview reports, and none while a group is missing', async () => {
  const world = await openWorld({ users: 6 });
  const { tenant } = world;
  const group = tenant.createGroup({ displayName: 'Licensed' });
  for (const one of tenant.users().slice(0, 2)) tenant.addMember(group, one.id);
  await world.cycle();
  const preview = await change(world, { scope: { groups: [group] } }, true);
  expect(preview.tenants).toMatchObject([{ leaving: { out_of_scope: 4 }, missingGroups: [], mayEnter: false }]);
  const nowhere = '00000000-0000-4000-8000-000000000001';
  const held = await change(world, { scope: { groups: [group, nowhere] } }, true);
  expect(held.tenants).toMatchObject([{ leaving: { out_of_scope: 0 }, missingGroups: [nowhere] }]);
  await change(world, { scope: { groups: [group] } }, false);
  expect((await world.cycle()).streams.users.removed).toBe(4);
});

test('rule 20: a shelved value comes back with its owner, and the change rows report each step', async () => {
  const world = await openWorld({ users: 2 });
  await setSettings(world.database, hybrid);
  await world.cycle();
  const [id] = [...(await accounts(world)).keys()] as [string];
  const original = (await accounts(world)).get(id)?.profile.jobTitle;
  await edit(world, id, { jobTitle: 'Own Title' });
  const away = await change(world, { sourceOfTruth: 'directory' }, false);
  expect(away.tenants).toMatchObject([{ shelved: 1, unshelved: 0, fullRound: false, fields: { jobTitle: 1 } }]);
  expect((await accounts(world)).get(id)?.profile.jobTitle).toBe(original);
  const back = await change(world, { sourceOfTruth: 'hybrid' }, false);
  expect(back.tenants).toMatchObject([{ shelved: 0, unshelved: 1 }]);
  expect((await accounts(world)).get(id)?.profile.jobTitle).toBe('Own Title');
  const told = await rows<{ kind: string }>(
    world.database,
    'select kind from directory.changes where account_id = :id order by change_id',
    { id },
  );
  expect(told.map((row) => row.kind)).toEqual([
    'account.created',
    'account.edited',
    'account.updated',
    'account.updated',
  ]);
  const settings = await rows<{ actor: string }>(
    world.database,
    "select actor from directory.changes where kind = 'tenant.settings_changed' order by change_id desc limit 2",
  );
  expect(settings.map((row) => row.actor)).toEqual(['test', 'test']);
});

test('rule 10: the preview says what the next cycle holds, in the words and by the numbers of that cycle', async () => {
  const world = await openWorld({ users: 30, groups: 4, onEnd: onTestFinished });
  const { database, tenant } = world;
  const ids = tenant.users().map(({ id }) => id);
  for (const [n, id] of ids.entries())
    tenant.updateUser(id, { department: n < 6 ? 'IT' : 'Sales', accountEnabled: n !== 29 });
  await setSettings(database, { disabledAccounts: 'ignore' });
  await world.cycle();
  const cases: [string, SettingsDocument, Partial<typeof none>][] = [
    ['within the limits', { scope: { except: ids.slice(0, 2) }, removals: limits }, none],
    ['seven days', { scope: { except: ids.slice(0, 6) }, removals: { ...limits, max: 2, percent: 100 } }, { users: 4 }],
    ['a held one is not counted twice', { scope: { except: ids.slice(0, 7) }, removals: limits }, { waiting: 4 }],
    ['those that come back', { scope: { except: ids.slice(0, 2) }, removals: limits }, none],
    ['no removal at all', { scope: { except: ids.slice(0, 3) }, removals: { ...limits, max: 0 } }, { users: 1 }],
    [
      'below the floor',
      { scope: { where: only('IT') }, removals: { ...limits, floor: 100 } },
      { users: 24, waiting: 1 },
    ],
    ['all of them', { scope: { where: only('Nonexisting') }, removals: limits }, { waiting: 25, users: 3 }],
    [
      'suspended',
      { scope: { where: [] }, disabledAccounts: 'suspend', removals: { ...limits, max: 0 } },
      { users: 1, waiting: 1 },
    ],
    ['groups', { groups: { except: ['*'] }, removals: { ...limits, floor: 1 } }, { groups: 4, waiting: 2 }],
  ];
  for (const [name, document, expected] of cases) {
    const open = async () =>
      rows<{ list_id: string; why: string; stream: string }>(
        database,
        'select list_id, why, stream from entra_sync.removal_lists order by list_id',
      );
    const before = (await open()).map((one) => one.list_id);
    const live = [...(await accounts(world)).values()].filter((one) => one.removed_reason === null).length;
    const [told] = (await change(world, document, true)).tenants;
    expect(await open(), 'a dry run holds nothing').toHaveLength(before.length);
    await change(world, document, false);
    const { streams } = await world.cycle();
    const added = (await open()).filter((one) => !before.includes(one.list_id));
    const whyOf = (stream: string) => added.find((one) => one.stream === stream)?.why ?? null;
    expect({ name, users: told?.guard.why, groups: told?.groups?.guard.why ?? null }).toEqual({
      ...{ name, users: whyOf('users'), groups: whyOf('groups') },
    });
    const held = { users: streams.users.held, groups: streams.groups.held, waiting: told?.guard.waiting };
    expect({ name, ...held }).toEqual({ name, ...none, ...expected });
    expect(told?.staying, name).toBe(live - (told?.leaving.out_of_scope ?? 0));
  }
});

test("a tenant's own settings lie over the installation's, are previewed and taken back, and groups go by name", async () => {
  const world = await openWorld({ users: 5 });
  const { tenant, database } = world;
  tenant.createGroup({ displayName: 'Twice' });
  tenant.createGroup({ displayName: 'Twice' });
  const group = tenant.createGroup({ displayName: 'Licensed People' });
  tenant.addMember(group, tenant.users()[0]?.id ?? '');
  await world.cycle();
  const environment = { ...world.simulator.environment(tenant.tenantId), DATABASE_URL: world.url };
  const cli = (...words: string[]) => runCli(words, environment);
  const directory = await temporaryDirectory(onTestFinished);
  const write = async (text: string) => {
    const file = join(directory, `${text.length}.yaml`);
    await writeFile(file, text);
    return file;
  };
  const scoped = await write('scope: { groups: [licensed people] }\n');
  const preview = await cli('tenant', 'set', tenant.tenantId, scoped, '--dry-run');
  expect(preview).toMatchObject({ code: 0 });
  expect(preview.stdout).toContain('4 users leave the scope');
  expect(preview.stdout).toContain('Dry run: nothing was changed.');
  expect(await cli('tenant', 'set', tenant.tenantId, scoped)).toMatchObject({ code: 0 });
  const [own] = await rows<{ document: unknown }>(
    database,
    'select document from entra_sync.settings where tenant_id is not null',
  );
  expect(own?.document).toEqual({ scope: { groups: [group] } });
  expect((await cli('tenant', 'set', tenant.tenantId, scoped)).stdout).toContain('Nothing in');
  const ambiguous = await cli(
    'tenant',
    'set',
    tenant.tenantId,
    await write('scope:\n  groups:\n    - Twice\n    - Nowhere\n'),
  );
  expect(ambiguous).toMatchObject({ code: 2 });
  expect(ambiguous.stderr).toContain('line 3: scope.groups[0]: 2 groups are called "Twice"');
  expect(ambiguous.stderr).toContain('line 4: scope.groups[1]: no synced group is called "Nowhere"');
  expect((await cli('tenant', 'set', tenant.tenantId, '--reset')).stdout).toContain('is in force');
  await world.cycle();
  expect(await accounts(world)).toHaveProperty('size', 5);
  expect(await cli('tenant', 'set', tenant.tenantId)).toMatchObject({ code: 2 });
});

test('a value that does not fit the new type of its field is shelved, counted, and back with the old type', async () => {
  const world = await openWorld({ users: 2 });
  const phone = (from: string): SettingsDocument => ({ sourceOfTruth: 'user', fields: { phone: { from } } });
  await setSettings(world.database, phone('mobilePhone'));
  await world.cycle();
  const id = [...(await accounts(world)).keys()][0] ?? '';
  await edit(world, id, { phone: '+1' });
  const said = (await change(world, phone('businessPhones'), true)).tenants[0];
  expect(said).toMatchObject({ shelved: 1, unshelved: 0 });
  await setSettings(world.database, phone('businessPhones'));
  await world.cycle();
  expect((await accounts(world)).get(id)?.profile.phone).not.toBe('+1');
  const shelf = await rows(world.database, 'select overrides, shelf from entra_sync.accounts where account_id = :id', {
    id,
  });
  expect(shelf).toEqual([{ overrides: {}, shelf: { phone: '+1' } }]);
  expect((await change(world, phone('mobilePhone'), false)).tenants[0]).toMatchObject({ unshelved: 1 });
  expect((await accounts(world)).get(id)?.profile.phone).toBe('+1');
});

const ownersOf = async ({ database }: World, tenantId: string) =>
  (
    await rows<{ owner: string }>(database, 'select distinct owner from directory.fields where tenant_id = :tenantId', {
      tenantId,
    })
  ).map((row) => row.owner);

test('a tenant that is added while the settings change has the rules of the new ones', async () => {
  const world = await openWorld({ users: 1 });
  const { database } = world;
  const tenantId = randomUUID();
  const holding = await database.transaction();
  await holding.raw('lock table entra_sync.field_rules in share mode');
  const adding = addTenant(database, { tenantId, name: 'Added meanwhile', ref: null }, loadDefaults());
  await untilBlocked({ database });
  const applying = setSettings(database, { sourceOfTruth: 'user' });
  await untilBlocked({ database }, 2);
  await holding.commit();
  await Promise.all([adding, applying]);
  expect(await ownersOf(world, tenantId)).toEqual(['user']);
});

test('applying settings again repairs rules that are out of date', async () => {
  const world = await openWorld({ users: 1 });
  const { database, tenant } = world;
  await setSettings(database, { sourceOfTruth: 'user' });
  await database.raw("update entra_sync.field_rules set owner = 'directory', editable_by = '{}'");
  await setSettings(database, { sourceOfTruth: 'user' });
  expect(await ownersOf(world, tenant.tenantId)).toEqual(['user']);
});
