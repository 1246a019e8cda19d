// On-demand reads that applications request (directory.request_cycle). They bypass the queue and its long cycles.

import type { CycleParts } from '../engine/cycle.ts';
import { readUserOnDemand } from '../engine/on-demand.ts';
import { ExpectedError, errorCodeOf } from '../errors.ts';
import { forTenant } from '../store/database/activity.ts';
import { describeDatabaseError } from '../store/database/pool.ts';
import { claimPersonRequest, endRequests, type UserRequest } from '../store/queue/requests.ts';

export type UserRequests = {
  /** Starts to answer waiting requests. */
  look(): void;
  /** Resolves when no request is under way; never rejects. */
  idle(): Promise<void>;
};

// Each is for another tenant, so a tenant whose Graph hangs blocks only one.
const maxAtOnce = 4;

/** `onError` receives errors of looking for requests; the error of a single request is logged. */
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
    // Another worker takes the request when its claim has expired.
    if (signal.aborted) return;
    const error = describeDatabaseError(thrown);
    const reason = error instanceof ExpectedError ? error.message : undefined;
    parts.log.warn({ tenantId, accountId: word, code: errorCodeOf(error), reason }, 'user not read');
  }
  await endRequests(parts.database, [request.request_id]);
}
