// Who is inside and who is outside by the groups that the scope names, in the commit of a users round (rule 23).
import type { ScopeGap } from '../../rules/scope.ts';
import { rows, type Transaction } from '../database/pool.ts';
import {
  isObjectId,
  liveManaged,
  membershipsOfMember,
  removedWithObject,
  stagedInRound,
} from '../database/vocabulary.ts';
import type { CommitBindings } from './bindings.ts';

/** Whether the object `id` is a member, through any number of groups, of one that the scope names; binds tenant, scopeGroups. */
export const insideGroups = (id: string) => `exists (
  select from ${membershipsOfMember(id)} m
   cross join lateral (select from entra_sync.group_closure c
     where c.descendant_no = m.group_no and c.ancestor_no = any(array(
       select g.group_no from entra_sync.groups g
        where g.tenant_id = :tenant and g.entra_object_id = any(:scopeGroups::uuid[]))) offset 0) c)`;

/** What {@link judgeScope} found. */
export type ScopeJudged = {
  /** Accounts that would be removed for being outside, if there were no gaps. */
  readonly held: number;
  /** Groups that the scope names or holds and whose members are not known. */
  readonly gaps: readonly ScopeGap[];
  /** Whether being in none of the scope groups removes an account in this commit. */
  readonly groupsJudged: boolean;
};

/**
 * Judges the scope by groups on the stored memberships (rule 23). No account is created for a user in none of the groups.
 * While there are gaps, no account is removed for being outside.
 */
export async function judgeScope(transaction: Transaction, bind: CommitBindings): Promise<ScopeJudged> {
  const { groupsJudged } = bind;
  if (bind.scopeGroups.length === 0) return { held: 0, gaps: [], groupsJudged };
  const gaps = await scopeGaps(transaction, bind);
  if (gaps.length === 0) {
    await transaction.raw(setOutside, bind);
    return { held: 0, gaps, groupsJudged };
  }
  const [gone] = await rows<{ count: number }>(
    transaction,
    `select count(*)::int as count from entra_sync.accounts a
      where a.tenant_id = :tenant and ${liveManaged('a')} and ${outsideGroups}`,
    { ...bind, groupsJudged: true },
  );
  await transaction.raw(setOutside, { ...bind, groupsJudged: false });
  return { held: groupsJudged ? (gone?.count ?? 0) : 0, gaps, groupsJudged: false };
}

const setOutside = `
update entra_sync.stage_users s set in_scope = false
 where s.round_id = :round and s.removed is null and s.in_scope and not ${insideGroups('s.entra_object_id')}
   and (:groupsJudged::boolean or not exists (select from entra_sync.accounts a
          where a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id and a.removed_at is null))`;

/** The groups that these scope groups are or hold and whose members are not known: while there are any, nobody is removed by groups. */
export function scopeGaps(
  transaction: Transaction,
  bind: Pick<CommitBindings, 'tenant' | 'scopeGroups'>,
): Promise<ScopeGap[]> {
  return rows<ScopeGap>(transaction, findGaps, bind);
}

// A group that was set aside before it was ever stored holds people whom nobody can name: none of them is removed for it.
const findGaps = `
with aside as materialized (
  select object_key::uuid as id from (
    select case when ${isObjectId('object_key')} then object_key end as object_key
      from entra_sync.set_aside where tenant_id = :tenant and stream = 'groups') k
   where object_key is not null
), unknown as materialized (
  select id from (select unnest(:scopeGroups::uuid[]) as id union select id from aside) x
   where not exists (select from entra_sync.groups g where g.tenant_id = :tenant and g.entra_object_id = x.id and g.removed_at is null)
)
select id::text, case when id in (select id from aside) then 'set_aside' else 'not_there' end as why
  from unknown u
 where id = any(:scopeGroups::uuid[]) or ${insideGroups('u.id')}
 order by 1`;

export const outsideGroups = `(:groupsJudged::boolean and cardinality(:scopeGroups::uuid[]) > 0 and not ${insideGroups('a.entra_object_id')}
  and not exists (select from entra_sync.stage_users s where s.round_id = :round and s.entra_object_id = a.entra_object_id and s.removed is not null))`;

// Live accounts that are outside the scope now, as entra_object_id, reason and by_groups: staged so, or no longer held by a
// scope group (some are both). An on-demand read removes nobody. `groupsJudged` is also false while the scope has gaps,
// which hold these removals.
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

// Who is outside by what is said of the person although the scope groups hold the person is remembered by id alone.
export const keepOutside = `
insert into entra_sync.outside_scope (tenant_id, entra_object_id)
select :tenant, s.entra_object_id from entra_sync.stage_users s
 where s.round_id = :round and s.removed is null and not s.in_scope and cardinality(:scopeGroups::uuid[]) > 0
   and ${insideGroups('s.entra_object_id')}
on conflict do nothing`;

// Anybody else whom the round shows is forgotten: whether properties or groups put the person outside is not told apart.
export const forgetOutside = `
delete from entra_sync.outside_scope o
 where o.tenant_id = :tenant
   and (exists (select from entra_sync.stage_users s
                 where s.round_id = :round and s.entra_object_id = o.entra_object_id
                   and (s.in_scope or s.removed is not null or not ${insideGroups('s.entra_object_id')}))
        or :full::boolean and not ${stagedInRound('users', 'o.entra_object_id')})`;

// Who was deleted, and is live again outside the scope, is removed for being outside: entering the scope brings the person
// back. So is who was disabled and is outside for another reason now. The time of purge stays.
export const relabelOutside = `
update entra_sync.accounts a set removed_reason = coalesce(s.outside, 'out_of_scope')
  from entra_sync.stage_users s
 where s.round_id = :round and s.removed is null and not s.in_scope
   and a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id and a.state = 'managed'
   and (${removedWithObject('a')} or a.removed_reason = 'disabled')`;
