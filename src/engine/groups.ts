// The groups stream: groups with the slices of their members.

import { firstGroupsUrl, readGroups, readMemberLists, readMemberOfs } from '../graph/groups.ts';
import type { SingleObject } from '../graph/objects.ts';
import { readUsers } from '../graph/users.ts';
import { choosesGroups, type GroupChoice, leftOutOf } from '../rules/copied-groups.ts';
import { asPatch, oddProblems, type Problem } from '../rules/decode.ts';
import {
  decodeGroupsPage,
  type GroupsPage,
  groupColumns,
  groupProperties,
  joinGroupsPages,
  requiredGroupProperties,
} from '../rules/groups.ts';
import { doubts, type KnownObject, keepKnown, type MergedObject, mergeObjects, overlay } from '../rules/merge.ts';
import { streams } from '../rules/streams.ts';
import type { Settings } from '../settings/settings.ts';
import { databaseTime } from '../store/database/pool.ts';
import { restoredGroups } from '../store/stage/deleted-elsewhere.ts';
import { doubtfulObjects, knownOfOdd, unmetObjects } from '../store/stage/doubts.ts';
import {
  liveGroups,
  type SettledGroups,
  type StagedGroup,
  settleGroups,
  settleLists,
  stageGroupsPage,
} from '../store/stage/groups.ts';
import { doubtPartial, type RequiredProperties } from '../store/stage/partial-objects.ts';
import type { Round } from '../store/stage/rounds.ts';
import { groupsToSweep, keepUnnamed, membersToEnd } from '../store/stage/sweep.ts';
import { askInChunks, partialAnswer } from './ask.ts';
import { recordDeletedItems } from './deleted-items.ts';
import type { StreamContext, StreamParts } from './stream.ts';

export const groupsStream: StreamParts<GroupsPage> = {
  stream: 'groups',
  firstUrl: (origin) => firstGroupsUrl(origin),
  decode: () => decodeGroupsPage,
  join: joinGroupsPages,
  // A page of groups has a fifth of the bytes of a page of users.
  pagesTogether: 32,
  stage: ({ database, lease }, settings, round, page, base) =>
    stageGroupsPage(database, lease, round, {
      ...base,
      members: [...(page.earlier ?? []), page.members],
      occurrences: page.occurrences,
      merge: (known, stored) =>
        mergeObjects(round.kind, known, page.occurrences, requiredGroupProperties, stored).map((group) =>
          doubtAppearing(round, withColumns(group, settings.groups), known.get(group.id)),
        ),
    }),
  beforeFullRound: (context) => recordDeletedItems(context, streams),
  ask: askAboutGroups,
};

async function askAboutGroups(context: StreamContext, settings: Settings, round: Round): Promise<void> {
  const { database, lease } = context;
  if (round.kind === 'full') await doubtPartial(database, lease, round, 'groups', requiredOfGroups);
  const doubtful = await doubtfulObjects(database, lease.tenantId, round.round_id, 'groups');
  const whole = new Set([
    ...doubtful.filter((one) => one.wholly).map((one) => one.id),
    ...(round.kind === 'full'
      ? await unmetObjects(database, lease.tenantId, round.round_id, 'groups', settings.removals.max)
      : []),
    ...(await restoredGroups(database, lease.tenantId, round.round_id)),
  ]);
  await askInChunks(context, {
    stream: 'groups',
    round,
    ids: [...new Set([...whole, ...doubtful.map((one) => one.id)])],
    read: readGroups,
    settle: (answers, reader) => settleAnswers({ ...context, reader }, settings, round, answers, whole),
  });
  if (round.kind === 'full') await readUnnamed(context, round);
  await keepDeletedMembers(context, round);
}

/** The properties of a whole group. */
export const requiredOfGroups: RequiredProperties = {
  required: requiredGroupProperties,
  selected: [...groupProperties.keys()],
};

// Reads the member lists of the groups in `whole` too, and the groups that hold them.
async function settleAnswers(
  { database, lease, reader, log }: StreamContext,
  { groups: choice }: Settings,
  round: Round,
  answers: ReadonlyMap<string, SingleObject>,
  whole: ReadonlySet<string>,
): Promise<void> {
  const readAt = await databaseTime(database);
  const live: StagedGroup[] = [];
  const patches = [...answers.values()].filter((answer) => answer !== 'not_found').filter(asPatch);
  const known = await knownOfOdd(database, lease.tenantId, round.round_id, 'groups', patches);
  const problems: Problem[] = oddProblems(patches);
  const missingIds: string[] = [];
  for (const [id, read] of answers) {
    const answer = partialAnswer(id, read, requiredGroupProperties);
    if (answer === 'not_found') missingIds.push(id);
    else if ('reason' in answer) problems.push(answer);
    else {
      const source = keepKnown(overlay({}, answer.patch), answer.odd, known.get(id));
      live.push(withColumns({ id, source, removed: null, doubt: null }, choice));
    }
  }
  // Members of a live but unreadable group are accepted.
  const unreadable = problems.flatMap((problem) => problem.id ?? []);
  const shown = live.map((group) => group.id).filter((id) => whole.has(id));
  const lists = await readMemberLists(reader, [...shown, ...(await liveGroups(database, lease.tenantId, unreadable))]);
  // No slice shows memberships lost while the group was deleted.
  const holders: SettledGroups['holders'][number][] = [];
  for (const [groupId, memberOf] of await readMemberOfs(reader, 'groups', shown)) {
    if ('reason' in memberOf) problems.push(memberOf);
    else holders.push({ groupId, holders: memberOf });
  }
  const asked = [...answers.keys()];
  await settleGroups(database, lease, round.round_id, {
    asked,
    live,
    lists,
    holders,
    readAt,
    problems,
    notFound: missingIds,
  });
  log.debug(
    { stream: 'groups', asked: asked.length, live: live.length, gone: missingIds.length, aside: problems.length },
    'doubtful objects read',
  );
}

const listsAtATime = 100;

// A membership that no slice named is in doubt; only a complete list ends it (rule 8).
async function readUnnamed({ database, lease, reader, log, signal }: StreamContext, round: Round): Promise<void> {
  const ids = await groupsToSweep(database, lease.tenantId, round.round_id);
  for (let start = 0; start < ids.length; start += listsAtATime) {
    signal.throwIfAborted();
    const readAt = await databaseTime(database);
    const lists = await readMemberLists(reader, ids.slice(start, start + listsAtATime));
    await settleLists(database, lease, round.round_id, lists, readAt);
  }
  if (ids.length > 0) log.debug({ stream: 'groups', asked: ids.length }, 'member lists read for the sweep');
}

// Member lists omit deleted members, whose deletion the users stream may see later, or after a restore never.
async function keepDeletedMembers({ database, lease, reader }: StreamContext, round: Round): Promise<void> {
  const members = await membersToEnd(database, lease.tenantId, round.round_id);
  if (members.length === 0) return;
  const idsOf = (type: 'u' | 'g') => [
    ...new Set(members.filter((member) => member.type === type).map((member) => member.memberId)),
  ];
  const answers = new Map([
    ...(await readUsers(reader, idsOf('u'), ['id'], new Map())),
    ...(await readGroups(reader, idsOf('g'))),
  ]);
  // GET may not show whether the member is deleted.
  const mayBeDeleted = (answer: SingleObject | undefined) =>
    answer === 'not_found' || (answer !== undefined && 'unread' in answer);
  const deleted = members.filter((member) => mayBeDeleted(answers.get(member.memberId)));
  if (deleted.length > 0) await keepUnnamed(database, lease, round.round_id, deleted);
}

/** Returns a merged group with its columns, copied or not. */
export function withColumns(group: MergedObject, choice: GroupChoice): StagedGroup {
  const columns = groupColumns(group.source);
  // A later round may show a group that is not copied without its name.
  const isNamed = Object.hasOwn(group.source, 'displayName');
  const copied = isNamed || !choosesGroups(choice) ? leftOutOf(choice, group.id, columns.displayName) === null : null;
  return { ...group, ...columns, copied };
}

// A group that was not copied has no stored document, which a later round would add to. Its members are stored.
function doubtAppearing(round: Round, group: StagedGroup, known: KnownObject | undefined): StagedGroup {
  const appears = round.kind === 'incremental' && known?.leftOut === true && group.copied === true;
  return appears && group.removed === null ? { ...group, doubt: group.doubt ?? doubts.lacking } : group;
}
