// An object that Graph cannot serve while it serves others is told apart from a Graph that is down (rule 19).

import { ExpectedError } from '../errors.ts';
import { judgeFailure } from '../rules/failures.ts';
import type { Stream } from '../rules/streams.ts';
import { type GraphReader, refusedStatus } from './reader.ts';
import { RequestFailed } from './request-failed.ts';

/** An object, or a list of one, that is not to be had: the status of the answer, or `no answer`. */
export type Unserved = { readonly unserved: string };

// As many faults as Graph may have in passing; a wait for one object is paid by all of its stream.
const faultsOfOne = 3;
// With so many objects that fail, each further one is asked once.
const patientUntil = 10;

const unservedBy = new WeakMap<GraphReader, number>();

/**
 * Asks for one object, or for several that can be asked for one by one. What fails three times is asked once more after
 * Graph has answered another request of the collection: then it is the object's own fault, and told so. Throws what
 * {@link GraphReader.getJson} throws where Graph does not answer that one either, and where Graph throttles. `ask` is
 * called with how many faults it may have.
 */
export async function askApart<Answer>(
  reader: GraphReader,
  collection: Stream,
  ask: (faults: number) => Promise<Answer>,
): Promise<Answer | Unserved> {
  const isPatient = (unservedBy.get(reader) ?? 0) < patientUntil;
  const tried = await ask(isPatient ? faultsOfOne : 1).catch((error: unknown) => ownFault(error));
  if (!isFault(tried)) return tried;
  await requireAnswering(reader, collection);
  const last = isPatient && !tried.toWait ? await ask(1).catch((error: unknown) => ownFault(error)) : tried;
  if (!isFault(last)) return last;
  unservedBy.set(reader, (unservedBy.get(reader) ?? 0) + 1);
  return { unserved: last.why };
}

/** Whether an answer of {@link askApart} is none. */
export function isUnserved(answer: unknown): answer is Unserved {
  return typeof answer === 'object' && answer !== null && 'unserved' in answer;
}

/** Why a request failed that may be the object's own fault; throws every other error as it is. */
export function ownFault(error: unknown): OwnFault {
  const failed = error instanceof ExpectedError ? error.cause : undefined;
  if (!(failed instanceof RequestFailed) || failed.failure.kind === 'sign_in') throw error;
  const verdict = judgeFailure(failed.failure);
  const isLarge = failed.failure.kind === 'too_large';
  if (!isLarge && (verdict.act !== 'retry' || verdict.throttled)) throw error;
  const why = failed.failure.kind === 'answer' ? String(failed.failure.status) : isLarge ? 'too large' : 'no answer';
  return { fault: true, why, toWait: failed.retryAfterMs !== undefined };
}

/** `toWait`: Graph named a time before which it is not to be asked again. */
export type OwnFault = { readonly fault: true; readonly why: string; readonly toWait: boolean };

/** Asks for one object of the collection, whichever. A refusal is an answer too; throws where there is none. */
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
