// Reads single objects by GET in a `$batch`, to settle doubts (rule 22).

import type { Occurrence, Problem } from '../rules/decode.ts';
import type { Stream } from '../rules/streams.ts';
import { batchSize, readBatch } from './batch.ts';
import type { GraphReader } from './reader.ts';

/** `unread`: Graph said nothing about the object, so it may exist or not. */
export type SingleProblem = Problem & { readonly unread?: true };

/** The result of GET for one object: the object, a problem, or `not_found` (404: deleted, or not visible to us). */
export type SingleObject = Extract<Occurrence, { patch: unknown }> | SingleProblem | 'not_found';

/** Reads single objects, 20 per `$batch`. */
export async function readObjects(
  reader: GraphReader,
  collection: Stream,
  ids: readonly string[],
  properties: readonly string[],
  decode: (item: unknown) => Occurrence | Problem,
): Promise<Map<string, SingleObject>> {
  const found = new Map<string, SingleObject>();
  for (let start = 0; start < ids.length; start += batchSize) {
    const urls = new Map(
      ids
        .slice(start, start + batchSize)
        .map((id) => [id, `/${collection}/${id}?$select=${properties.join(',')}`] as const),
    );
    await readBatch<SingleObject>(
      reader,
      urls,
      {
        body: (id, body) => decodeSingle(id, body, decode),
        notFound: () => 'not_found',
        unread: (id, why) => ({ key: id, id, reason: `it cannot be read by itself (${why})`, unread: true }),
      },
      found,
    );
  }
  return found;
}

function decodeSingle(id: string, body: unknown, decode: (item: unknown) => Occurrence | Problem): SingleObject {
  const decoded = decode(body);
  if ('reason' in decoded) return { key: id, id, reason: decoded.reason };
  return decoded.id === id && 'patch' in decoded
    ? decoded
    : { key: id, id, reason: 'Graph answered with another object' };
}
