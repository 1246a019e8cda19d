// Tenants that this worker leaves alone for a while, because the database cannot take note of their failure.
import { retrySoonMs } from '../rules/planning.ts';

export type Rests = {
  /** Leaves the tenant alone for one to two minutes. */
  begin(tenantId: string): void;
  isOver(tenantId: string): boolean;
};

/** `now` returns milliseconds of a monotonic clock, `random` a number from 0 to 1. */
export function openRests(random: () => number = Math.random, now: () => number = () => performance.now()): Rests {
  const until = new Map<string, number>();
  return {
    begin: (tenantId) => void until.set(tenantId, now() + retrySoonMs(random())),
    isOver: (tenantId) => {
      if ((until.get(tenantId) ?? Number.NEGATIVE_INFINITY) > now()) return false;
      until.delete(tenantId);
      return true;
    },
  };
}
