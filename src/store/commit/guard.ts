// The guard judges the removals and suspensions of a round (rule 10): all are applied, or all are held.
import { enoughBefore, type RemovalCounts, whyHeld } from '../../rules/guard.ts';
import { rowCount, rows, type Transaction } from '../database/pool.ts';
import { setAsideInRound } from '../database/vocabulary.ts';
import { changeRows } from '../feed/change-rows.ts';
import type { CommitBindings } from './bindings.ts';

/** The parts of the guard that differ between accounts and groups. */
export type Guarded = {
  /** The table (as `x`) and its key. */
  readonly table: 'accounts' | 'groups';
  readonly key: 'account_id' | 'group_no';
  readonly publicKey: 'account_id' | 'group_id';
  /** The condition on `x` that it may be removed: the limits are of these. */
  readonly live: string;
  /** The query that fills stage_removals (object_id, reason, by_groups): all that the round would remove or suspend. */
  readonly wanted: string;
  /** The query that counts the round's live objects. */
  readonly seen: string;
  /** Conditions on `x`: removed, or suspended, within seven days and still so. */
  readonly inWeek: readonly string[];
  /** The condition on a held row `h` that the removal no longer applies. */
  readonly cameBack: string;
};

export type Verdict = {
  /** Newly held by this round. */
  readonly held: number;
  /** Held, and no longer due. */
  readonly cameBack: number;
  /** Removed or suspended by this round. */
  readonly left: number;
};

/**
 * Fills stage_removals, moves removals beyond the limits into a new list and drops held ones that are no longer due. An
 * on-demand read removes nothing.
 */
export async function guardRemovals(
  transaction: Transaction,
  bind: CommitBindings,
  guarded: Guarded,
): Promise<Verdict> {
  if (bind.onDemand) return { held: 0, cameBack: await dropSettledHolds(transaction, bind, guarded), left: 0 };
  const staged = await rowCount(
    transaction,
    `insert into entra_sync.stage_removals (round_id, object_id, reason, by_groups) ${guarded.wanted}`,
    bind,
  );
  const cameBack = await dropSettledHolds(transaction, bind, guarded);
  if (staged === 0) return { held: 0, cameBack, left: 0 };
  await noteMissed(transaction, bind);
  const counts = await countRemovals(transaction, bind, guarded);
  const why = whyHeld(counts, bind.removals);
  if (why === null) return { held: 0, cameBack, left: counts.wanted };
  return { held: await hold(transaction, bind, guarded, why), cameBack, left: 0 };
}

async function countRemovals(transaction: Transaction, bind: CommitBindings, guarded: Guarded): Promise<RemovalCounts> {
  const [found] = await rows<Counted>(transaction, countsOf(guarded), bind);
  return { ...(await withBefore(transaction, bind, guarded, found ?? none)), full: bind.full };
}

type Counted = Omit<RemovalCounts, 'before' | 'full'>;
const none: Counted = { wanted: 0, held: 0, week: 0, weekRemoved: 0, seen: 0 };

async function withBefore<Found extends Counted>(
  transaction: Transaction,
  bind: Pick<CommitBindings, 'tenant' | 'removals'>,
  guarded: Guarded,
  found: Found,
): Promise<Found & { readonly before: number }> {
  const enough = enoughBefore(found, bind.removals);
  const [live] = await rows<{ before: number }>(transaction, countBefore(guarded), { ...bind, enough });
  return { ...found, before: live?.before ?? 0 };
}

/** The accounts or groups that the next round would remove or suspend, as far as the stored rows tell. */
export type Foreseen = Pick<CommitBindings, 'tenant' | 'removals' | 'full'> & {
  readonly objects: readonly { readonly id: string; readonly reason: string }[];
};

export type ForeseenVerdict = {
  /** Why the guard would hold the removals; null: it would not. */
  readonly why: string | null;
  /** How many of the objects are held already. */
  readonly waiting: number;
};

/** Returns what {@link guardRemovals} would decide of removals that no round has staged. Writes nothing. */
export async function foreseeRemovals(
  transaction: Transaction,
  { tenant, removals, full, objects }: Foreseen,
  guarded: Guarded,
): Promise<ForeseenVerdict> {
  if (objects.length === 0) return { why: null, waiting: 0 };
  const bind = { tenant, removals, ids: objects.map(({ id }) => id), reasons: objects.map(({ reason }) => reason) };
  const [found] = await rows<Counted & { waiting: number }>(transaction, foreseenCounts(guarded), bind);
  const counts = await withBefore(transaction, bind, guarded, found ?? { ...none, waiting: 0 });
  return { why: whyHeld({ ...counts, full }, removals), waiting: counts.waiting };
}

/** The condition on a held row `h` that the round saw its object unreadable, so it exists (rules 19, 22). */
export const metUnreadable = setAsideInRound('h.object_id::text');

const ofStream = (guarded: Guarded) =>
  guarded.table === 'accounts' ? 'h.account_id is not null' : 'h.group_no is not null';

// Lists only shrink; an empty one is deleted.
async function dropSettledHolds(transaction: Transaction, bind: CommitBindings, guarded: Guarded): Promise<number> {
  const dropped = await rowCount(
    transaction,
    `delete from entra_sync.held_removals h
      where h.tenant_id = :tenant and ${ofStream(guarded)} and (${guarded.cameBack})`,
    bind,
  );
  if (dropped > 0) await dropEmptyLists(transaction, bind.tenant);
  return dropped;
}

/** Deletes a tenant's lists that hold nothing any more. */
export async function dropEmptyLists(transaction: Transaction, tenant: string): Promise<void> {
  await transaction.raw(
    `delete from entra_sync.removal_lists l
      where l.tenant_id = :tenant and not exists (select from entra_sync.held_removals h where h.list_id = l.list_id)
        and not exists (select from entra_sync.held_memberships h where h.list_id = l.list_id)`,
    { tenant },
  );
}

// Counts another miss of a removal already held, instead of proposing it again. A tombstone replaces the weaker reason
// of absence. A removal drops a held suspension, which is another decision.
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
            reason = case when r.reason = 'deleted' or r.reason = 'deleted_restorable' and h.reason <> 'deleted'
                          then r.reason else h.reason end
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

/** The condition on `x` that it was removed within a week. `purge_at` is indexed for removed rows. */
export const removedInWeek = "x.purge_at is not null and x.removed_at > now() - interval '7 days'";

// Removals by cycles without approval. An object that this round proposes counts once, among the proposed. `offset 0`:
// one look-up each, even without statistics of the stage.
const inWeek = (guarded: Guarded, isProposed: string) =>
  guarded.inWeek
    .map(
      (way) => `
    select x.removed_at from entra_sync.${guarded.table} x
     where x.tenant_id = :tenant and x.state = 'managed' and not x.removal_approved and ${way}
       and x.entra_object_id is not null and not ${isProposed}`,
    )
    .join(' union all ');

const isStaged = `exists (select from entra_sync.stage_removals r
  where r.round_id = :round and r.object_id = x.entra_object_id offset 0)`;

// A retention below a week may have purged some already.
const purgedInWeek = (guarded: Guarded) => `
  case when (select t.retention < interval '7 days' from entra_sync.tenants t where t.tenant_id = :tenant) then (
    select count(*)::int from entra_sync.batches b join entra_sync.changes c on c.batch_id = b.batch_id
     where b.tenant_id = :tenant and b.committed_at > now() - interval '7 days'
       and c.tenant_id = :tenant and c.at > now() - interval '7 days'
       and c.kind = '${guarded.table === 'accounts' ? 'account' : 'group'}.purged') else 0 end`;

const week = (guarded: Guarded, isProposed: string) => `
week as (
  select count(*)::int as all_of_them, (count(*) filter (where w.removed_at is not null))::int as removed
    from (${inWeek(guarded, isProposed)}) w
), purged as (
  select ${purgedInWeek(guarded)} as count
)`;

const countsOf = (guarded: Guarded) => `
with ${week(guarded, isStaged)}
select (select count(*)::int from entra_sync.stage_removals where round_id = :round) as wanted,
       (select count(*)::int from entra_sync.held_removals h
         where h.tenant_id = :tenant and ${ofStream(guarded)}) as held,
       w.all_of_them + p.count as week, w.removed + p.count as "weekRemoved", (${guarded.seen}) as seen
  from week w cross join purged p`;

// The same numbers of objects that are given. A held one is not proposed again, but a removal and a suspension replace each
// other. What was held for a setting, and would stay now, comes back.
const foreseenCounts = (guarded: Guarded) => `
with given as materialized (
  select * from unnest(:ids::uuid[], :reasons::text[]) as g (object_id, reason)
), held as materialized (
  select h.object_id, g.object_id is not null as again from entra_sync.held_removals h
    left join given g on g.object_id = h.object_id
   where h.tenant_id = :tenant and ${ofStream(guarded)}
     and case when g.object_id is null then h.reason not in ('out_of_scope', 'disabled', 'not_copied', 'suspended')
              else (h.reason = 'suspended') = (g.reason = 'suspended') end
), proposed as materialized (
  select g.object_id from given g where not exists (select from held h where h.object_id = g.object_id)
), ${week(guarded, 'exists (select from proposed r where r.object_id = x.entra_object_id)')}
select (select count(*)::int from proposed) as wanted, (select count(*)::int from held) as held,
       (select count(*)::int from held where again) as waiting,
       w.all_of_them + p.count as week, w.removed + p.count as "weekRemoved", 1 as seen
  from week w cross join purged p`;

// No further than needed: a round that removes few of many does not scan them all.
const countBefore = (guarded: Guarded) => `
select count(*)::int as before from (
  select from entra_sync.${guarded.table} x
   where x.tenant_id = :tenant and ${guarded.live} limit :enough::bigint) live`;

async function hold(transaction: Transaction, bind: CommitBindings, guarded: Guarded, why: string): Promise<number> {
  const list = await openList(transaction, bind, why);
  return rowCount(
    transaction,
    `with moved as (
       delete from entra_sync.stage_removals where round_id = :round returning object_id, reason, by_groups
     ), held as (
       insert into entra_sync.held_removals (list_id, tenant_id, object_id, ${guarded.key}, reason, by_groups, missed)
       select :list, :tenant, m.object_id, x.${guarded.key}, m.reason, m.by_groups,
              case when m.reason = 'not_seen' then 1 else 0 end
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

// No rollback gives an identity number back. Batches have gaps anyway, and two transactions never share a number of them.
const provisionalList = "-nextval(pg_get_serial_sequence('entra_sync.batches', 'batch_id'))";

/** Opens a list of held removals and returns its id, which is below 0 in what is rolled back. */
export async function openList(transaction: Transaction, bind: CommitBindings, why: string): Promise<string> {
  const [list] = await rows<{ list_id: string }>(
    transaction,
    `insert into entra_sync.removal_lists (list_id, tenant_id, stream, why, cycle_id) overriding system value
     values (${bind.rolledBack ? provisionalList : 'default'}, :tenant, :stream, :why, :cycle) returning list_id`,
    { ...bind, why },
  );
  return list?.list_id ?? '0';
}
