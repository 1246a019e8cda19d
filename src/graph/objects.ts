// Single objects, read by GET in a `$batch`: what came in a doubtful way is asked (rule 22).
import type { Occurrence, Problem } from '../rules/decode.ts';
import { retryAfterMs } from '../rules/failures.ts';
import { type GraphReader, refusedStatus } from './reader.ts';
import { RequestFailed } from './request-failed.ts';

/** What GET of one object said: the object, something that cannot be taken or read, or `gone` (404: deleted, or not ours to see). */
export type SingleObject = Extract<Occurrence, { patch: unknown }> | Problem | 'gone';

const batchSize = 20;

/** Reads objects one by one, 20 in a `$batch` (learn.microsoft.com/graph/json-batching). Items are throttled singly. */
export async function readObjects(
  reader: GraphReader,
  collection: 'users' | 'groups',
  ids: readonly string[],
  properties: readonly string[],
  decode: (item: unknown) => Occurrence | Problem,
): Promise<Map<string, SingleObject>> {
  const found = new Map<string, SingleObject>();
  for (let start = 0; start < ids.length; start += batchSize) {
    const chunk = ids.slice(start, start + batchSize);
    const missing = () => chunk.filter((id) => !found.has(id));
    await reader.getJson(`${reader.origin}/v1.0/$batch`, {
      carriedToken: false,
      batch: () => ({
        requests: missing().map((id) => ({
          id,
          method: 'GET',
          url: `/${collection}/${id}?$select=${properties.join(',')}`,
        })),
      }),
      parse: (body) => takeBatch(body, missing(), decode, found),
    });
  }
  return found;
}

type BatchItem = { id?: unknown; status?: unknown; headers?: Record<string, unknown>; body?: unknown };

function takeBatch(
  body: unknown,
  asked: readonly string[],
  decode: (item: unknown) => Occurrence | Problem,
  found: Map<string, SingleObject>,
): true | { malformed: string } | { failed: RequestFailed } {
  const responses = isObject(body) ? body.responses : undefined;
  if (!Array.isArray(responses)) return { malformed: 'the batch has no responses' };
  const failures: RequestFailed[] = [];
  for (const item of responses as BatchItem[]) {
    const id = asked.find((one) => one === item?.id);
    if (!id || found.has(id)) continue;
    if (item.status === 200) found.set(id, decodeSingle(id, item.body, decode));
    else if (item.status === 404) found.set(id, 'gone');
    else {
      const failed = itemFailure(item);
      // What asking again cannot change concerns this object alone: it stops neither the others nor the round (rule 19).
      const refused = refusedStatus(failed);
      if (refused === undefined) failures.push(failed);
      else found.set(id, { key: id, id, reason: `it cannot be read by itself (${refused})` });
    }
  }
  const [longest] = failures.sort((one, other) => askedMs(other) - askedMs(one));
  if (longest) return { failed: longest };
  return asked.every((id) => found.has(id)) ? true : { malformed: 'the batch lacks an answer' };
}

function askedMs({ retryAfter }: RequestFailed): number {
  return retryAfterMs(retryAfter, Date.now()) ?? 0;
}

function decodeSingle(id: string, body: unknown, decode: (item: unknown) => Occurrence | Problem): SingleObject {
  const decoded = decode(body);
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
    { retryAfter: retryAfter === undefined ? null : String(retryAfter) },
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
