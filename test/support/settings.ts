// Settings for tests: stored as the command line stores them.
import { loadDefaults, type SettingsDocument } from '../../src/settings/settings.ts';
import type { Database } from '../../src/store/database/pool.ts';
import { type AppliedSettings, applySettings } from '../../src/store/settings/versions.ts';

/** Stores the next version of the installation's settings, or of one tenant's. */
export function setSettings(
  database: Database,
  document: SettingsDocument,
  tenantId: string | null = null,
): Promise<AppliedSettings> {
  return applySettings(database, loadDefaults(), { tenantId, document, actor: 'test' });
}
