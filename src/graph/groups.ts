// The groups of a tenant: the first URL, single groups with their whole member lists, the groups of one person.
import { decodeObject, type Occurrence, type Problem } from '../rules/decode.ts';
import { decodeMember, groupProperties, type Member } from '../rules/groups.ts';
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
  return readObjects(reader, 'groups', ids, selection, (item) => decodeObject(item, groupProperties));
}

/** The whole direct member list of one group, page by page. Entries without a usable id are problems of their own. */
export async function readMembers(
  reader: GraphReader,
  groupId: string,
): Promise<{ members: Member[]; problems: Problem[] }> {
  const entries = await readList(reader, `${reader.origin}/v1.0/groups/${groupId}/members?$select=id&$top=999`);
  const members: Member[] = [];
  const problems: Problem[] = [];
  for (const entry of entries) {
    const decoded = decodeMember(groupId, entry);
    if ('reason' in decoded) problems.push(decoded);
    else members.push(decoded);
  }
  return { members, problems };
}

/** The groups that a person is a direct member of; directory roles and administrative units are left out. */
export async function readMemberOf(reader: GraphReader, userId: string): Promise<Member[]> {
  const entries = await readList(reader, `${reader.origin}/v1.0/users/${userId}/memberOf?$select=id&$top=999`);
  return entries.flatMap((entry) => {
    const { id, '@odata.type': type } = entry as { id?: unknown; '@odata.type'?: unknown };
    if (typeof id !== 'string' || type !== '#microsoft.graph.group') return [];
    const member = decodeMember(id.toLowerCase(), { id: userId, '@odata.type': '#microsoft.graph.user' });
    return 'reason' in member ? [] : [member];
  });
}

/** All groups by listing, not delta, 999 a page; without their members. */
export async function* listGroups(reader: GraphReader): AsyncGenerator<(Occurrence | Problem)[]> {
  const first = `${reader.origin}/v1.0/groups?$select=${selection.join(',')}&$top=999`;
  for await (const page of listPages(reader, first)) yield page.map((item) => decodeObject(item, groupProperties));
}
