// Purges what no cycle purges, and erases disconnected tenants whose time has come.
import { ExpectedError } from '../errors.ts';
import type { Log } from '../logger.ts';
import { forgetWords, purgeDue, purgedAtOnce, tenantsToPurge } from '../store/commit/purge-due.ts';
import type { Database } from '../store/database/pool.ts';
import { eraseDueTenants } from '../store/tenants/disconnect.ts';

const lookEveryMs = 10 * 60_000;

/** Returns what each tick does: every ten minutes it looks, and then it purges one lot a tick until none is left. */
export function openHousekeeper(database: Database, log: Log): () => Promise<void> {
  let lookedAt = Number.NEGATIVE_INFINITY;
  let left: string[] = [];
  return async () => {
    if (left.length === 0) {
      if (performance.now() - lookedAt < lookEveryMs) return;
      lookedAt = performance.now();
      for (const tenantId of await eraseDueTenants(database))
        log.info({ tenantId }, 'the disconnected tenant is erased: its time was up');
      await forgetWords(database);
      left = await tenantsToPurge(database);
    }
    const [tenantId] = left;
    if (tenantId === undefined) return;
    left = left.slice(1);
    try {
      const purged = await purgeDue(database, tenantId);
      if (purged.accounts + purged.groups > 0) log.info({ tenantId, ...purged }, 'purged after the retention');
      if (Math.max(purged.accounts, purged.groups) === purgedAtOnce) left = [tenantId, ...left];
    } catch (error) {
      // A commit is under way there, or the tenant was erased: the next look finds what is left.
      const passing = ['database_locked', 'unknown_name'];
      if (!(error instanceof ExpectedError && passing.includes(error.code))) throw error;
    }
  };
}
