// Whether the settings in force only narrow the scope of the last committed users round.
import { ExpectedError } from '../errors.ts';
import { narrowing } from '../rules/scope.ts';
import type { Settings, SettingsDocument } from '../settings/settings.ts';
import type { Database, Transaction } from '../store/database/pool.ts';
import { settingsInForce } from '../store/settings/versions.ts';
import type { Checkpoint } from '../store/stage/rounds.ts';

/** Returns where each condition went, if `after` differs from `before` by a narrower scope alone; else undefined. */
export function narrowedTo(before: Settings, after: Settings): readonly number[] | undefined {
  return before.reading === after.reading ? narrowing(before.scope, after.scope) : undefined;
}

/** {@link narrowedTo} of the settings with which the checkpoint was committed. */
export async function narrowedSince(
  on: Database | Transaction,
  tenantId: string,
  defaults: SettingsDocument,
  checkpoint: Checkpoint | undefined,
  settings: Settings,
): Promise<readonly number[] | undefined> {
  if (!checkpoint || checkpoint.fingerprint === settings.fingerprints.users) return undefined;
  try {
    const before = await settingsInForce(on, tenantId, defaults, checkpoint.settings_version);
    // An earlier release may have read other properties under the same settings.
    return before.fingerprints.users === checkpoint.fingerprint ? narrowedTo(before, settings) : undefined;
  } catch (error) {
    if (error instanceof ExpectedError && error.code === 'settings_invalid') return undefined;
    throw error;
  }
}
