// The tick: who is due goes into the queue, and at most twenty tenants at a time get a turn to walk everything.
import { type DueTenant, type PlannedJob, planJobs } from '../rules/planning.ts';
import type { Settings, SettingsDocument } from '../settings/settings.ts';
import type { Database } from '../store/database/pool.ts';
import { type DueRow, dueTenants, planOnce } from '../store/queue/schedule.ts';
import { settingsOfMany } from '../store/settings/versions.ts';

// More than all replicas begin within a tick; those behind them are planned by a later one, in the same order.
const maxJobs = 500;

/** A due tenant, and since when it is. */
export type DueNow = DueTenant & { readonly dueAt: string | null };

export type Planner = {
  /** The jobs to enqueue now: none where another replica plans. */
  plan(): Promise<readonly PlannedJob[]>;
  /** The tenant as it stands at this moment, if it is due and nobody syncs it. */
  dueNow(tenantId: string): Promise<DueNow | undefined>;
};

export function openPlanner(database: Database, defaults: SettingsDocument): Planner {
  const cache = new Map<string, Settings | undefined>();

  async function judged(on: Parameters<typeof dueTenants>[0], due: readonly DueRow[]): Promise<DueNow[]> {
    const ids = due.map((row) => row.tenant_id);
    const settings = ids.length > 0 ? await settingsOfMany(on, ids, defaults, cache) : new Map<string, Settings>();
    return due.map((row) => ({
      tenantId: row.tenant_id,
      dueAt: row.due_at,
      rescue: row.rescue,
      requested: row.requested,
      hasFullRoundSlot: row.has_full_round_slot,
      long: row.slow,
      needsFullRound: needsFullRound(row, settings.get(row.tenant_id)),
    }));
  }

  return {
    plan: async () => {
      let jobs: readonly PlannedJob[] = [];
      await planOnce(database, async (transaction, due, slotsTaken) => {
        const planned = planJobs(await judged(transaction, due), slotsTaken, maxJobs);
        jobs = planned.jobs;
        return planned.turns;
      });
      return jobs;
    },
    dueNow: async (tenantId) => (await judged(database, await dueTenants(database, tenantId)))[0],
  };
}

// Rule 17. Settings that do not fit together lead to no round at all: the cycle says so.
function needsFullRound(row: DueRow, settings: Settings | undefined): boolean {
  if (!settings) return false;
  const { users, groups } = settings.fingerprints;
  return row.users_fingerprint !== users || row.groups_fingerprint !== groups;
}
