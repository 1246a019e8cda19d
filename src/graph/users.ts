// The users of a tenant: the first URL, the pages of a round as an async generator, single users in a $batch.
import {
  type DeltaPage,
  decodeObject,
  decodePage,
  type Occurrence,
  type Problem,
  type SelectedProperties,
} from '../rules/decode.ts';
import { judgeFailure, retryAfterMs } from '../rules/failures.ts';
import { RequestFailed, requireOrigin } from './client.ts';
import type { GraphReader } from './reader.ts';

/** Where a full round starts. `$select` is explicit: without it the pages of Graph disagree on what is tracked. */
export function firstUsersUrl(origin: string, properties: readonly string[]): string {
  return `${origin}/v1.0/users/delta?$select=${properties.join(',')}`;
}

export type FetchedPage = { readonly url: string; readonly page: DeltaPage };

/**
 * The pages of a round, from `start` to the delta link. The next page is fetched while the caller stages this one.
 * `startCarriesToken` is false only for the first URL of a full round. Throws what {@link GraphReader.getJson} throws.
 */
export async function* userPages(
  reader: GraphReader,
  options: {
    start: string;
    startCarriesToken: boolean;
    selected: SelectedProperties;
    headers?: Record<string, string>;
  },
): AsyncGenerator<FetchedPage> {
  const { selected, headers = {} } = options;
  const fetchPage = async (url: string, carriedToken: boolean): Promise<FetchedPage> => {
    const page = await reader.getJson(url, { carriedToken, headers, parse: (body) => decodePage(body, selected) });
    // Before anybody stages it: a foreign link that was once kept would be met again at every resume.
    requireOrigin('next' in page.link ? page.link.next : page.link.delta, reader.origin);
    return { url, page };
  };
  let ahead = fetchPage(options.start, options.startCarriesToken);
  for (;;) {
    const fetched = await ahead;
    if ('delta' in fetched.page.link) {
      yield fetched;
      return;
    }
    ahead = fetchPage(fetched.page.link.next, true);
    // Its failure is thrown when its turn comes; if that never comes, nobody needs to know.
    ahead.catch(() => {});
    yield fetched;
  }
}

/**
 * How many users there are, for a progress bar, or undefined where that cannot be had. Served from an index that lags
 * (learn.microsoft.com/graph/aad-advanced-queries), so nothing but the bar may rest on it.
 */
export async function countUsers(reader: GraphReader): Promise<number | undefined> {
  const count = await reader.tryJson(`${reader.origin}/v1.0/users/$count`, { ConsistencyLevel: 'eventual' });
  return typeof count === 'number' && count >= 0 ? count : undefined;
}

/** What GET /users/{id} said: the user, something that cannot be taken or read, or `gone` (404: deleted, or not ours to see). */
export type SingleUser = Extract<Occurrence, { patch: unknown }> | Problem | 'gone';

const batchSize = 20;

/** Reads users one by one, 20 in a `$batch` (learn.microsoft.com/graph/json-batching). Items are throttled singly. */
export async function readUsers(
  reader: GraphReader,
  ids: readonly string[],
  properties: readonly string[],
  selected: SelectedProperties,
): Promise<Map<string, SingleUser>> {
  const found = new Map<string, SingleUser>();
  for (let start = 0; start < ids.length; start += batchSize) {
    const chunk = ids.slice(start, start + batchSize);
    const missing = () => chunk.filter((id) => !found.has(id));
    await reader.getJson(`${reader.origin}/v1.0/$batch`, {
      carriedToken: false,
      batch: () => ({
        requests: missing().map((id) => ({ id, method: 'GET', url: `/users/${id}?$select=${properties.join(',')}` })),
      }),
      parse: (body) => takeBatch(body, missing(), selected, found),
    });
  }
  return found;
}

type BatchItem = { id?: unknown; status?: unknown; headers?: Record<string, unknown>; body?: unknown };

function takeBatch(
  body: unknown,
  asked: readonly string[],
  selected: SelectedProperties,
  found: Map<string, SingleUser>,
): true | { malformed: string } | { failed: RequestFailed } {
  const responses = isObject(body) ? body.responses : undefined;
  if (!Array.isArray(responses)) return { malformed: 'the batch has no responses' };
  const failures: RequestFailed[] = [];
  for (const item of responses as BatchItem[]) {
    const id = asked.find((one) => one === item?.id);
    if (!id || found.has(id)) continue;
    if (item.status === 200) found.set(id, decodeSingle(id, item.body, selected));
    else if (item.status === 404) found.set(id, 'gone');
    else {
      const failed = itemFailure(item);
      // What asking again cannot change concerns this user alone: it stops neither the others nor the round (rule 19).
      if (isWorthAnotherTry(failed)) failures.push(failed);
      else found.set(id, { key: id, id, reason: `it cannot be read by itself (${item.status})` });
    }
  }
  const [longest] = failures.sort((one, other) => askedMs(other) - askedMs(one));
  if (longest) return { failed: longest };
  return asked.every((id) => found.has(id)) ? true : { malformed: 'the batch lacks an answer' };
}

function isWorthAnotherTry({ failure }: RequestFailed): boolean {
  const { act } = judgeFailure(failure);
  return act === 'retry' || act === 'new_access_token';
}

function askedMs({ retryAfter }: RequestFailed): number {
  return retryAfterMs(retryAfter, Date.now()) ?? 0;
}

function decodeSingle(id: string, body: unknown, selected: SelectedProperties): SingleUser {
  const decoded = decodeObject(body, selected);
  if ('reason' in decoded) return { key: id, id, reason: decoded.reason };
  return decoded.id === id && 'patch' in decoded
    ? decoded
    : { key: id, id, reason: 'Graph answered with another object' };
}

function itemFailure(item: BatchItem): RequestFailed {
  const status = typeof item.status === 'number' ? item.status : 500;
  const retryAfter = Object.entries(item.headers ?? {}).find(([name]) => name.toLowerCase() === 'retry-after')?.[1];
  return new RequestFailed(
    // 424 is what a batch answers for an item that fell with another one; the item itself is worth asking again.
    { kind: 'answer', status: status === 424 ? 503 : status, codes: [], carriedToken: false },
    `Graph answered ${status} inside a batch`,
    { retryAfter: retryAfter === undefined ? null : String(retryAfter), body: item.body },
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
