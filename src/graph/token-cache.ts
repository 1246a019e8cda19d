// Tokens that outlive a cycle, for a process that runs many: while one is good, its tenant's next cycle does not sign in.
import type { TokenSource } from './credential.ts';

export type TokenCache = {
  /** The tenant's source as it was left under this `mark` of all that its tokens depend on, else a new one. */
  take(tenantId: string, mark: string, open: () => TokenSource): TokenSource;
  /** The tenant's next cycle signs in anew. */
  drop(tenantId: string): void;
};

// Of a tenant that is not synced any more nothing stays: tokens live 60 to 90 minutes (graph-facts), most tenants less.
const keptMs = 90 * 60_000;
const mostKept = 5_000;

/** Opens an empty cache. Sources that were not taken for `keptMs` are let go of, and beyond `mostKept` the oldest. */
export function openTokenCache(limits = { keptMs, mostKept }): TokenCache {
  const kept = new Map<string, { mark: string; source: TokenSource; takenAt: number }>();
  return {
    take: (tenantId, mark, open) => {
      const before = kept.get(tenantId);
      const source = before?.mark === mark ? before.source : open();
      const takenAt = performance.now();
      // Taken last, it is the last in order.
      kept.delete(tenantId);
      kept.set(tenantId, { mark, source, takenAt });
      for (const [id, one] of kept) {
        if (kept.size <= limits.mostKept && takenAt - one.takenAt <= limits.keptMs) break;
        kept.delete(id);
      }
      return source;
    },
    drop: (tenantId) => {
      kept.delete(tenantId);
    },
  };
}
