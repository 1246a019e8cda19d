// Which due tenants are put into the queue, in which order, and who gets a turn for a full round.

/** At most so many tenants at a time walk everything because of a first start or changed settings, over all replicas. */
export const mostFullTurns = 20;

export type DueTenant = {
  readonly tenantId: string;
  /** Its checkpoint is so old that Graph may forget it soon. */
  readonly rescue: boolean;
  /** Somebody asked for this cycle. */
  readonly requested: boolean;
  /** A first start or changed settings make the next round of a stream a full one. */
  readonly fullAhead: boolean;
  readonly hasTurn: boolean;
  /** Its cycles take long, or may: there is no knowing before the first. */
  readonly long: boolean;
};

export type PlannedJob = {
  readonly tenantId: string;
  /** Higher is earlier. */
  readonly priority: number;
  readonly long: boolean;
};

export type Plan = {
  readonly jobs: readonly PlannedJob[];
  /** Tenants that get a turn now. */
  readonly turns: readonly string[];
};

/**
 * Plans the due tenants, which come in the order in which they became due. `turnsTaken` counts those that have a turn,
 * due or running. Whoever needs a turn and gets none waits for the next planning; nobody waits for them.
 */
export function planJobs(due: readonly DueTenant[], turnsTaken: number, mostJobs: number): Plan {
  const turns: string[] = [];
  const jobs: PlannedJob[] = [];
  const ordered = [...due].sort((one, other) => priorityOf(other) - priorityOf(one));
  for (const tenant of ordered) {
    if (jobs.length >= mostJobs) break;
    if (tenant.fullAhead && !tenant.hasTurn) {
      if (turnsTaken + turns.length >= mostFullTurns) continue;
      turns.push(tenant.tenantId);
    }
    jobs.push({ tenantId: tenant.tenantId, priority: priorityOf(tenant), long: tenant.long });
  }
  return { jobs, turns };
}

// A token that is lost costs a walk of everything, so it comes before a person who waits, and that before the clock.
function priorityOf({ rescue, requested }: DueTenant): number {
  return (rescue ? 2 : 0) + (requested ? 1 : 0);
}
