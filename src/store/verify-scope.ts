// The scope of a fresh listing, judged by its own member lists.
import type { ScopeGap } from '../rules/scope.ts';
import { leaveOutErased } from './commit/erased.ts';
import { type Lease, requireFence } from './cycle/lease.ts';
import { compareWholeSets, type Database, inTransaction, rows } from './database/pool.ts';
import { inGraph } from './database/vocabulary.ts';
import { isPropertyOfGroup } from './stage/doubts.ts';

/**
 * Marks staged users outside the scope groups by the listing's own member lists (stored ones for unreadable ones):
 * drift of memberships must not hide drift of accounts. While a scope group is missing, users with an account stay in
 * scope. Returns the missing groups.
 */
export async function judgeListing(
  database: Database,
  lease: Lease,
  rounds: { users: string; groups: string },
  scopeGroups: readonly string[],
): Promise<ScopeGap[]> {
  if (scopeGroups.length === 0) return [];
  return inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await compareWholeSets(transaction);
    const bindings = { ...rounds, scopeGroups, tenantId: lease.tenantId };
    const gaps = await rows<ScopeGap>(transaction, listingGaps, bindings);
    await transaction.raw(
      `with recursive edge as materialized (
         select s.group_object_id as parent, s.member_object_id as child
           from entra_sync.staged_members s where s.round_id = :groups and not s.removed
         union all
         select g.entra_object_id, m.member_object_id
           from (${unreadLists(':groups')}) u
           join entra_sync.groups g
             on g.tenant_id = :tenantId and g.entra_object_id::text = u.id and ${inGraph('g')}
           join entra_sync.member_groups m on m.tenant_id = :tenantId and m.group_nos @> array[g.group_no]
       ), reach as (
         select id from unnest(:scopeGroups::uuid[]) as id
          where exists (select from entra_sync.stage_groups s where s.round_id = :groups and s.entra_object_id = id)
             or id::text in (select u.id from (${unreadLists(':groups')}) u)
         union
         select e.child from reach r join edge e on e.parent = r.id
       )
       update entra_sync.stage_users s set in_scope = false
        where s.round_id = :users and not exists (select from reach r where r.id = s.entra_object_id)
          and not (:gaps::boolean and exists (select from entra_sync.accounts a
                    where a.tenant_id = :tenantId and a.entra_object_id = s.entra_object_id and a.removed_at is null))`,
      { ...bindings, gaps: gaps.length > 0 },
    );
    return gaps;
  });
}

/** Puts listed users who were erased outside the scope. */
export function leaveErasedOut(database: Database, lease: Lease, round: string): Promise<void> {
  return inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await leaveOutErased(transaction, { tenant: lease.tenantId, round });
  });
}

/** The groups, or their member lists, that the listing could not read: object ids as text. */
export const unreadLists = (round: string) => `
  select left(p.object_key, 36) as id from entra_sync.stage_set_aside p
   where p.round_id = ${round} and not ${isPropertyOfGroup('p.object_key')}`;

// Scope groups and unreadable groups in them that are not listed. One that is stored here is no gap.
const listingGaps = `
select id::text,
       case when id::text in (select u.id from (${unreadLists(':groups')}) u) then 'set_aside'
            else 'not_there' end as why
  from (select unnest(:scopeGroups::uuid[]) as id
        union
        select s.member_object_id from entra_sync.staged_members s
         where s.round_id = :groups and s.member_object_id::text in (select u.id from (${unreadLists(':groups')}) u)) x
 where not exists (select from entra_sync.stage_groups s where s.round_id = :groups and s.entra_object_id = x.id)
   and not (id::text in (select u.id from (${unreadLists(':groups')}) u)
            and exists (select from entra_sync.groups g
                         where g.tenant_id = :tenantId and g.entra_object_id = x.id and ${inGraph('g')}))
 order by 1`;
