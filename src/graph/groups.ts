// Reads the groups of a tenant: first URL, single groups, member lists, and the groups of one user or group.

import { asGuid, type Occurrence, type Problem } from '../rules/decode.ts';
import { decodeGroup, decodeMember, groupProperties, type Member } from '../rules/groups.ts';
import type { Stream } from '../rules/streams.ts';
import { listPages, readList } from './lists.ts';
import { readObjects, type SingleObject } from './objects.ts';
import type { GraphReader } from './reader.ts';

const selection = ['id', ...groupProperties.keys()];

/**
 * Returns the first URL of a full round. Without `members` in $select memberships are not tracked
 * (graph/delta-query-groups).
 */
export function firstGroupsUrl(origin: string): string {
  return `${origin}/v1.0/groups/delta?$select=${selection.join(',')},members`;
}

/** Reads single groups, 20 per `$batch`. */
export async function readGroups(reader: GraphReader, ids: readonly string[]): Promise<Map<string, SingleObject>> {
  return readObjects(reader, 'groups', ids, selection, decodeGroup);
}

export type MemberList = {
  readonly groupId: string;
  readonly members: readonly Member[];
  /** The unreadable parts of the list; empty: the list is complete. */
  readonly problems: readonly Problem[];
};

/**
 * Reads the direct members of one group. An entry without a valid id, and a list that Graph refuses (members may be
 * hidden), is a problem of this group alone.
 */
export async function readMembers(reader: GraphReader, groupId: string): Promise<MemberList> {
  const entries = await readList(
    reader,
    'groups',
    `${reader.origin}/v1.0/groups/${groupId}/members?$select=id&$top=999`,
  );
  if ('refused' in entries) {
    const reason = `its members cannot be read (${entries.refused})`;
    return { groupId, members: [], problems: [{ key: `${groupId}/members`, reason }] };
  }
  const members: Member[] = [];
  const problems: Problem[] = [];
  for (const entry of entries) {
    const decoded = decodeMember(groupId, entry);
    if ('reason' in decoded) problems.push(decoded);
    else members.push(decoded);
  }
  return { groupId, members, problems };
}

/**
 * Returns all groups that a user or group is a direct member of, or a problem. Leaves out directory roles and
 * administrative units.
 */
export async function readMemberOf(
  reader: GraphReader,
  collection: Stream,
  memberId: string,
): Promise<readonly Member[] | Problem> {
  const entries = await readList(
    reader,
    collection,
    `${reader.origin}/v1.0/${collection}/${memberId}/memberOf?$select=id&$top=999`,
  );
  const problem = (reason: string): Problem => ({ key: `${memberId}/memberOf`, reason });
  if ('refused' in entries) return problem(`the groups that hold it cannot be read (${entries.refused})`);
  const members: Member[] = [];
  for (const entry of entries) {
    const { id, '@odata.type': type } = (entry ?? {}) as { id?: unknown; '@odata.type'?: unknown };
    if (type !== '#microsoft.graph.group') continue;
    const groupId = typeof id === 'string' ? asGuid(id) : undefined;
    // Without this group its membership would count as ended.
    if (!groupId) return problem('the id of a group that holds it is not a GUID');
    members.push({ groupId, memberId, type: collection === 'users' ? 'u' : 'g', removed: false });
  }
  return members;
}

/** Reads several member lists, a few at a time. */
export function readMemberLists(reader: GraphReader, groupIds: readonly string[]): Promise<MemberList[]> {
  return fewAtOnce(groupIds, (id) => readMembers(reader, id));
}

/** {@link readMemberOf} for several users or groups, a few at a time. */
export async function readMemberOfs(
  reader: GraphReader,
  collection: Stream,
  ids: readonly string[],
): Promise<Map<string, readonly Member[] | Problem>> {
  return new Map(await fewAtOnce(ids, async (id) => [id, await readMemberOf(reader, collection, id)] as const));
}

async function fewAtOnce<Item, Answer>(
  items: readonly Item[],
  ask: (item: Item) => Promise<Answer>,
): Promise<Answer[]> {
  const answers: Answer[] = [];
  for (let start = 0; start < items.length; start += listsAtOnce)
    answers.push(...(await Promise.all(items.slice(start, start + listsAtOnce).map(ask))));
  return answers;
}

const listsAtOnce = 8;

/** Returns the first URL of a listing of all groups. */
export function groupsListUrl(origin: string): string {
  return `${origin}/v1.0/groups?$select=${selection.join(',')}&$top=999`;
}

/** Lists all groups without delta and without members, 999 per page. */
export async function* listGroups(reader: GraphReader): AsyncGenerator<(Occurrence | Problem)[]> {
  for await (const page of listPages(reader, groupsListUrl(reader.origin))) yield page.map(decodeGroup);
}
