// Tenants that this worker leaves alone for a while, because the database failed before their next cycle was noted there.
import { retryJobMs, retrySoonMs } from '../rules/planning.ts';

export type Rests = {
  /** Leaves the tenant alone: longer each time until `end`, and for one to two minutes after a cycle. */
  begin(tenantId: string, afterCycle: boolean): void;
  isOver(tenantId: string): boolean;
  /** Forgets the earlier rests of the tenant. */
  end(tenantId: string): void;
};

/** `now` returns milliseconds of a monotonic clock, `random` a number from 0 to 1. */
export function openRests(random: () => number = Math.random, now: () => number = () => performance.now()): Rests {
  const rests = new Map<string, { readonly times: number; readonly until: number }>();
  return {
    begin: (tenantId, afterCycle) => {
      const times = (rests.get(tenantId)?.times ?? 0) + 1;
      const ms = afterCycle ? retrySoonMs(random()) : retryJobMs(times, random());
      rests.set(tenantId, { times, until: now() + ms });
    },
    isOver: (tenantId) => (rests.get(tenantId)?.until ?? Number.NEGATIVE_INFINITY) <= now(),
    end: (tenantId) => void rests.delete(tenantId),
  };
}
