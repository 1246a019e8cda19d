// The live accounts and groups of a tenant before and after a settings change.
import type { Json, Source } from '../../rules/decode.ts';
import type { Stream } from '../../rules/streams.ts';
import type { Settings, SettingsDocument } from '../../settings/settings.ts';
import { insideGroups } from '../commit/group-scope.ts';
import { rows, type Transaction } from '../database/pool.ts';
import { liveManaged, managedInGraph, naturally } from '../database/vocabulary.ts';
import { settingsInForce } from '../settings/versions.ts';

export type PreviewedAccount = {
  readonly account_id: string;
  readonly entra_object_id: string | null;
  readonly display_name: string | null;
  readonly source: Source;
  /** The document of the live manager; null: none. */
  readonly manager: Source | null;
  /** Edits in force under the new rules. */
  readonly overrides: { readonly [field: string]: Json };
  readonly profile: { readonly [field: string]: Json };
  readonly enabled: boolean;
  /** In a scope group of the new settings, by stored memberships; true without scope groups. */
  readonly inside: boolean;
};

const page = 2_000;

/** Yields managed live accounts. `batch` holds the dry run's change rows. */
export async function* previewedAccounts(
  transaction: Transaction,
  bind: { tenant: string; batch: string; scopeGroups: readonly string[] },
): AsyncGenerator<PreviewedAccount[]> {
  let after: string | null = null;
  for (;;) {
    const found: PreviewedAccount[] = await rows<PreviewedAccount>(
      transaction,
      `select a.account_id, a.entra_object_id, a.source, a.overrides,
              coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name, m.source as manager,
              a.profile || coalesce(c.before -> 'profile', '{}') as profile, a.enabled,
              cardinality(:scopeGroups::uuid[]) = 0 or ${insideGroups('a.entra_object_id')} as inside
         from entra_sync.accounts a
         left join entra_sync.accounts m
           on m.tenant_id = a.tenant_id and m.entra_object_id = a.manager_object_id and m.removed_at is null
          and m.account_id <> a.account_id
         left join entra_sync.changes c
           on c.account_id = a.account_id and c.batch_id = :batch and c.kind = 'account.updated'
        where a.tenant_id = :tenant and ${liveManaged('a')} and (:after::uuid is null or a.account_id > :after)
        order by a.account_id limit ${page}`,
      { ...bind, after },
    );
    if (found.length === 0) return;
    yield found;
    after = found.at(-1)?.account_id ?? null;
  }
}

export type PreviewedGroup = {
  readonly group_id: string;
  readonly entra_object_id: string;
  readonly display_name: string | null;
  readonly copied: boolean;
};

/** Returns the groups that follow Entra ID there, by name; those that are not copied have none. */
export function previewedGroups(transaction: Transaction, tenant: string): Promise<PreviewedGroup[]> {
  return rows<PreviewedGroup>(
    transaction,
    `select g.group_id, g.entra_object_id, g.display_name, g.copied from entra_sync.groups g
      where g.tenant_id = :tenant and ${managedInGraph('g')} order by ${naturally('g.display_name')}, g.group_id`,
    { tenant },
  );
}

/**
 * Returns the settings and fingerprint of a stream's last committed round; null before the first. They differ from those
 * in force while a change waits for its full round.
 */
export async function settingsLastRead(
  transaction: Transaction,
  tenant: string,
  defaults: SettingsDocument,
  stream: Stream,
): Promise<{ settings: Settings; fingerprint: string } | null> {
  const [read] = await rows<{ settings_version: number; fingerprint: string }>(
    transaction,
    'select settings_version, fingerprint from entra_sync.checkpoints where tenant_id = :tenant and stream = :stream',
    { tenant, stream },
  );
  if (!read) return null;
  const settings = await settingsInForce(transaction, tenant, defaults, read.settings_version);
  return { settings, fingerprint: read.fingerprint };
}
