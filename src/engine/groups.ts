// What is particular to the groups stream: groups with the slices of their members.
import { firstGroupsUrl, readGroups, readMembers } from '../graph/groups.ts';
import type { Problem } from '../rules/decode.ts';
import { decodeGroupsPage, type GroupsPage, groupColumns, groupMark } from '../rules/groups.ts';
import { type MergedObject, mergeObjects, overlay } from '../rules/merge.ts';
import type { Settings } from '../settings.ts';
import { applyGroups } from '../store/commit-groups.ts';
import { doubtfulObjects, unmetObjects } from '../store/doubts.ts';
import type { Round } from '../store/rounds.ts';
import { type SettledGroups, type StagedGroup, settleGroups, stageGroupsPage } from '../store/stage-groups.ts';
import type { StreamContext, StreamParts } from './stream.ts';

export const groupsStream: StreamParts<GroupsPage> = {
  stream: 'groups',
  fingerprint: (settings) => settings.groupsFingerprint,
  firstUrl: (origin) => firstGroupsUrl(origin),
  decode: () => decodeGroupsPage,
  stage: ({ database, lease }, _settings, round, page, base) =>
    stageGroupsPage(database, lease, round, {
      ...base,
      members: page.members,
      ids: [...new Set(page.occurrences.map((occurrence) => occurrence.id))],
      merge: (known) => mergeObjects(round.kind, known, page.occurrences, groupMark).map(withColumns),
    }),
  ask: askAboutGroups,
  apply: applyGroups,
};

async function askAboutGroups(context: StreamContext, _settings: Settings, round: Round): Promise<void> {
  const { database, lease, reader } = context;
  const ids = [
    ...(await doubtfulObjects(database, lease.tenantId, round.round_id, 'groups')),
    ...(await unmetObjects(database, lease.tenantId, round.round_id, 'groups')),
  ];
  if (ids.length === 0) return;
  const live: SettledGroups['live'][number][] = [];
  const problems: Problem[] = [];
  const gone: string[] = [];
  for (const [id, answer] of await readGroups(reader, ids)) {
    if (answer === 'gone') gone.push(id);
    else if ('reason' in answer) problems.push(answer);
    else {
      const list = await readMembers(reader, id);
      problems.push(...list.problems);
      const group = withColumns({ id, source: overlay({}, answer.patch), removed: null, doubt: null });
      live.push({ group, members: list.members });
    }
  }
  await settleGroups(database, lease, round.round_id, { live, problems, gone });
  context.log.debug(
    { stream: 'groups', asked: ids.length, live: live.length, gone: gone.length, aside: problems.length },
    'doubtful objects read',
  );
}

/** A merged group with its columns. */
export function withColumns(group: MergedObject): StagedGroup {
  return { ...group, ...groupColumns(group.source) };
}
