// The invariants of a tenant's tables, which hold after any writer and any crash. They are computed without the product's
// SQL.
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { type Database, rows } from '../../src/store/database/pool.ts';
import { readChanges } from '../../src/store/feed/changes.ts';
import { expectAssigned } from './assigned-truth.ts';
import { expectTrueTypes } from './directory-types.ts';
import { expectWordsKept } from './kept-words.ts';
import { expectManagersSound } from './managers-sound.ts';

type Facts = Record<string, unknown>;
type Change = { kind: string; before: Facts | null; after: Facts | null };
type Told = { live: boolean; facts: Facts };

/**
 * Expects the feed, replayed from empty, to equal the tables: every change starts where the one before ended and appears
 * once. Memberships show while both ends are live, managed accounts have overrides of user-owned fields only, and the
 * closure equals what a walk through nested groups finds, those that are not copied included, and so do the kept effective
 * memberships of the copied ones. No name of a group that is not copied is stored. The kept words are those
 * of the names. The accounts get what a trial of every assignment gives them. The rows of the views fit the types that the
 * package ships.
 */
export async function expectSound(database: Database, tenantId: string): Promise<void> {
  await expectFeedIsTables(database, tenantId);
  await expectTrueTypes(database, tenantId);
  await expectWordsKept(database, tenantId);
  await expectAssigned(database, tenantId);
  await expectManagersSound(database, tenantId);
  const tables = await readTables(database, tenantId);
  const live = new Set([...tables.accounts, ...tables.groups].flatMap(({ id, removed }) => (removed ? [] : id)));
  expect(await seenMemberships(database, tenantId)).toEqual(
    tables.memberships
      .filter(({ holder, member }) => live.has(holder) && live.has(member))
      .map(pairOf)
      .sort(),
  );
  const owned = new Set(tables.rules.filter(({ owner }) => owner === 'user').map(({ field }) => field));
  const misplaced = tables.accounts
    .filter(({ state }) => state === 'managed')
    .flatMap(({ overrides }) => Object.keys(overrides).filter((field) => !owned.has(field)));
  expect(misplaced, 'overrides of fields that the user does not own').toEqual([]);
  expectNestingOf(tables);
}

/** The part of {@link expectSound} that is about nested groups, those that are not copied included. */
export async function expectNesting(database: Database, tenantId: string): Promise<void> {
  expectNestingOf(await readTables(database, tenantId));
}

function expectNestingOf(tables: Tables): void {
  const wrong = tables.groups.filter(
    ({ copied, removed, blank, inGraph, kept }) => !copied && !(removed && blank && inGraph === kept),
  );
  expect(wrong, 'groups that are not copied').toEqual([]);
  expect(tables.unseen, 'moves that no batch has followed').toBe(0);
  const shown = new Set(tables.groups.flatMap(({ id, removed }) => (removed ? [] : id)));
  const walked = walk(tables);
  expect(tables.closure.map((one) => `${one.ancestor} ${one.descendant}`).sort()).toEqual(walked);
  const people = new Set(tables.accounts.flatMap(({ id, removed }) => (removed || id === null ? [] : id)));
  const effective = new Set(
    walked.flatMap((pair) => {
      const [ancestor = '', descendant] = pair.split(' ');
      // A group that is not copied is on the way alone.
      if (!shown.has(ancestor)) return [];
      const direct = tables.memberships.filter(({ holder, member }) => holder === descendant && people.has(member));
      return direct.map(({ member }) => `${ancestor} ${member}`);
    }),
  );
  const direct = new Set(tables.memberships.map(pairOf));
  const kept = tables.effective.map((one) => `${pairOf(one)} ${one.is_direct}`).sort();
  expect(kept).toEqual([...effective].map((pair) => `${pair} ${direct.has(pair)}`).sort());
  const nested = tables.effective.filter((one) => !one.is_direct).length;
  expect({ nested: tables.nested }, 'the count of rows that are not direct').toEqual({ nested });
}

const pairOf = ({ holder, member }: { holder: string; member: string }) => `${holder} ${member}`;

type Tables = {
  accounts: { id: string | null; removed: boolean; state: string; overrides: Facts }[];
  groups: { id: string | null; removed: boolean; inGraph: boolean; copied: boolean; blank: boolean; kept: boolean }[];
  unseen: number;
  memberships: { holder: string; member: string }[];
  rules: { field: string; owner: string }[];
  closure: { ancestor: string; descendant: string }[];
  effective: { holder: string; member: string; is_direct: boolean }[];
  nested: number;
};

async function readTables(database: Database, tenantId: string): Promise<Tables> {
  const [found] = await rows<Tables>(
    database,
    `select coalesce((select jsonb_agg(jsonb_build_object('id', entra_object_id, 'removed', removed_at is not null, 'state', state, 'overrides', overrides))
                        from entra_sync.accounts where tenant_id = :tenantId), '[]') as accounts,
            coalesce((select jsonb_agg(jsonb_build_object('id', entra_object_id, 'removed', removed_at is not null,
                        'inGraph', removed_at is null or removed_reason = 'not_copied', 'copied', copied,
                        'blank', source = '{}' and attributes = '{}' and coalesce(display_name, description, mail) is null,
                        'kept', purge_at = 'infinity'))
                        from entra_sync.groups where tenant_id = :tenantId), '[]') as groups,
            coalesce((select jsonb_agg(jsonb_build_object('holder', g.entra_object_id, 'member', m.member_object_id))
                        from entra_sync.memberships m join entra_sync.groups g on g.group_no = m.group_no where g.tenant_id = :tenantId), '[]') as memberships,
            coalesce((select jsonb_agg(jsonb_build_object('field', field, 'owner', owner))
                        from entra_sync.field_rules where tenant_id = :tenantId), '[]') as rules,
            coalesce((select jsonb_agg(jsonb_build_object('ancestor', a.entra_object_id, 'descendant', d.entra_object_id))
                        from entra_sync.group_closure c join entra_sync.groups a on a.group_no = c.ancestor_no
                        join entra_sync.groups d on d.group_no = c.descendant_no where a.tenant_id = :tenantId), '[]') as closure,
            coalesce((select jsonb_agg(jsonb_build_object('holder', g.entra_object_id, 'member', a.entra_object_id, 'is_direct', e.is_direct))
                        from entra_sync.effective_members e join entra_sync.groups g on g.group_no = e.group_no
                        join entra_sync.accounts a on a.account_no = e.account_no where a.tenant_id = :tenantId), '[]') as effective,
            (select count(*)::int from entra_sync.unseen_moves) as unseen,
            -- An erased tenant has no row, and nothing to count.
            coalesce((select nested_members::int from entra_sync.tenants where tenant_id = :tenantId), 0) as nested`,
    { tenantId },
  );
  if (!found) throw new Error('the tables were not read');
  return found;
}

/** Returns "ancestor descendant" for each group that Graph shows: itself, and every such group below it. */
function walk({ groups, memberships }: Tables): string[] {
  const ids = groups.flatMap(({ id, inGraph }) => (inGraph && id !== null ? id : []));
  return ids
    .flatMap((ancestor) => {
      const met = new Set([ancestor]);
      for (const one of met)
        for (const { holder, member } of memberships) if (holder === one && ids.includes(member)) met.add(member);
      return [...met].map((descendant) => `${ancestor} ${descendant}`);
    })
    .sort();
}

async function seenMemberships(database: Database, tenantId: string): Promise<string[]> {
  const found = await rows<{ holder: string; member: string }>(
    database,
    `select g.entra_object_id as holder, coalesce(a.entra_object_id, n.entra_object_id) as member
       from directory.memberships m join directory.groups g using (group_id)
       left join directory.accounts a on a.account_id = m.account_id
       left join directory.groups n on n.group_id = m.member_group_id where m.tenant_id = :tenantId`,
    { tenantId },
  );
  return found.map(pairOf).sort();
}

async function expectFeedIsTables(database: Database, tenantId: string): Promise<void> {
  const changes = await database.transaction(async (narrow) => {
    await rows(narrow, "select set_config('directory.tenant', :tenantId, true)", { tenantId });
    return readChanges(narrow, null, 1_000_000);
  });
  // The values of purged accounts and groups are blanked, so only their creation and end are compared.
  const purged = new Set(
    changes.filter(({ kind }) => kind.endsWith('.purged')).map((change) => change.account_id ?? change.group_id),
  );
  const told = new Map<string, Told>();
  const pairs = new Set<string>();
  // A removal hides a photo and a restore shows it again, so it is told apart from the account's facts.
  const photos = new Map<string, unknown>();
  for (const change of changes) {
    const { kind } = change;
    if (kind.startsWith('membership.')) {
      const pair = `${change.group_id} ${change.account_id ?? change.member_group_id}`;
      if (pairs.has(pair) === (kind === 'membership.added')) throw new Error(`${kind} of ${pair} twice`);
      if (kind === 'membership.added') pairs.add(pair);
      else pairs.delete(pair);
    } else if (kind === 'account.photo_changed') {
      const id = String(change.account_id);
      if (purged.has(id)) continue;
      const [before, after] = [change.before, change.after].map((side) => (side as Facts | null)?.photo ?? null);
      if ((photos.get(id) ?? null) !== before) throw new Error(`${kind} of ${id} does not start where it ended`);
      photos.set(id, after);
    } else if (/^(account|group)\./.test(kind)) {
      const id = String(change.account_id ?? change.group_id);
      tell(told, id, change as Change, purged.has(id));
    }
  }
  const [tables] = await rows<{ objects: Record<string, Facts> | null; pairs: string[] | null; photos: Facts | null }>(
    database,
    `select (select jsonb_object_agg(id, facts) from (
               select account_id as id, jsonb_build_object('entra_object_id', entra_object_id, 'state', state, 'enabled', enabled,
                 'user_principal_name', user_principal_name, 'mail', mail, 'profile', profile) as facts
                 from directory.accounts where tenant_id = :tenantId
               union all
               select group_id, jsonb_build_object('entra_object_id', entra_object_id, 'state', state, 'display_name', display_name,
                 'description', description, 'mail', mail, 'kind', kind, 'is_dynamic', is_dynamic, 'attributes', attributes)
                 from directory.groups where tenant_id = :tenantId) o) as objects,
            (select jsonb_object_agg(account_id, sha256) from directory.photos where tenant_id = :tenantId) as photos,
            (select array_agg(group_id || ' ' || coalesce(account_id, member_group_id))
               from directory.memberships where tenant_id = :tenantId) as pairs`,
    { tenantId },
  );
  const live = [...told].filter(([, one]) => one.live).map(([id, one]) => [id, plain(one.facts)]);
  // The views as they are: a profile holds no null.
  expect(Object.fromEntries(live)).toEqual(tables?.objects ?? {});
  const shown = [...photos].filter(([id, hash]) => hash !== null && told.get(id)?.live);
  expect(Object.fromEntries(shown)).toEqual(tables?.photos ?? {});
  expect([...pairs].sort()).toEqual([...(tables?.pairs ?? [])].sort());
}

function tell(told: Map<string, Told>, id: string, { kind, before, after }: Change, blank: boolean): void {
  const one = told.get(id);
  const wrong = (why: string) => new Error(`${kind} of ${id}: ${why}`);
  const what = kind.split('.')[1];
  if (what === 'created') {
    if (one) throw wrong('it already existed');
    told.set(id, { live: true, facts: whole(id, after) });
    return;
  }
  if (!one) throw wrong('it was never created');
  if (what === 'purged') {
    if (one.live) throw wrong('it was live');
    told.delete(id);
  } else if (what === 'restored') {
    if (one.live) throw wrong('it was live');
    told.set(id, { live: true, facts: whole(id, after) });
  } else if (!one.live) throw wrong('it was removed');
  else if (what === 'removed') one.live = false;
  else if (!blank) {
    const stale = keysOf(before).filter(([key, value]) => !isDeepStrictEqual(at(one.facts, key), value));
    if (stale.length > 0) throw wrong(`it does not start where the change before ended: ${stale.map(([key]) => key)}`);
    for (const [key, value] of keysOf(after)) put(one.facts, key, value);
  }
}

// A change row that holds everything leaves out what has no value, as the views do.
function whole(id: string, facts: Facts | null): Facts {
  const empty = Object.entries(profileOf(facts ?? {})).filter(([, value]) => value === null);
  if (empty.length > 0) throw new Error(`${id}: everything is told with null for ${empty.map(([field]) => field)}`);
  return facts ?? {};
}

/** Returns facts by path: `mail`, `profile mail`. The directory's value under a person's edit is not visible. */
function keysOf(facts: Facts | null): [string, unknown][] {
  return Object.entries(facts ?? {}).flatMap(([key, value]): [string, unknown][] => {
    if (key === 'directory') return [];
    if (key !== 'profile') return [[key, value]];
    return Object.entries(value as Facts).map(([field, inner]) => [`profile ${field}`, inner]);
  });
}

const profileOf = (facts: Facts): Facts => (facts.profile ?? {}) as Facts;
const at = (facts: Facts, key: string): unknown =>
  (key.startsWith('profile ') ? profileOf(facts)[key.slice(8)] : facts[key]) ?? null;

function put(facts: Facts, key: string, value: unknown): void {
  if (key.startsWith('profile ')) facts.profile = { ...profileOf(facts), [key.slice(8)]: value };
  else facts[key] = value;
}

function plain(facts: Facts): Facts {
  if (facts.profile === undefined) return facts;
  return {
    ...facts,
    profile: Object.fromEntries(Object.entries(profileOf(facts)).filter(([, value]) => value !== null)),
  };
}
