// A change of settings as a person gave it: names of groups become ids, and what would be in force is checked before anything
// is stored.
import { isDeepStrictEqual } from 'node:util';
import { belowStored } from '../../settings/fields.ts';
import {
  checkInstallationSettings,
  checkSettings,
  mergeDocuments,
  type SettingsDocument,
} from '../../settings/settings.ts';
import type { Database } from '../database/pool.ts';
import { type StoredVersion, storedSettings } from '../settings/versions.ts';
import { requireClosedGroups, withGroupIds } from '../tenants/groups-in-settings.ts';

export type GivenChange = {
  /** Null: the tenant's own settings are dropped. */
  readonly document: SettingsDocument | null;
  /** The stored version of the tenant, or of the installation, until now. */
  readonly own: StoredVersion | undefined;
  /** The stored version already says the same. */
  readonly isSame: boolean;
};

/**
 * Checks a document merged into what is in force, of a tenant or of the installation (null). `written` null drops the tenant's
 * own settings. `name`: what messages call it. Throws `settings_invalid` with every problem.
 */
export async function checkGiven(
  database: Database,
  defaults: SettingsDocument,
  { tenantId, written, name }: { tenantId: string | null; written: unknown; name: string },
): Promise<GivenChange> {
  const stored = await storedSettings(database, tenantId);
  // Check the merged settings before storing: a version that no cycle can read must never be in force.
  const above = stored.map((one) => one.document);
  const layers = [belowStored(defaults, above), ...above];
  const named = tenantId === null ? written : await withGroupIds(database, tenantId, written);
  const check = tenantId === null ? checkInstallationSettings : checkSettings;
  const document = named === null ? null : check(named, name, layers);
  if (tenantId !== null && document) await requireClosedGroups(database, tenantId, document);
  const own = stored.find((one) => one.tenant_id === tenantId);
  const next = document === null ? {} : mergeDocuments(own?.document ?? {}, document);
  return { document, own, isSame: isDeepStrictEqual(next, own?.document ?? {}) };
}
