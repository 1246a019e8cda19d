// Keeps tokens between cycles, so that a tenant's next cycle need not sign in while its token is valid.
import type { TokenSource } from './credential.ts';

export type TokenCache = {
  /**
   * Returns the tenant's kept source if `mark`, a hash of all that its tokens depend on, is the same; else opens one.
   */
  take(tenantId: string, mark: string, open: () => TokenSource): TokenSource;
  /** Drops the tenant's source, so its next cycle signs in. */
  drop(tenantId: string): void;
};

// The longest life of a token, so a tenant that is no longer synced leaves nothing behind.
const keptMs = 90 * 60_000;
const maxKept = 5_000;

/** Opens an empty cache. Drops sources unused for `keptMs`, and the least recently used beyond `maxKept`. */
export function openTokenCache(limits = { keptMs, maxKept }): TokenCache {
  const kept = new Map<string, { mark: string; source: TokenSource; takenAt: number }>();
  return {
    take: (tenantId, mark, open) => {
      const before = kept.get(tenantId);
      const source = before?.mark === mark ? before.source : open();
      const takenAt = performance.now();
      // Moves the tenant to the end of the order.
      kept.delete(tenantId);
      kept.set(tenantId, { mark, source, takenAt });
      for (const [id, one] of kept) {
        if (kept.size <= limits.maxKept && takenAt - one.takenAt <= limits.keptMs) break;
        kept.delete(id);
      }
      return source;
    },
    drop: (tenantId) => {
      kept.delete(tenantId);
    },
  };
}
