// Purges what no cycle purges, keeps words that no cycle kept, and erases disconnected tenants whose time has come.
import { ExpectedError } from '../errors.ts';
import type { Log } from '../logger.ts';
import { keepNewWords, tenantsWithNewWords } from '../store/accounts/words.ts';
import { forgetWords, purgeDue, purgedAtOnce, tenantsToPurge } from '../store/commit/purge-due.ts';
import type { Database } from '../store/database/pool.ts';
import { expireAudit, expiredAtOnce } from '../store/feed/audit.ts';
import { noteLargeTenants } from '../store/stage/statistics.ts';
import { eraseDueTenants } from '../store/tenants/disconnect.ts';
import { forgetEndedSessions } from '../store/web/sessions.ts';
import { forgetAttempts } from '../store/webhooks/webhooks.ts';

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
      for (const tenantId of await tenantsWithNewWords(database)) await keepNewWords(database, tenantId);
      await forgetWords(database);
      await noteLargeTenants(database);
      await forgetEndedSessions(database);
      await forgetAttempts(database);
      while ((await expireAudit(database)) === expiredAtOnce);
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
