// The tick: queues due tenants, and gives at most twenty at a time a full-round slot.
import { nameTenantInLog } from '../logger.ts';
import { type DueTenant, type PlannedJob, planJobs } from '../rules/planning.ts';
import type { Settings, SettingsDocument } from '../settings/settings.ts';
import type { Database } from '../store/database/pool.ts';
import { type DueRow, dueTenants, planOnce } from '../store/queue/schedule.ts';
import { settingsOfMany } from '../store/settings/versions.ts';

// More than all replicas start within a tick. A later tick plans the rest, in the same order.
const maxJobs = 500;

export type DueNow = DueTenant & { readonly dueAt: string | null };

export type Planner = {
  /** Returns the jobs to enqueue now: none while another replica plans. */
  plan(): Promise<readonly PlannedJob[]>;
  /** Returns the tenant as it is now, if it is due and no process syncs it. */
  dueNow(tenantId: string): Promise<DueNow | undefined>;
};

export function openPlanner(database: Database, defaults: SettingsDocument): Planner {
  const cache = new Map<string, Settings | undefined>();

  async function describeDue(on: Parameters<typeof dueTenants>[0], due: readonly DueRow[]): Promise<DueNow[]> {
    for (const row of due) nameTenantInLog(row.tenant_id, row.name);
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
        const planned = planJobs(await describeDue(transaction, due), slotsTaken, maxJobs);
        jobs = planned.jobs;
        return planned.turns;
      });
      return jobs;
    },
    dueNow: async (tenantId) => (await describeDue(database, await dueTenants(database, tenantId)))[0],
  };
}

// Rule 17. Settings that contradict each other start no round: the cycle reports them.
function needsFullRound(row: DueRow, settings: Settings | undefined): boolean {
  if (!settings) return false;
  const { users, groups } = settings.fingerprints;
  return row.users_fingerprint !== users || row.groups_fingerprint !== groups;
}
