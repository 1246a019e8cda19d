// Memberships as they appear and vanish inside a commit. A membership is visible while both its ends are live; every
// change of that is one change row, whichever end or fact caused it.
import type { CommitScope } from './commit.ts';
import type { Transaction } from './pool.ts';

// The look-ups are laterals with `offset 0`: each is one index probe a row, whatever the planner believes of tables that
// this very transaction has filled and nobody has analyzed yet. As plain joins a first load took minutes.
const groupOf = (no: string) =>
  `lateral (select g.group_id from entra_sync.groups g
             where g.group_no = ${no} and g.tenant_id = :tenant and g.removed_at is null offset 0)`;
const membershipsOfMember = (id: string) =>
  `lateral (select m.group_no from entra_sync.memberships m where m.member_object_id = ${id} offset 0)`;
const membershipsOfGroup = (no: string) =>
  `lateral (select m.member_object_id from entra_sync.memberships m where m.group_no = ${no} offset 0)`;

/** Change rows for the pairs (group_no, member_object_id) whose both ends are live now. */
const insertChanges = (kind: 'membership.added' | 'membership.removed', pairs: string) => `
insert into entra_sync.changes (batch_id, tenant_id, cycle_id, actor, kind, group_id, account_id, member_group_id)
select :batch, :tenant, :cycle, :actor, '${kind}', g.group_id, a.account_id, n.group_id
  from (${pairs}) p
  cross join ${groupOf('p.group_no')} g
  left join lateral (select a.account_id from entra_sync.accounts a
    where a.tenant_id = :tenant and a.entra_object_id = p.member_object_id and a.removed_at is null offset 0) a on true
  left join lateral (select n.group_id from entra_sync.groups n
    where n.tenant_id = :tenant and n.entra_object_id = p.member_object_id and n.removed_at is null offset 0) n on true
 where a.account_id is not null or n.group_id is not null`;

/**
 * Memberships of accounts that this batch made live or bound to their object: of people who came, came back, or were
 * recognised. Runs after the accounts. An account that was released and is adopted again showed its memberships all along.
 */
export const accountsAppeared = insertChanges(
  'membership.added',
  `select m.group_no, x.entra_object_id as member_object_id
     from entra_sync.changes c
     cross join lateral (select x.entra_object_id from entra_sync.accounts x where x.account_id = c.account_id offset 0) x
     cross join ${membershipsOfMember('x.entra_object_id')} m
    where c.batch_id = :batch
      and (c.kind in ('account.created', 'account.restored')
           or c.kind = 'account.adopted' and jsonb_exists(c.after, 'entra_object_id'))`,
);

/** Visible memberships of the accounts in `gone`, a query of entra_object_id. Runs before they are removed. */
export const accountsVanish = (gone: string) =>
  insertChanges(
    'membership.removed',
    `select m.group_no, x.entra_object_id as member_object_id
       from (${gone}) x cross join ${membershipsOfMember('x.entra_object_id')} m`,
  );

/** Visible memberships of the groups in `gone` (group_no, entra_object_id), as groups and as members of others. */
export const groupsVanish = (gone: string) => insertChanges('membership.removed', bothWays(`(${gone})`));

/** Stored memberships that show because this batch made a group live. Runs before new memberships are inserted. */
export const groupsAppeared = insertChanges(
  'membership.added',
  bothWays(`(
     select x.group_no, x.entra_object_id from entra_sync.changes c
       cross join lateral (select x.group_no, x.entra_object_id from entra_sync.groups x where x.group_id = c.group_id offset 0) x
      where c.batch_id = :batch and c.kind in ('group.created', 'group.restored'))`),
);

function bothWays(groups: string): string {
  return `select x.group_no, m.member_object_id from ${groups} x cross join ${membershipsOfGroup('x.group_no')} m
     union
     select m.group_no, x.entra_object_id from ${groups} x cross join ${membershipsOfMember('x.entra_object_id')} m`;
}

/** Ends the memberships in `ended` (group_no, member_object_id), saying so of those that were visible. */
export const endMemberships = (ended: string) => `
with ended as (
  delete from entra_sync.memberships m using (${ended}) e
   where m.group_no = e.group_no and m.member_object_id = e.member_object_id
  returning m.group_no, m.member_object_id
)
${insertChanges('membership.removed', 'select group_no, member_object_id from ended')}`;

/** Keeps the memberships that this round staged and that are not stored yet, saying so of those that are visible. */
export const keepMemberships = `
with fresh as (
  insert into entra_sync.memberships (group_no, member_object_id, member_type)
  select g.group_no, s.member_object_id, s.member_type
    from entra_sync.stage_members s
    cross join lateral (select g.group_no from entra_sync.groups g
                         where g.tenant_id = :tenant and g.entra_object_id = s.group_object_id offset 0) g
   where s.round_id = :round and not s.removed
  on conflict do nothing
  returning group_no, member_object_id
)
${insertChanges('membership.added', 'select group_no, member_object_id from fresh')}`;

/**
 * Of members that are deleted for good: they leave their groups, although Graph may never say so (rule 8). Hidden already,
 * unless a person keeps them.
 */
export const membershipsOf = (deleted: string) => `
select m.group_no, m.member_object_id from entra_sync.memberships m
  join entra_sync.groups g on g.group_no = m.group_no and g.tenant_id = :tenant
 where m.member_object_id in (${deleted})`;

/**
 * Keeps by id alone what was purged and may still be restored in Entra ID (retention may be shorter than Graph's 30 days):
 * nobody tells of its memberships until it comes back.
 */
export async function keepPurged(
  transaction: Transaction,
  scope: CommitScope,
  purged: readonly { entra_object_id: string | null; removed_reason: string }[],
): Promise<void> {
  await transaction.raw(
    `insert into entra_sync.deleted_strangers (tenant_id, stream, entra_object_id)
     select :tenant, :stream, id from unnest(:ids::uuid[]) as id on conflict do nothing`,
    {
      ...scope,
      ids: purged
        .filter(({ removed_reason }) => removed_reason === 'deleted_restorable' || removed_reason === 'not_seen')
        .flatMap((one) => one.entra_object_id ?? []),
    },
  );
}

/** Whether this batch touched an edge between groups, or the life of one. */
export const closureTouched = `
select exists (select from entra_sync.changes where batch_id = :batch
  and (kind in ('group.created', 'group.restored', 'group.removed') or member_group_id is not null)) as touched`;

/** Which live group holds which, as `reach` (ancestor_no, descendant_no), from the stored memberships. Binds `tenant`. */
export const nesting = `live as materialized (
  select group_no, entra_object_id from entra_sync.groups where tenant_id = :tenant and removed_at is null
), edge as materialized (
  select m.group_no as parent_no, c.group_no as child_no
    from live c join entra_sync.memberships m on m.member_object_id = c.entra_object_id
    join live p on p.group_no = m.group_no
), reach as (
  select group_no as ancestor_no, group_no as descendant_no from live
  union
  select r.ancestor_no, e.child_no from reach r join edge e on e.parent_no = r.descendant_no
)`;

/**
 * Brings the closure of the tenant's live groups up to date by differences. Costs one index look-up a live group for the
 * edges, then one step a pair of the closure: 1,000 groups nested ten deep take about 20 ms.
 */
export const renewClosure = `
with recursive ${nesting}, gone as (
  delete from entra_sync.group_closure c using entra_sync.groups g
   where g.group_no = c.ancestor_no and g.tenant_id = :tenant
     and not exists (select from reach r where r.ancestor_no = c.ancestor_no and r.descendant_no = c.descendant_no)
)
insert into entra_sync.group_closure (ancestor_no, descendant_no)
select ancestor_no, descendant_no from reach on conflict do nothing`;
