// Reads the member lists of many groups: the first pages by `$batch`, the rest of longer lists page by page.
import { ExpectedError } from '../errors.ts';
import type { Problem } from '../rules/decode.ts';
import { decodeMember, type Member, type PartOfMemberList } from '../rules/groups.ts';
import { readBatch } from './batch.ts';
import { type ListPage, listingPages, takeListPage } from './lists.ts';
import { type GraphReader, refusedStatus } from './reader.ts';
import { objectFault, requireAnswering } from './single-faults.ts';

/** The first pages of a `$batch`. `notFound`: groups that were deleted after they were listed. */
export type FirstParts = { readonly parts: readonly PartOfMemberList[]; readonly notFound: readonly string[] };

/**
 * Reads the first pages of at most 20 groups' member lists. A list that Graph refuses, or fails on alone, is a problem
 * of that group. Throws what {@link GraphReader.getJson} throws, `graph_unavailable` if Graph answers for none of them,
 * and `foreign_link`.
 */
export async function readFirstParts(reader: GraphReader, groupIds: readonly string[]): Promise<FirstParts> {
  const found = new Map<string, PartOfMemberList | 'not_found'>();
  const failing: string[] = [];
  const urls = new Map(groupIds.map((id) => [id, `/groups/${id}/members?$select=id&$top=999`]));
  try {
    await readBatch<PartOfMemberList | 'not_found'>(
      reader,
      urls,
      {
        body: (id, body) => {
          const page = takeListPage(body, '', reader.origin);
          return 'malformed' in page ? page : partOf(id, page);
        },
        notFound: () => 'not_found',
        unread: (id, why, isFailing) => {
          if (isFailing) failing.push(why);
          return unreadable(id, why);
        },
      },
      found,
    );
  } catch (error) {
    const passing = error instanceof ExpectedError && /^graph_(throttled|unavailable|answer_invalid)$/.test(error.code);
    if (!passing || found.size === 0) throw error;
  }
  if (failing.length > 0 && failing.length === groupIds.length) {
    throw new ExpectedError(
      'graph_unavailable',
      `Graph answered for none of ${failing.length} member lists (${failing[0]})`,
      {
        cure: 'nothing to do: the first round reads them',
      },
    );
  }
  const answers = groupIds.map((id) => ({ id, answer: found.get(id) ?? unreadable(id, 'no answer') }));
  return {
    parts: answers.flatMap(({ answer }) => (answer === 'not_found' ? [] : [answer])),
    notFound: answers.flatMap(({ id, answer }) => (answer === 'not_found' ? [id] : [])),
  };
}

/**
 * Yields the rest of a list after its first page. A problem ends it if Graph refuses the rest, or fails on it alone.
 */
export async function* readMoreParts(
  reader: GraphReader,
  groupId: string,
  start: string,
): AsyncGenerator<PartOfMemberList> {
  try {
    for await (const page of listingPages(reader, start)) yield partOf(groupId, page);
  } catch (error) {
    const refused = refusedStatus(error);
    const why = refused === undefined ? objectFault(error).why : String(refused);
    if (refused === undefined) await requireAnswering(reader, 'groups');
    yield unreadable(groupId, why);
  }
}

function partOf(groupId: string, page: ListPage): PartOfMemberList {
  const members: Member[] = [];
  const problems: Problem[] = [];
  for (const entry of page.value) {
    const decoded = decodeMember(groupId, entry);
    if ('reason' in decoded) problems.push(decoded);
    else members.push(decoded);
  }
  return { groupId, members, problems, next: page.next ?? null };
}

function unreadable(groupId: string, why: string): PartOfMemberList {
  const problem = { key: `${groupId}/members`, reason: `its members cannot be read (${why})` };
  return { groupId, members: [], problems: [problem], next: null };
}
