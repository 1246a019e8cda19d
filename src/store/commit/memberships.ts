// Memberships that appear and vanish in a commit. One is visible while both its ends are live; each change of
// visibility is one change, whatever caused it.

import { rows, type Transaction } from '../database/pool.ts';
import { isErased, membershipsOfGroup, membershipsOfMember } from '../database/vocabulary.ts';
import type { CommitBindings } from './bindings.ts';

// `offset 0`: see src/store/database/vocabulary.ts.
const groupOf = (no: string) =>
  `lateral (select g.group_id from entra_sync.groups g where g.group_no = ${no} and g.removed_at is null offset 0)`;
const groupNamed = `lateral (
  select g.group_no, case when g.removed_at is null then g.group_id end as live_id from entra_sync.groups g
  where g.tenant_id = :tenant and g.entra_object_id = s.group_object_id offset 0)`;

/** Changes of the pairs (group_no, member_object_id) with both ends live. */
const changesOf = (kind: MembershipChange, pairs: string) => `
member as (
  select p.member_object_id, array_agg(g.group_id) as group_ids
    from (${pairs}) p cross join ${groupOf('p.group_no')} g group by p.member_object_id
), ${changesOfMembers(kind)}`;

/** Changes of the members in `member` (member_object_id, and group_ids of live groups) that are live. */
const changesOfMembers = (kind: MembershipChange) => `
found as (
  select a.account_id, n.group_id as member_group_id, m.group_ids
    from member m
    left join lateral (select a.account_id from entra_sync.accounts a
      where a.tenant_id = :tenant and a.entra_object_id = m.member_object_id
        and a.removed_at is null offset 0) a on true
    left join lateral (select n.group_id from entra_sync.groups n
      where a.account_id is null and n.tenant_id = :tenant and n.entra_object_id = m.member_object_id
        and n.removed_at is null offset 0) n on true
   where a.account_id is not null or n.group_id is not null
), ${writeChanges(kind)}`;

type MembershipChange = 'membership.added' | 'membership.removed';

/**
 * Writes the memberships in `found` (account_id, member_group_id, group_ids) as changes and returns their number. Not
 * by `changeRows`: a row per member packs many changes, whose ids must be consecutive.
 */
const writeChanges = (kind: MembershipChange) => `
written as (
  insert into entra_sync.changes
    (change_id, batch_id, tenant_id, cycle_id, actor, kind, account_id, member_group_id, group_id, change_ids,
     group_ids)
  overriding system value
  select f.ids[1], :batch, :tenant, :cycle, :actor, '${kind}', f.account_id, f.member_group_id,
         case when cardinality(f.ids) = 1 then f.group_ids[1] end,
         case when cardinality(f.ids) > 1 then f.ids end, case when cardinality(f.ids) > 1 then f.group_ids end
    from (select f.*, array(select nextval('entra_sync.changes_change_id_seq')
                              from generate_series(1, cardinality(f.group_ids))) as ids
            from found f offset 0) f
  returning coalesce(cardinality(change_ids), 1) as changes
)
select coalesce(sum(changes), 0)::int as count from written`;

/** Runs one of the statements below. Returns how many memberships it moved. */
export async function moveMemberships(
  transaction: Transaction,
  statement: string,
  bind: Readonly<Record<string, unknown>>,
): Promise<number> {
  const [moved] = await rows<{ count: number }>(transaction, statement, bind);
  return moved?.count ?? 0;
}

/**
 * Memberships of accounts that this batch created, restored or bound. Runs after the accounts are written. A released
 * account that is adopted again showed its memberships all along.
 */
export const accountsAppeared = `
with found as (
  select c.account_id, null::uuid as member_group_id, array_agg(g.group_id) as group_ids
    from entra_sync.changes c
    cross join lateral (
      select x.entra_object_id from entra_sync.accounts x where x.account_id = c.account_id offset 0) x
    cross join ${membershipsOfMember('x.entra_object_id')} m
    cross join ${groupOf('m.group_no')} g
   where c.batch_id = :batch and (select exists (select from entra_sync.member_groups where tenant_id = :tenant))
     and (c.kind in ('account.created', 'account.restored')
          or c.kind = 'account.adopted' and jsonb_exists(c.after, 'entra_object_id'))
   group by c.account_id
), ${writeChanges('membership.added')}`;

/** Visible memberships of the accounts in `gone` (entra_object_id), before these are removed. */
export const accountsVanish = (gone: string) =>
  `with ${changesOf(
    'membership.removed',
    `select m.group_no, x.entra_object_id as member_object_id
       from (${gone}) x cross join ${membershipsOfMember('x.entra_object_id')} m`,
  )}`;

/** Visible memberships of the groups in `gone` (group_no, entra_object_id), as holders and as members. */
export const groupsVanish = (gone: string) => `with ${changesOf('membership.removed', bothWays(`(${gone})`))}`;

/** Stored memberships that a live group of this batch makes visible, before new ones are inserted. */
export const groupsAppeared = `with ${changesOf(
  'membership.added',
  bothWays(`(
     select x.group_no, x.entra_object_id from entra_sync.changes c
       cross join lateral (
         select x.group_no, x.entra_object_id from entra_sync.groups x where x.group_id = c.group_id offset 0) x
      where c.batch_id = :batch and c.kind in ('group.created', 'group.restored'))`),
)}`;

function bothWays(groups: string): string {
  return `select x.group_no, m.member_object_id from ${groups} x cross join ${membershipsOfGroup('x.group_no')} m
     union
     select m.group_no, x.entra_object_id from ${groups} x cross join ${membershipsOfMember('x.entra_object_id')} m`;
}

// Where a tenant leaves groups out, the change rows do not tell every membership that moved.
const moved = (members: string) => `
moved as (
  insert into entra_sync.unseen_moves (tenant_id, object_id)
  select :tenant, x.member_object_id from ${members} x where (select entra_sync.moves_unseen(:tenant))
)`;

// Takes the groups in `gone` (member_object_id, group_nos) from members. A row without groups is deleted.
const takeGroups = (gone: string) => `
hit as materialized (
  select m.member_object_id,
         array(select n from unnest(m.group_nos) as n where n = any(x.group_nos)) as ended,
         array(select n from unnest(m.group_nos) as n where n <> all(x.group_nos)) as left_over
    from (${gone}) x
    join entra_sync.member_groups m
      on m.tenant_id = :tenant and m.member_object_id = x.member_object_id and m.group_nos && x.group_nos
), emptied as (
  delete from entra_sync.member_groups m using hit
   where m.tenant_id = :tenant and m.member_object_id = hit.member_object_id and hit.left_over = '{}'
), shortened as (
  update entra_sync.member_groups m set group_nos = hit.left_over from hit
   where m.tenant_id = :tenant and m.member_object_id = hit.member_object_id and hit.left_over <> '{}'
), ${moved('hit')}`;

/** Ends the memberships in `ended` (group_no, member_object_id), with changes for the visible ones. */
export const endMemberships = (ended: string) => `
with ${takeGroups(
  `select e.member_object_id, array_agg(e.group_no) as group_nos from (${ended}) e group by e.member_object_id`,
)}, ${changesOf(
  'membership.removed',
  'select u.group_no, hit.member_object_id from hit cross join lateral unnest(hit.ended) as u (group_no)',
)}`;

/** Deletes the memberships of purged groups. Binds `tenant` and `numbers`. */
export const forgetGroups = `
with ${takeGroups(
  `select m.member_object_id, :numbers::bigint[] as group_nos from entra_sync.member_groups m
    where m.tenant_id = :tenant and m.group_nos && :numbers::bigint[]`,
)} select from hit`;

// Staged memberships are rows of a member (whole lists, unfolded slices), or folded slices whose last word counts.
// Folded slices look each group up once, not once per member; rows are sorted by member already.
const named = `
select s.member_object_id, min(s.member_type::int) as member_type, array_agg(g.group_no) as group_nos,
       array_agg(g.live_id) as group_ids
  from entra_sync.stage_members s cross join ${groupNamed} g
 where s.round_id = :round and not s.removed
 group by s.member_object_id`;
const sliced = `
select x.member_object_id, min(x.member_type::int) as member_type, array_agg(x.group_no) as group_nos,
       array_agg(x.live_id) as group_ids
  from (select distinct on (u.member_object_id, g.group_no)
               u.member_object_id, g.group_no, g.live_id, s.member_type, s.removed
          from entra_sync.stage_slices s cross join ${groupNamed} g
         cross join lateral unnest(s.members) as u (member_object_id)
         where s.round_id = :round
           and not exists (select from entra_sync.stage_members m where m.round_id = :round
                            and m.group_object_id = s.group_object_id and m.member_object_id = u.member_object_id)
         order by u.member_object_id, g.group_no, s.slice desc) x
 where not x.removed
 group by x.member_object_id`;

// `staged`: member_object_id, member_type, group_nos and, in the same order, group_ids (null: not live).
const keep = (staged: string) => `
with fresh as materialized (
  select s.member_object_id, s.member_type::"char" as member_type, n.group_nos, n.group_ids
    from (${staged}) s
    left join entra_sync.member_groups m on m.tenant_id = :tenant and m.member_object_id = s.member_object_id
    cross join lateral (
      select case when m.member_object_id is null then s.group_nos
                  else array(select n from unnest(s.group_nos) as n where n <> all(m.group_nos)) end as group_nos,
             case when m.member_object_id is null then s.group_ids
                  else array(select u.id from unnest(s.group_nos, s.group_ids) as u (n, id)
                              where u.n <> all(m.group_nos)) end as group_ids
    ) n
   where n.group_nos <> '{}'
), kept as (
  insert into entra_sync.member_groups as m (tenant_id, member_object_id, member_type, group_nos)
  select :tenant, member_object_id, member_type, group_nos from fresh order by member_object_id
  on conflict (tenant_id, member_object_id) do update
     set group_nos = m.group_nos || excluded.group_nos,
         member_type = case m.member_type when 'x' then excluded.member_type else m.member_type end
), ${moved('fresh')}, member as (
  select f.member_object_id, array_remove(f.group_ids, null) as group_ids
    from fresh f where array_remove(f.group_ids, null) <> '{}'
), ${changesOfMembers('membership.added')}`;

/**
 * Stores this round's new memberships and returns how many are visible. The unknown member type x sorts last, so that
 * any other replaces it.
 */
export async function keepMemberships(transaction: Transaction, bind: CommitBindings): Promise<number> {
  return (
    (await moveMemberships(transaction, keep(sliced), bind)) + (await moveMemberships(transaction, keep(named), bind))
  );
}

/**
 * The memberships of permanently deleted members, whose end Graph may never report (rule 8). Only those of manual
 * accounts and groups are visible.
 */
export const membershipsOf = (deleted: string) => `
select m.group_no, d.entra_object_id as member_object_id
  from (${deleted}) d cross join ${membershipsOfMember('d.entra_object_id')} m`;

/**
 * Keeps the ids of purged objects that Entra ID can still restore, since retention may be shorter: until then Graph
 * omits their memberships.
 */
export async function keepPurged(
  transaction: Transaction,
  bind: Pick<CommitBindings, 'tenant' | 'stream'>,
  purged: readonly { entra_object_id: string | null; removed_reason: string | null }[],
): Promise<void> {
  await transaction.raw(
    `insert into entra_sync.deleted_strangers (tenant_id, stream, entra_object_id)
     select :tenant, :stream, id from unnest(:ids::uuid[]) as id where not ${isErased('id')} on conflict do nothing`,
    {
      ...bind,
      ids: purged
        .filter(({ removed_reason }) => removed_reason === 'deleted_restorable' || removed_reason === 'not_seen')
        .flatMap((one) => one.entra_object_id ?? []),
    },
  );
}
