// The scope groups in the commit of a users round: which users are inside (rule 23).
import type { ScopeGap } from '../../rules/scope.ts';
import { rows, type Transaction } from '../database/pool.ts';
import {
  inGraph,
  isErased,
  isObjectId,
  liveManaged,
  membershipsOfMember,
  removedWithObject,
  stagedInRound,
} from '../database/vocabulary.ts';
import type { CommitBindings } from './bindings.ts';

/** The condition that a scope group holds the object, at any depth. Binds `tenant`, `scopeGroups`. */
export const insideGroups = (id: string) => `exists (
  select from ${membershipsOfMember(id)} m
   cross join lateral (select from entra_sync.group_closure c
     where c.descendant_no = m.group_no and c.ancestor_no = any(array(
       select g.group_no from entra_sync.groups g
        where g.tenant_id = :tenant and g.entra_object_id = any(:scopeGroups::uuid[]))) offset 0) c)`;

export type ScopeJudged = {
  /** Accounts that only the gaps keep from being removed. */
  readonly held: number;
  /** Scope groups, or groups in them, whose members are unknown. */
  readonly gaps: readonly ScopeGap[];
  /** This commit removes accounts that no scope group holds. */
  readonly groupsJudged: boolean;
};

/**
 * Judges the scope groups on the stored memberships. A user in none gets no account; gaps keep accounts from being
 * removed.
 */
export async function judgeScope(transaction: Transaction, bind: CommitBindings): Promise<ScopeJudged> {
  const { groupsJudged } = bind;
  if (bind.scopeGroups.length === 0) return { held: 0, gaps: [], groupsJudged };
  const gaps = await scopeGaps(transaction, bind);
  if (gaps.length === 0) {
    await transaction.raw(setOutside, bind);
    return { held: 0, gaps, groupsJudged };
  }
  const [absent] = await rows<{ count: number }>(
    transaction,
    `select count(*)::int as count from entra_sync.accounts a
      where a.tenant_id = :tenant and ${liveManaged('a')} and ${outsideGroups}`,
    { ...bind, groupsJudged: true },
  );
  await transaction.raw(setOutside, { ...bind, groupsJudged: false });
  return { held: groupsJudged ? (absent?.count ?? 0) : 0, gaps, groupsJudged: false };
}

const setOutside = `
update entra_sync.stage_users s set in_scope = false
 where s.round_id = :round and s.removed is null and s.in_scope and not ${insideGroups('s.entra_object_id')}
   and (:groupsJudged::boolean or not exists (select from entra_sync.accounts a
          where a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id and a.removed_at is null))`;

/** Returns the scope groups, and groups in them, whose members are unknown. */
export function scopeGaps(
  transaction: Transaction,
  bind: Pick<CommitBindings, 'tenant' | 'scopeGroups'>,
): Promise<ScopeGap[]> {
  return rows<ScopeGap>(transaction, findGaps, bind);
}

// Members of a group that was set aside before it was stored are unknown, and so are those of one whose list is set aside.
const findGaps = `
with aside as materialized (
  select k.id::uuid, k.is_list from (
    select case when ${isObjectId('x.id')} then x.id end as id, s.object_key like '%/members' as is_list
      from entra_sync.set_aside s cross join lateral (select split_part(s.object_key, '/', 1) as id) x
     where s.tenant_id = :tenant and s.stream = 'groups') k
   where k.id is not null
), unknown as materialized (
  select id from (select unnest(:scopeGroups::uuid[]) as id union select id from aside) x
   where id in (select id from aside where is_list)
      or not exists (select from entra_sync.groups g
                      where g.tenant_id = :tenant and g.entra_object_id = x.id and ${inGraph('g')})
)
select id::text, case when id in (select id from aside) then 'set_aside' else 'not_there' end as why
  from unknown u
 where id = any(:scopeGroups::uuid[]) or ${insideGroups('u.id')}
 order by 1`;

export const outsideGroups = `(:groupsJudged::boolean and cardinality(:scopeGroups::uuid[]) > 0
  and not ${insideGroups('a.entra_object_id')}
  and not exists (select from entra_sync.stage_users s
                   where s.round_id = :round and s.entra_object_id = a.entra_object_id and s.removed is not null))`;

// Live accounts outside the scope (entra_object_id, reason, by_groups): staged as outside, or in no scope group while
// that is judged. An on-demand read removes none.
export const leftScope = `
select a.entra_object_id, coalesce(s.outside, 'out_of_scope'), s.outside is null
  from entra_sync.stage_users s
  join entra_sync.accounts a on a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id and a.state = 'managed'
 where not :onDemand::boolean and s.round_id = :round and s.removed is null and not s.in_scope and a.removed_at is null
union all
select a.entra_object_id, coalesce(s.outside, 'out_of_scope'), s.outside is null
  from entra_sync.accounts a
  left join entra_sync.stage_users s on s.round_id = :round and s.entra_object_id = a.entra_object_id
 where not :onDemand::boolean and a.tenant_id = :tenant and ${liveManaged('a')} and ${outsideGroups}`;

// Only the id and the failed condition of users whose properties put them outside. Erased ones leave no id. An on-demand
// read under settings that no round has committed keeps none: they may be taken back, and then no round would show the user.
export const keepOutside = `
insert into entra_sync.outside_scope as o (tenant_id, entra_object_id, condition)
select :tenant, s.entra_object_id, s.condition from entra_sync.stage_users s
 where s.round_id = :round and s.removed is null and s.outside is not null and not ${isErased('s.entra_object_id')}
   and (not :onDemand::boolean or exists (
     select from entra_sync.checkpoints c join entra_sync.rounds r on r.round_id = :round
      where c.tenant_id = :tenant and c.stream = 'users' and c.settings_version = r.settings_version))
on conflict (tenant_id, entra_object_id) do update set condition = excluded.condition
 where o.condition is distinct from excluded.condition`;

// The document that a live account left the scope with: the explanation names its value, and a held removal leaves an
// account that later pages are merged with. The profile stays.
export const keepDocument = `
update entra_sync.accounts a set source = s.source
  from entra_sync.stage_users s
 where s.round_id = :round and s.removed is null and s.outside is not null
   and a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id and ${liveManaged('a')}
   and a.source is distinct from s.source`;

// Forgets the other users that the round shows.
export const forgetOutside = `
delete from entra_sync.outside_scope o
 where o.tenant_id = :tenant
   and (exists (select from entra_sync.stage_users s
                 where s.round_id = :round and s.entra_object_id = o.entra_object_id
                   and (s.outside is null or s.removed is not null))
        or :full::boolean and not ${stagedInRound('users', 'o.entra_object_id')})`;

// A deleted user that is live again outside the scope counts as removed for that, so it is restored when it enters; so
// does a disabled one outside for another reason. The time of purge stays.
export const relabelOutside = `
update entra_sync.accounts a set removed_reason = coalesce(s.outside, 'out_of_scope')
  from entra_sync.stage_users s
 where s.round_id = :round and s.removed is null and not s.in_scope
   and a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id and a.state = 'managed'
   and (${removedWithObject('a')} or a.removed_reason = 'disabled')`;
