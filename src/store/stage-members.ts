// Staged memberships: slices of member lists, and lists that were read whole.
import type { Member } from '../rules/groups.ts';
import { rowCount, type Transaction } from './pool.ts';

/** Writes slices to the stage, the last word winning, and returns how many entries were new or different. */
export async function stageMembers(
  transaction: Transaction,
  roundId: string,
  members: readonly Member[],
): Promise<number> {
  if (members.length === 0) return 0;
  return rowCount(
    transaction,
    `insert into entra_sync.stage_members as s (round_id, group_object_id, member_object_id, member_type, removed)
     select :roundId, r.* from unnest(:groups::uuid[], :members::uuid[], :types::"char"[], :removed::boolean[]) as r
     on conflict (round_id, group_object_id, member_object_id) do update
        set member_type = excluded.member_type, removed = excluded.removed
      where (s.member_type, s.removed) is distinct from (excluded.member_type, excluded.removed)`,
    {
      roundId,
      groups: members.map((member) => member.groupId),
      members: members.map((member) => member.memberId),
      types: members.map((member) => member.type),
      removed: members.map((member) => member.removed),
    },
  );
}

/**
 * Stages a list that was read whole: of a group's members, or of the groups that a person is a member of. `readAt` is from
 * before Graph was asked, by the database's clock.
 */
export async function stageWholeList(
  transaction: Transaction,
  roundId: string,
  objectId: string,
  of: 'group' | 'person',
  members: readonly Member[],
  readAt: Date,
): Promise<void> {
  const column = of === 'group' ? 'group_object_id' : 'member_object_id';
  await transaction.raw(`delete from entra_sync.stage_members where round_id = :roundId and ${column} = :objectId`, {
    roundId,
    objectId,
  });
  await stageMembers(transaction, roundId, members);
  await transaction.raw(
    `insert into entra_sync.stage_whole_lists (round_id, object_id, read_at) values (:roundId, :objectId, :readAt)
     on conflict (round_id, object_id) do update set read_at = excluded.read_at`,
    { roundId, objectId, readAt },
  );
}

/** Stages which groups hold a nested group, as it said itself: all of them, in place of what lists said before. */
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
  await stageMembers(transaction, roundId, holders);
  await transaction.raw(
    'insert into entra_sync.stage_holders (round_id, object_id) values (:roundId, :groupId) on conflict do nothing',
    bind,
  );
}
