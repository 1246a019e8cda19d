// Asks Graph for single objects, chunk by chunk. Each is staged before the next is asked for: memory stays bounded, and
// a cut-off cycle resumes there (rules 12, 22).

import { batchSize } from '../graph/batch.ts';
import type { SingleObject } from '../graph/objects.ts';
import { openPacer } from '../graph/paced.ts';
import type { GraphReader } from '../graph/reader.ts';
import type { Stream } from '../rules/streams.ts';
import { notAsked } from '../store/stage/doubts.ts';
import type { Round } from '../store/stage/rounds.ts';
import type { StreamContext } from './stream.ts';

// Ten `$batch` requests, at most these objects in memory or read again after a crash.
const chunkSize = 10 * batchSize;

export type Asking = {
  readonly stream: Stream;
  readonly round: Round;
  readonly ids: readonly string[];
  /** Reads up to {@link batchSize} objects in one `$batch`. */
  read(reader: GraphReader, ids: readonly string[]): Promise<Map<string, SingleObject>>;
  /** Stages a chunk's answers, and that its objects were asked for. */
  settle(answers: ReadonlyMap<string, SingleObject>, reader: GraphReader): Promise<void>;
};

/**
 * Reads the objects that GET has not answered for in this round. Stages the answers before it throws a failure. Throws
 * what reading and staging throw.
 */
export async function askInChunks(context: StreamContext, asking: Asking): Promise<void> {
  const { stream, round } = asking;
  const ids = await notAsked(context.database, round.round_id, asking.ids);
  if (ids.length === 0) return;
  if (ids.length > chunkSize) context.log.info({ stream, doubtful: ids.length }, 'many objects are asked for singly');
  const reader = openPacer(context.signal)(context.reader);
  const report = (objects: number) =>
    context.onProgress({ stream, phase: 'ask', pages: round.pages, objects, total: ids.length });
  report(0);
  for (const chunk of inParts(ids, chunkSize)) {
    context.signal.throwIfAborted();
    const read = await Promise.allSettled(inParts(chunk, batchSize).map((part) => asking.read(reader, part)));
    const answers = new Map(read.flatMap((one) => (one.status === 'fulfilled' ? [...one.value] : [])));
    if (answers.size > 0) await asking.settle(answers, reader);
    const failed = read.find((one) => one.status === 'rejected');
    if (failed) throw failed.reason;
    report(ids.indexOf(chunk.at(-1) ?? '') + 1);
  }
}

/** Returns the answer, or a problem if it lacks a property that every object of the stream has. */
export function partialAnswer(id: string, answer: SingleObject, marks: readonly string[]): SingleObject {
  if (answer === 'not_found' || 'reason' in answer || marks.every((mark) => Object.hasOwn(answer.patch, mark)))
    return answer;
  return { key: id, id, reason: 'it was not shown whole, when it was read by itself either' };
}

function inParts<Item>(items: readonly Item[], size: number): Item[][] {
  return Array.from({ length: Math.ceil(items.length / size) }, (_, part) =>
    items.slice(part * size, (part + 1) * size),
  );
}
