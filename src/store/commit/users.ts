// The commit of a users round: accounts, and the memberships that come and go with them (rules 3, 4, 6 to 8, 19).

import type { StreamCounts } from '../../rules/counts.ts';
import { rowCount, rows, type Transaction } from '../database/pool.ts';
import { liveManaged, liveManual, setAsideInRound, shownAgain, stagedInRound } from '../database/vocabulary.ts';
import { changeRows, removedFor, restoredFrom } from '../feed/change-rows.ts';
import { forgetDeletedElsewhere, keepDeletedElsewhere, keepReturnedUsers } from '../stage/deleted-elsewhere.ts';
import { adoptAccounts } from './adoption.ts';
import type { CommitBindings } from './bindings.ts';
import { leaveOutErased } from './erased.ts';
import { forgetOutside, judgeScope, keepDocument, keepOutside, leftScope, relabelOutside } from './group-scope.ts';
import { type Guarded, guardRemovals, metUnreadable, removedInWeek } from './guard.ts';
import { carryManagersValues, followManagers, reportsTouched } from './managers.ts';
import {
  accountsAppeared,
  accountsVanish,
  endMemberships,
  keepMemberships,
  membershipsOf,
  moveMemberships,
} from './memberships.ts';
import { purgeAccounts, toPurge } from './purge-accounts.ts';
import { stagedKinds } from './staged-kinds.ts';
import { leftGroups, noteListsRead } from './whole-lists.ts';

/** Applies the staged users. Part of the transaction of `commitRound`. */
export async function applyUsers(transaction: Transaction, given: CommitBindings): Promise<StreamCounts> {
  await leaveOutErased(transaction, given);
  const staged = await stagedKinds(transaction, given);
  // First the groups of users that were asked for: these memberships decide the scope.
  let ended = staged.lists ? await moveMemberships(transaction, endMemberships(leftGroups), given) : 0;
  let appeared = staged.members ? await keepMemberships(transaction, given) : 0;
  const { held, gaps, groupsJudged } = await judgeScope(transaction, given);
  const bind: CommitBindings = { ...given, groupsJudged };
  const run = (statement: string) => rowCount(transaction, statement, bind);
  const move = (statement: string) => moveMemberships(transaction, statement, bind);
  if (staged.managers) await transaction.raw(carryManagersValues, bind);
  const adoption = await adoptAccounts(transaction, bind, staged);
  const guard = await guardRemovals(transaction, bind, guardedAccounts);
  if (staged.held || guard.held > 0) await transaction.raw(keepEnabled, bind);
  if (bind.listing) await transaction.raw(suspendNobody, bind);
  await transaction.raw(staged.managers ? lockWithReports : lockTouched, bind);
  if (staged.outside) await transaction.raw(keepDocument, bind);
  const adopted = adoption.adopted + adoption.restored;
  const updates =
    staged.known || adopted > 0 ? await rows<{ kind: string; count: number }>(transaction, updateChanged, bind) : [];
  const count = (kind: string) => updates.find((row) => row.kind === kind)?.count ?? 0;
  if (guard.left > 0) ended += await move(accountsVanish(objectsToRemove));
  const removed = guard.left > 0 ? await run(remove) : 0;
  if (staged.deleted) await transaction.raw(hardenTombstones, bind);
  if (staged.outside || bind.scopeGroups.length > 0) {
    await transaction.raw(relabelOutside, bind);
    await transaction.raw(keepOutside, bind);
  }
  if (staged.remembered) await transaction.raw(forgetOutside, bind);
  if (staged.back || staged.strangers) await transaction.raw(keepReturnedUsers, bind);
  if (staged.restorable) await transaction.raw(keepDeletedElsewhere, bind);
  if (staged.strangers) await transaction.raw(forgetDeletedElsewhere, bind);
  if (staged.deleted) ended += await move(endMemberships(membershipsOf(permanentlyDeleted)));
  const restored = adoption.restored + (staged.hidden ? await run(restore) : 0);
  const created = staged.unknown ? await run(create) : 0;
  if (staged.lists) await transaction.raw(noteListsRead, bind);
  if (created + restored + adopted > 0) appeared += await move(accountsAppeared);
  const followed = staged.managers ? await followManagers(transaction, bind) : 0;
  const purged = await purgeAccounts(transaction, bind);
  return {
    distinct: staged.distinct - adoption.setAside,
    created,
    adopted: adoption.adopted,
    updated: count('account.updated') + followed,
    suspended: count('account.suspended'),
    resumed: count('account.resumed'),
    removed,
    restored,
    purged,
    held: held + guard.held,
    memberships_added: appeared,
    memberships_removed: ended,
    ...(gaps.length > 0 && { scope_gaps: gaps }),
  };
}

// The directory's columns of an account, where the staged user differs.
const differs = `(a.source, a.mapped, a.user_principal_name, a.mail, a.enabled)
  is distinct from (s.source, s.mapped, s.user_principal_name, s.mail, s.enabled)`;

const stagedAccounts = `entra_sync.stage_users s
  join entra_sync.accounts a
    on a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id and a.state = 'managed'`;

// A set-aside user was seen: an unreadable body removes no account.
const notSeen = `entra_sync.accounts a
 where :full::boolean and a.tenant_id = :tenant and ${liveManaged('a')} and a.entra_object_id is not null
   and not exists (select from entra_sync.rounds r where r.round_id = :round and a.read_live_at >= r.started_at)
   and not ${stagedInRound('users', 'a.entra_object_id')}
   and not ${setAsideInRound('a.entra_object_id::text')}`;

/** The accounts that the round would remove or suspend, for the guard. */
export const guardedAccounts: Guarded = {
  table: 'accounts',
  key: 'account_id',
  publicKey: 'account_id',
  live: liveManaged('x'),
  wanted: `
    select :round::bigint, x.entra_object_id, min(x.reason), bool_or(x.by_groups) from (
      select a.entra_object_id, s.removed as reason, false as by_groups from ${stagedAccounts}
       where s.round_id = :round and s.removed is not null and a.removed_at is null
      union all
      select a.entra_object_id, 'not_seen', false from ${notSeen}
      union all
      ${leftScope}
      union all
      select a.entra_object_id, 'suspended', false from ${stagedAccounts}
       where s.round_id = :round and s.removed is null and s.in_scope
         and a.removed_at is null and a.enabled and not s.enabled
    ) x group by x.entra_object_id`,
  seen: 'select count(*)::int from entra_sync.stage_users where round_id = :round and removed is null',
  inWeek: [removedInWeek, `x.suspended_at > now() - interval '7 days' and x.removed_at is null and not x.enabled`],
  cameBack: `not exists (select from entra_sync.accounts a where a.account_id = h.account_id and ${liveManaged('a')})
    or exists (select from entra_sync.stage_users s
                where s.round_id = :round and s.entra_object_id = h.object_id and s.removed is null and s.in_scope
                  and (h.reason <> 'suspended' or s.enabled))
    or h.reason = 'not_seen' and ${metUnreadable}
    or h.by_groups and :groupsJudged::boolean and not :onDemand::boolean
       and not exists (select from entra_sync.stage_removals r
                        where r.round_id = :round and r.object_id = h.object_id)`,
};

// The other changes of an account whose suspension is held are applied.
const keepEnabled = `
update entra_sync.stage_users s set enabled = true
  from entra_sync.held_removals h
 where s.round_id = :round and not s.enabled
   and h.tenant_id = :tenant and h.object_id = s.entra_object_id and h.reason = 'suspended'`;

// Users who already have an account, including one adopted in this commit.
const suspendNobody = `
update entra_sync.stage_users s set enabled = true
  from entra_sync.accounts a
 where s.round_id = :round and not s.enabled
   and a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id and a.enabled`;

const accountsToRemove = `
select a.account_id, a.entra_object_id, r.reason
  from entra_sync.stage_removals r
  join entra_sync.accounts a on a.tenant_id = :tenant and a.entra_object_id = r.object_id
 where r.round_id = :round and r.reason <> 'suspended'`;

// In id order, so that two writers cannot deadlock.
const lock = (more: string) => `
select from entra_sync.accounts where account_id in (
  select a.account_id from ${stagedAccounts}
   where s.round_id = :round
     and case when s.removed is null and s.in_scope then a.removed_at is not null or ${differs}
              else a.removed_at is null end
  union all
  select a.account_id from (${accountsToRemove}) a
  union all
  select a.account_id from ${toPurge}${more}
) order by account_id for update`;
const lockTouched = lock('');
const lockWithReports = lock(` union all ${reportsTouched}`);

// A change under an edit is written although the profile stays.
const under = (mine: string, other: string) =>
  `case when overrides = '{}' then '{}' else entra_sync.under_overrides(${mine}, ${other}, overrides) end`;

const compared = ['mapped', 'profile', 'user_principal_name', 'mail', 'enabled'];
const columnsOf = (alias: string, prefix: string) =>
  compared.map((name) => `${alias}.${name} as ${prefix}${name}`).join(', ');
const oldColumns = compared.map((name) => `p.old_${name}`).join(', ');

// The values of one side that differ, of columns that an update can change. Building the facts of many accounts again
// would be most of a round's time.
const differing = (mine: string, other: string) =>
  [
    ...['user_principal_name', 'mail'].map(
      (name) =>
        `case when ${mine}${name} is distinct from ${other}${name}
              then jsonb_build_object('${name}', ${mine}${name}) else '{}' end`,
    ),
    `case when ${mine}fields is null then '{}' else jsonb_build_object('profile', ${mine}fields) end`,
  ].join(' || ');

const updateChanged = `
with pair as materialized (
  select a.account_id, a.overrides, ${columnsOf('a', 'old_')}, s.*
    from ${stagedAccounts}
   where s.round_id = :round and s.removed is null and s.in_scope and a.removed_at is null and ${differs}
), written as (
  update entra_sync.accounts a
     set source = p.source, mapped = p.mapped, user_principal_name = p.user_principal_name, mail = p.mail,
         enabled = p.enabled,
         suspended_at = case when p.enabled then null when a.enabled then now() else a.suspended_at end,
         removal_approved = a.removal_approved and not p.enabled,
         updated_at = case when (a.mapped, a.user_principal_name, a.mail, a.enabled)
                       is distinct from (p.mapped, p.user_principal_name, p.mail, p.enabled)
                           then now() else a.updated_at end
    from pair p where a.account_id = p.account_id
  returning a.account_id, a.overrides, ${oldColumns}, ${columnsOf('a', 'new_')}
), fact as materialized (
  select w.account_id, w.old_enabled, w.new_enabled,
         ${differing('old_', 'new_')} || ${under('old_mapped', 'new_mapped')} as before,
         ${differing('new_', 'old_')} || ${under('new_mapped', 'old_mapped')} as after
    from written w cross join lateral (
      select jsonb_object_agg(key, old_profile -> key) as old_fields,
             jsonb_object_agg(key, new_profile -> key) as new_fields
        from jsonb_object_keys(old_profile || new_profile) as k (key)
       where nullif(old_profile -> key, 'null') is distinct from nullif(new_profile -> key, 'null')) f
), change as (${changeRows(
  'k.kind',
  { account_id: 'f.account_id', before: 'k.before', after: 'k.after' },
  `from fact f cross join lateral (values
      (case when f.new_enabled then 'account.resumed' else 'account.suspended' end,
       jsonb_build_object('enabled', f.old_enabled), jsonb_build_object('enabled', f.new_enabled),
       f.old_enabled <> f.new_enabled),
      ('account.updated', f.before, f.after, f.after <> '{}')
    ) as k (kind, before, after, applies)
   where k.applies
  returning kind`,
)}
)
select kind, count(*)::int as count from change group by kind`;

const restore = `
with pair as materialized (
  select a.account_id, a.removed_reason, entra_sync.account_facts(a) as old_facts, s.*
    from ${stagedAccounts}
   where s.round_id = :round and s.removed is null and s.in_scope and a.removed_at is not null
), written as (
  update entra_sync.accounts a
     set source = p.source, mapped = p.mapped, user_principal_name = p.user_principal_name, mail = p.mail,
         enabled = p.enabled,
         ${shownAgain},
         suspended_at = case when p.enabled then null else now() end, updated_at = now()
    from pair p where a.account_id = p.account_id
  returning a.account_id, p.removed_reason as old_reason, p.old_facts, entra_sync.account_facts(a) as new_facts
)${changeRows(
  "'account.restored'",
  { account_id: 'account_id', before: restoredFrom('old_reason', 'old_facts', 'new_facts'), after: 'new_facts' },
  'from written',
)}`;

const create = `
with written as (
  insert into entra_sync.accounts
         (tenant_id, entra_object_id, state, enabled, user_principal_name, mail, source, mapped)
  select :tenant, s.entra_object_id, 'managed', s.enabled, s.user_principal_name, s.mail, s.source, s.mapped
    from entra_sync.stage_users s
   where s.round_id = :round and s.removed is null and s.in_scope
     and not exists (select from entra_sync.accounts a
                      where a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id)
  returning account_id, entra_object_id, state, enabled, user_principal_name, mail, profile
)${changeRows(
  "'account.created'",
  {
    account_id: 'account_id',
    after: `jsonb_build_object('entra_object_id', entra_object_id, 'state', state, 'enabled', enabled,
         'user_principal_name', user_principal_name, 'mail', mail, 'profile', profile)`,
  },
  'from written',
)}`;

const objectsToRemove = `select x.entra_object_id from (${accountsToRemove}) x`;

// Not held accounts, nor released ones, which are manual with their groups (rule 20).
const permanentlyDeleted = `select s.entra_object_id from entra_sync.stage_users s
 where s.round_id = :round and s.removed = 'deleted'
   and not exists (select from entra_sync.held_removals h
                    where h.tenant_id = :tenant and h.object_id = s.entra_object_id offset 0)
   and not exists (select from entra_sync.accounts a
                    where a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id
                      and ${liveManual('a')} offset 0)`;

const remove = `
with written as (
  update entra_sync.accounts a
     set removed_at = now(), removal_approved = false, removed_reason = g.reason,
         purge_at = now() + :retentionMs * interval '1 millisecond', updated_at = now()
    from (${accountsToRemove}) g where a.account_id = g.account_id
  returning a.account_id, a.removed_reason
)${changeRows("'account.removed'", { account_id: 'account_id', after: removedFor('removed_reason') }, 'from written')}`;

// Soft-deleted before, permanently deleted now: only the reason changes.
const hardenTombstones = `
update entra_sync.accounts a set removed_reason = 'deleted'
  from entra_sync.stage_users s
 where s.round_id = :round and s.removed = 'deleted' and a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id
   and a.removed_reason in ('deleted_restorable', 'not_seen')`;
