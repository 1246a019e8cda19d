// People whom applications want read now (directory.request_cycle): beside the queue, so that none waits for a long cycle.

import type { CycleParts } from '../engine/cycle.ts';
import { readPerson } from '../engine/person.ts';
import { ExpectedError, errorCodeOf } from '../errors.ts';
import { describeDatabaseError } from '../store/pool.ts';
import { claimPersonRequest, endRequests, type PersonRequest } from '../store/requests.ts';

/** Answers what is waiting, one after another, until nothing waits. Never throws for what one request runs into. */
export async function answerPersonRequests(parts: CycleParts, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const request = await claimPersonRequest(parts.database);
    if (!request) return;
    await answer(parts, request, signal);
  }
}

async function answer(parts: CycleParts, request: PersonRequest, signal: AbortSignal): Promise<void> {
  const { tenant_id: tenantId, account_id: word, actor } = request;
  try {
    await readPerson(parts, { tenantId, word, actor, dryRun: false, signal });
  } catch (thrown) {
    // Another worker takes it when the claim has run out.
    if (signal.aborted) return;
    const error = describeDatabaseError(thrown);
    const reason = error instanceof ExpectedError ? error.message : undefined;
    parts.log.warn({ tenantId, accountId: word, code: errorCodeOf(error), reason }, 'person not read');
  }
  await endRequests(parts.database, [request.request_id]);
}
