// The worker's log in short: how many tenants have had their first cycle, and once per interval what was done.
import type { Log } from '../logger.ts';
import { changesOf } from '../rules/counts.ts';
import type { SettingsDocument } from '../settings/settings.ts';
import type { Database } from '../store/database/pool.ts';
import { settingsInForce } from '../store/settings/versions.ts';
import { tallyTenants, tenantNames } from '../store/tenants/tally.ts';
import type { CycleReport } from './tenant-job.ts';

export type Summary = {
  /** Counts a cycle that has ended. */
  count(report: CycleReport): void;
  /** Logs what is due. Throws if the database fails; the next call tries again. */
  look(): Promise<void>;
};

const none = { cycles: 0, failed: 0, held: 0, changes: 0 };

/** `now`: milliseconds of a clock that never goes back. */
export function openSummary(
  { database, log, defaults }: { database: Database; log: Log; defaults: SettingsDocument },
  now: () => number = () => performance.now(),
): Summary {
  let done = { ...none };
  let toldAt = now();
  // Tenants whose first cycle has succeeded since the last look.
  let begun: string[] = [];
  return {
    count: ({ tenantId, kind, outcome, streams, firstLoad }) => {
      const reports = [...Object.values(firstLoad?.streams ?? {}), ...Object.values(streams ?? {})];
      const changes = reports.reduce((sum, one) => sum + changesOf(one), 0);
      done = {
        cycles: done.cycles + 1,
        failed: done.failed + (outcome === 'failed' || outcome === 'partial' ? 1 : 0),
        held: done.held + (outcome === 'held' ? 1 : 0),
        changes: done.changes + changes,
      };
      if (kind === 'initial' && (outcome === 'committed' || outcome === 'held')) begun.push(tenantId);
    },
    look: async () => {
      if (begun.length > 0) {
        const { synced, all } = await tallyTenants(database);
        for (const { tenant_id: tenantId, name } of await tenantNames(database, begun))
          log.info({ tenantId, tenant: name, done: synced, of: all }, 'first cycle done');
        begun = [];
      }
      const { intervalMs } = await settingsInForce(database, null, defaults);
      if (now() - toldAt < intervalMs) return;
      const tenants = await tallyTenants(database);
      log.info({ minutes: Math.round((now() - toldAt) / 60_000), ...done, tenants }, 'summary');
      done = { ...none };
      toldAt = now();
    },
  };
}
