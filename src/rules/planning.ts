// Decides when a tenant is tried again. Chooses the due tenants for the queue, their order, and the full-round slots.
import type { CycleOutcome } from './outcome.ts';
import { isDatabasesFault, waitAfter } from './quarantine.ts';

/** Maximum number of full-round slots (first start or changed settings), over all replicas. */
export const maxFullRoundSlots = 20;

/**
 * Seconds after a tenant's cycle in which a request makes no cycle due. The request stays: an application that asks again
 * and again gets one cycle after another with this pause, and each call one that began after it.
 */
export const restSeconds = 10;

export type DueTenant = {
  readonly tenantId: string;
  /** The checkpoint is so old that Graph may forget it soon. */
  readonly rescue: boolean;
  /** A person asked for this cycle. */
  readonly requested: boolean;
  /** The next round of a stream is a full one, because of a first start or changed settings. */
  readonly needsFullRound: boolean;
  readonly hasFullRoundSlot: boolean;
  /** Its cycles take long, or it has had none yet. */
  readonly long: boolean;
};

export type PlannedJob = {
  readonly tenantId: string;
  /** Higher comes first. */
  readonly priority: number;
  readonly long: boolean;
};

export type Plan = {
  readonly jobs: readonly PlannedJob[];
  /** Tenants that now get a full-round slot. */
  readonly turns: readonly string[];
};

/**
 * Plans the due tenants, in the order in which they became due. `slotsTaken` counts tenants with a full-round slot. A
 * tenant without one waits for the next plan; other tenants do not wait for it.
 */
export function planJobs(due: readonly DueTenant[], slotsTaken: number, maxJobs: number): Plan {
  const turns: string[] = [];
  const jobs: PlannedJob[] = [];
  const ordered = [...due].sort((one, other) => priorityOf(other) - priorityOf(one));
  for (const tenant of ordered) {
    if (jobs.length >= maxJobs) break;
    if (tenant.needsFullRound && !tenant.hasFullRoundSlot) {
      if (slotsTaken + turns.length >= maxFullRoundSlots) continue;
      turns.push(tenant.tenantId);
    }
    jobs.push({ tenantId: tenant.tenantId, priority: priorityOf(tenant), long: tenant.long });
  }
  return { jobs, turns };
}

// An expiring token comes first, since losing it costs a full round. Requests come next, then the schedule.
function priorityOf({ rescue, requested }: DueTenant): number {
  return (rescue ? 2 : 0) + (requested ? 1 : 0);
}

/** The end of a cycle. `failures`: in a row, this cycle included. */
export type CycleEnded = {
  readonly outcome: CycleOutcome;
  readonly code: string | null;
  readonly failures: number;
  readonly intervalMs: number;
  /** Time since the start: the interval is from start to start. */
  readonly sinceStartMs: number;
};

const minute = 60_000;

/**
 * Returns the milliseconds until a tenant is tried again whose cycle the database stopped: one to two minutes, since the
 * database does not report its recovery. `chance` is a random number from 0 to 1: tenants that were stopped together do not
 * return together.
 */
export function retrySoonMs(chance: number): number {
  return minute + minute * chance;
}

/**
 * Returns the milliseconds until a job is tried again that the database stopped before its cycle began, `times` in a row: at
 * first a second or two, because a connection that broke costs no more, then twice as long each time, up to that of a cycle.
 */
export function retryJobMs(times: number, chance: number): number {
  return Math.min(retrySoonMs(chance), 500 * 2 ** times * (1 + chance));
}

/** Returns the milliseconds from the end of a cycle to the next one. `chance`: see {@link retrySoonMs}. */
export function nextCycleMs(ended: CycleEnded, chance: number): number {
  const { outcome, code, failures, intervalMs, sinceStartMs } = ended;
  // Any replica resumes a cancelled cycle at once.
  if (outcome === 'cancelled') return 0;
  if (isDatabasesFault(code)) return Math.min(intervalMs, retrySoonMs(chance));
  // Ten percent either way, so that tenants that were added together drift apart.
  const drift = 0.9 + 0.2 * chance;
  return Math.max(0, waitAfter(failures, intervalMs) * drift - sinceStartMs);
}
