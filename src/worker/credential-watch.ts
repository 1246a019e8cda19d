// Whoever failed with another credential than the one in use now is tried at once.

import type { CredentialReference, Settings, SettingsDocument } from '../settings/settings.ts';
import { credentialSalt, failingTenants, makeDue, recordFailingCredential } from '../store/cycle/attempts.ts';
import type { Database } from '../store/database/pool.ts';
import { settingsOfMany } from '../store/settings/versions.ts';

export type CredentialWatch = {
  /** Notes with which credential the tenant has just failed, or that it did not fail. */
  note(tenantId: string, failed: boolean): Promise<void>;
  /** Makes tenants due whose credential is another one since they failed; gives their number. */
  retryChanged(): Promise<number>;
};

/** `markOf` gives a hash of a credential as it is now, keyed by a salt: no more than that is kept of it. */
export async function openCredentialWatch(
  database: Database,
  defaults: SettingsDocument,
  markOf: (own: CredentialReference | null, salt: string) => string,
): Promise<CredentialWatch> {
  const salt = await credentialSalt(database);

  async function marksNow(tenantIds: readonly string[]): Promise<Map<string, string>> {
    const settings = await settingsOfMany(database, tenantIds, defaults, new Map<string, Settings | undefined>());
    return new Map(tenantIds.map((id) => [id, markOf(settings.get(id)?.credential ?? null, salt)]));
  }

  return {
    note: async (tenantId, failed) => {
      const marks = failed ? await marksNow([tenantId]) : undefined;
      await recordFailingCredential(database, tenantId, marks?.get(tenantId) ?? null);
    },
    retryChanged: async () => {
      const failing = await failingTenants(database);
      const marks = await marksNow(failing.map((tenant) => tenant.tenant_id));
      const changed = failing.filter((tenant) => tenant.failing_credential !== marks.get(tenant.tenant_id));
      if (changed.length === 0) return 0;
      return makeDue(
        database,
        changed.map((tenant) => tenant.tenant_id),
      );
    },
  };
}
