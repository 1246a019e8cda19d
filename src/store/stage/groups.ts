// The stage of the groups stream: groups, slices of member lists, and whole lists.

import type { Occurrence, Problem, Source } from '../../rules/decode.ts';
import type { GroupColumns, Member } from '../../rules/groups.ts';
import type { KnownObject, MergedObject } from '../../rules/merge.ts';
import { type Lease, requireFence } from '../cycle/lease.ts';
import { type Database, inTransaction, rowCount, rows, type Transaction } from '../database/pool.ts';
import { inGraph } from '../database/vocabulary.ts';
import { inDryRun } from '../feed/receipts.ts';
import { holdersKey, membersKey, problemsOf, type SetAsideReasons, withoutCulprits } from './culprits.ts';
import {
  doubtLifted,
  idsOf,
  knownObjects,
  knownOfOdd,
  liftSetAside,
  liftWhollySetAside,
  settleUnreadable,
  type Unsettled,
} from './doubts.ts';
import { jsonChunks } from './json-chunks.ts';
import { stageHolders, stageMembers, stageSlices, stageWholeList } from './members.ts';
import { stageProblems } from './problems.ts';
import { advanceRound, type PageOfRound, type Round, type StageState } from './rounds.ts';

/** A merged group with its columns. */
export type StagedGroup = MergedObject &
  GroupColumns & {
    /** Whether the settings copy the group; null: its name is not known, so it stays as it is. */
    readonly copied: boolean | null;
  };

export type GroupsPageToStage = PageOfRound & {
  readonly occurrences: readonly Occurrence[];
  readonly merge: (
    known: ReadonlyMap<string, KnownObject>,
    stored: ReadonlyMap<string, Source>,
  ) => readonly StagedGroup[];
  /** The members that each page names, in order. */
  readonly members: readonly (readonly Member[])[];
};

/**
 * Stages pages of groups with their slices and the resume link, in one transaction. Throws like {@link advanceRound}.
 */
export async function stageGroupsPage(
  database: Database,
  lease: Lease,
  round: Round,
  page: GroupsPageToStage,
): Promise<Round> {
  const holders = new Set(page.members.flatMap((members) => members.map((member) => member.groupId)));
  return withoutCulprits(database, lease, round.round_id, {
    units: () => [[...idsOf(page.occurrences), ...[...holders].map(membersKey)]],
    attempt: (aside, trial) => {
      const occurrences = page.occurrences.filter((occurrence) => !aside.has(occurrence.id));
      const ids = idsOf(occurrences);
      const stage = async (transaction: Transaction, { anyAside }: StageState) => {
        const known = new Map([
          ...(await deletedElsewhere(transaction, lease.tenantId, round, ids)),
          ...(await knownObjects(transaction, lease.tenantId, round, ids, 'groups')),
        ]);
        const stored = await knownOfOdd(transaction, lease.tenantId, round.round_id, 'groups', occurrences);
        const lifted = anyAside ? await liftSetAside(transaction, round.round_id, occurrences) : new Set<string>();
        const merged = page.merge(known, stored).filter((group) => !aside.has(group.id));
        const groups = await stageGroups(transaction, round.round_id, doubtLifted(round, 'groups', merged, lifted));
        const members = page.members.map((some) => some.filter((member) => !aside.has(membersKey(member.groupId))));
        return groups + (await stageSlices(transaction, round.round_id, members));
      };
      const problems = [...page.problems, ...problemsOf(aside)];
      return advanceRound(database, lease, round, { ...page, problems }, stage, trial);
    },
  });
}

// A group deleted before it was stored counts as removed, so a live one is asked for.
async function deletedElsewhere(
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
  let staged = 0;
  for (const chunk of jsonChunks(groups))
    staged += await rowCount(transaction, insertGroups, { roundId, groups: chunk });
  return staged;
}

const insertGroups = `insert into entra_sync.stage_groups as s
       (round_id, entra_object_id, removed, source, display_name, description, mail, kind, is_dynamic,
        attributes, doubt, copied)
     select :roundId, r.* from jsonb_to_recordset(:groups::jsonb)
         as r (id uuid, removed text, source jsonb, "displayName" text, description text, mail text, kind text,
               "isDynamic" boolean, attributes jsonb, doubt text, copied boolean)
     on conflict (round_id, entra_object_id) do update
        set removed = excluded.removed, source = excluded.source, display_name = excluded.display_name,
            description = excluded.description, mail = excluded.mail, kind = excluded.kind,
            is_dynamic = excluded.is_dynamic, attributes = excluded.attributes, doubt = excluded.doubt,
            copied = excluded.copied
      where (s.removed, s.source, s.doubt, s.copied)
            is distinct from (excluded.removed, excluded.source, excluded.doubt, excluded.copied)`;

/** A member list by GET. Without problems it is whole and replaces the slices. */
export type ListOfMembers = {
  readonly groupId: string;
  readonly members: readonly Member[];
  readonly problems: readonly Problem[];
};

export type SettledGroups = Unsettled & {
  /** Found live by GET. */
  readonly live: readonly StagedGroup[];
  readonly lists: readonly ListOfMembers[];
  /** The groups that hold each live group, where memberOf was readable. */
  readonly holders: readonly { readonly groupId: string; readonly holders: readonly Member[] }[];
  /** The database's clock before the lists were asked for. */
  readonly readAt: Date;
};

/** Returns the groups that are stored here and in Graph; memberships of others cannot be stored. */
export async function liveGroups(database: Database, tenantId: string, ids: readonly string[]): Promise<string[]> {
  const found = await rows<{ id: string }>(
    database,
    `select g.entra_object_id as id from entra_sync.groups g
      where g.tenant_id = :tenantId and ${inGraph('g')} and g.entra_object_id = any(:ids::uuid[])`,
    { tenantId, ids },
  );
  return found.map((row) => row.id);
}

/** Stages GET's answers for groups in doubt. */
export async function settleGroups(
  database: Database,
  lease: Lease,
  roundId: string,
  settled: SettledGroups,
): Promise<void> {
  const { live, lists, holders } = settled;
  await withoutCulprits(database, lease, roundId, {
    units: () => [
      [
        ...live.map((group) => group.id),
        ...lists.map((list) => membersKey(list.groupId)),
        ...holders.map((one) => holdersKey(one.groupId)),
      ],
    ],
    attempt: async (aside, trial) => {
      const work = async (transaction: Transaction) => {
        await requireFence(transaction, lease);
        await liftWhollySetAside(
          transaction,
          roundId,
          live.map((group) => group.id),
        );
        await stageGroups(
          transaction,
          roundId,
          live.filter((group) => !aside.has(group.id)),
        );
        await stageLists(transaction, roundId, withoutLists(lists, aside), settled.readAt);
        for (const { groupId, holders: some } of holders) {
          if (!aside.has(holdersKey(groupId))) await stageHolders(transaction, roundId, groupId, some);
        }
        const problems = [...settled.problems, ...problemsOf(aside)];
        await settleUnreadable(transaction, roundId, 'groups', { ...settled, problems });
      };
      await (trial ? inDryRun(database, true, work) : inTransaction(database, work));
    },
  });
}

// A list with a problem is not whole, so it ends no membership.
function withoutLists(lists: readonly ListOfMembers[], aside: SetAsideReasons): ListOfMembers[] {
  return lists.map((list) => {
    const key = membersKey(list.groupId);
    const reason = aside.get(key);
    return reason === undefined ? list : { ...list, members: [], problems: [{ key, reason }] };
  });
}

/** Stages member lists that GET returned. */
export async function settleLists(
  database: Database,
  lease: Lease,
  roundId: string,
  lists: readonly ListOfMembers[],
  readAt: Date,
): Promise<void> {
  await withoutCulprits(database, lease, roundId, {
    units: () => [lists.map((list) => membersKey(list.groupId))],
    attempt: async (aside, trial) => {
      const work = async (transaction: Transaction) => {
        await requireFence(transaction, lease);
        await stageLists(transaction, roundId, withoutLists(lists, aside), readAt);
      };
      await (trial ? inDryRun(database, true, work) : inTransaction(database, work));
    },
  });
}

async function stageLists(
  transaction: Transaction,
  roundId: string,
  lists: readonly ListOfMembers[],
  readAt: Date,
): Promise<void> {
  for (const { groupId, members, problems } of lists) {
    if (problems.length === 0) await stageWholeList(transaction, roundId, groupId, 'group', members, readAt);
    else await stageMembers(transaction, roundId, members);
    await stageProblems(transaction, roundId, problems);
  }
}
