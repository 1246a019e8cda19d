// The commit of a groups round: groups, memberships and the closure, as whole sets (rules 7 to 9). Each change of a
// membership is written once: those that vanish with a group, those that Graph ended, those that appear with a group,
// then new ones.

import { noCounts, type StreamCounts } from '../../rules/counts.ts';
import { rowCount, rows, type Transaction } from '../database/pool.ts';
import {
  groupOfObject,
  inGraph,
  liveManual,
  managedInGraph,
  membershipsOfGroup,
  setAsideInRound,
  stagedInRound,
} from '../database/vocabulary.ts';
import { changeRows } from '../feed/change-rows.ts';
import { adoptGroups } from './adoption.ts';
import type { CommitBindings } from './bindings.ts';
import { keepClosure } from './closure.ts';
import { type Guarded, guardRemovals, metUnreadable, removedInWeek } from './guard.ts';
import { guardMemberships } from './guard-memberships.ts';
import {
  endMemberships,
  groupsAppeared,
  groupsVanish,
  keepMemberships,
  membershipsOf,
  moveMemberships,
} from './memberships.ts';
import { purgeable, purgeGroups } from './purge-groups.ts';
import { createGroups, groupColumns, hideReturned, isCopied, of, removeGroupsOf, showGroups } from './show-groups.ts';

/** Applies the staged groups and memberships. Part of the transaction of `commitRound`. */
export async function applyGroups(transaction: Transaction, bind: CommitBindings): Promise<StreamCounts> {
  const adopted = await adoptGroups(transaction, bind);
  const guard = await guardRemovals(transaction, bind, guardedGroups);
  await transaction.raw(lockTouched, bind);
  const count = (statement: string) => rowCount(transaction, statement, bind);
  const move = (statement: string) => moveMemberships(transaction, statement, bind);
  let ended = guard.left > 0 ? await move(groupsVanish(groupsToRemove)) : 0;
  const removed = guard.left > 0 ? await count(removeGroups) : 0;
  await transaction.raw(hardenTombstones, bind);
  ended += await move(endMemberships(membershipsOf(permanentlyDeleted)));
  ended += await move(endMemberships(listsOfDeleted));
  const heldMembers = await guardMemberships(transaction, bind);
  ended += await move(endMemberships(endedByGraph));
  await transaction.raw(keepDeletedElsewhere, bind);
  await transaction.raw(forgetDeletedElsewhere, bind);
  const updated = await count(updateGroups);
  await transaction.raw(hideReturned, bind);
  const restored = await count(showGroups('group.restored'));
  const created = (await count(showGroups('group.created'))) + (await count(createGroups));
  const appeared = (await move(groupsAppeared)) + (await keepMemberships(transaction, bind));
  await keepClosure(transaction, bind);
  if (bind.full) await transaction.raw(mendEffective, bind);
  const purged = await purgeGroups(transaction, bind);
  const [staged] = await rows<{ count: number }>(
    transaction,
    'select count(*)::int as count from entra_sync.stage_groups where round_id = :round',
    bind,
  );
  if (bind.full) await transaction.raw(mendAssigned, bind);
  return {
    ...noCounts,
    distinct: staged?.count ?? 0,
    created,
    adopted,
    updated,
    removed,
    restored,
    purged,
    held: guard.held + heldMembers,
    memberships_added: appeared,
    memberships_removed: ended,
  };
}

const visible = (alias: string) => of(alias).replace(/^\w+\.source, /, '');
const differs = `(${of('g')}) is distinct from (${of('s')})`;
const setColumns = groupColumns
  .split(', ')
  .map((column) => `${column} = s.${column}`)
  .join(', ');

const staged = `entra_sync.stage_groups s
  join entra_sync.groups g on g.tenant_id = :tenant and g.entra_object_id = s.entra_object_id and g.state = 'managed'`;

const notSeen = `entra_sync.groups g
 where :full::boolean and g.tenant_id = :tenant and ${managedInGraph('g')}
   and not ${stagedInRound('groups', 'g.entra_object_id')}
   and not ${setAsideInRound('g.entra_object_id::text')}`;

// Triggers keep effective memberships by what changed (migrations/0045). A full round compares all of them, which repairs errors;
// the first one has none to repair.
const mendEffective = `
select entra_sync.keep_effective(:tenant, array(
         select a.account_no from entra_sync.accounts a where a.tenant_id = :tenant order by 1))
 where exists (select from entra_sync.checkpoints c where c.tenant_id = :tenant and c.stream = 'groups')`;

// The same for what the accounts get, when the batch's row is written.
const mendAssigned = `
update entra_sync.tenants set assigned_winners = null where tenant_id = :tenant and assigned_at is not null`;

/** The groups that the round would remove, for the guard. */
export const guardedGroups: Guarded = {
  table: 'groups',
  key: 'group_no',
  publicKey: 'group_id',
  live: managedInGraph('x'),
  wanted: `
    select :round::bigint, x.entra_object_id, min(x.reason), false from (
      select g.entra_object_id, s.removed as reason from ${staged}
       where s.round_id = :round and s.removed is not null and ${inGraph('g')}
      union all
      select g.entra_object_id, 'not_copied' from ${staged}
       where s.round_id = :round and s.removed is null and not ${isCopied('g.copied')} and g.removed_at is null
      union all
      select g.entra_object_id, 'not_seen' from ${notSeen}
    ) x group by x.entra_object_id`,
  seen: 'select count(*)::int from entra_sync.stage_groups where round_id = :round and removed is null',
  // A group that was never shown has been removed from nothing.
  inWeek: [`${removedInWeek} and x.shown_before`],
  cameBack: `not exists (select from entra_sync.groups g where g.group_no = h.group_no and ${managedInGraph('g')})
    or exists (select from entra_sync.stage_groups s
                where s.round_id = :round and s.entra_object_id = h.object_id and s.removed is null
                  and (h.reason <> 'not_copied' or ${isCopied('true')}))
    or h.reason = 'not_seen' and ${metUnreadable}`,
};

const groupsToRemove = `
select g.group_no, g.entra_object_id, r.reason
  from entra_sync.stage_removals r
  join entra_sync.groups g on g.tenant_id = :tenant and g.entra_object_id = r.object_id
 where r.round_id = :round`;

const lockTouched = `
select from entra_sync.groups where group_no in (
  select g.group_no from ${staged}
   where s.round_id = :round
     and case when s.removed is null then g.removed_at is not null or ${differs} else ${inGraph('g')} end
  union all
  select x.group_no from (${groupsToRemove}) x
  union all
  select g.group_no from ${purgeable}
) order by group_id for update`;

const removeGroups = removeGroupsOf(groupsToRemove, "(:retentionMs * interval '1 millisecond')", false);

const hardenTombstones = `
update entra_sync.groups g set removed_reason = 'deleted'
  from entra_sync.stage_groups s
 where s.round_id = :round and s.removed = 'deleted' and g.tenant_id = :tenant and g.entra_object_id = s.entra_object_id
   and g.removed_reason in ('deleted_restorable', 'not_seen')`;

// Not held groups, nor released ones, which are manual with their members (rule 20).
const permanentlyDeleted = `select s.entra_object_id from entra_sync.stage_groups s
 where s.round_id = :round and s.removed = 'deleted'
   and not exists (select from entra_sync.held_removals h
                    where h.tenant_id = :tenant and h.object_id = s.entra_object_id offset 0)
   and not exists (select from entra_sync.groups g where g.tenant_id = :tenant and g.entra_object_id = s.entra_object_id
                      and ${liveManual('g')} offset 0)`;

const listsOfDeleted = `
select g.group_no, m.member_object_id
  from (${permanentlyDeleted}) d
 cross join ${groupOfObject('d.entra_object_id')} g
 cross join ${membershipsOfGroup('g.group_no')} m`;

// Memberships that a slice calls removed, or that a whole list or a nested group's memberOf lacks and the guard passed.
const endedByGraph = `
select g.group_no, s.member_object_id
  from entra_sync.staged_members s
  join entra_sync.groups g on g.tenant_id = :tenant and g.entra_object_id = s.group_object_id
 where s.round_id = :round and s.removed
union
select m.group_no, m.member_object_id
  from entra_sync.stage_holders h
  join entra_sync.memberships m on m.tenant_id = :tenant and m.member_object_id = h.object_id
  join entra_sync.groups g on g.group_no = m.group_no
 where h.round_id = :round
   and not exists (select from entra_sync.staged_members s
                    where s.round_id = :round and s.group_object_id = g.entra_object_id
                      and s.member_object_id = h.object_id)
union
select e.group_no, e.member_object_id from entra_sync.stage_endings e where e.round_id = :round`;

// Graph may not send the members of these when it restores them.
const keepDeletedElsewhere = `
insert into entra_sync.deleted_strangers (tenant_id, stream, entra_object_id)
select :tenant, 'groups', s.entra_object_id from entra_sync.stage_groups s
 where s.round_id = :round and s.removed = 'deleted_restorable'
   and not exists (select from entra_sync.groups g
                    where g.tenant_id = :tenant and g.entra_object_id = s.entra_object_id)
on conflict (tenant_id, stream, entra_object_id) do update set noted_at = now()`;

// GET has returned the live ones whole (src/store/stage/deleted-elsewhere.ts).
const forgetDeletedElsewhere = `
delete from entra_sync.deleted_strangers d using entra_sync.stage_groups s
 where d.tenant_id = :tenant and d.stream = 'groups' and s.round_id = :round and s.entra_object_id = d.entra_object_id
   and s.removed is distinct from 'deleted_restorable'`;

const updateGroups = `
with pair as materialized (
  select g.group_no, entra_sync.group_facts(g) as old_facts from ${staged}
   where s.round_id = :round and s.removed is null and g.removed_at is null and ${differs}
), written as (
  update entra_sync.groups g
     set ${setColumns},
         updated_at = case when (${visible('g')}) is distinct from (${visible('s')}) then now() else g.updated_at end
    from pair p, entra_sync.stage_groups s
   where g.group_no = p.group_no and s.round_id = :round and s.entra_object_id = g.entra_object_id
  returning g.group_id, p.old_facts, entra_sync.group_facts(g) as new_facts
), fact as materialized (
  select group_id, entra_sync.differing_facts(old_facts, new_facts) as before,
         entra_sync.differing_facts(new_facts, old_facts) as after
    from written
)${changeRows(
  "'group.updated'",
  { group_id: 'group_id', before: 'before', after: 'after' },
  "from fact where after <> '{}'",
)}`;
