// The guard judges memberships that the sweep of a full round would end (rule 10): per group, and all together.
import { whyGroupHeld, whyHeld } from '../../rules/guard.ts';
import { rowCount, rows, type Transaction } from '../database/pool.ts';
import { joinMember } from '../database/vocabulary.ts';
import { changeRows } from '../feed/change-rows.ts';
import { unnamedMembers, wholeLists } from '../stage/sweep.ts';
import type { CommitBindings } from './bindings.ts';
import { dropEmptyLists, openList } from './guard.ts';

/**
 * Fills stage_endings with the stored memberships that whole lists lack, except those that a person keeps, and moves
 * those beyond the limits into lists. Returns how many are newly held.
 */
export async function guardMemberships(transaction: Transaction, bind: CommitBindings): Promise<number> {
  await transaction.raw(
    `insert into entra_sync.stage_endings (round_id, group_no, member_object_id)
     select :round::bigint, u.group_no, u.member_object_id from (${unnamedMembers(wholeLists)}) u`,
    bind,
  );
  await dropSettledHolds(transaction, bind);
  await noteMissed(transaction, bind);
  const groups = await rows<{ group_no: string; size: number; wanted: number }>(transaction, perGroup, bind);
  if (groups.length === 0) return 0;
  let held = 0;
  for (const { group_no: groupNo, size, wanted } of groups) {
    const why = whyGroupHeld(wanted, size, bind.removals);
    if (why !== null) held += await hold(transaction, bind, why, groupNo);
  }
  const [all] = await rows<{ before: number; wanted: number }>(transaction, allTogether, bind);
  const counts = {
    before: all?.before ?? 0,
    wanted: all?.wanted ?? 0,
    held: 0,
    week: 0,
    weekRemoved: 0,
    full: false,
    seen: 1,
  };
  const why = whyHeld(counts, bind.removals);
  return why === null ? held : held + (await hold(transaction, bind, `of memberships, ${why}`, null));
}

// Settled: a list or slice names it again, or one of its ends is removed.
async function dropSettledHolds(transaction: Transaction, bind: CommitBindings): Promise<void> {
  const dropped = await rowCount(
    transaction,
    `delete from entra_sync.held_memberships h
      where h.tenant_id = :tenant
        and (not exists (select from entra_sync.memberships m
                          where m.tenant_id = :tenant and m.group_no = h.group_no
                            and m.member_object_id = h.member_object_id)
             or exists (select from entra_sync.accounts a
                         where a.tenant_id = :tenant and a.entra_object_id = h.member_object_id
                           and a.removed_at is not null)
             or exists (select from entra_sync.groups g where g.group_no = h.group_no and g.removed_at is not null)
             or exists (select from entra_sync.groups n
                         where n.tenant_id = :tenant and n.entra_object_id = h.member_object_id
                           and n.removed_at is not null)
             or exists (select from entra_sync.staged_members s join entra_sync.groups g
                          on g.tenant_id = :tenant and g.entra_object_id = s.group_object_id and g.group_no = h.group_no
                         where s.round_id = :round and s.member_object_id = h.member_object_id and not s.removed))`,
    bind,
  );
  if (dropped > 0) await dropEmptyLists(transaction, bind.tenant);
  await transaction.raw(
    `delete from entra_sync.kept_memberships k
      where k.tenant_id = :tenant
        and (not exists (select from entra_sync.memberships m
                          where m.tenant_id = :tenant and m.group_no = k.group_no
                            and m.member_object_id = k.member_object_id)
             or exists (select from entra_sync.staged_members s join entra_sync.groups g
                          on g.tenant_id = :tenant and g.entra_object_id = s.group_object_id and g.group_no = k.group_no
                         where s.round_id = :round and s.member_object_id = k.member_object_id))`,
    bind,
  );
  await transaction.raw(
    `delete from entra_sync.stage_endings e using entra_sync.kept_memberships k
      where e.round_id = :round and k.group_no = e.group_no and k.member_object_id = e.member_object_id`,
    bind,
  );
}

async function noteMissed(transaction: Transaction, bind: CommitBindings): Promise<void> {
  await transaction.raw(
    `update entra_sync.held_memberships h set missed = h.missed + case when :full::boolean then 1 else 0 end
       from entra_sync.stage_endings e
      where e.round_id = :round and h.group_no = e.group_no and h.member_object_id = e.member_object_id`,
    bind,
  );
  await transaction.raw(
    `delete from entra_sync.stage_endings e using entra_sync.held_memberships h
      where e.round_id = :round and h.group_no = e.group_no and h.member_object_id = e.member_object_id`,
    bind,
  );
}

const perGroup = `
select e.group_no, count(*)::int as wanted,
       (select count(*)::int from entra_sync.member_groups m
         where m.tenant_id = :tenant and m.group_nos @> array[e.group_no]) as size
  from entra_sync.stage_endings e where e.round_id = :round group by e.group_no order by e.group_no`;

const allTogether = `
select (select count(*)::int from entra_sync.stage_endings where round_id = :round) as wanted,
       (select count(*)::int from entra_sync.memberships m
          join entra_sync.groups g on g.group_no = m.group_no and g.removed_at is null
         where m.tenant_id = :tenant) as before`;

/** Moves the endings of one group, or of all, into a new list. Returns how many. */
async function hold(
  transaction: Transaction,
  bind: CommitBindings,
  why: string,
  groupNo: string | null,
): Promise<number> {
  const list = await openList(transaction, bind, why);
  return rowCount(
    transaction,
    `with moved as (
       delete from entra_sync.stage_endings e
        where e.round_id = :round and (:groupNo::bigint is null or e.group_no = :groupNo)
       returning e.group_no, e.member_object_id
     ), held as (
       insert into entra_sync.held_memberships (list_id, tenant_id, group_no, member_object_id)
       select :list, :tenant, m.group_no, m.member_object_id from moved m
       returning group_no, member_object_id
     )${changeRows(
       "'removal.held'",
       {
         group_id: 'g.group_id',
         account_id: 'a.account_id',
         member_group_id: 'n.group_id',
         after: "jsonb_build_object('reason', 'not_seen', 'list_id', :list::bigint)",
       },
       `from held h join entra_sync.groups g on g.group_no = h.group_no
       ${joinMember('h', ':tenant')}`,
     )}`,
    { ...bind, list, groupNo },
  );
}
