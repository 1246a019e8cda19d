// The groups of a tenant: the first URL, single groups with their whole member lists, the groups of one person.

import { asGuid, type Occurrence, type Problem } from '../rules/decode.ts';
import { decodeGroup, decodeMember, groupProperties, type Member } from '../rules/groups.ts';
import type { Stream } from '../rules/streams.ts';
import { listPages, readList } from './lists.ts';
import { readObjects, type SingleObject } from './objects.ts';
import type { GraphReader } from './reader.ts';

const selection = ['id', ...groupProperties.keys()];

/** Where a full round starts. Without `members` in $select memberships are not tracked (graph/delta-query-groups). */
export function firstGroupsUrl(origin: string): string {
  return `${origin}/v1.0/groups/delta?$select=${selection.join(',')},members`;
}

/** Reads groups one by one, 20 in a `$batch`. */
export async function readGroups(reader: GraphReader, ids: readonly string[]): Promise<Map<string, SingleObject>> {
  return readObjects(reader, 'groups', ids, selection, decodeGroup);
}

export type MemberList = {
  readonly groupId: string;
  readonly members: readonly Member[];
  /** What of the list cannot be taken or read; empty: the list is whole. */
  readonly problems: readonly Problem[];
};

/**
 * The direct member list of one group, page by page. Entries without a usable id are problems of their own, and so is a
 * list that Graph refuses to show (members may be hidden): that concerns this group alone.
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
 * The groups that a person or a group is a direct member of, all of them or a problem; directory roles and administrative
 * units are left out.
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
    // One group that cannot be told makes the list no list: what it does not name would be taken for ended.
    if (!groupId) return problem('the id of a group that holds it is not a GUID');
    members.push({ groupId, memberId, type: collection === 'users' ? 'u' : 'g', removed: false });
  }
  return members;
}

/** Several member lists, a few at a time. */
export function readMemberLists(reader: GraphReader, groupIds: readonly string[]): Promise<MemberList[]> {
  return fewAtOnce(groupIds, (id) => readMembers(reader, id));
}

/** {@link readMemberOf} of several persons or groups, a few at a time. */
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

/** Where a listing of all groups starts. */
export function groupsListUrl(origin: string): string {
  return `${origin}/v1.0/groups?$select=${selection.join(',')}&$top=999`;
}

/** All groups by listing, not delta, 999 a page; without their members. */
export async function* listGroups(reader: GraphReader): AsyncGenerator<(Occurrence | Problem)[]> {
  for await (const page of listPages(reader, groupsListUrl(reader.origin))) yield page.map(decodeGroup);
}
