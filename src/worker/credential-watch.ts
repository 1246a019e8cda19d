// A tenant that failed with an older credential is due as soon as the credential changes.

import type { CredentialReference, Settings, SettingsDocument } from '../settings/settings.ts';
import { credentialSalt, failingTenants, makeDue, recordFailingCredential } from '../store/cycle/next-cycle.ts';
import type { Database } from '../store/database/pool.ts';
import { settingsOfMany } from '../store/settings/versions.ts';

export type CredentialWatch = {
  /** Records the credential that the tenant has just failed with, or that it did not fail. */
  note(tenantId: string, failed: boolean): Promise<void>;
  /** Makes the tenants due whose credential has changed since they failed; returns their number. */
  retryChanged(): Promise<number>;
};

/** `markOf` returns a salted hash of the current credential. Nothing else of the credential is stored. */
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
