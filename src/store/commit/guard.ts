// The guard between what a round wants to remove and its removal (rule 10): judged, then applied as a whole or held.
import { enoughBefore, type RemovalCounts, whyHeld } from '../../rules/guard.ts';
import { rowCount, rows, type Transaction } from '../database/pool.ts';
import { liveManaged, setAsideInRound } from '../database/vocabulary.ts';
import { changeRows } from '../feed/change-rows.ts';
import type { CommitBindings } from './bindings.ts';

/** What differs between accounts and groups. */
export type Guarded = {
  /** Table and key of what is guarded, as `x`. */
  readonly table: 'accounts' | 'groups';
  readonly key: 'account_id' | 'group_no';
  readonly publicKey: 'account_id' | 'group_id';
  /** Fills stage_removals with object_id, reason and by_groups of all that the round would remove or suspend. */
  readonly wanted: string;
  /** Live objects that the round's stage shows. */
  readonly seen: string;
  /** Ways to have been removed or suspended within seven days and to be so still; of the table as `x`. */
  readonly inWeek: readonly string[];
  /** Condition on a held row `h`: the round shows it back where it was. */
  readonly cameBack: string;
};

export type Verdict = {
  /** Newly held by this round. */
  readonly held: number;
  /** Held before, and there again. */
  readonly cameBack: number;
  /** What the round does remove or suspend. */
  readonly left: number;
};

/**
 * Fills the round's stage_removals, and takes out of it what is beyond the limits: that waits in a list of its own. What
 * was held before and is there again leaves its list. An on-demand read wants to remove nobody.
 */
export async function guardRemovals(
  transaction: Transaction,
  bind: CommitBindings,
  guarded: Guarded,
): Promise<Verdict> {
  if (bind.onDemand) return { held: 0, cameBack: await letGo(transaction, bind, guarded), left: 0 };
  const staged = await rowCount(
    transaction,
    `insert into entra_sync.stage_removals (round_id, object_id, reason, by_groups) ${guarded.wanted}`,
    bind,
  );
  const cameBack = await letGo(transaction, bind, guarded);
  if (staged === 0) return { held: 0, cameBack, left: 0 };
  await noteMissed(transaction, bind);
  const counts = await countRemovals(transaction, bind, guarded);
  const why = whyHeld(counts, bind.removals);
  if (why === null) return { held: 0, cameBack, left: counts.wanted };
  return { held: await hold(transaction, bind, guarded, why), cameBack, left: 0 };
}

async function countRemovals(transaction: Transaction, bind: CommitBindings, guarded: Guarded): Promise<RemovalCounts> {
  const [found] = await rows<Omit<RemovalCounts, 'before' | 'full'>>(transaction, countsOf(guarded), bind);
  const some = found ?? { wanted: 0, held: 0, week: 0, weekRemoved: 0, seen: 0 };
  const [live] = await rows<{ before: number }>(transaction, countBefore(guarded), {
    ...bind,
    enough: enoughBefore(some, bind.removals),
  });
  return { ...some, before: live?.before ?? 0, full: bind.full };
}

/** Of a held row `h`: the round met it with a body that nobody can read, so it is there (rules 19, 22). */
export const metUnreadable = setAsideInRound('h.object_id::text');

const ofStream = (guarded: Guarded) =>
  guarded.table === 'accounts' ? 'h.account_id is not null' : 'h.group_no is not null';

// Lists only shrink; one that is empty is done.
async function letGo(transaction: Transaction, bind: CommitBindings, guarded: Guarded): Promise<number> {
  const gone = await rowCount(
    transaction,
    `delete from entra_sync.held_removals h where h.tenant_id = :tenant and ${ofStream(guarded)} and (${guarded.cameBack})`,
    bind,
  );
  if (gone > 0) await dropEmptyLists(transaction, bind.tenant);
  return gone;
}

/** Ends the lists of a tenant that nothing is held in any more. */
export async function dropEmptyLists(transaction: Transaction, tenant: string): Promise<void> {
  await transaction.raw(
    `delete from entra_sync.removal_lists l
      where l.tenant_id = :tenant and not exists (select from entra_sync.held_removals h where h.list_id = l.list_id)
        and not exists (select from entra_sync.held_memberships h where h.list_id = l.list_id)`,
    { tenant },
  );
}

// What is held already is not wanted a second time; a full round that missed it again is noted, and a tombstone is surer
// than absence. Whose suspension is held and who is to be removed now is another decision, so it is judged anew.
async function noteMissed(transaction: Transaction, bind: CommitBindings): Promise<void> {
  const changed = await rowCount(
    transaction,
    `delete from entra_sync.held_removals h using entra_sync.stage_removals r
      where r.round_id = :round and h.tenant_id = :tenant and h.object_id = r.object_id
        and h.reason = 'suspended' and r.reason <> 'suspended'`,
    bind,
  );
  if (changed > 0) await dropEmptyLists(transaction, bind.tenant);
  await transaction.raw(
    `update entra_sync.held_removals h
        set missed = h.missed + case when r.reason = 'not_seen' then 1 else 0 end,
            reason = case when r.reason = 'deleted' or r.reason = 'deleted_restorable' and h.reason <> 'deleted' then r.reason else h.reason end
       from entra_sync.stage_removals r
      where r.round_id = :round and h.tenant_id = :tenant and h.object_id = r.object_id`,
    bind,
  );
  await transaction.raw(
    `delete from entra_sync.stage_removals r using entra_sync.held_removals h
      where r.round_id = :round and h.tenant_id = :tenant and h.object_id = r.object_id`,
    bind,
  );
}

/** Of the table as `x`. Whoever is removed has a time of purge, by which the removed are indexed. */
export const removedInWeek = "x.purge_at is not null and x.removed_at > now() - interval '7 days'";

// By a cycle, and not approved. Distinct: whoever is wanted now is counted once, whatever happened to the person within the week.
// With `offset 0` it is one look-up each, even where the planner has no statistics of the stage.
const inWeek = (guarded: Guarded) =>
  guarded.inWeek
    .map(
      (way) => `
    select x.removed_at from entra_sync.${guarded.table} x
     where x.tenant_id = :tenant and x.state = 'managed' and not x.removal_approved and ${way}
       and x.entra_object_id is not null
       and not exists (select from entra_sync.stage_removals r where r.round_id = :round and r.object_id = x.entra_object_id offset 0)`,
    )
    .join(' union all ');

// With a retention below a week the rows of those who were removed in it may be gone already.
const purgedInWeek = (guarded: Guarded) => `
  case when (select t.retention < interval '7 days' from entra_sync.tenants t where t.tenant_id = :tenant) then (
    select count(*)::int from entra_sync.batches b join entra_sync.changes c on c.batch_id = b.batch_id
     where b.tenant_id = :tenant and b.committed_at > now() - interval '7 days'
       and c.tenant_id = :tenant and c.at > now() - interval '7 days'
       and c.kind = '${guarded.table === 'accounts' ? 'account' : 'group'}.purged') else 0 end`;

const countsOf = (guarded: Guarded) => `
with week as (
  select count(*)::int as all_of_them, (count(*) filter (where w.removed_at is not null))::int as removed from (${inWeek(guarded)}) w
), purged as (
  select ${purgedInWeek(guarded)} as count
)
select (select count(*)::int from entra_sync.stage_removals where round_id = :round) as wanted,
       (select count(*)::int from entra_sync.held_removals h where h.tenant_id = :tenant and ${ofStream(guarded)}) as held,
       w.all_of_them + p.count as week, w.removed + p.count as "weekRemoved", (${guarded.seen}) as seen
  from week w cross join purged p`;

// As far as it matters: a round that removes few of many does not look at them all.
const countBefore = (guarded: Guarded) => `
select count(*)::int as before from (
  select from entra_sync.${guarded.table} x
   where x.tenant_id = :tenant and ${liveManaged('x')} limit :enough::bigint) live`;

async function hold(transaction: Transaction, bind: CommitBindings, guarded: Guarded, why: string): Promise<number> {
  const list = await openList(transaction, bind, why);
  return rowCount(
    transaction,
    `with moved as (
       delete from entra_sync.stage_removals where round_id = :round returning object_id, reason, by_groups
     ), held as (
       insert into entra_sync.held_removals (list_id, tenant_id, object_id, ${guarded.key}, reason, by_groups, missed)
       select :list, :tenant, m.object_id, x.${guarded.key}, m.reason, m.by_groups, case when m.reason = 'not_seen' then 1 else 0 end
         from moved m join entra_sync.${guarded.table} x on x.tenant_id = :tenant and x.entra_object_id = m.object_id
       returning object_id, reason
     )${changeRows(
       "'removal.held'",
       {
         [guarded.publicKey]: `x.${guarded.publicKey}`,
         after: "jsonb_build_object('reason', h.reason, 'list_id', :list::bigint)",
       },
       `from held h
       join entra_sync.${guarded.table} x on x.tenant_id = :tenant and x.entra_object_id = h.object_id`,
     )}`,
    { ...bind, list },
  );
}

/** Opens a list of what this round wants to remove, and gives its number. */
export async function openList(transaction: Transaction, bind: CommitBindings, why: string): Promise<string> {
  const [list] = await rows<{ list_id: string }>(
    transaction,
    `insert into entra_sync.removal_lists (tenant_id, stream, why, cycle_id)
     values (:tenant, :stream, :why, :cycle) returning list_id`,
    { ...bind, why },
  );
  return list?.list_id ?? '0';
}
