// Whether the settings in force only narrow the scope of the last committed users round, or the choice of the last groups round.
import { ExpectedError } from '../errors.ts';
import type { Stream } from '../rules/streams.ts';
import { copiesFewer, narrowedTo } from '../settings/narrowing.ts';
import type { Settings, SettingsDocument } from '../settings/settings.ts';
import type { Database, Transaction } from '../store/database/pool.ts';
import { settingsInForce } from '../store/settings/versions.ts';
import type { Checkpoint } from '../store/stage/rounds.ts';
import type { CycleInputs, Narrowing } from './stream.ts';

/** Compares the settings in force with those of the checkpoints. */
export async function narrowingOf(
  on: Database | Transaction,
  tenantId: string,
  defaults: SettingsDocument,
  { users, groups }: CycleInputs['streams'],
  settings: Settings,
): Promise<Narrowing> {
  const ofUsers = await settingsBefore(on, tenantId, defaults, 'users', users.checkpoint, settings);
  const ofGroups = await settingsBefore(on, tenantId, defaults, 'groups', groups.checkpoint, settings);
  return {
    users: ofUsers && narrowedTo(ofUsers, settings),
    groups: ofGroups !== undefined && copiesFewer(ofGroups, settings),
  };
}

/** Returns the settings with which the checkpoint was committed; undefined without one, and where the version is the same. */
async function settingsBefore(
  on: Database | Transaction,
  tenantId: string,
  defaults: SettingsDocument,
  stream: Stream,
  checkpoint: Checkpoint | undefined,
  settings: Settings,
): Promise<Settings | undefined> {
  if (!checkpoint || checkpoint.settings_version === settings.version) return undefined;
  // Users who were read on demand under settings in between are judged by these.
  if (checkpoint.fingerprint === settings.fingerprints[stream]) return settings;
  try {
    const before = await settingsInForce(on, tenantId, defaults, checkpoint.settings_version);
    // An earlier release may have read other properties under the same settings.
    return before.fingerprints[stream] === checkpoint.fingerprint ? before : undefined;
  } catch (error) {
    if (error instanceof ExpectedError && error.code === 'settings_invalid') return undefined;
    throw error;
  }
}
