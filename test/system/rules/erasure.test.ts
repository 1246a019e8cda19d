// One person's rights (rule 34): the export has all that is stored, the erasure leaves none of it, and no cycle brings the
// person back.
import { expect, test } from 'vitest';
import { createAccount, editAccount } from '../../../src/store/accounts/accounts.ts';
import { assign, assigning, putItem, putSlot } from '../../../src/store/accounts/assignments.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { writeAudit } from '../../../src/store/feed/audit.ts';
import { expectOneLine, runCli } from '../../support/cli.ts';
import { type Copy, expectAsOf, takeCopy } from '../../support/copies.ts';
import { groupsWorld } from '../../support/groups-world.ts';
import { placesOf } from '../../support/places.ts';
import { setSettings } from '../../support/settings.ts';
import { expectSound } from '../../support/soundness.ts';
import { accountsOf, personOf, removedOf } from '../../support/system.ts';
import { verify } from '../../support/verify.ts';

const mark = 'quagmire';
const mail = `${mark}@contoso.example`;

/** Makes every answer about a user unreadable. */
const broken = (id: string) => (_: string, value: { id?: string } | null) =>
  value?.id === id && 'accountEnabled' in value ? { ...value, accountEnabled: 'perhaps' } : value;

/** A tenant in which user 0 bears the mark in all values, is edited, acts, and is in two groups. */
async function markedWorld() {
  const opened = await groupsWorld({ Outer: ['Inner'], Inner: [0, 1] }, { users: 5, name: 'Contoso' });
  const { world, tenant, person } = opened;
  await setSettings(world.database, {
    sourceOfTruth: 'hybrid',
    fields: { jobTitle: { from: 'jobTitle', owner: 'user' }, pronouns: { owner: 'user' } },
    scope: { userType: 'any' },
  });
  const properties = { displayName: `Glenn ${mark}`, jobTitle: `Pilot ${mark}`, mail, userPrincipalName: mail };
  tenant.updateUser(person(0), properties);
  await world.cycle();
  const accounts = await accountsOf(world.database, tenant.tenantId);
  const id = accounts[person(0)]?.accountId ?? '';
  const other = accounts[person(1)]?.accountId ?? '';
  await editAccount(world.database, id, { pronouns: `they ${mark}` }, { actor: mail, role: 'user' });
  for (const [field, actor] of [
    ['pronouns', mail.toUpperCase()],
    ['jobTitle', `account:${id}`],
  ] as const)
    await editAccount(world.database, other, { [field]: 'x' }, { actor, role: 'manager' });
  const cli = (...words: string[]) => runCli(words, { DATABASE_URL: world.url });
  return { ...opened, id, other, cli };
}

test('the export has values, the directory’s document, edits, groups and history', async () => {
  const { id, cli } = await markedWorld();
  const { code, stdout, stderr } = await cli('person', 'export', mail);
  expect(code, stderr).toBe(0);
  expect(JSON.parse(stdout)).toMatchObject({
    account: { account_id: id, tenant_name: 'Contoso', mail },
    profile: { displayName: `Glenn ${mark}`, pronouns: `they ${mark}` },
    directory: { jobTitle: `Pilot ${mark}` },
    fields: expect.arrayContaining([expect.objectContaining({ field: 'pronouns', origin: 'user', changed_by: mail })]),
    shelf: {},
    groups: [
      { display_name: 'Inner', is_direct: true },
      { display_name: 'Outer', is_direct: false },
    ],
    history: expect.arrayContaining([
      expect.objectContaining({ kind: 'account.created', field: 'profile.jobTitle', after: `Pilot ${mark}` }),
      expect.objectContaining({ kind: 'membership.added', field: 'group' }),
    ]),
  });
  expectOneLine(await cli('person', 'export', 'nosuch'), 2, /there is no account nosuch/);
});

test('rule 34: the export has what is assigned, each look at the person, and the person’s own private values of before', async () => {
  const { world, tenant, id, other, cli } = await markedWorld();
  const { database } = world;
  const { tenantId } = tenant;
  const slot = 'banner';
  await assigning(database, false, async (on) => {
    await putSlot(on, { tenant_id: null, slot, winners: 2, title: null }, 'test');
    for (const [item, target] of [
      ['corp', { everyone: true }],
      ['own', { account: id }],
      ['theirs', { account: other }],
    ] as const) {
      await putItem(on, { tenant_id: null, slot, item, title: null, html: null }, 'test');
      await assign(on, { tenantId, slot, item, target, options: {} }, 'test');
    }
  });
  const looks = [id, other].map((accountId) => ({
    ...{ actor: `account:${other}`, role: 'manager', via: 'web' as const, act: 'person.viewed', tenantId, accountId },
  }));
  await writeAudit(database, looks);
  await editAccount(database, id, { pronouns: 'she' }, { actor: mail, role: 'user' });
  const { stdout, stderr } = await cli('person', 'export', `glenn ${mark}`, '--actor', 'dpo');
  const told = JSON.parse(stdout);
  // Words find the person as they do for every other verb.
  expect(stderr).toContain(`glenn ${mark}: Glenn ${mark}, Contoso`);
  expect(told.assigned).toEqual([
    { slot, rank: 1, item: 'own' },
    { slot, rank: 2, item: 'corp' },
  ]);
  expect(told.looks).toEqual([
    expect.objectContaining({ act: 'person.viewed', actor: `account:${other}`, role: 'manager', via: 'web' }),
  ]);
  const pronouns = told.history.filter(({ field }: { field: string }) => field === 'profile.pronouns');
  expect(pronouns.map(({ before, after }: { before: unknown; after: unknown }) => [before, after])).toEqual([
    [`they ${mark}`, 'she'],
    [null, `they ${mark}`],
  ]);
  // The export is a look itself.
  const again = JSON.parse((await cli('person', 'export', id)).stdout);
  expect(again.looks[0]).toMatchObject({ act: 'person.exported', actor: 'dpo', via: 'cli' });
});

test('rule 34: an erased person leaves no value in any column of any table, and no cycle brings the person back', async () => {
  const { world, tenant, person, id, other, cli } = await markedWorld();
  const { database } = world;
  const copies: Copy[] = [];
  const copy = async () => copies.push(...[await takeCopy(database, tenant.tenantId)].flatMap((one) => one ?? []));
  await copy();
  expectOneLine(await cli('person', 'erase', id, '--confirm', 'Glenn'), 2, /nothing was erased/);
  expect(await placesOf(database, mark)).toContain('accounts.profile');
  const { code, stdout } = await cli('person', 'erase', mail, '--confirm', `Glenn ${mark}`, '--actor', 'dpo');
  expect(code).toBe(0);
  expect(stdout).toContain(`${id} of Contoso is erased`);
  expect(stdout).toMatch(/Entra ID still showed the user when it was last read, .* ago: delete the user there too/);
  expect(await placesOf(database, mark)).toEqual([]);
  expect(await placesOf(database, `account:${id}`)).toEqual([]);
  expect(await placesOf(database, person(0))).toEqual([]);
  await expectSound(database, tenant.tenantId);
  await copy();
  const kinds = await rows(
    database,
    "select kind, actor, before, after from directory.changes where account_id = :id and kind like 'account.%' order by change_id",
    { id },
  );
  expect(kinds.at(-2)).toEqual({ kind: 'account.removed', actor: 'dpo', before: null, after: null });
  expect(kinds.at(-1)).toEqual({ kind: 'account.purged', actor: 'dpo', before: null, after: null });
  expect(
    await rows(database, 'select actor from directory.changes where account_id = :other and kind = :kind', {
      other,
      kind: 'account.edited',
    }),
  ).toEqual([{ actor: 'purged' }, { actor: 'purged' }]);
  // Not by a later round, a full one, a reading on demand, or by a key; and the comparison finds no drift.
  tenant.updateUser(person(0), { jobTitle: `Captain ${mark}` });
  await world.cycle();
  await world.cycle({ resync: true });
  expect(await personOf(world, person(0))).toMatchObject({
    verdict: 'out_of_scope',
    reason: "was erased on the person's request",
    after: undefined,
  });
  await createAccount(database, tenant.tenantId, { mail: 'new@contoso.example' }, 'hr');
  tenant.updateUser(person(0), { mail: 'new@contoso.example' });
  await world.cycle({ resync: true });
  const live = await accountsOf(database, tenant.tenantId);
  expect(live[person(0)]).toBeUndefined();
  expect(Object.keys(await removedOf(database, tenant.tenantId))).toEqual([]);
  expect(await placesOf(database, mark)).toEqual([]);
  expect((await verify(world)).drift).toEqual([]);
  expect((await cli('explain', person(0))).stdout).toMatch(/erased .* on the person's request/);
  await expectSound(database, tenant.tenantId);
  await expectAsOf(database, tenant.tenantId, copies);
});

test('rule 34: a removed account, one made by hand and one whose removal is held are erased as well', async () => {
  const { world, tenant, person, id, cli } = await markedWorld();
  const { database } = world;
  await setSettings(database, { removals: { max: 0, percent: 0, floor: 0 } });
  tenant.deleteUser(person(0));
  await world.cycle();
  expect(await rows(database, 'select from entra_sync.held_removals')).toHaveLength(1);
  const first = await cli('person', 'erase', id, '--confirm', `Glenn ${mark}`);
  expect(first.stdout).toContain('is erased');
  expect(await rows(database, 'select from entra_sync.removal_lists')).toEqual([]);
  await createAccount(database, tenant.tenantId, { displayName: `Bob ${mark}` }, mark);
  // By words, as for every other verb.
  const made = await cli('person', 'erase', `bob ${mark.slice(0, 4)}`, '--confirm', `Bob ${mark}`);
  expect(made.stdout).toContain('is erased');
  expect(made.stdout).not.toContain('No cycle');
  await setSettings(database, { removals: { max: 100, percent: 100, floor: 0 } });
  tenant.deleteUser(person(2));
  await world.cycle();
  const [gone] = await rows<{ id: string; name: string }>(
    database,
    "select account_id as id, profile ->> 'displayName' as name from entra_sync.accounts where removed_at is not null",
  );
  const last = await cli('person', 'erase', gone?.id ?? '', '--confirm', gone?.name ?? '');
  expect(last.stdout).toContain('is erased');
  expect(last.stdout).not.toContain('still showed');
  expect(await rows(database, 'select from entra_sync.accounts where removed_at is not null')).toEqual([]);
  expect(await placesOf(database, person(2))).toEqual([]);
  tenant.restoreUser(person(2));
  await world.cycle();
  expect((await accountsOf(database, tenant.tenantId))[person(2)]).toBeUndefined();
  await expectSound(database, tenant.tenantId);
});

test('rule 34: no row has the id of an erased user that Entra ID deletes afterwards, or that cannot be read', async () => {
  const { world, tenant, person, id, other, cli } = await markedWorld();
  const { database } = world;
  const erase = async (account: string) =>
    expect((await cli('person', 'erase', account, '--confirm', (await nameOf(account)) ?? '')).code).toBe(0);
  const nameOf = async (account: string) =>
    (
      await rows<{ name: string }>(
        database,
        "select profile ->> 'displayName' as name from entra_sync.accounts where account_id = :account",
        { account },
      )
    )[0]?.name;
  await erase(id);
  await erase(other);
  tenant.deleteUser(person(0));
  world.simulator.transform((_, body) => JSON.parse(JSON.stringify(body, broken(person(1)))));
  tenant.updateUser(person(1), { jobTitle: 'Captain' });
  await world.cycle();
  expect(await placesOf(database, person(0))).toEqual([]);
  expect(await placesOf(database, person(1))).toEqual([]);
  // Those of a release that kept them go with the next full round. Graph's member lists are kept as they are.
  await database.raw(
    `insert into entra_sync.deleted_strangers (tenant_id, stream, entra_object_id) select :tenant, 'users', :deleted`,
    { tenant: tenant.tenantId, deleted: person(0) },
  );
  await database.raw(
    `insert into entra_sync.set_aside (tenant_id, stream, object_key, reason) select :tenant, 'users', :broken, 'x'`,
    { tenant: tenant.tenantId, broken: person(1) },
  );
  await world.cycle({ resync: true });
  const members = ['member_groups.member_object_id', 'memberships.member_object_id'];
  expect(await placesOf(database, person(0))).toEqual([]);
  expect(await placesOf(database, person(1))).toEqual(members);
  expect((await cli('explain', person(0))).stdout).not.toContain('an account is created when it is restored there');
});

test('rule 34: names that the person had before are erased too, as the actor of others’ edits as well', async () => {
  const { world, tenant, person, id, other, cli } = await markedWorld();
  const { database } = world;
  await editAccount(database, other, { pronouns: 'y' }, { actor: `glenn ${mark}`, role: 'manager' });
  const later = { displayName: 'Glenn New', jobTitle: 'Pilot', mail: 'glenn@contoso.example' };
  tenant.updateUser(person(0), { ...later, userPrincipalName: later.mail });
  await world.cycle();
  await editAccount(database, id, { pronouns: 'they' }, { actor: later.mail, role: 'user' });
  expect((await cli('person', 'erase', id, '--confirm', 'Glenn New')).code).toBe(0);
  expect(await placesOf(database, mark)).toEqual([]);
  expect(await placesOf(database, 'glenn')).toEqual([]);
});

test('rule 34: a person who is called like the worker is erased, and the worker stays the actor of its cycles', async () => {
  const { world, tenant, person, id, cli } = await markedWorld();
  const { database } = world;
  tenant.updateUser(person(0), { displayName: 'Worker' });
  await world.cycle({ actor: 'worker' });
  const byWorker = () =>
    rows(
      database,
      `select (select count(*)::int from entra_sync.cycles where actor = 'worker') as cycles,
              (select count(*)::int from entra_sync.changes where actor = 'worker' and account_id is distinct from :id) as changes`,
      { id },
    );
  const before = await byWorker();
  expect((await cli('person', 'erase', id, '--confirm', 'Worker')).code).toBe(0);
  expect(await byWorker()).toEqual(before);
  expect(before).not.toMatchObject([{ cycles: 0 }]);
});

test('tenant disconnect --erase-after says when, and tells the worker; a wrong span is refused', async () => {
  const { world, cli } = await markedWorld();
  const eraseAt = () =>
    rows(world.database, "select erase_at - now() > interval '89 days' as far from entra_sync.tenants");
  expectOneLine(await cli('tenant', 'disconnect', 'Contoso', '--erase-after', 'soon'), 2, /write a span like 90d/);
  const dry = await cli('tenant', 'disconnect', 'Contoso', '--erase-after', '90d', '--dry-run');
  expect(dry.stdout).toContain('A worker would erase it after 90 d, unless it is reconnected before.');
  expect(await eraseAt()).toEqual([{ far: null }]);
  const { stdout } = await cli('tenant', 'disconnect', 'Contoso', '--erase-after', '90d');
  expect(stdout).toContain('A worker erases it after 90 d');
  expect(await eraseAt()).toEqual([{ far: true }]);
  const due =
    /A worker erases it in 90 d, with all its data, unless entra-sync tenant reconnect "Contoso" comes first\./;
  expect((await cli('status')).stdout).toMatch(new RegExp(`^Contoso: ${due.source}$`, 'm'));
  expect((await cli('tenant', 'show', 'Contoso')).stdout).toMatch(due);
  await world.database.raw("update entra_sync.tenants set erase_at = now() - interval '1 s'");
  expect((await cli('status')).stdout).toMatch(/^Contoso: The next tick of a worker erases it, with all its data/m);
  expect(await placesOf(world.database, mark)).not.toEqual([]);
});
