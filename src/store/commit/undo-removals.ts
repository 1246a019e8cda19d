// A person takes removals back: one account, or all that a cycle or a list of held removals has removed. They are kept as
// rejected ones are: manual, and managed again when Graph shows them live and in scope.

import { ExpectedError } from '../../errors.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';
import { shownAgain } from '../database/vocabulary.ts';
import { closeFeedBatch, nextFeedBatch } from '../feed/batches.ts';
import { changeRows, removedFor } from '../feed/change-rows.ts';
import { inDryRun } from '../feed/receipts.ts';
import { lockTenant } from '../tenants/tenants.ts';
import { keepClosure } from './closure.ts';
import { followManagers } from './managers.ts';
import { accountsAppeared, groupsAppeared, moveMemberships } from './memberships.ts';

export type UndoOf = { readonly cycle: string } | { readonly list: string };

/** Why a removed account or group is not shown again. not_copied: no name of the group is kept. ES008: another live account has its mail or user principal name. */
export type UndoSkip = 'purged' | 'live' | 'not_copied' | 'removed_again' | 'ES008';

export type UndoneRemoval = {
  readonly what: 'account' | 'group';
  readonly id: string;
  /** Null where it was purged. */
  readonly name: string | null;
  readonly outcome: 'shown' | UndoSkip;
};

export type UndoneRemovals = { readonly removals: readonly UndoneRemoval[]; readonly memberships: number };

/**
 * Shows accounts and groups again that a cycle or an approved list removed, as far as they are still removed for that, in
 * one transaction; a dry run is rolled back. Memberships that ended since stay ended. `look` sees what is done before it is
 * committed, and may throw. Throws `unknown_name` for a cycle or list that removed none.
 */
export async function undoRemovals(
  database: Database,
  {
    tenantId,
    of,
    actor,
    dryRun,
    look,
  }: {
    tenantId: string;
    of: UndoOf;
    actor: string;
    dryRun: boolean;
    look?: (removals: readonly UndoneRemoval[]) => void;
  },
): Promise<UndoneRemovals> {
  return inDryRun(database, dryRun, async (transaction) => {
    await lockTenant(transaction, tenantId);
    const numbers = 'cycle' in of ? { cycleOf: of.cycle, list: null } : { cycleOf: null, list: of.list };
    const found = await rows<UndoneRemoval>(transaction, removalsOf(of), { tenant: tenantId, ...numbers });
    if (found.length === 0) throw removedNone(of);
    const bind = { tenant: tenantId, batch: await nextFeedBatch(transaction), cycle: null, actor };
    const removals = await showAccounts(transaction, bind, found);
    look?.(removals);
    let memberships = await moveMemberships(transaction, accountsAppeared, bind);
    const groups = removals.flatMap(({ what, id, outcome }) => (what === 'group' && outcome === 'shown' ? id : []));
    if (groups.length > 0) {
      await transaction.raw(lockGroups, { ...bind, groups });
      await transaction.raw(showGroups, { ...bind, groups });
      memberships += await moveMemberships(transaction, groupsAppeared, bind);
      await keepClosure(transaction, { ...bind, full: false });
    }
    await followManagers(transaction, bind);
    await closeFeedBatch(transaction, bind);
    return { removals, memberships };
  });
}

type UndoBindings = {
  readonly tenant: string;
  readonly batch: string;
  readonly cycle: null;
  readonly actor: string;
};

async function showAccounts(
  transaction: Transaction,
  bind: UndoBindings,
  found: readonly UndoneRemoval[],
): Promise<UndoneRemoval[]> {
  const wanted = found.flatMap(({ what, id, outcome }) => (what === 'account' && outcome === 'shown' ? id : []));
  const done = await rows<{ account_id: string; taken: string | null }>(
    transaction,
    'select account_id, taken from entra_sync.show_many_again(:tenant, :wanted::uuid[], :batch, :actor)',
    { ...bind, wanted },
  );
  const taken = new Set(done.flatMap((one) => (one.taken === null ? [] : one.account_id)));
  return found.map((one) => (taken.has(one.id) ? { ...one, outcome: 'ES008' } : one));
}

// The removals of an approved list are in the batches of its decisions. `+ 0`: the history of one account or group is short, and
// the batch may hold very many.
const removalsBy = (of: UndoOf) =>
  'cycle' in of
    ? `select c.change_id, c.kind, c.account_id, c.group_id from entra_sync.changes c
        where c.tenant_id = :tenant and c.cycle_id = :cycleOf::bigint
          and c.kind in ('account.removed', 'group.removed')`
    : (['account', 'group'] as const)
        .map(
          (what) => `
      select c.change_id, c.kind, c.account_id, c.group_id
        from entra_sync.changes d
       cross join lateral (
         select c.* from entra_sync.changes c
          where c.${what}_id = d.${what}_id and c.batch_id + 0 = d.batch_id offset 0) c
       where d.tenant_id = :tenant and d.kind = 'removal.approved' and c.kind = '${what}.removed'
         and (d.after ->> 'list_id')::bigint = :list::bigint`,
        )
        .join(' union all ');

const lifeOf = (what: 'account' | 'group') => `lateral (
  select l.change_id from entra_sync.changes l
   where l.${what}_id = r.${what}_id
     and l.kind in ('${what}.created', '${what}.restored', '${what}.removed', '${what}.purged')
   order by l.change_id desc limit 1)`;

const outcomeOf = (alias: 'a' | 'g') => `
case when ${alias}.tenant_id is null then 'purged'
     when ${alias}.removed_at is null then 'live'
     when ${alias === 'g' ? 'not g.copied' : 'false'} then 'not_copied'
     when l.change_id <> r.change_id then 'removed_again' else 'shown' end`;

// The changes of one account or group have ids in the order of their commits.
const removalsOf = (of: UndoOf) => `
with removal as materialized (${removalsBy(of)})
select 'account' as what, r.account_id as id,
       coalesce(a.profile ->> 'displayName', a.source ->> 'displayName', a.user_principal_name) as name,
       ${outcomeOf('a')} as outcome
  from removal r left join ${lifeOf('account')} l on true left join entra_sync.accounts a on a.account_id = r.account_id
 where r.kind = 'account.removed'
union all
select 'group', r.group_id, g.display_name, ${outcomeOf('g')}
  from removal r left join ${lifeOf('group')} l on true left join entra_sync.groups g on g.group_id = r.group_id
 where r.kind = 'group.removed'
 order by 1, 3, 2`;

const lockGroups = `
select from entra_sync.groups
 where tenant_id = :tenant and group_id = any(:groups::uuid[]) order by group_id for update`;

const showGroups = `
with pair as materialized (
  select g.group_no, g.removed_reason, entra_sync.group_facts(g) as old_facts from entra_sync.groups g
   where g.tenant_id = :tenant and g.group_id = any(:groups::uuid[])
), written as (
  update entra_sync.groups g set state = 'manual', ${shownAgain}, updated_at = now()
    from pair p where g.group_no = p.group_no
  returning g.group_id, p.removed_reason as old_reason, p.old_facts, entra_sync.group_facts(g) as new_facts
)${changeRows(
  "'group.restored'",
  {
    group_id: 'group_id',
    before: `${removedFor('old_reason')} || entra_sync.differing_facts(old_facts, new_facts)`,
    after: 'new_facts',
  },
  'from written',
)}`;

function removedNone(of: UndoOf): ExpectedError {
  return 'cycle' in of
    ? new ExpectedError('unknown_name', `cycle ${of.cycle} of this tenant removed no account and no group`, {
        cure: 'entra-sync changes --tenant TENANT --kind "*.removed" shows the cycles that did',
      })
    : new ExpectedError('unknown_name', `no removal of list ${of.list} of this tenant was approved`, {
        cure: 'entra-sync removals history TENANT shows the decided lists; removals reject keeps what a list still holds',
      });
}
