// Applies starts and ends of assignments, and changed slots of all tenants, between the commits of cycles.
import { applyDueAssignments, tenantsToAssign } from '../store/accounts/due-assignments.ts';
import { forTenant } from '../store/database/activity.ts';
import type { Database } from '../store/database/pool.ts';

export type AssignmentKeeper = {
  /** Starts to apply what is due, unless it is at it already. */
  look(): void;
  /** Resolves when nothing is under way; never rejects. */
  idle(): Promise<void>;
};

// Changed slots are compared tenant by tenant.
const slotsEveryMs = 15_000;

/** A large tenant takes seconds, so no tick waits for it. Errors go to `onError`; the next look tries again. */
export function openAssignmentKeeper(
  database: Database,
  signal: AbortSignal,
  onError: (error: unknown) => void,
): AssignmentKeeper {
  let underWay: Promise<void> | undefined;
  let slotsAt = Number.NEGATIVE_INFINITY;

  async function applyAll(): Promise<void> {
    const withSlots = performance.now() - slotsAt >= slotsEveryMs;
    if (withSlots) slotsAt = performance.now();
    for (const tenantId of await tenantsToAssign(database, withSlots)) {
      if (signal.aborted) return;
      await forTenant(tenantId, () => applyDueAssignments(database, tenantId)).catch(onError);
    }
  }

  return {
    look: () => {
      underWay ??= applyAll()
        .catch(onError)
        .finally(() => {
          underWay = undefined;
        });
    },
    idle: async () => void (await underWay),
  };
}
