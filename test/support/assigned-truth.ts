// What each account gets, found by trying every assignment on every account, without the product's SQL; and the same from the feed.
import { isDeepStrictEqual } from 'node:util';
import { expect } from 'vitest';
import { type Database, rows } from '../../src/store/database/pool.ts';
import { readChanges } from '../../src/store/feed/changes.ts';

type Account = { id: string; object: string | null; removed: boolean; profile: Record<string, unknown> };
type Group = { id: string; object: string; removed: boolean; inGraph: boolean };
type Rule = {
  id: string;
  seq: number;
  slot: string;
  item: string;
  target: 'account' | 'group' | 'field' | 'everyone';
  group_id: string | null;
  account_id: string | null;
  field: string | null;
  field_values: string[] | null;
  except: boolean;
  priority: number;
  /** Milliseconds and more digits, so that a comparison is exact. */
  starts: number | null;
  ends: number | null;
};
type Slot = { tenant: string | null; slot: string; winners: number };
type World = {
  at: number | null;
  accounts: Account[];
  groups: Group[];
  memberships: { holder: string; member: string }[];
  rules: Rule[];
  slots: Slot[];
  nested: boolean;
};
type Got = Record<string, string[]>;

const epoch = (time: string) => `(extract(epoch from ${time}) * 1000000)::bigint`;

async function readWorld(database: Database, tenantId: string): Promise<World> {
  const [world] = await rows<World>(
    database,
    `select (select ${epoch('assigned_at')} from entra_sync.tenants where tenant_id = :tenantId)::float as at,
            (select nested_left_out is null from entra_sync.tenants where tenant_id = :tenantId) as nested,
            coalesce((select jsonb_agg(jsonb_build_object('id', account_id, 'object', entra_object_id, 'removed', removed_at is not null,
              'profile', profile - cleared)) from entra_sync.accounts where tenant_id = :tenantId), '[]') as accounts,
            coalesce((select jsonb_agg(jsonb_build_object('id', group_id, 'object', entra_object_id, 'removed', removed_at is not null,
              'inGraph', removed_at is null or removed_reason = 'not_copied'))
                        from entra_sync.groups where tenant_id = :tenantId), '[]') as groups,
            coalesce((select jsonb_agg(jsonb_build_object('holder', g.entra_object_id, 'member', m.member_object_id))
                        from entra_sync.memberships m join entra_sync.groups g on g.group_no = m.group_no where g.tenant_id = :tenantId), '[]') as memberships,
            coalesce((select jsonb_agg(jsonb_build_object('id', assignment_id, 'seq', seq, 'slot', slot, 'item', item, 'target', target,
              'group_id', group_id, 'account_id', account_id, 'field', field, 'field_values', field_values, 'except', is_exception,
              'priority', priority, 'starts', ${epoch('starts_at')}, 'ends', ${epoch('ends_at')}))
                        from entra_sync.assignments where tenant_id = :tenantId), '[]') as rules,
            coalesce((select jsonb_agg(jsonb_build_object('tenant', tenant_id, 'slot', slot, 'winners', winners))
                        from entra_sync.slots where tenant_id = :tenantId or tenant_id is null), '[]') as slots`,
    { tenantId },
  );
  return world ?? expect.unreachable();
}

/** Returns the ids of the live groups that an account is in, directly or through groups that Graph shows. */
function groupsOf(account: Account, { groups, memberships, nested }: World): Set<string> {
  const shown = new Map(groups.filter(({ inGraph }) => inGraph).map((group) => [group.object, group]));
  const met = new Set(
    memberships.flatMap(({ holder, member }) => (member === account.object && shown.has(holder) ? [holder] : [])),
  );
  for (const one of nested ? met : [])
    for (const { holder, member } of memberships) if (member === one && shown.has(holder)) met.add(holder);
  return new Set(
    [...met].flatMap((object) => {
      const group = shown.get(object);
      return group && !group.removed ? group.id : [];
    }),
  );
}

const order = ['account', 'group', 'field', 'everyone'];
const words = (value: unknown): string[] =>
  (Array.isArray(value) ? value : [value])
    .filter((one) => one !== null && one !== undefined)
    .map((one) => String(one).toLowerCase());

function reaches(rule: Rule, account: Account, groups: ReadonlySet<string>): boolean {
  if (rule.target === 'account') return rule.account_id === account.id;
  if (rule.target === 'group') return groups.has(rule.group_id ?? '');
  if (rule.target === 'everyone') return true;
  const values = new Set(words(rule.field_values));
  return words(account.profile[rule.field ?? '']).some((word) => values.has(word));
}

/** Returns "slot rank item assignment" of all that the account gets. */
function gets(account: Account, world: World): string[] {
  if (account.removed) return [];
  const { rules, slots, at } = world;
  const moment = at ?? 0;
  const groups = groupsOf(account, world);
  const reaching = rules
    .filter(({ starts, ends }) => (starts === null || starts <= moment) && (ends === null || ends > moment))
    .filter((rule) => reaches(rule, account, groups))
    .sort((a, b) => order.indexOf(a.target) - order.indexOf(b.target) || b.priority - a.priority || a.seq - b.seq);
  return [...new Set(reaching.map(({ slot }) => slot))].flatMap((slot) => {
    const of = reaching.filter((rule) => rule.slot === slot);
    const excepted = new Set(of.filter((rule) => rule.except).map(({ item }) => item));
    const firsts = of.filter(
      (rule, index) => !excepted.has(rule.item) && of.findIndex(({ item }) => item === rule.item) === index,
    );
    const { winners } =
      slots.find((one) => one.slot === slot && one.tenant !== null) ??
      slots.find((one) => one.slot === slot) ??
      expect.unreachable();
    return firsts
      .slice(0, winners)
      .map((rule, index) => `${slot} ${index + 1} ${rule.item} ${rule.id} ${rule.group_id}`);
  });
}

/**
 * Expects `directory.assigned` to equal the trial of every assignment on every account, as of the time up to which the
 * tenant's starts and ends are applied, and the feed, or `changes`, replayed from empty to equal it too.
 */
export async function expectAssigned(
  database: Database,
  tenantId: string,
  changes?: readonly AssignedChange[],
): Promise<void> {
  const world = await readWorld(database, tenantId);
  const shown = await rows<{ account: string; what: string; slot: string; item: string }>(
    database,
    `select account_id as account, slot, item,
            concat_ws(' ', slot, rank, item, assignment_id, coalesce(via_group_id::text, 'null')) as what
       from directory.assigned where tenant_id = :tenantId order by account_id, slot, rank`,
    { tenantId },
  );
  const wanted = world.accounts.flatMap((account) => gets(account, world).map((what) => `${account.id} ${what}`));
  expect(shown.map(({ account, what }) => `${account} ${what}`).sort(), 'assigned').toEqual(wanted.sort());
  const told = replayAssigned(changes ?? (await feedOf(database, tenantId)));
  const seen: Record<string, Got> = {};
  for (const { account, slot, item } of shown) {
    const got = seen[account] ?? {};
    seen[account] = { ...got, [slot]: [...(got[slot] ?? []), item] };
  }
  expect(told, 'assigned, from the feed').toEqual(seen);
}

type AssignedChange = { kind: string; account_id: string | null; before: unknown; after: unknown };

const feedOf = async (database: Database, tenantId: string): Promise<AssignedChange[]> =>
  (await readChanges(database, null, 1_000_000)).filter((change) => change.tenant_id === tenantId);

/** The change rows of a tenant as an open transaction has them, which the feed does not show yet. */
export const changesWithin = (transaction: Database, tenantId: string): Promise<AssignedChange[]> =>
  rows(
    transaction,
    `select kind, account_id, before, after from entra_sync.change_rows
      where tenant_id = :tenantId and kind in ('assigned.changed', 'account.purged') order by change_id`,
    { tenantId },
  );

function replayAssigned(changes: readonly AssignedChange[]): Record<string, Got> {
  const purged = new Set(changes.flatMap((change) => (change.kind === 'account.purged' ? change.account_id : [])));
  const told: Record<string, Got> = {};
  for (const { kind, account_id: account, before, after } of changes) {
    if (kind !== 'assigned.changed' || account === null || purged.has(account)) continue;
    const got = told[account] ?? {};
    for (const [slot, items] of Object.entries((before ?? {}) as Got))
      if (!isDeepStrictEqual(got[slot] ?? [], items))
        throw new Error(`${account}: ${slot} does not begin with ${got[slot]}`);
    for (const [slot, items] of Object.entries((after ?? {}) as Got)) {
      if (items.length > 0) got[slot] = items;
      else delete got[slot];
    }
    if (Object.keys(got).length > 0) told[account] = got;
    else delete told[account];
  }
  return told;
}

/** The assignments of a tenant as their table holds them, to be compared byte by byte. */
export async function assignmentRows(database: Database, tenantId: string): Promise<Record<string, string>> {
  const found = await rows<{ id: string; whole: string }>(
    database,
    'select r.assignment_id as id, r::text as whole from entra_sync.assignments r where tenant_id = :tenantId order by seq',
    { tenantId },
  );
  return Object.fromEntries(found.map(({ id, whole }) => [id, whole]));
}

/** Lets an hour pass for the tenant's assignments: everything that was lies an hour further back. */
export async function passAnHour(database: Database, tenantId: string): Promise<void> {
  await rows(
    database,
    `update entra_sync.assignments set starts_at = starts_at - interval '1 hour', ends_at = ends_at - interval '1 hour' where tenant_id = :tenantId`,
    { tenantId },
  );
  await rows(
    database,
    `update entra_sync.tenants set assigned_at = assigned_at - interval '1 hour', assign_next_at = assign_next_at - interval '1 hour'
      where tenant_id = :tenantId`,
    { tenantId },
  );
}
