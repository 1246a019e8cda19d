// The closure of nested groups (rule 9): each group that Graph shows, copied or not, with itself and every such group
// above it. The transaction that changes a nested membership or a group updates it by differences.
import { type Edge, holdersOf } from '../../rules/nesting.ts';
import { rows, type Transaction } from '../database/pool.ts';
import { inGraph, membershipsOfGroup, membershipsOfMember } from '../database/vocabulary.ts';

/** Numbers of held groups, and in the same order the holders of each, as `{1,2}`. */
export type Pairs = { readonly groups: number[]; readonly holders: string[] };

// The number of groups compared at once. In a ring of 1,000 groups this is a million pairs.
const slice = 2_000;

/**
 * Updates the closure of everything below a group or nested membership that this batch changed; with `full` of the
 * whole tenant, which repairs errors. Runs under the tenant's lock, after the change rows are written and before groups
 * are purged.
 */
export async function keepClosure(
  transaction: Transaction,
  bind: { readonly tenant: string; readonly batch: string; readonly full: boolean },
): Promise<void> {
  const groups = bind.full ? null : await groupsBelow(transaction, await changedGroups(transaction, bind));
  if (groups?.length === 0) return;
  for await (const { missing, extra } of closureDifferences(transaction, bind.tenant, groups)) {
    if (extra.groups.length > 0) await transaction.raw(deletePairs, extra);
    if (missing.groups.length > 0) await transaction.raw(insertPairs, missing);
  }
}

/**
 * Yields the pairs by which the stored closure differs from the stored memberships, for the held groups in `groups`
 * (null: all of the tenant). With a group, `groups` must have all groups below it.
 */
export async function* closureDifferences(
  transaction: Transaction,
  tenant: string,
  groups: readonly string[] | null,
): AsyncGenerator<{ missing: Pairs; extra: Pairs }> {
  const judged = groups ?? (await rows<Numbered>(transaction, groupsOfTenant, { tenant })).map(({ no }) => no);
  const live = await rows<Numbered>(transaction, liveGroups, { tenant, groups: judged });
  const edges = (await rows<{ parent: string; child: string }>(transaction, edgesInto, { tenant, groups: judged })).map(
    ({ parent, child }): Edge => ({ parent: Number(parent), child: Number(child) }),
  );
  const known = new Set(live.map(({ no }) => Number(no)));
  const above = new Set(edges.flatMap(({ parent }) => (known.has(parent) ? [] : parent)));
  const outside = above.size === 0 ? new Map() : await storedHolders(transaction, [...above]);
  const wanted = holdersOf([...known], edges, outside);
  for (let from = 0; from < judged.length; from += slice) {
    const stored = await storedHolders(transaction, judged.slice(from, from + slice).map(Number));
    const missing: Pairs = { groups: [], holders: [] };
    const extra: Pairs = { groups: [], holders: [] };
    for (const [group, is] of stored) {
      const should = wanted.get(group) ?? [];
      note(missing, group, without(should, is));
      note(extra, group, without(is, should));
    }
    if (missing.groups.length + extra.groups.length > 0) yield { missing, extra };
  }
}

type Numbered = { readonly no: string };

function note(pairs: Pairs, group: number, holders: readonly number[]): void {
  if (holders.length === 0) return;
  pairs.groups.push(group);
  pairs.holders.push(`{${holders.join()}}`);
}

function without(these: readonly number[], those: readonly number[]): readonly number[] {
  if (these.length === 0 || those.length === 0) return these;
  const set = new Set(those);
  return these.filter((one) => !set.has(one));
}

async function storedHolders(transaction: Transaction, groups: readonly number[]): Promise<Map<number, number[]>> {
  const found = await rows<{ no: string; holders: string }>(transaction, readHolders, { groups });
  return new Map(found.map(({ no, holders }) => [Number(no), holders === '' ? [] : holders.split(',').map(Number)]));
}

async function changedGroups(transaction: Transaction, bind: { readonly batch: string }): Promise<string[]> {
  return (await rows<Numbered>(transaction, groupsOfChanges, bind)).map(({ no }) => no);
}

async function groupsBelow(transaction: Transaction, groups: readonly string[]): Promise<string[]> {
  if (groups.length === 0) return [];
  return (await rows<Numbered>(transaction, belowGroups, { groups })).map(({ no }) => no);
}

// `offset 0`: see src/store/database/vocabulary.ts.
const groupsOfChanges = `
select distinct g.group_no as no
  from (select c.group_id as id from entra_sync.changes c
         where c.batch_id = :batch and c.kind in ('group.created', 'group.restored', 'group.removed')
        union all
        select c.member_group_id from entra_sync.changes c
         where c.batch_id = :batch and c.kind in ('membership.added', 'membership.removed')
           and c.member_group_id is not null) x
 cross join lateral (select g.group_no from entra_sync.groups g where g.group_id = x.id offset 0) g
union
-- The change rows of memberships name no group that is not copied, which a group that is shown may hold.
select n.group_no
  from (select c.group_id as id from entra_sync.changes c
         where c.batch_id = :batch and c.kind in ('group.created', 'group.restored')
           and (select entra_sync.leaves_groups_out(:tenant))) x
 cross join lateral (select g.group_no from entra_sync.groups g where g.group_id = x.id offset 0) g
 cross join ${membershipsOfGroup('g.group_no')} m
 cross join lateral (
   select g.group_no from entra_sync.groups g
    where g.tenant_id = :tenant and g.entra_object_id = m.member_object_id offset 0) n
union
-- No change row names these: they are not copied, or what moved is in a group that is not. Of one that Graph shows
-- again the stored closure knows no group below.
select x.no
  from (select distinct u.object_id from entra_sync.unseen_moves u where u.tenant_id = :tenant) u
 cross join lateral (
   select g.group_no from entra_sync.groups g
    where g.tenant_id = :tenant and g.entra_object_id = u.object_id offset 0) g
 cross join lateral (
   select g.group_no as no
   union all
   select n.group_no
     from ${membershipsOfGroup('g.group_no')} m
     join entra_sync.groups n on n.tenant_id = :tenant and n.entra_object_id = m.member_object_id offset 0) x`;

// A changed membership affects the pairs whose path contains it. Below the last one the path is unchanged, so the
// stored closure finds the group from there.
const belowGroups = `
select t.no from unnest(:groups::bigint[]) as t (no)
union
select c.descendant_no from unnest(:groups::bigint[]) as t (no) cross join lateral (
  select c.descendant_no from entra_sync.group_closure c where c.ancestor_no = t.no offset 0) c`;

const groupsOfTenant = 'select g.group_no as no from entra_sync.groups g where g.tenant_id = :tenant';

const live = (no: string) => `lateral (select g.group_no, g.entra_object_id from entra_sync.groups g
  where g.group_no = ${no} and g.tenant_id = :tenant and ${inGraph('g')} offset 0)`;

const liveGroups = `select g.group_no as no from unnest(:groups::bigint[]) as t (no) cross join ${live('t.no')} g`;

const edgesInto = `
select p.group_no as parent, c.group_no as child
  from unnest(:groups::bigint[]) as t (no)
 cross join ${live('t.no')} c
 cross join ${membershipsOfMember('c.entra_object_id')} m
 cross join ${live('m.group_no')} p`;

const readHolders = `
select t.no, array_to_string(array(
         select c.ancestor_no from entra_sync.group_closure c where c.descendant_no = t.no), ',') as holders
  from unnest(:groups::bigint[]) as t (no)`;

// By ctid: a join planned for few rows would compare each pair with the closure of all tenants.
const deletePairs = `
delete from entra_sync.group_closure where ctid = any(array(
  select c.place from unnest(:groups::bigint[], :holders::text[]) as t (no, holders)
   cross join lateral unnest(t.holders::bigint[]) as h (no)
   cross join lateral (select c.ctid as place from entra_sync.group_closure c
     where c.descendant_no = t.no and c.ancestor_no = h.no offset 0) c))`;

const insertPairs = `
insert into entra_sync.group_closure (ancestor_no, descendant_no)
select h.no, t.no from unnest(:groups::bigint[], :holders::text[]) as t (no, holders)
 cross join lateral unnest(t.holders::bigint[]) as h (no)`;
