// Distinguishes an object that Graph cannot serve from a Graph that is down (rule 19).

import { ExpectedError } from '../errors.ts';
import { judgeFailure } from '../rules/failures.ts';
import type { Stream } from '../rules/streams.ts';
import { type GraphReader, refusedStatus } from './reader.ts';
import { RequestFailed } from './request-failed.ts';

/** An object, or an object's list, that Graph does not serve: the status of the answer, or `no answer`. */
export type Unanswered = { readonly unserved: string };

// Passing faults to tolerate; more would delay the whole stream.
const faultsOfOne = 3;
// After this many failing objects, each further one is tried once.
const patientUntil = 10;

const tooLarge = 'too large';

const unservedBy = new WeakMap<GraphReader, number>();

/**
 * Asks for one object, or several that can be asked for singly. After three faults, and after Graph has answered
 * another request of the collection, it tries once more; then the fault is the object's. Throws what {@link
 * GraphReader.getJson} throws if Graph does not answer the other request, or throttles.
 */
export async function askWithProof<Answer>(
  reader: GraphReader,
  collection: Stream,
  ask: (faults: number) => Promise<Answer>,
): Promise<Answer | Unanswered> {
  const isPatient = (unservedBy.get(reader) ?? 0) < patientUntil;
  const tried = await ask(isPatient ? faultsOfOne : 1).catch((error: unknown) => objectFault(error));
  if (!isFault(tried)) return tried;
  // An answer that is too large is an answer, and the next one would be as large.
  if (tried.why === tooLarge) return { unserved: tried.why };
  await requireAnswering(reader, collection);
  const last = isPatient && !tried.toWait ? await ask(1).catch((error: unknown) => objectFault(error)) : tried;
  if (!isFault(last)) return last;
  unservedBy.set(reader, (unservedBy.get(reader) ?? 0) + 1);
  return { unserved: last.why };
}

/** Whether {@link askWithProof} returned no answer. */
export function isUnanswered(answer: unknown): answer is Unanswered {
  return typeof answer === 'object' && answer !== null && 'unserved' in answer;
}

/** Returns the fault of a failed request that may be the object's own; throws any other error unchanged. */
export function objectFault(error: unknown): OwnFault {
  const failed = error instanceof ExpectedError ? error.cause : undefined;
  if (!(failed instanceof RequestFailed) || failed.failure.kind === 'sign_in') throw error;
  const verdict = judgeFailure(failed.failure);
  const isLarge = failed.failure.kind === 'too_large';
  if (!isLarge && (verdict.act !== 'retry' || verdict.throttled)) throw error;
  const why = failed.failure.kind === 'answer' ? String(failed.failure.status) : isLarge ? tooLarge : 'no answer';
  return { fault: true, why, toWait: failed.retryAfterMs !== undefined };
}

/** `toWait`: Graph asked to wait before the next request. */
export type OwnFault = { readonly fault: true; readonly why: string; readonly toWait: boolean };

/** Asks for any one object of the collection. A refusal counts as an answer; throws if there is no answer. */
export async function requireAnswering(reader: GraphReader, collection: Stream): Promise<void> {
  try {
    await reader.getJson<true>(`${reader.origin}/v1.0/${collection}?$select=id&$top=1`, {
      carriedToken: false,
      parse: (body) =>
        Array.isArray((body as { value?: unknown } | null)?.value)
          ? true
          : { malformed: 'the body has no value array' },
    });
  } catch (error) {
    if (refusedStatus(error) === undefined) throw error;
  }
}

function isFault(answer: unknown): answer is OwnFault {
  return typeof answer === 'object' && answer !== null && 'fault' in answer;
}
