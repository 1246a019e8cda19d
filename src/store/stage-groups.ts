// The stage of the groups stream: groups, slices of member lists, and the lists that were read whole.
import type { GroupColumns, Member } from '../rules/groups.ts';
import type { KnownObject, MergedObject } from '../rules/merge.ts';
import { doubtLifted, knownObjects, liftSetAside, settleUnreadable, type Unsettled } from './doubts.ts';
import { type Lease, requireFence } from './lease.ts';
import { type Database, inTransaction, rowCount, rows, type Transaction } from './pool.ts';
import { advanceRound, type PageOfRound, type Round } from './rounds.ts';
import { stageMembers, stageWholeList } from './stage-members.ts';

/** A merged group with its columns, ready for the stage. */
export type StagedGroup = MergedObject & GroupColumns;

export type GroupsPageToStage = PageOfRound & {
  readonly ids: readonly string[];
  readonly merge: (known: ReadonlyMap<string, KnownObject>) => readonly StagedGroup[];
  readonly members: readonly Member[];
};

/** Stages one page of groups with its slices and its resume link, in one transaction. Throws what advanceRound throws. */
export async function stageGroupsPage(
  database: Database,
  lease: Lease,
  round: Round,
  page: GroupsPageToStage,
): Promise<Round> {
  return advanceRound(database, lease, round, page, async (transaction) => {
    const known = new Map([
      ...(await deletedStrangers(transaction, lease.tenantId, round, page.ids)),
      ...(await knownObjects(transaction, lease.tenantId, round, page.ids, 'groups')),
    ]);
    const lifted = await liftSetAside(transaction, round.round_id, page.ids);
    const groups = await stageGroups(transaction, round.round_id, doubtLifted(round, page.merge(known), lifted));
    return groups + (await stageMembers(transaction, round.round_id, page.members));
  });
}

// Groups that were deleted before anything was kept of them count as removed: live again, they are asked for whole.
async function deletedStrangers(
  transaction: Transaction,
  tenantId: string,
  round: Round,
  ids: readonly string[],
): Promise<Map<string, KnownObject>> {
  if (round.kind === 'full' || ids.length === 0) return new Map();
  const found = await rows<{ id: string }>(
    transaction,
    `select entra_object_id as id from entra_sync.deleted_strangers
      where tenant_id = :tenantId and stream = 'groups' and entra_object_id = any(:ids::uuid[])`,
    { tenantId, ids },
  );
  return new Map(
    found.map(({ id }) => [id, { origin: 'account', source: {}, removed: 'deleted_restorable', doubt: null }]),
  );
}

async function stageGroups(transaction: Transaction, roundId: string, groups: readonly StagedGroup[]): Promise<number> {
  if (groups.length === 0) return 0;
  return rowCount(
    transaction,
    `insert into entra_sync.stage_groups as s
       (round_id, entra_object_id, removed, source, display_name, description, mail, kind, is_dynamic, attributes, doubt)
     select :roundId, r.* from jsonb_to_recordset(:groups::jsonb)
         as r (id uuid, removed text, source jsonb, "displayName" text, description text, mail text, kind text,
               "isDynamic" boolean, attributes jsonb, doubt text)
     on conflict (round_id, entra_object_id) do update
        set removed = excluded.removed, source = excluded.source, display_name = excluded.display_name,
            description = excluded.description, mail = excluded.mail, kind = excluded.kind,
            is_dynamic = excluded.is_dynamic, attributes = excluded.attributes, doubt = excluded.doubt
      where (s.removed, s.source, s.doubt) is distinct from (excluded.removed, excluded.source, excluded.doubt)`,
    { roundId, groups: JSON.stringify(groups) },
  );
}

export type SettledGroups = Unsettled & {
  /** Shown live by GET, with their whole member lists: these replace what slices said. */
  readonly live: readonly { readonly group: StagedGroup; readonly members: readonly Member[] }[];
};

/** Stages what GET said of doubtful groups. */
export async function settleGroups(
  database: Database,
  lease: Lease,
  roundId: string,
  settled: SettledGroups,
): Promise<void> {
  await inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    const groups = settled.live.map((one) => one.group);
    await liftSetAside(
      transaction,
      roundId,
      groups.map((group) => group.id),
    );
    await stageGroups(transaction, roundId, groups);
    for (const { group, members } of settled.live) {
      await stageWholeList(transaction, roundId, group.id, 'group', members);
    }
    await settleUnreadable(transaction, roundId, 'groups', settled);
  });
}
