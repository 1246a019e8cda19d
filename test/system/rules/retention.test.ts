// Retention (rule 7): a removal is soft, a restore brings edits and memberships back, and after the retention no value
// of a user or group is left in any column of any table.
import { expect, test } from 'vitest';
import type { Progress } from '../../../src/engine/stream.ts';
import { createAccount, editAccount } from '../../../src/store/accounts/accounts.ts';
import { decideRemovals } from '../../../src/store/commit/held-removals.ts';
import { openLists } from '../../../src/store/commit/removal-lists.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { disconnectTenant, purgeTenant } from '../../../src/store/tenants/disconnect.ts';
import { expectGroups, groupsWorld, ofUsers } from '../../support/groups-world.ts';
import { placesOf } from '../../support/places.ts';
import { setSettings } from '../../support/settings.ts';
import { accountsOf, interruption, openWorld, type World } from '../../support/system.ts';

/** Marks every value of the user, of the group and of their edits, and nothing else. */
const mark = 'quagmire';
const person = Object.fromEntries(
  [
    'displayName',
    'givenName',
    'surname',
    'mobilePhone',
    'faxNumber',
    'jobTitle',
    'department',
    'companyName',
    'officeLocation',
    'streetAddress',
    'postalCode',
    'city',
    'state',
    'country',
  ].map((name) => [name, `${name} Quagmire`]),
);

/** Ends the retention of every removed row. */
const passRetention = async ({ database }: World) => {
  for (const table of ['accounts', 'groups'])
    await database.raw(
      `update entra_sync.${table} set purge_at = now() - interval '1 minute' where removed_at is not null`,
    );
};

const kindsOf = async ({ database }: World, column: string, id: string) =>
  rows<{ kind: string; actor: string; before: unknown; after: unknown }>(
    database,
    `select kind, actor, before, after from directory.changes where ${column} = :id and kind not like 'membership.%' order by change_id`,
    { id },
  );

test('rule 7: a user restored within the retention has its edits and groups again', async () => {
  const { world, tenant, person: one } = await groupsWorld({ Team: [0, 1], Other: [0] });
  await setSettings(world.database, {
    sourceOfTruth: 'hybrid',
    fields: { jobTitle: { from: 'jobTitle', owner: 'user' } },
    scope: { userType: 'any' },
  });
  await world.cycle();
  const before = (await accountsOf(world.database, tenant.tenantId))[one(0)];
  const accountId = before?.accountId ?? '';
  await editAccount(world.database, accountId, { jobTitle: 'Head of Boats' }, { actor: 'ann', role: 'user' });
  tenant.deleteUser(one(0));
  expect((await world.cycle()).streams.users).toMatchObject({ removed: 1, memberships_removed: 2 });
  await expectGroups(world);
  expect((await world.cycle()).streams.users).toMatchObject({ purged: 0 });
  tenant.restoreUser(one(0));
  expect((await world.cycle()).streams.users).toMatchObject({ restored: 1, memberships_added: 2 });
  const after = (await accountsOf(world.database, tenant.tenantId))[one(0)];
  expect(after).toEqual({ ...before, profile: { ...before?.profile, jobTitle: 'Head of Boats' } });
  await expectGroups(world);
});

test('rule 7: no value of a purged user is left in any column of any table, and a change row reports the purge', async () => {
  const world = await openWorld({ users: 30 });
  const { tenant, database, simulator } = world;
  const mail = `${mark}@contoso.example`;
  await setSettings(database, {
    sourceOfTruth: 'hybrid',
    fields: { jobTitle: { from: 'jobTitle', owner: 'user' }, pronouns: { owner: 'user' } },
    scope: { userType: 'any' },
    removals: { max: 500, percent: 20, floor: 20 },
  });
  // All kinds of rows: created by hand, adopted, edited, changed under the edit, with a changed owner of the field.
  const handMade = { mail, displayName: `Old ${mark}`, city: `Old ${mark}` };
  const accountId = await createAccount(database, tenant.tenantId, handMade, 'hr');
  const id = tenant.createUser({ ...person, mail, userPrincipalName: mail, businessPhones: [`+1 ${mark}`] });
  const team = tenant.createGroup({ displayName: 'Team' });
  tenant.addMember(team, id);
  expect((await world.cycle()).streams.users).toMatchObject({ adopted: 1 });
  const edit = { jobTitle: `Edited ${mark}`, pronouns: `they ${mark}` };
  await editAccount(database, accountId, edit, { actor: mail, role: 'user' });
  // Rows of other accounts too: the user is their manager, and the actor of edits by address and by name.
  const [, , colleague = '', another = ''] = tenant.users().map((user) => user.id);
  const accounts = await accountsOf(database, tenant.tenantId);
  for (const [one, actor] of [
    [colleague, mail.toUpperCase()],
    [another, String(person.displayName)],
  ] as const)
    await editAccount(database, accounts[one]?.accountId ?? '', { pronouns: 'she' }, { actor, role: 'manager' });
  tenant.updateUser(id, { jobTitle: `Beneath ${mark}`, mail: `new.${mail}` });
  await world.cycle();
  await setSettings(database, { sourceOfTruth: 'directory', scope: { userType: 'any' } });
  // Set aside once, and in an interrupted round.
  const heal = simulator.transform((_request, body) => {
    const { value } = body as { value?: { id: string }[] };
    const bad = (one: object) => ('id' in one && one.id === id ? { ...one, mail: 7 } : one);
    return value ? { ...body, value: value.map(bad) } : bad(body);
  });
  expect((await world.cycle({ resync: true })).streams.users).toMatchObject({ set_aside: 1 });
  heal();
  const stop = new AbortController();
  const onProgress = ({ stream, phase }: Progress) => {
    if (stream === 'users' && phase === 'ask') stop.abort(interruption());
  };
  await world.cycle({ resync: true, signal: stop.signal, onProgress }).catch(() => {});
  expect(await placesOf(database, mark)).toEqual(
    expect.arrayContaining([
      'accounts.mail',
      'accounts.mapped',
      'accounts.shelf',
      'accounts.source',
      'accounts.edits',
      'changes.before',
      'changes.after',
      'changes.actor',
      'stage_users.source',
    ]),
  );
  // Removed with many others: held, approved, purged.
  await world.cycle();
  const others = tenant.users().filter((user) => ![id, colleague, another].includes(user.id));
  for (const one of [{ id }, ...others.slice(0, 7)]) tenant.deleteUser(one.id);
  expect(await world.cycle()).toMatchObject({ outcome: 'held' });
  expect(await placesOf(database, mark)).toContain('held_removals.display_name');
  const [list] = await openLists(database, tenant.tenantId);
  const decision = {
    tenantId: tenant.tenantId,
    listId: list?.list_id ?? '',
    ids: null,
    decision: 'approve',
    side: 'vendor',
    actor: 'ann',
  } as const;
  await decideRemovals(database, decision);
  expect(await placesOf(database, mark)).toContain('removed_accounts.display_name');
  await passRetention(world);
  expect((await world.cycle()).streams.users).toMatchObject({ purged: 8 });
  expect(await placesOf(database, mark)).toEqual([]);
  const changes = await kindsOf(world, 'account_id', accountId);
  expect(changes.at(-1)).toEqual({ kind: 'account.purged', actor: 'test', before: null, after: null });
  for (const { kind, before, after } of changes)
    expect([before, after], kind).toEqual([null, kind.startsWith('removal.') ? { list_id: 1 } : null]);
  expect(changes.find(({ kind }) => kind === 'removal.approved')?.actor, 'who decided stays').toBe('ann');
  const edited = await kindsOf(world, 'account_id', accounts[colleague]?.accountId ?? '');
  const ofColleague = edited.filter(({ kind }) => kind === 'account.edited');
  expect(ofColleague, 'the edit of the colleague stays').toMatchObject([{ actor: 'purged' }]);
  // A user who comes back after that gets a new account.
  tenant.restoreUser(id);
  expect((await world.cycle()).streams.users).toMatchObject({ created: 1, restored: 0 });
  expect((await accountsOf(database, tenant.tenantId))[id]?.accountId).not.toBe(accountId);
});

test('rule 7: no value of a purged group is left either, nor of its set-aside entries', async () => {
  const { world, tenant, group } = await groupsWorld({ Team: [0, 1] });
  const { database } = world;
  const named = {
    displayName: `Team ${mark}`,
    description: `About ${mark}`,
    mail: `${mark}@groups.example`,
    mailNickname: mark,
  };
  const id = group('Team');
  tenant.updateGroup(id, named);
  const refused = world.simulator.intercept(({ url }) =>
    url.includes(`/groups/${id}/members`)
      ? { status: 403, body: { error: { code: 'Authorization_RequestDenied' } } }
      : undefined,
  );
  await world.cycle();
  const [kept] = await rows<{ id: string }>(
    database,
    'select group_id as id from directory.groups where entra_object_id = :id',
    { id },
  );
  tenant.updateGroup(id, { displayName: `Renamed ${mark}` });
  tenant.deleteGroup(id);
  await world.cycle();
  tenant.restoreGroup(id);
  await world.cycle();
  expect(await placesOf(database, `${id}/members`)).toContain('set_aside.object_key');
  expect(await placesOf(database, mark)).toEqual(expect.arrayContaining(['groups.display_name', 'changes.after']));
  tenant.deleteGroup(id);
  await world.cycle();
  await passRetention(world);
  expect((await world.cycle()).streams.groups).toMatchObject({ purged: 1 });
  refused();
  expect(await placesOf(database, mark)).toEqual([]);
  expect(await placesOf(database, `${id}/members`)).toEqual([]);
  const changes = await kindsOf(world, 'group_id', kept?.id ?? '');
  expect(changes.at(-1)).toMatchObject({ kind: 'group.purged', before: null, after: null });
  expect(new Set(changes.flatMap(({ before, after }) => [before, after]))).toEqual(new Set([null]));
});

test('tenant purge leaves nothing of a tenant but numbers without content, and that it was erased', async () => {
  const { world, tenant, person: one } = await groupsWorld({ [`Team ${mark}`]: [0, 1] });
  const { database } = world;
  tenant.updateUser(one(0), { displayName: `Known ${mark}`, mail: `${mark}@x.example` });
  await setSettings(
    database,
    { fields: { motto: { from: { constant: mark } } }, scope: { userType: 'any' } },
    tenant.tenantId,
  );
  await world.cycle();
  tenant.updateUser(one(1), { displayName: `Other ${mark}` });
  // Each stream has an open round, one account is held, one user is set aside.
  world.simulator.transform(({ url }, body) =>
    ofUsers(url)
      ? {
          ...body,
          value: (body as { value: { id: string }[] }).value.map((item) =>
            item.id === one(1) ? { ...item, mail: 7 } : item,
          ),
        }
      : body,
  );
  await setSettings(database, { removals: { max: 0 } });
  tenant.deleteUser(one(0));
  expect(await world.cycle()).toMatchObject({ outcome: 'held', streams: { users: { set_aside: 1 } } });
  const before = await placesOf(database, tenant.tenantId);
  expect(before.length).toBeGreaterThan(15);
  expect((await placesOf(database, mark)).length).toBeGreaterThan(6);
  await disconnectTenant(database, tenant.tenantId, { actor: `${mark}`, dryRun: false });
  await purgeTenant(database, tenant.tenantId);
  expect(await placesOf(database, mark)).toEqual([]);
  // Its row of the audit, in the table and in the view, says that it was erased (rule 48).
  const left = ['audit.tenant_id', 'audit.tenant_id', 'batches.tenant_id'];
  expect(await placesOf(database, tenant.tenantId)).toEqual(left);
  for (const user of tenant.users()) expect(await placesOf(database, user.id)).toEqual([]);
});
