// The lanes of test/system/faults/nothing-sticks.deep.test.ts: tenants with settings and a role of their own in databases of other locales,
// what happens in their directories from turn to turn, and how far a lane is behind its truth.
import { randomBytes } from 'node:crypto';
import { expect, inject, onTestFinished } from 'vitest';
import { loadDefaults, type SettingsDocument } from '../../src/settings/settings.ts';
import { createTenant, exactNumber, type Simulator, startSimulator, type Tenant } from '../../src/simulator/index.ts';
import { type Database, openDatabase, rows } from '../../src/store/database/pool.ts';
import { migrate } from '../../src/store/schema/migrate.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { runCli } from './cli.ts';
import { groupsSeen, groupTruth } from './groups-truth.ts';
import { oddErrors } from './odd-outages.ts';
import type { Excused } from './odd-strikes.ts';
import { run } from './postgres-admin.ts';
import { setSettings } from './settings.ts';
import { accountsOf, factsOf, takeEverybody, truthOf } from './system.ts';

export type Lane = {
  readonly name: string;
  readonly tenant: Tenant;
  readonly simulator: Simulator;
  readonly database: Database;
  /** The role that the commands of the lane connect with. */
  readonly role: string;
  readonly environment: Record<string, string>;
  /** The login of an application beside it. */
  readonly application: string;
  /** Whether guests are outside the scope. */
  readonly membersOnly: boolean;
  /** So many groups more: a tenth in a ring, a twentieth in a chain, the others hold none. 0: a ring of six. */
  readonly manyGroups: number;
};

type Pick = (most: number) => number;

const badge = `extension_${'0123456789abcdef'.repeat(2)}_badge`;
const digits = ['9223372036854775807', '9007199254740993', '9007199254740992', '4420', '0', '-9007199254740993'];

/** The locales under which each run goes. */
const locales = {
  C: "locale_provider libc locale 'C'",
  turkish: "locale_provider icu icu_locale 'tr-TR' locale 'C'",
} as const;

/** A migrated database of this locale, whose accounts raise odd errors on demand. */
export async function openLocale(locale: keyof typeof locales): Promise<{ database: Database; url: string }> {
  const server = inject('postgresUrl');
  const name = `sticks_${randomBytes(6).toString('hex')}`;
  await run(server, `create database ${name} template template0 encoding 'UTF8' ${locales[locale]}`);
  const url = Object.assign(new URL(server), { pathname: `/${name}` }).href;
  await migrate(url);
  const database = openDatabase(url);
  onTestFinished(async () => {
    await database.destroy();
    await run(server, `drop database ${name} with (force)`);
  });
  await takeEverybody(database);
  await setSettings(database, { sourceOfTruth: 'hybrid', fields: { badge: { from: badge } } });
  await database.raw(oddErrors);
  return { database, url };
}

/** A login of the test's own, dropped when it ends. */
async function openRole({ database, url }: { database: Database; url: string }, does: string) {
  const role = `sticks_${randomBytes(6).toString('hex')}`;
  await database.raw(`create role ${role} login password 'sticks'; ${does.replaceAll('ROLE', role)}`);
  onTestFinished(async () => void (await database.raw(`drop owned by ${role}; drop role ${role}`)));
  return { role, url: Object.assign(new URL(url), { username: role, password: 'sticks' }).href };
}

/** Opens a lane: a tenant, registered in the database, with a simulator and logins of its own. */
export async function openLane(
  place: { database: Database; url: string },
  { number, manyGroups, membersOnly }: { number: number; manyGroups: number; membersOnly: boolean },
): Promise<Lane> {
  const tenant = createTenant({ seed: number + 1, users: 25, groups: 6, name: `Lane ${number}` });
  addGroups(tenant, manyGroups);
  const weather = { repeats: 0.1, emptyPages: 0.1, shuffle: number % 2 === 1, form: 'mixed' } as const;
  const simulator = await startSimulator({ tenants: [tenant], pageSize: manyGroups > 0 ? 400 : 7, ...weather });
  onTestFinished(() => simulator.close());
  simulator.transform((_, body) => withDigits(body));
  const { tenantId, name } = tenant;
  const { database } = place;
  await addTenant(database, { tenantId, name, ref: null }, loadDefaults());
  const settings: SettingsDocument = membersOnly ? { scope: { userType: ['Member'] } } : {};
  if (membersOnly) await setSettings(database, settings, tenantId);
  const own = await openRole(place, "do $$ begin execute format('grant %I to ROLE', current_user); end $$");
  const application = await openRole(place, '');
  const grant = await runCli(['grant', application.role], { ...simulator.environment(), DATABASE_URL: place.url });
  expect(grant.code, grant.stderr).toBe(0);
  // As `grant` sets it, only sooner: a test does not wait for a minute.
  const here = new URL(place.url).pathname.slice(1);
  await database.raw(
    `alter role ${application.role} in database ${here} set idle_in_transaction_session_timeout = '3s'`,
  );
  return {
    name,
    tenant,
    simulator,
    database,
    role: own.role,
    application: application.url,
    environment: { ...simulator.environment(), DATABASE_URL: own.url },
    membersOnly,
    manyGroups,
  };
}

function addGroups(tenant: Tenant, count: number): void {
  const [one, two] = tenant.users();
  const made = Array.from({ length: count }, (_, n) => tenant.createGroup({ displayName: `Flat ${n}` }));
  const [ring, chain] = [made.slice(0, count / 10), made.slice(count / 10, (count * 3) / 20)];
  for (const [n, id] of ring.entries()) tenant.addMember(id, ring[(n + 1) % ring.length] ?? id);
  for (const [n, id] of chain.slice(1).entries()) tenant.addMember(chain[n] ?? id, id);
  for (const [list, user] of [[ring, one] as const, [chain, two] as const]) {
    const last = list.at(-1);
    if (user && last) tenant.addMember(last, user.id);
  }
}

/** Digits that no double holds, which a tenant keeps as text. */
function withDigits(body: object): object {
  const told = (item: unknown) => {
    const value = (item as Record<string, unknown> | null)?.[badge];
    return typeof value === 'string' ? { ...(item as object), [badge]: exactNumber(value) } : item;
  };
  const { value } = body as { value?: unknown[] };
  return Array.isArray(value) ? { ...body, value: value.map(told) } : (told(body) as object);
}

const badgeOf = (text: unknown) => (Number.isSafeInteger(Number(text)) ? Number(text) : text);

/** Edits a directory as happens between two cycles. */
export async function editTenant(lane: Lane, pick: Pick, turn: number): Promise<void> {
  const { tenant } = lane;
  const users = tenant.users();
  const groups = tenant.groups();
  const user = () => users[pick(users.length)]?.id ?? '';
  const group = () => groups[pick(groups.length)]?.id ?? '';
  const hired = tenant.createUser();
  tenant.updateUser(user(), { jobTitle: `Title ${turn}`, city: turn % 2 ? null : `City ${turn}` });
  tenant.updateUser(user(), { [badge]: digits[pick(digits.length)] ?? null });
  tenant.updateUser(user(), { userType: pick(2) === 0 ? 'Guest' : 'Member' });
  tenant.addMember(group(), hired);
  tenant.updateGroup(group(), { displayName: `Group ${turn}` });
  const holder = groups[pick(groups.length)];
  const [member] = holder?.members.keys() ?? [];
  if (holder && member) tenant.removeMember(holder.id, member);
  if (turn % 3 === 0) tenant.deleteUser(user());
  if (turn % 4 === 0) tenant.addMember(tenant.createGroup({ displayName: `New ${turn}` }), group());
  if (turn % 5 === 0) tenant.updateUser(tenant.users()[0]?.id ?? '', { accountEnabled: turn % 2 === 0 });
  if (turn % 7 === 0 && tenant.groups().length > 8) tenant.deleteGroup(groups.at(-1)?.id ?? '');
  const [gone] = tenant.deletedUsers();
  if (gone && turn % 6 === 0) tenant.restoreUser(gone.id);
  else if (gone && turn % 9 === 0) tenant.purgeUser(gone.id);
  const { manyGroups } = lane;
  turnRing(tenant, manyGroups > 0 ? 6 : 0, Math.max(6, manyGroups / 10), pick);
  const some = Math.floor(manyGroups / 10);
  if (turn % 3 === 0) for (let n = 0; n < some; n += 1) tenant.createGroup({ displayName: `Flat ${turn} ${n}` });
  if (turn % 3 === 1)
    for (const { id } of tenant
      .groups()
      .slice(Math.floor(manyGroups * 0.8))
      .slice(0, some))
      tenant.deleteGroup(id);
  if (pick(3) === 0) await meetByHand(lane, `${turn}x${pick(1_000_000)}`, pick);
}

/** Opens a ring of groups where it is closed, or closes it, or leads it past a few groups. */
function turnRing(tenant: Tenant, from: number, size: number, pick: Pick): void {
  const ring = tenant
    .groups()
    .slice(from, from + size)
    .map(({ id, members }) => ({ id, members }));
  if (ring.length < 3) return;
  const at = pick(ring.length);
  const [one, next, far] = [0, 1, 5].map((step) => ring[(at + step) % ring.length]);
  if (!one || !next || !far) return;
  if (one.members.has(next.id)) {
    tenant.removeMember(one.id, next.id);
    if (pick(2) === 0 && far.id !== one.id) tenant.addMember(one.id, far.id);
  } else tenant.addMember(one.id, next.id);
}

const mails = [
  ['MÜLLER', 'müller'],
  ['müller', 'MÜLLER'],
  ['IRIS', 'iris'],
  ['ΟΔΥΣΣΕΥΣ', 'οδυσσευς'],
  ['ЖЕНЯ', 'женя'],
] as const;

/** An account made by hand, and the same person in the directory, whose address is written otherwise: one account. */
async function meetByHand({ tenant, database }: Lane, mark: string, pick: Pick): Promise<void> {
  const [byHand, ofGraph] = mails[pick(mails.length)] ?? ['', ''];
  const form = pick(2) === 0 ? 'NFC' : 'NFD';
  const mail = `${byHand}${mark}@contoso.example`.normalize(form);
  await rows(
    database,
    "select directory.create_account(:tenantId, jsonb_build_object('mail', :mail::text), 'admin') as id",
    { tenantId: tenant.tenantId, mail },
  );
  tenant.createUser({ userType: 'Member', mail: `${ofGraph}${mark}@contoso.example`.normalize('NFC') });
}

/** Faults in an application's view of a lane's tenant, without the excused ones; empty: no fault. */
export async function behind({ database, tenant, membersOnly }: Lane, excused: Excused): Promise<string[]> {
  const { tenantId } = tenant;
  const outside = new Set(
    tenant.users().flatMap(({ id, properties }) => (membersOnly && properties.userType === 'Guest' ? id : [])),
  );
  const truth = truthOf(tenant);
  for (const { id, properties } of tenant.users()) {
    const facts = truth[id];
    if (facts && properties[badge] !== undefined) facts.profile.badge = badgeOf(properties[badge]);
  }
  for (const id of outside) delete truth[id];
  const seen = factsOf(await accountsOf(database, tenantId));
  const sides = (id: string) => [truth[id], seen[id]].map((facts) => shown(facts, excused.properties[id]));
  const wrongUsers = [...new Set([...Object.keys(truth), ...Object.keys(seen)])]
    .filter((id) => !excused.users.includes(id))
    .flatMap((id) => {
      const [is, as] = sides(id);
      return is === as ? [] : `user ${id}: ${is} is shown as ${as}`;
    });
  const [graph, copy] = [groupTruth(tenant), await groupsSeen(database, tenantId)];
  const mayDiffer = new Set([...excused.users, ...excused.groups]);
  const counts = (pair: string) => !pair.split(' ').some((id) => mayDiffer.has(id));
  const [effectiveNow, directNow] = [graph.effective, graph.direct].map((pairs) =>
    pairs.filter((pair) => !outside.has(pair.split(' ')[1] ?? '')),
  );
  const nested = mayDiffer.size === 0 ? compare('effective membership', effectiveNow ?? [], copy.effective) : [];
  return [
    ...wrongUsers,
    ...compare('membership', (directNow ?? []).filter(counts), copy.direct.filter(counts)),
    ...[...new Set([...Object.keys(graph.groups), ...Object.keys(copy.groups)])]
      .filter((id) => counts(id) && JSON.stringify(graph.groups[id]) !== JSON.stringify(copy.groups[id]))
      .map((id) => `group ${id}: ${JSON.stringify(graph.groups[id])} is shown as ${JSON.stringify(copy.groups[id])}`),
    ...nested,
  ].slice(0, 40);
}

function compare(what: string, is: readonly string[], seen: readonly string[]): string[] {
  const [truth, copy] = [new Set(is), new Set(seen)];
  return [
    ...is.filter((pair) => !copy.has(pair)).map((pair) => `${what} ${pair} is missing`),
    ...seen.filter((pair) => !truth.has(pair)).map((pair) => `${what} ${pair} is too much`),
  ];
}

function shown(facts: unknown, without: readonly string[] = []): string {
  return JSON.stringify(facts, (key, value: unknown) => {
    if (without.includes(key)) return undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return Object.fromEntries(Object.entries(value).sort(([one], [other]) => (one < other ? -1 : 1)));
  });
}
