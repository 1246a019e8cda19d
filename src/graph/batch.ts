// Sends several GETs as one `$batch` (learn.microsoft.com/graph/json-batching), and nothing but GETs.

import { retryAfterMs } from '../rules/failures.ts';
import type { Stream } from '../rules/streams.ts';
import { type GraphReader, refusedStatus } from './reader.ts';
import { RequestFailed } from './request-failed.ts';
import { askWithProof, isUnanswered } from './single-faults.ts';

/** Maximum number of requests in one `$batch`. */
export const batchSize = 20;

/**
 * The answers for an item: from its body, for a 404, and for one that is unreadable, refused, or fails while others do
 * not.
 */
export type BatchAnswers<Answer extends NonNullable<unknown> | string> = {
  body(id: string, body: unknown): Answer | { readonly malformed: string };
  notFound(id: string): Answer;
  /** `why`: the status, or `no answer`. `failing`: not refused, so a later try may succeed. */
  unread(id: string, why: string, failing: boolean): Answer;
};

/** `headers`: of the `$batch` and of each of its items. `mostBytes`: of its answer; a larger one is halved. */
export type BatchOptions = {
  readonly headers?: Record<string, string> | undefined;
  readonly mostBytes?: number | undefined;
};

/**
 * Sends the GETs of `urls` (id -> path and query without the version; at most 20) as one `$batch`, and retries failed
 * items after the longest Retry-After. An item that keeps failing while Graph answers is unread; a `$batch` that fails
 * as a whole is halved. Answers go to `found` as they come, so they outlive a later error. Throws what {@link
 * GraphReader.getJson} throws.
 */
export async function readBatch<Answer extends NonNullable<unknown> | string>(
  reader: GraphReader,
  urls: ReadonlyMap<string, string>,
  answers: BatchAnswers<Answer>,
  found: Map<string, Answer>,
  options: BatchOptions = {},
): Promise<void> {
  const { headers, mostBytes } = options;
  const missing = () => [...urls.keys()].filter((id) => !found.has(id));
  const failures = new Map<string, string>();
  const answer = await askWithProof(reader, collectionOf(urls), (faults) => {
    failures.clear();
    return reader.getJson<true>(`${reader.origin}/v1.0/$batch`, {
      carriedToken: false,
      faults,
      ...(headers && { headers }),
      ...(mostBytes !== undefined && { mostBytes }),
      batch: () => ({
        requests: missing().map((id) => ({ id, method: 'GET', url: urls.get(id), ...(headers && { headers }) })),
      }),
      parse: (body, answered) => takeBatch(body, answered, missing(), answers, found, failures),
    });
  });
  if (!isUnanswered(answer)) return;
  const left = missing();
  if (failures.size > 0 || left.length === 1) {
    for (const id of left) found.set(id, answers.unread(id, failures.get(id) ?? answer.unserved, true));
    return;
  }
  // The `$batch` failed as a whole; one of its items may be the cause.
  const middle = Math.ceil(left.length / 2);
  for (const half of [left.slice(0, middle), left.slice(middle)])
    await readBatch(reader, new Map(half.map((id) => [id, urls.get(id) ?? ''])), answers, found, options);
}

function collectionOf(urls: ReadonlyMap<string, string>): Stream {
  return [...urls.values()][0]?.startsWith('/groups') ? 'groups' : 'users';
}

type BatchItem = { id?: unknown; status?: unknown; headers?: Record<string, unknown>; body?: unknown };

function takeBatch<Answer extends NonNullable<unknown> | string>(
  body: unknown,
  answered: string | null,
  asked: readonly string[],
  answers: BatchAnswers<Answer>,
  found: Map<string, Answer>,
  unanswered: Map<string, string>,
): true | { malformed: string } | { failed: RequestFailed } {
  const responses = isObject(body) ? body.responses : undefined;
  if (!Array.isArray(responses)) return { malformed: 'the batch has no responses' };
  const failures: RequestFailed[] = [];
  unanswered.clear();
  for (const item of responses as BatchItem[]) {
    const id = asked.find((one) => one === item?.id);
    if (!id || found.has(id)) continue;
    if (item.status === 200) {
      const answer = answers.body(id, item.body);
      if (isObject(answer) && 'malformed' in answer) {
        unanswered.set(id, 'no usable answer');
        failures.push(
          new RequestFailed({ kind: 'malformed' }, `Graph answered 200 inside a batch, but ${answer.malformed}`),
        );
      } else found.set(id, answer as Answer);
    } else if (item.status === 404) found.set(id, answers.notFound(id));
    else {
      const failed = itemFailure(item, answered);
      // A refusal concerns this object alone (rule 19).
      const refused = refusedStatus(failed);
      if (refused !== undefined) found.set(id, answers.unread(id, String(refused), false));
      else {
        failures.push(failed);
        unanswered.set(id, String(item.status));
      }
    }
  }
  for (const id of asked) if (!found.has(id) && !unanswered.has(id)) unanswered.set(id, 'no answer');
  const [longest] = failures.sort((one, other) => (other.retryAfterMs ?? 0) - (one.retryAfterMs ?? 0));
  if (longest) return { failed: longest };
  return asked.every((id) => found.has(id)) ? true : { malformed: 'the batch lacks an answer' };
}

function itemFailure(item: BatchItem, answered: string | null): RequestFailed {
  const status = typeof item.status === 'number' ? item.status : 500;
  const retryAfter = Object.entries(item.headers ?? {}).find(([name]) => name.toLowerCase() === 'retry-after')?.[1];
  return new RequestFailed(
    // 424: the item failed because of another one.
    { kind: 'answer', status: status === 424 ? 503 : status, codes: [], carriedToken: false },
    `Graph answered ${status} inside a batch`,
    { retryAfterMs: retryAfterMs(retryAfter === undefined ? null : String(retryAfter), answered, Date.now()) },
  );
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
