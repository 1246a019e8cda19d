// Ends memberships that a complete member list lacks. Slices may lack unreadable and deleted members, so only a list
// that GET returned whole ends one (rule 8).
import { type Lease, requireFence } from '../cycle/lease.ts';
import { compareWholeSets, type Database, inTransaction, rows } from '../database/pool.ts';
import { groupOfObject, inGraph, membershipsOfGroup, removedWithObject } from '../database/vocabulary.ts';
import { stageMembers } from './members.ts';

// One stream at a time: for both, Postgres scanned an index from end to end per member.
const isDeletedElsewhere = (stream: string) => `exists (select from entra_sync.deleted_strangers d
  where d.tenant_id = :tenant and d.stream = '${stream}' and d.entra_object_id = x.member_object_id offset 0)`;

const storedByList = `
cross join ${groupOfObject('w.object_id')} g
cross join ${membershipsOfGroup('g.group_no')} m`;

// For all lists at once: a look-up per list costs a third of a millisecond. Needs compareWholeSets.
const storedOfAll = `
join entra_sync.groups g on g.tenant_id = :tenant and g.entra_object_id = w.object_id
join (select m.group_no, m.member_object_id from entra_sync.memberships m where m.tenant_id = :tenant offset 0) m
  on m.group_no = g.group_no`;

// EXCEPT sorts or hashes both sides; a join planned for few rows compared each member with the whole stage. The members
// that remain are looked up one by one. Where nothing is stored or listed, as in a first round, the stage is not read.
/**
 * The query of stored memberships that the stage lacks, of the groups in `lists` (object_id, read_at), without
 * soft-deleted members, which Graph omits, and members whose own groups were read later. Binds `tenant` and `round`.
 */
export const unnamedMembers = (lists: string, stored = storedByList) => `
select x.group_object_id, g.group_no, x.member_object_id, m.member_type
  from (select w.object_id as group_object_id, m.member_object_id
          from (${lists}) w ${stored}
        except
        select s.group_object_id, s.member_object_id from entra_sync.staged_members s
         where s.round_id = :round and (select exists (select from (${lists}) w))
           and (select exists (select from entra_sync.member_groups m where m.tenant_id = :tenant))) x
 cross join lateral (select w.read_at from (${lists}) w where w.object_id = x.group_object_id offset 0) w
 cross join ${groupOfObject('x.group_object_id')} g
 cross join lateral (select m.member_type from entra_sync.member_groups m
   where m.tenant_id = :tenant and m.member_object_id = x.member_object_id offset 0) m
 where not exists (select from entra_sync.accounts a
                    where a.tenant_id = :tenant and a.entra_object_id = x.member_object_id
                      and (${removedWithObject('a')} or a.memberships_read_at > w.read_at) offset 0)
   and not exists (select from entra_sync.groups r
                    where r.tenant_id = :tenant and r.entra_object_id = x.member_object_id
                      and not ${inGraph('r')} offset 0)
   and not ${isDeletedElsewhere('users')} and not ${isDeletedElsewhere('groups')}`;

/** The query of the lists that this round read whole. Binds `round`. */
export const wholeLists = 'select object_id, read_at from entra_sync.stage_whole_lists where round_id = :round';

/** Returns groups of a full round whose slices lack stored members: their lists are read first. */
export async function groupsToSweep(database: Database, tenant: string, round: string): Promise<string[]> {
  const shown = `select t.entra_object_id as object_id, now() as read_at from entra_sync.stage_groups t
    where t.round_id = :round and t.removed is null
      and not exists (select from entra_sync.stage_whole_lists l
                       where l.round_id = :round and l.object_id = t.entra_object_id)`;
  return inTransaction(database, async (transaction) => {
    await compareWholeSets(transaction);
    const found = await rows<{ id: string }>(
      transaction,
      `select distinct group_object_id::text as id from (${unnamedMembers(shown, storedOfAll)}) u order by 1`,
      { tenant, round },
    );
    return found.map((row) => row.id);
  });
}

export type UnnamedMember = { groupId: string; memberId: string; type: 'u' | 'g' };

/** Returns stored members that a whole list lacks. */
export async function membersToEnd(database: Database, tenant: string, round: string): Promise<UnnamedMember[]> {
  return rows<UnnamedMember>(
    database,
    `select u.group_object_id as "groupId", u.member_object_id as "memberId",
            case when exists (select from entra_sync.groups g
                               where g.tenant_id = :tenant and g.entra_object_id = u.member_object_id)
                 then 'g' else 'u' end as type
       from (${unnamedMembers(wholeLists)}) u
      where exists (select from entra_sync.accounts a
                     where a.tenant_id = :tenant and a.entra_object_id = u.member_object_id offset 0)
         or exists (select from entra_sync.groups g
                     where g.tenant_id = :tenant and g.entra_object_id = u.member_object_id offset 0)
      order by 1, 2`,
    { tenant, round },
  );
}

/** Keeps memberships of members that turned out to be soft-deleted, which no list contains. */
export async function keepUnnamed(
  database: Database,
  lease: Lease,
  roundId: string,
  members: readonly UnnamedMember[],
): Promise<void> {
  await inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await stageMembers(
      transaction,
      roundId,
      members.map((member) => ({ ...member, removed: false })),
    );
  });
}
