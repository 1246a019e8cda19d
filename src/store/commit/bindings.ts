// The values that a commit's statements bind, and the steps that all commits share.
import { ExpectedError } from '../../errors.ts';
import type { StreamCounts } from '../../rules/counts.ts';
import type { RemovalLimits } from '../../rules/guard.ts';
import type { MatchKey } from '../../rules/mapping.ts';
import type { Stream } from '../../rules/streams.ts';
import { rowCount, type Transaction } from '../database/pool.ts';
import { isErased, objectOfKey } from '../database/vocabulary.ts';
import { settingsVersion } from '../settings/versions.ts';
import type { Round } from '../stage/rounds.ts';

export type CommitBindings = {
  readonly tenant: string;
  readonly stream: Stream;
  readonly round: string;
  readonly full: boolean;
  readonly batch: string;
  readonly cycle: string | null;
  readonly actor: string;
  readonly retentionMs: number;
  /** Removals beyond these limits are held (rule 10). */
  readonly removals: RemovalLimits;
  /** The keys that match manual accounts, in order. */
  readonly match: readonly MatchKey[];
  /** Object ids of the scope groups. Empty: every user is in scope. */
  readonly scopeGroups: readonly string[];
  /** The groups stream has committed a round under these settings, so absence from the scope groups removes (rule 23). */
  readonly groupsJudged: boolean;
  /** An on-demand read or a listing: removes, sweeps and purges no account. */
  readonly onDemand: boolean;
  /** A first load, which suspends no account either: the guard judges that in the first round. */
  readonly listing?: true;
  /** A dry run or a trial, which ends with a rollback: its lists take no number of those that people see. */
  readonly rolledBack?: boolean;
};

export type Apply = (transaction: Transaction, bind: CommitBindings) => Promise<StreamCounts>;

/**
 * Throws `round_changed` unless the round has the settings in force, which the lock of the tenant's row keeps (rule
 * 17).
 */
export async function requireSettings(
  transaction: Transaction,
  tenantId: string,
  round: Pick<Round, 'settings_version'>,
): Promise<void> {
  if ((await settingsVersion(transaction, tenantId)) === round.settings_version) return;
  throw new ExpectedError('round_changed', 'the settings changed while this round was read', {
    cure: 'run the command again: the round starts over',
  });
}

/** Stores what this round set aside, forgets what it read; returns the number set aside. */
export async function keepSetAside(transaction: Transaction, bind: CommitBindings): Promise<number> {
  const kept = await rowCount(
    transaction,
    `insert into entra_sync.set_aside (tenant_id, stream, object_key, reason)
     select :tenant, :stream, p.object_key, p.reason from entra_sync.stage_set_aside p
      where p.round_id = :round and not ${isErased(objectOfKey('p.object_key'))}
     on conflict (tenant_id, stream, object_key) do update set reason = excluded.reason, last_seen_at = now()`,
    bind,
  );
  // A full round read every object, so what it did not set aside is readable.
  await transaction.raw(
    `delete from entra_sync.set_aside a
      where a.tenant_id = :tenant and a.stream = :stream
        and (not exists (select from entra_sync.stage_set_aside p
                          where p.round_id = :round and p.object_key = a.object_key offset 0)
             or ${isErased(objectOfKey('a.object_key'))})
        and (:full::boolean
             or exists (select from entra_sync.stage_users s
                         where s.round_id = :round and s.entra_object_id = ${objectOfKey('a.object_key')} offset 0)
             or exists (select from entra_sync.stage_groups s
                         where s.round_id = :round and s.entra_object_id = ${objectOfKey('a.object_key')} offset 0))`,
    bind,
  );
  return kept;
}
