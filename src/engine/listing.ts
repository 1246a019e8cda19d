// Reads a listing into its stage: users and groups page by page, member lists many at a time. After a crash it resumes
// there.

import { groupsListUrl } from '../graph/groups.ts';
import { listingPages } from '../graph/lists.ts';
import { readFirstParts, readMoreParts } from '../graph/member-lists.ts';
import { totalOf } from '../graph/pages.ts';
import { usersListUrl } from '../graph/users.ts';
import { asPatch, decodeObject, type Occurrence, oddProblems, type Problem } from '../rules/decode.ts';
import { decodeGroup } from '../rules/groups.ts';
import { selectedProperties } from '../rules/mapping.ts';
import type { Stream } from '../rules/streams.ts';
import type { Settings } from '../settings/settings.ts';
import { pendingLists, stagePartsOfLists } from '../store/stage/listings.ts';
import { endOfListing, type Round } from '../store/stage/rounds.ts';
import { groupsStream } from './groups.ts';
import type { StreamContext } from './stream.ts';
import { typesOf, usersStream } from './users.ts';

export type ListingWork = Pick<StreamContext, 'database' | 'lease' | 'signal' | 'onProgress' | 'reader'> & {
  readonly settings: Settings;
  /** Called with the listing after each page. */
  readonly advance: (round: Round) => void;
};

/** Stages the users of a tenant and returns the advanced listing. */
export async function listUsersQuickly(work: ListingWork, round: Round): Promise<Round> {
  const properties = selectedProperties(work.settings);
  const selected = typesOf(properties);
  const decode = (item: unknown) => decodeObject(item, selected);
  return listPages(work, 'users', round, usersListUrl(work.reader.origin, properties), decode);
}

/** Stages the groups of a tenant with their members. */
export async function listGroups(work: ListingWork, round: Round): Promise<Round> {
  const listed = await listPages(work, 'groups', round, groupsListUrl(work.reader.origin), decodeGroup);
  await listMembers(work, listed);
  return listed;
}

async function listPages(
  work: ListingWork,
  stream: Stream,
  begun: Round,
  firstUrl: string,
  decode: (item: unknown) => Occurrence | Problem,
): Promise<Round> {
  let round = begun;
  // The listing had reached its end before a crash.
  if (round.delta_link !== null) return round;
  const total = totalOf(work.reader, stream);
  const tell = () =>
    work.onProgress({ stream, phase: 'list', pages: round.pages, objects: round.seen, total: total.now });
  tell();
  for await (const { url, value, next } of listingPages(work.reader, round.resume_link ?? firstUrl)) {
    work.signal.throwIfAborted();
    const decoded = value.map(decode);
    const occurrences = decoded.filter(asPatch);
    const problems = [...decoded.filter((one): one is Problem => 'reason' in one), ...oddProblems(occurrences)];
    const link = next === undefined ? endOfListing : { next };
    const page = { occurrences, problems, link, members: [] };
    const parts = stream === 'users' ? usersStream : groupsStream;
    round = await parts.stage(work, work.settings, round, page, { urls: [url], link, problems, seen: value.length });
    work.advance(round);
    tell();
  }
  return round;
}

// One task per connection for staging. The reader's pace limits the requests.
const worksAtOnce = 8;
const listsInBatch = 20;

async function listMembers(work: ListingWork, { round_id: roundId, pages }: Round): Promise<void> {
  const { database, lease, reader, signal } = work;
  const first = await pendingLists(database, roundId);
  let left = first.length;
  const tell = (done: number) => {
    left -= done;
    work.onProgress({ stream: 'groups', phase: 'list', pages, objects: first.length - left, total: first.length });
  };
  const fresh = first.filter(({ next }) => next === null).map(({ id }) => id);
  const chunks = Array.from({ length: Math.ceil(fresh.length / listsInBatch) }, (_, index) =>
    fresh.slice(index * listsInBatch, (index + 1) * listsInBatch),
  );
  await allOf(chunks, signal, async (ids) => {
    const { parts, notFound } = await readFirstParts(reader, ids);
    signal.throwIfAborted();
    await stagePartsOfLists(database, lease, roundId, parts, notFound);
    tell(parts.filter(({ next }) => next === null).length + notFound.length);
  });
  await allOf(await pendingLists(database, roundId), signal, async ({ id, next }) => {
    for await (const part of readMoreParts(reader, id, next ?? '')) {
      signal.throwIfAborted();
      await stagePartsOfLists(database, lease, roundId, [part], []);
    }
    tell(1);
  });
}

/** Does `work` for all items, a few at a time. After a failure starts no more, and throws once all have ended. */
async function allOf<Item>(
  items: readonly Item[],
  signal: AbortSignal,
  work: (item: Item) => Promise<void>,
): Promise<void> {
  const line = items.values();
  const failures: unknown[] = [];
  const worker = async () => {
    for (const item of line) {
      if (failures.length > 0) return;
      signal.throwIfAborted();
      await work(item);
    }
  };
  await Promise.all(Array.from({ length: worksAtOnce }, () => worker().catch((error) => failures.push(error))));
  if (failures.length > 0) throw failures[0];
}
