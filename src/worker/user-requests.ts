// People whom applications want read now (directory.request_cycle): beside the queue, so that none waits for a long cycle.

import type { CycleParts } from '../engine/cycle.ts';
import { readUserOnDemand } from '../engine/on-demand.ts';
import { ExpectedError, errorCodeOf } from '../errors.ts';
import { forTenant } from '../store/database/activity.ts';
import { describeDatabaseError } from '../store/database/pool.ts';
import { claimPersonRequest, endRequests, type UserRequest } from '../store/queue/requests.ts';

export type UserRequests = {
  /** Looks for what is waiting, and answers it beside what is under way. */
  look(): void;
  /** Resolves when nothing is under way; never rejects. */
  idle(): Promise<void>;
};

// Of different tenants: one whose Graph hangs keeps one of them.
const maxAtOnce = 4;

/** `onError` hears what kept requests from being looked for; what one runs into is in the log. */
export function openPersonRequests(
  parts: CycleParts,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): UserRequests {
  const underWay = new Set<Promise<void>>();
  let last: string | null = null;

  async function answerWaiting(): Promise<void> {
    while (!signal.aborted) {
      const request: UserRequest | undefined = await claimPersonRequest(parts.database, last);
      if (!request) return;
      last = request.tenant_id;
      await forTenant(request.tenant_id, () => answer(parts, request, signal));
    }
  }

  return {
    look: () => {
      if (underWay.size >= maxAtOnce) return;
      const work = answerWaiting()
        .catch(onError)
        .finally(() => underWay.delete(work));
      underWay.add(work);
    },
    idle: async () => void (await Promise.all(underWay)),
  };
}

async function answer(parts: CycleParts, request: UserRequest, signal: AbortSignal): Promise<void> {
  const { tenant_id: tenantId, account_id: word, actor } = request;
  try {
    await readUserOnDemand(parts, { tenantId, word, actor, dryRun: false, signal });
  } catch (thrown) {
    // Another worker takes it when the claim has run out.
    if (signal.aborted) return;
    const error = describeDatabaseError(thrown);
    const reason = error instanceof ExpectedError ? error.message : undefined;
    parts.log.warn({ tenantId, accountId: word, code: errorCodeOf(error), reason }, 'person not read');
  }
  await endRequests(parts.database, [request.request_id]);
}
