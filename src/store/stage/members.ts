// Staged memberships: slices of member lists, and whole lists.
import { createHash } from 'node:crypto';
import type { Member } from '../../rules/groups.ts';
import { type Lease, requireFence } from '../cycle/lease.ts';
import { type Database, inTransaction, rowCount, rows, type Transaction } from '../database/pool.ts';
import { inDryRun } from '../feed/receipts.ts';
import { membersKey, setAsideStaged, withoutCulprits } from './culprits.ts';

type Slice = { group: string; type: string; removed: boolean; members: string };

/** Stages the members of each page, in order. Returns how many slices were new. */
export async function stageSlices(
  transaction: Transaction,
  roundId: string,
  pages: readonly (readonly Member[])[],
): Promise<number> {
  const slices = new Map<string, Slice>();
  for (const page of pages) {
    for (const slice of slicesOf(page)) {
      const { group, type, removed, members } = slice;
      const digest = createHash('sha256').update(`${group}${type}${removed}${members}`).digest('hex').slice(0, 32);
      // A repeated slice moves to its last place, where it wins.
      slices.delete(digest);
      slices.set(digest, slice);
    }
  }
  if (slices.size === 0) return 0;
  const all = [...slices.values()];
  const [staged] = await rows<{ fresh: number }>(
    transaction,
    `with written as (
       insert into entra_sync.stage_slices as s (round_id, group_object_id, digest, member_type, removed, members)
       select :roundId, r.g, r.digest, r.type, r.removed, string_to_array(r.members, ',')::uuid[]
         from unnest(:groups::uuid[], :digests::uuid[], :types::"char"[], :removed::boolean[], :members::text[])
              with ordinality as r (g, digest, type, removed, members, n)
        order by r.n
       on conflict (round_id, group_object_id, digest) do update set slice = default
        where s.slice < (select max(o.slice) from entra_sync.stage_slices o
                          where o.round_id = excluded.round_id and o.group_object_id = excluded.group_object_id)
       returning s.xmax = 0 as is_fresh
     )
     select count(*) filter (where is_fresh)::int as fresh from written`,
    {
      roundId,
      groups: all.map((slice) => slice.group),
      digests: [...slices.keys()],
      types: all.map((slice) => slice.type),
      removed: all.map((slice) => slice.removed),
      members: all.map((slice) => slice.members),
    },
  );
  return staged?.fresh ?? 0;
}

// One slice per group, type and verdict: a group and a list of ids.
function slicesOf(page: readonly Member[]): Slice[] {
  const slices = new Map<string, { of: Member; ids: string[] }>();
  let last: { of: Member; ids: string[] } | undefined;
  for (const member of page) {
    const { groupId, type, removed } = member;
    if (!last || last.of.groupId !== groupId || last.of.type !== type || last.of.removed !== removed) {
      const key = `${groupId}${type}${removed}`;
      last = slices.get(key) ?? { of: member, ids: [] };
      slices.set(key, last);
    }
    last.ids.push(member.memberId);
  }
  return [...slices.values()].map(({ of, ids }) => ({
    group: of.groupId,
    type: of.type,
    removed: of.removed,
    members: ids.join(','),
  }));
}

/**
 * Unfolds the slices of a round to one row per member, for look-ups. A tenant without stored groups needs none, so that
 * a first load writes each member once.
 */
export async function unfoldSlices(database: Database, lease: Lease, roundId: string): Promise<void> {
  await withoutCulprits(database, lease, roundId, {
    units: async () => [await slicedGroups(database, roundId)],
    attempt: async (aside, trial) => {
      const work = async (transaction: Transaction) => {
        await requireFence(transaction, lease);
        await setAsideStaged(transaction, { round: roundId, stream: 'groups' }, aside);
        await unfold(transaction, lease, roundId);
      };
      await (trial ? inDryRun(database, true, work) : inTransaction(database, work));
    },
  });
}

async function slicedGroups(database: Database, roundId: string): Promise<string[]> {
  const found = await rows<{ id: string }>(
    database,
    'select distinct group_object_id::text as id from entra_sync.stage_slices where round_id = :roundId order by 1',
    { roundId },
  );
  return found.map((row) => membersKey(row.id));
}

async function unfold(transaction: Transaction, lease: Lease, roundId: string): Promise<void> {
  const [stored] = await rows<{ some: boolean }>(
    transaction,
    `select exists (select from entra_sync.groups where tenant_id = :tenantId)
          and exists (select from entra_sync.stage_slices where round_id = :roundId) as some`,
    { tenantId: lease.tenantId, roundId },
  );
  if (!stored?.some) return;
  await transaction.raw(
    `insert into entra_sync.stage_members (round_id, group_object_id, member_object_id, member_type, removed)
       select round_id, group_object_id, member_object_id, member_type, removed
         from entra_sync.staged_members where round_id = :roundId
       on conflict do nothing`,
    { roundId },
  );
  await transaction.raw('delete from entra_sync.stage_slices where round_id = :roundId', { roundId });
}

/** Stages members, the last entry winning. Returns how many entries were new or different. */
export async function stageMembers(
  transaction: Transaction,
  roundId: string,
  members: readonly Member[],
): Promise<number> {
  if (members.length === 0) return 0;
  // A list that changes while it is read may name a member twice.
  const last = [...new Map(members.map((member) => [`${member.groupId} ${member.memberId}`, member])).values()];
  return rowCount(
    transaction,
    `insert into entra_sync.stage_members as s (round_id, group_object_id, member_object_id, member_type, removed)
     select :roundId, r.* from unnest(:groups::uuid[], :members::uuid[], :types::"char"[], :removed::boolean[]) as r
     on conflict (round_id, group_object_id, member_object_id) do update
        set member_type = excluded.member_type, removed = excluded.removed
      where (s.member_type, s.removed) is distinct from (excluded.member_type, excluded.removed)`,
    {
      roundId,
      groups: last.map((member) => member.groupId),
      members: last.map((member) => member.memberId),
      types: last.map((member) => member.type),
      removed: last.map((member) => member.removed),
    },
  );
}

/**
 * Stages a whole list: the members of a group, or the groups of a user. `readAt`: the database's clock before Graph was
 * asked.
 */
export async function stageWholeList(
  transaction: Transaction,
  roundId: string,
  objectId: string,
  of: 'group' | 'user',
  members: readonly Member[],
  readAt: Date,
): Promise<void> {
  const column = of === 'group' ? 'group_object_id' : 'member_object_id';
  await transaction.raw(`delete from entra_sync.stage_members where round_id = :roundId and ${column} = :objectId`, {
    roundId,
    objectId,
  });
  if (of === 'group') {
    await transaction.raw(
      'delete from entra_sync.stage_slices where round_id = :roundId and group_object_id = :objectId',
      { roundId, objectId },
    );
  }
  await stageMembers(transaction, roundId, members);
  await transaction.raw(
    `insert into entra_sync.stage_whole_lists (round_id, object_id, read_at) values (:roundId, :objectId, :readAt)
     on conflict (round_id, object_id) do update set read_at = excluded.read_at`,
    { roundId, objectId, readAt },
  );
}

/** Stages all groups that hold a nested group, from its memberOf, over what lists said. */
export async function stageHolders(
  transaction: Transaction,
  roundId: string,
  groupId: string,
  holders: readonly Member[],
): Promise<void> {
  const bind = { roundId, groupId };
  await transaction.raw(
    'delete from entra_sync.stage_members where round_id = :roundId and member_object_id = :groupId',
    bind,
  );
  await transaction.raw(
    `update entra_sync.stage_slices set members = array_remove(members, :groupId::uuid)
      where round_id = :roundId and :groupId = any(members)`,
    bind,
  );
  await stageMembers(transaction, roundId, holders);
  await transaction.raw(
    'insert into entra_sync.stage_holders (round_id, object_id) values (:roundId, :groupId) on conflict do nothing',
    bind,
  );
}
