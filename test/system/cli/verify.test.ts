// `verify` finds each kind of drift that is put into a copy by hand, and nothing else, and changes nothing.
import { randomUUID } from 'node:crypto';
import { expect, test } from 'vitest';
import { undoRemovals } from '../../../src/store/commit/undo-removals.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { runCli } from '../../support/cli.ts';
import { isDeep, rowsOf } from '../../support/deep.ts';
import { setSettings } from '../../support/settings.ts';
import { storing, takingOut } from '../../support/stored-memberships.ts';
import { failureOf, openWorld, type World } from '../../support/system.ts';
import { verify } from '../../support/verify.ts';

/** Returns every row with its place and its writing transaction, except leases, which come and go. */
async function everything({ database }: World): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  const tables = await rows<{ name: string }>(
    database,
    "select tablename as name from pg_tables where schemaname = 'entra_sync' and tablename !~ '(lease|heartbeat|knex)'",
  );
  expect(tables.length).toBeGreaterThan(15);
  for (const { name } of tables)
    found[name] = await rows(
      database,
      `select xmin::text, ctid::text, to_jsonb(t) as row from entra_sync.${name} t order by ctid`,
    );
  return found;
}

async function syncedWorld() {
  const world = await openWorld({ users: 10, deletedUsers: 2, simulator: { pageSize: 4, memberSlice: 3 } });
  const { tenant } = world;
  const people = tenant.users().map((user) => user.id);
  const person = (number: number): string => people[number] ?? expect.unreachable('too few people');
  const inner = tenant.createGroup({ displayName: 'Inner', description: 'About' });
  const outer = tenant.createGroup({ displayName: 'Outer' });
  for (const number of [0, 1, 2, 3]) tenant.addMember(inner, person(number));
  for (const member of [inner, person(4)]) tenant.addMember(outer, member);
  tenant.addMember(outer, randomUUID(), '#microsoft.graph.device');
  tenant.updateUser(person(0), { jobTitle: 'Captain', mail: 'captain@example.com' });
  await world.cycle();
  return { world, tenant, person, inner, outer };
}

test('after a cycle there is no drift, whatever happened before', async () => {
  const { world, tenant, person, inner, outer } = await syncedWorld();
  const checked = { users: 10, groups: 2, memberships: 7 };
  expect(await verify(world)).toMatchObject({ drift: [], checked });
  tenant.deleteUser(person(0));
  tenant.purgeUser(person(1));
  tenant.updateUser(person(2), { jobTitle: null, accountEnabled: false });
  tenant.updateGroup(inner, { displayName: 'Another name', description: null });
  tenant.removeMember(outer, inner);
  await world.cycle();
  expect((await verify(world)).drift).toEqual([]);
  tenant.restoreUser(person(0));
  tenant.deleteGroup(outer);
  await world.cycle();
  expect((await verify(world)).drift).toEqual([]);
});

test.runIf(isDeep)(
  'a group whose removal a person undid, and which Graph shows again, waits for its cycle and is no drift',
  async () => {
    const { world, tenant, person } = await syncedWorld();
    const team = tenant.createGroup({ displayName: 'Team', groupTypes: ['Unified'] });
    tenant.addMember(team, person(0));
    await world.cycle();
    tenant.deleteGroup(team);
    const { cycleId } = await world.cycle();
    const of = { cycle: String(cycleId) };
    await undoRemovals(world.database, { tenantId: tenant.tenantId, of, actor: 'Ann', dryRun: false });
    tenant.restoreGroup(team);
    expect((await verify(world)).drift).toEqual([]);
  },
);

type Ids = { one: string; other: string; inner: string; outer: string; tenant: string; fresh: string };
type Found = {
  kind: string;
  what: string;
  entra_object_id: string;
  member_object_id?: string;
  field?: string;
  stored?: unknown;
};

const account = 'entra_sync.accounts where entra_object_id = :one';
const numberOf = (group: string) => `(select group_no from entra_sync.groups where entra_object_id = ${group})`;
const removedNow = "removed_at = now(), purge_at = now() + interval '1 day', removed_reason = 'deleted_restorable'";
const differentUser = (set: string, field: string, stored: unknown) => ({
  drift: `different user: ${field}`,
  sql: `update entra_sync.accounts set ${set} where entra_object_id = :one`,
  finds: ({ one }: Ids): Found => ({ kind: 'user', what: 'different', entra_object_id: one, field, stored }),
});
const differentGroup = (set: string, field: string, stored: unknown) => ({
  drift: `different group: ${field}`,
  sql: `update entra_sync.groups set ${set} where entra_object_id = :inner`,
  finds: ({ inner }: Ids): Found => ({ kind: 'group', what: 'different', entra_object_id: inner, field, stored }),
});

/** `nesting`: the stored closure no longer fits the memberships, which is a drift of its own. */
const drifts: { drift: string; sql: string; nesting?: boolean; finds: (ids: Ids) => Found }[] = [
  {
    drift: 'missing user: no row',
    sql: `delete from ${account}`,
    finds: ({ one }) => ({ kind: 'user', what: 'missing', entra_object_id: one }),
  },
  {
    drift: 'missing user: removed here',
    sql: `update entra_sync.accounts set ${removedNow} where entra_object_id = :one`,
    finds: ({ one }) => ({ kind: 'user', what: 'missing', entra_object_id: one }),
  },
  {
    drift: 'extra user',
    sql: `insert into entra_sync.accounts (tenant_id, entra_object_id, state, enabled, source, mapped)
          values (:tenant, :fresh, 'managed', true, '{}', '{}')`,
    finds: ({ fresh }) => ({ kind: 'user', what: 'extra', entra_object_id: fresh }),
  },
  differentUser(`mapped = mapped || '{"jobTitle": "Mate"}'`, 'jobTitle', 'Mate'),
  differentUser("mapped = mapped - 'jobTitle'", 'jobTitle', null),
  differentUser('enabled = not enabled', '(enabled)', false),
  differentUser("mail = 'other@example.com'", '(mail)', 'other@example.com'),
  differentUser("user_principal_name = 'x@example.com'", '(user_principal_name)', 'x@example.com'),
  {
    drift: 'missing group',
    nesting: true,
    sql: `update entra_sync.groups set ${removedNow} where entra_object_id = :outer`,
    finds: ({ outer }) => ({ kind: 'group', what: 'missing', entra_object_id: outer }),
  },
  {
    drift: 'extra group',
    nesting: true,
    sql: `insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source)
          values (:tenant, :fresh, 'managed', 'security', false, '{}')`,
    finds: ({ fresh }) => ({ kind: 'group', what: 'extra', entra_object_id: fresh }),
  },
  differentGroup("display_name = 'Old'", 'display_name', 'Old'),
  differentGroup('description = null', 'description', null),
  differentGroup("kind = 'distribution'", 'kind', 'distribution'),
  differentGroup('is_dynamic = true', 'is_dynamic', true),
  {
    drift: 'missing membership of a person',
    sql: takingOut(numberOf(':inner'), ':one'),
    finds: ({ inner, one }) => ({ kind: 'membership', what: 'missing', entra_object_id: inner, member_object_id: one }),
  },
  {
    drift: 'missing membership of a group',
    nesting: true,
    sql: 'delete from entra_sync.member_groups where member_object_id = :inner',
    finds: ({ inner, outer }) => ({
      kind: 'membership',
      what: 'missing',
      entra_object_id: outer,
      member_object_id: inner,
    }),
  },
  {
    drift: 'extra membership',
    sql: storing(
      `select tenant_id, group_no, :other::uuid as member_object_id, 'u' as member_type from entra_sync.groups where group_no = ${numberOf(':inner')}`,
    ),
    finds: ({ inner, other }) => ({
      kind: 'membership',
      what: 'extra',
      entra_object_id: inner,
      member_object_id: other,
    }),
  },
  {
    drift: 'missing nesting',
    sql: `delete from entra_sync.group_closure where ancestor_no = ${numberOf(':outer')} and descendant_no = ${numberOf(':inner')}`,
    finds: ({ inner, outer }) => ({
      kind: 'nesting',
      what: 'missing',
      entra_object_id: outer,
      member_object_id: inner,
    }),
  },
  {
    drift: 'extra nesting',
    sql: `insert into entra_sync.group_closure values (${numberOf(':inner')}, ${numberOf(':outer')})`,
    finds: ({ inner, outer }) => ({ kind: 'nesting', what: 'extra', entra_object_id: inner, member_object_id: outer }),
  },
  {
    drift: 'missing effective membership',
    sql: `delete from entra_sync.effective_members e using entra_sync.accounts a
           where a.account_no = e.account_no and a.entra_object_id = :one and e.group_no = ${numberOf(':outer')}`,
    finds: ({ one, outer }) => ({ kind: 'effective', what: 'missing', entra_object_id: outer, member_object_id: one }),
  },
];

const someDrifts = rowsOf(drifts, (_, n) => n % 3 === 0);

test.each(someDrifts)('$drift is found, nothing else is, and nothing is changed', async ({ sql, finds, nesting }) => {
  const { world, tenant, person, inner, outer } = await syncedWorld();
  const ids = { one: person(0), other: person(7), inner, outer, tenant: tenant.tenantId, fresh: randomUUID() };
  await world.database.raw(sql, ids);
  const before = await everything(world);
  const found = finds(ids);
  // Rows that are kept of memberships and nesting differ with these.
  const drift = (await verify(world)).drift.filter(
    ({ kind }) => kind === found.kind || (kind !== 'effective' && !(nesting && kind === 'nesting')),
  );
  expect(drift).toHaveLength(1);
  expect(drift[0]).toMatchObject(found);
  expect(await everything(world)).toEqual(before);
});

test.runIf(isDeep)('a difference shows the fresh value and the stored one', async () => {
  const { world, tenant, person } = await syncedWorld();
  tenant.updateUser(person(0), { jobTitle: 'Admiral' });
  expect((await verify(world)).drift).toEqual([
    expect.objectContaining({ what: 'different', field: 'jobTitle', stored: 'Captain', fresh: 'Admiral' }),
  ]);
  await world.cycle();
  expect((await verify(world)).drift).toEqual([]);
});

test.runIf(isDeep)('a sample compares that many accounts and groups, and no others', async () => {
  const { world } = await syncedWorld();
  expect(await verify(world, 1)).toMatchObject({ checked: { users: 1, groups: 1 }, drift: [] });
  await world.database.raw("update entra_sync.accounts set mail = 'x' || entra_object_id");
  const { checked, drift } = await verify(world, 3);
  expect(checked.users).toBe(3);
  expect(drift.map((one) => [one.kind, one.field])).toEqual(Array(3).fill(['user', '(mail)']));
  expect((await verify(world, 1_000)).drift).toHaveLength(10);
});

test.runIf(isDeep)('a sample finds deleted users, and ended memberships of its groups', async () => {
  const { world, tenant, person, inner } = await syncedWorld();
  tenant.deleteUser(person(7));
  tenant.removeMember(inner, person(0));
  expect((await verify(world, 1_000)).drift).toEqual([
    expect.objectContaining({ kind: 'user', what: 'extra', entra_object_id: person(7) }),
    expect.objectContaining({ kind: 'membership', what: 'extra', member_object_id: person(0) }),
  ]);
});

test.runIf(isDeep)('a user outside the scope is not drift, one missing inside it is', async () => {
  const { world, tenant, person, inner, outer } = await syncedWorld();
  tenant.updateUser(person(1), { userType: 'Guest' });
  tenant.updateUser(person(0), { userType: 'Member' });
  await setSettings(world.database, { scope: { userType: ['Member'], groups: [outer] } });
  await world.cycle();
  const inside = await rows(world.database, 'select from directory.accounts');
  expect(inside.length).toBeLessThan(6);
  expect(await verify(world)).toMatchObject({ drift: [], checked: { users: inside.length } });
  expect((await verify(world, 1_000)).drift).toEqual([]);
  tenant.removeMember(inner, person(0));
  expect((await verify(world)).drift).toEqual([
    expect.objectContaining({ kind: 'user', what: 'extra', entra_object_id: person(0) }),
    expect.objectContaining({ kind: 'membership', what: 'extra', member_object_id: person(0) }),
  ]);
});

test.runIf(isDeep)('an incomplete listing is an error, never drift, and leaves nothing behind', async () => {
  const { world } = await syncedWorld();
  const before = await everything(world);
  const up = world.simulator.intercept(({ url }) =>
    /^\/v1\.0\/groups\?/.test(url) ? { status: 503, body: {} } : undefined,
  );
  expect(await failureOf(verify(world))).toMatchObject({ code: 'graph_unavailable' });
  expect(await everything(world)).toEqual(before);
  up();
  expect((await verify(world)).drift).toEqual([]);
});

test('exit code 8 when there is drift, 0 when there is none, and the drift as JSON', async () => {
  const { world, person } = await syncedWorld();
  const environment = { ...world.simulator.environment(), DATABASE_URL: world.url };
  const clean = await runCli(['verify'], environment);
  expect(clean.code, clean.stderr).toBe(0);
  expect(clean.stdout).toContain('no drift in 10 users, 2 groups and 7 memberships');
  await world.database.raw("update entra_sync.accounts set mail = 'x' where entra_object_id = ?", [person(0)]);
  const found = await runCli(['verify', '--json'], environment);
  expect([found.code, JSON.parse(found.stdout)]).toEqual([
    8,
    {
      tenants: [expect.objectContaining({ drift: [expect.objectContaining({ field: '(mail)', stored: 'x' })] })],
      failures: [],
      skipped: [],
    },
  ]);
  expect((await runCli(['verify', '--sample', '100'], environment)).code).toBe(8);
  expect((await runCli(['verify', '--sample', '0'], environment)).code).toBe(2);
});

test.runIf(isDeep)('drift is shown with names and a cure', async () => {
  const { world, tenant, person, inner } = await syncedWorld();
  tenant.updateUser(person(0), { displayName: 'New Name' });
  const fresh = tenant.createUser({ displayName: 'Fresh Face' });
  tenant.removeMember(inner, person(1));
  const { drift } = await verify(world);
  const storedName = (id: string) =>
    rows<{ name: string }>(
      world.database,
      "select profile ->> 'displayName' as name from directory.accounts where entra_object_id = :id",
      { id },
    ).then(([row]) => row?.name);
  expect(drift).toHaveLength(3);
  expect(drift).toEqual(
    expect.arrayContaining([
      expect.objectContaining({ field: 'displayName', name: await storedName(person(0)), fresh: 'New Name' }),
      expect.objectContaining({ what: 'missing', entra_object_id: fresh, name: 'Fresh Face', member_name: null }),
      expect.objectContaining({ kind: 'membership', name: 'Inner', member_name: await storedName(person(1)) }),
    ]),
  );
  const said = await runCli(['verify'], { ...world.simulator.environment(), DATABASE_URL: world.url });
  expect(said.stdout).toMatch(/missing +user +Fresh Face/);
  expect(said.stdout).toContain(`${await storedName(person(1))} (${person(1)})`);
  expect(said.stdout).toMatch(/Edited in Entra ID since the last cycle\? Run entra-sync sync, then verify again/);
});

test.runIf(isDeep)('memberships that are not shown are counted and reported', async () => {
  const { world, tenant, person, inner } = await syncedWorld();
  // The device of the outer group.
  expect((await verify(world)).checked).toMatchObject({ memberships: 7, memberships_not_shown: 1 });
  await setSettings(world.database, { scope: { userType: ['Member'] } });
  tenant.updateUser(person(0), { userType: 'Guest' });
  tenant.addMember(inner, person(5));
  await world.cycle();
  const { checked, drift } = await verify(world);
  const inside = await rows(world.database, 'select from directory.memberships');
  expect(drift).toEqual([]);
  expect(checked.memberships).toBe(8);
  expect(checked.memberships_not_shown).toBe(8 - inside.length);
  expect(checked.memberships_not_shown).toBeGreaterThan(1);
  const said = await runCli(['verify'], { ...world.simulator.environment(), DATABASE_URL: world.url });
  expect(said.stdout).toContain(`${checked.memberships_not_shown} of these memberships are not shown here`);
});

test('a full round of the groups repairs their nesting, and the effective memberships', async () => {
  const { world } = await syncedWorld();
  await world.database.raw('delete from entra_sync.group_closure where ancestor_no <> descendant_no');
  await world.database.raw('delete from entra_sync.effective_members where is_direct');
  await world.cycle();
  const { drift } = await verify(world);
  expect(drift.map(({ kind, what }) => `${what} ${kind}`)).toEqual([
    'missing nesting',
    ...Array.from({ length: 9 }, () => 'missing effective'),
  ]);
  await world.cycle({ resync: true });
  expect((await verify(world)).drift).toEqual([]);
});

const refusals = rowsOf([403, 404], (status) => status === 403);

test.each(refusals)('a group whose members cannot be read (%i) is left out and reported', async (status) => {
  const { world, tenant, outer } = await syncedWorld();
  await setSettings(world.database, { scope: { userType: 'any', groups: [outer] } });
  await world.cycle();
  world.simulator.intercept(({ url }) =>
    url.includes(`/groups/${outer}/members`) ? { status, body: { error: { code: 'x', message: 'x' } } } : undefined,
  );
  await world.database.raw(
    `update entra_sync.accounts set mail = 'x' where entra_object_id in (select member_object_id from entra_sync.memberships where group_no = ${numberOf(':outer')})`,
    { outer },
  );
  expect(await verify(world)).toMatchObject({
    drift: [{ kind: 'user', field: '(mail)' }],
    unread: [{ stream: 'groups', object_key: `${outer}/members` }],
    scopeGaps: [],
  });
  const environment = { ...world.simulator.environment(tenant.tenantId), DATABASE_URL: world.url };
  const said = await runCli(['verify'], environment);
  expect(said.stdout).toContain(`${outer}/members: its members cannot be read (${status})`);
  expect(said.code).toBe(8);
});

test.runIf(isDeep)(
  'accounts that are held because of a missing scope group are not drift, and are reported',
  async () => {
    const { world, tenant, person } = await syncedWorld();
    const properties = { groupTypes: ['Unified'], mailEnabled: true, securityEnabled: false };
    const held = tenant.createGroup({ displayName: 'Scope', ...properties });
    for (const number of [0, 1]) tenant.addMember(held, person(number));
    await setSettings(world.database, { scope: { userType: 'any', groups: [held] } });
    await world.cycle();
    tenant.deleteGroup(held);
    await world.cycle();
    expect(await verify(world)).toMatchObject({ drift: [], scopeGaps: [{ id: held, why: 'not_there' }] });
    const environment = { ...world.simulator.environment(tenant.tenantId), DATABASE_URL: world.url };
    expect((await runCli(['verify'], environment)).stdout).toContain(`scope group ${held} is not there`);
  },
);
