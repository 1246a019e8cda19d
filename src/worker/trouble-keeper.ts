// Finds troubles of tenants, so that the change feed and notices tell of them.
import { daysLeft } from '../rules/notices.ts';
import type { CredentialReference } from '../settings/settings.ts';
import type { Database } from '../store/database/pool.ts';
import { lookForTroubles } from '../store/webhooks/troubles.ts';

const lookEveryMs = 5_000;

/**
 * Returns what each tick does: every few seconds it looks, unless another worker did. `credentialEnd`: when the certificate
 * of the environment, or of a tenant's own credential, ends; undefined for a secret, which does not show its end.
 */
export function openTroubleKeeper(
  database: Database,
  credentialEnd: (own?: CredentialReference) => Date | undefined,
): () => Promise<void> {
  let lookedAt = Number.NEGATIVE_INFINITY;
  return async () => {
    if (performance.now() - lookedAt < lookEveryMs) return;
    lookedAt = performance.now();
    const daysOf = (own?: CredentialReference) => {
      const end = credentialEnd(own);
      return (end && daysLeft(end, new Date())) ?? null;
    };
    await lookForTroubles(database, daysOf(), daysOf);
  };
}
