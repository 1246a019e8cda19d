// A person's decision about held removals (rule 10). It takes effect at once, without Graph.

import { ExpectedError } from '../../errors.ts';
import { plural } from '../../rules/numbers.ts';
import { type Database, rowCount, rows, type Transaction } from '../database/pool.ts';
import { joinMember, liveManaged, managedInGraph, membershipsOfGroup } from '../database/vocabulary.ts';
import { closeFeedBatch, nextFeedBatch } from '../feed/batches.ts';
import { becameManual, changeRows, removedFor } from '../feed/change-rows.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { deciderOf, mayDecide, type Side } from '../settings/deciders.ts';
import { lockTenant } from '../tenants/tenants.ts';
import { keepClosure } from './closure.ts';
import { dropEmptyLists } from './guard.ts';
import { followManagers } from './managers.ts';
import { accountsVanish, endMemberships, groupsVanish, membershipsOf, moveMemberships } from './memberships.ts';
import { removeGroupsOf } from './show-groups.ts';

export type Decision = {
  readonly tenantId: string;
  readonly listId: string;
  /** Account, group or object ids; null: all of the list. */
  readonly ids: readonly string[] | null;
  readonly decision: 'approve' | 'reject';
  readonly actor: string;
  /** The side of the person who decides. */
  readonly side: Side;
  /** How many removals the person who decides has seen; another number decides nothing. */
  readonly expected?: number;
};

export type Decided = {
  readonly memberships: number;
  readonly accounts: number;
  readonly suspended: number;
  readonly groups: number;
  /** Ids that the list does not hold. */
  readonly skipped: readonly string[];
};

type Chosen = { object_id: string; group_no: string | null; names: string[]; reason: string; missed: number };

type DecisionBindings = {
  readonly tenant: string;
  readonly batch: string;
  readonly cycle: null;
  readonly actor: string;
  readonly list: string;
  readonly objects: readonly string[];
  /** Memberships: groups, and in the same order members. */
  readonly pairGroups: readonly string[];
  readonly pairMembers: readonly string[];
};

/**
 * Approves or rejects held removals of a list: an approved one is removed (or suspended) now, a rejected one is manual
 * until Graph shows it live. Throws `unknown_name` for a list that is not open, `usage` for one that has changed since it
 * was looked at, where the settings let another side decide, and to approve absences that only one full round has seen.
 */
export async function decideRemovals(database: Database, decision: Decision): Promise<Decided> {
  const { tenantId, listId, ids, actor } = decision;
  return inReportedTransaction(database, async (transaction) => {
    await lockTenant(transaction, tenantId);
    await requireDecider(transaction, tenantId, decision.side);
    const chosen = await rows<Chosen>(
      transaction,
      `select h.object_id,
              array_remove(array[h.object_id::text, h.account_id::text, g.group_id::text], null) as names,
              h.reason, h.missed,
              null::bigint as group_no
         from entra_sync.held_removals h left join entra_sync.groups g on g.group_no = h.group_no
        where h.tenant_id = :tenantId and h.list_id = :listId
       union all
       select h.member_object_id,
              array_remove(array[h.member_object_id::text, a.account_id::text, n.group_id::text, g.group_id::text],
                          null),
              'not_seen', h.missed,
              h.group_no
         from entra_sync.held_memberships h join entra_sync.groups g on g.group_no = h.group_no
         ${joinMember('h')}
        where h.tenant_id = :tenantId and h.list_id = :listId order by object_id`,
      { tenantId, listId },
    );
    if (chosen.length === 0) throw noSuchList(listId);
    const wanted = ids?.map((id) => id.toLowerCase()) ?? null;
    const taken = wanted === null ? chosen : chosen.filter((one) => one.names.some((name) => wanted.includes(name)));
    if (taken.length === 0) throw noneOfThese(listId);
    if (decision.expected !== undefined && decision.expected !== taken.length) throw changedList(listId, taken.length);
    const unconfirmed = taken.filter((one) => one.reason === 'not_seen' && one.missed < 2);
    if (decision.decision === 'approve' && unconfirmed.length > 0) throw unconfirmedYet(unconfirmed.length);
    const bind: DecisionBindings = {
      tenant: tenantId,
      batch: await nextFeedBatch(transaction),
      cycle: null,
      actor,
      list: listId,
      objects: taken.filter((one) => one.group_no === null).map((one) => one.object_id),
      pairGroups: taken.flatMap((one) => one.group_no ?? []),
      pairMembers: taken.filter((one) => one.group_no !== null).map((one) => one.object_id),
    };
    await transaction.raw(
      `select from entra_sync.accounts
        where tenant_id = :tenant and entra_object_id = any(:objects::uuid[]) order by account_id for update`,
      bind,
    );
    await transaction.raw(
      noteDecision(decision.decision === 'approve' ? 'removal.approved' : 'removal.rejected'),
      bind,
    );
    const done = decision.decision === 'approve' ? await approve(transaction, bind) : await reject(transaction, bind);
    await transaction.raw(
      `delete from entra_sync.held_removals
        where tenant_id = :tenant and list_id = :list and object_id = any(:objects::uuid[])`,
      bind,
    );
    await transaction.raw(`delete from entra_sync.held_memberships h where ${chosenMembers}`, bind);
    await dropEmptyLists(transaction, tenantId);
    await followManagers(transaction, bind);
    await transaction.raw(forgetError, bind);
    await closeFeedBatch(transaction, bind);
    return { ...done, skipped: wanted?.filter((id) => !taken.some((one) => one.names.includes(id))) ?? [] };
  });
}

async function requireDecider(transaction: Transaction, tenantId: string, side: Side): Promise<void> {
  const decider = await deciderOf(transaction, tenantId);
  if (mayDecide(decider, side)) return;
  const [who, where] =
    decider === 'customer'
      ? ["the customer's administrator decides", 'in the console']
      : ['the vendor decides', 'in the console or by the command line'];
  throw new ExpectedError('usage', `${who} about removals of this tenant (removals.decide: ${decider})`, {
    cure: `leave it to them, who decide ${where}; entra-sync tenant set TENANT FILE changes the setting`,
  });
}

// The last cycle's error holds until the last list is decided.
const forgetError = `
update entra_sync.tenants t set last_error_code = null, last_error_message = null
 where t.tenant_id = :tenant and t.last_error_code = 'removals_held'
   and not exists (select from entra_sync.removal_lists l where l.tenant_id = t.tenant_id)`;

const chosenObjects = 'h.tenant_id = :tenant and h.list_id = :list and h.object_id = any(:objects::uuid[])';
const heldOf = (condition: string) =>
  `select h.object_id as entra_object_id from entra_sync.held_removals h where ${chosenObjects} and ${condition}`;
const heldAccounts = heldOf("h.account_id is not null and h.reason <> 'suspended'");
const heldPermanentDeletions = heldOf("h.reason = 'deleted'");
const chosenMembers = `h.tenant_id = :tenant and h.list_id = :list
   and (h.group_no, h.member_object_id) in (select * from unnest(:pairGroups::bigint[], :pairMembers::uuid[]))`;
const heldMembers = `select h.group_no, h.member_object_id from entra_sync.held_memberships h where ${chosenMembers}`;

async function approve(transaction: Transaction, bind: DecisionBindings): Promise<Omit<Decided, 'skipped'>> {
  const count = (statement: string) => rowCount(transaction, statement, bind);
  const move = (statement: string) => moveMemberships(transaction, statement, bind);
  await move(accountsVanish(heldAccounts));
  const accounts = await count(removeAccounts);
  const suspended = await count(suspendAccounts);
  await move(
    groupsVanish(`select g.group_no, g.entra_object_id from entra_sync.groups g
      where g.tenant_id = :tenant and g.entra_object_id in (${heldOf('h.group_no is not null')})`),
  );
  const groups = await count(removeGroups);
  // Graph may never report the end of these memberships (rule 8).
  await move(endMemberships(membershipsOf(heldPermanentDeletions)));
  await move(
    endMemberships(`select g.group_no, m.member_object_id from entra_sync.groups g
      cross join ${membershipsOfGroup('g.group_no')} m
      where g.tenant_id = :tenant and g.entra_object_id in (${heldPermanentDeletions})`),
  );
  const memberships = await move(endMemberships(heldMembers));
  await keepClosure(transaction, { ...bind, full: false });
  return { memberships, accounts, suspended, groups };
}

async function reject(transaction: Transaction, bind: DecisionBindings): Promise<Omit<Decided, 'skipped'>> {
  const count = (statement: string) => rowCount(transaction, statement, bind);
  const memberships = await count(
    `insert into entra_sync.kept_memberships (tenant_id, group_no, member_object_id)
     select :tenant, x.group_no, x.member_object_id from (${heldMembers}) x on conflict do nothing`,
  );
  await count(noteRejectedSuspensions);
  return {
    memberships,
    accounts: await count(release('account')),
    suspended: 0,
    groups: await count(release('group')),
  };
}

const noteDecision = (kind: 'removal.approved' | 'removal.rejected') =>
  changeRows(
    `'${kind}'`,
    {
      account_id: 'd.account_id',
      group_id: 'd.group_id',
      member_group_id: 'd.member_group_id',
      after: "jsonb_build_object('reason', d.reason, 'list_id', :list::bigint)",
    },
    `from (
  select h.account_id, g.group_id, null::uuid as member_group_id, h.reason
    from entra_sync.held_removals h left join entra_sync.groups g on g.group_no = h.group_no
   where ${chosenObjects}
  union all
  select a.account_id, g.group_id, n.group_id, 'not_seen'
    from entra_sync.held_memberships h join entra_sync.groups g on g.group_no = h.group_no
    ${joinMember('h')}
   where ${chosenMembers}) d`,
  );

const ofList = (alias: string, live = liveManaged(alias)) => `${chosenObjects}
   and ${alias}.tenant_id = :tenant and ${alias}.entra_object_id = h.object_id and ${live}`;

const retention = '(select t.retention from entra_sync.tenants t where t.tenant_id = :tenant)';

const removed = `removed_at = now(), removed_reason = h.reason, removal_approved = true, updated_at = now(),
       purge_at = now() + ${retention}`;

const noteRejectedSuspensions = `
update entra_sync.accounts a set suspension_rejected = true from entra_sync.held_removals h
 where ${ofList('a')} and h.reason = 'suspended'`;

const removeAccounts = `
with written as (
  update entra_sync.accounts a set ${removed}
    from entra_sync.held_removals h where ${ofList('a')} and h.reason <> 'suspended'
  returning a.account_id, a.removed_reason
)${changeRows("'account.removed'", { account_id: 'account_id', after: removedFor('removed_reason') }, 'from written')}`;

const suspendAccounts = `
with written as (
  update entra_sync.accounts a set enabled = false, suspended_at = now(), removal_approved = true, updated_at = now()
    from entra_sync.held_removals h where ${ofList('a')} and h.reason = 'suspended'
  returning a.account_id
)${changeRows(
  "'account.suspended'",
  { account_id: 'account_id', before: `'{"enabled": true}'`, after: `'{"enabled": false}'` },
  'from written',
)}`;

const removeGroups = removeGroupsOf(
  `select g.group_no, h.reason from entra_sync.held_removals h, entra_sync.groups g
    where ${ofList('g', managedInGraph('g'))}`,
  retention,
  true,
);

const release = (what: 'account' | 'group') => `
with written as (
  update entra_sync.${what}s x set state = 'manual', updated_at = now()
    from entra_sync.held_removals h where ${ofList('x')}
  returning x.${what}_id
)${changeRows(`'${what}.released'`, { [`${what}_id`]: `${what}_id`, ...becameManual }, 'from written')}`;

function changedList(listId: string, now: number): ExpectedError {
  return new ExpectedError(
    'usage',
    `list ${listId} has changed meanwhile: the decision is about ${plural(now, 'removal')} now`,
    {
      cure: 'look at the list again: entra-sync removals list TENANT',
    },
  );
}

function noSuchList(listId: string): ExpectedError {
  return new ExpectedError('unknown_name', `there is no open list ${listId} of held removals of this tenant`, {
    cure: 'entra-sync removals list shows what is held now; a list ends when it is decided or no longer applies',
  });
}

function noneOfThese(listId: string): ExpectedError {
  return new ExpectedError('unknown_name', `none of these ids is in list ${listId}`, {
    cure: 'entra-sync removals list shows what is held now',
  });
}

function unconfirmedYet(count: number): ExpectedError {
  return new ExpectedError('usage', `${count} of them were missed by one full round only; nothing was removed`, {
    cure: 'entra-sync resync TENANT, then approve again: what a second full round shows leaves the list',
  });
}
