// Settings as numbered versions in the database, the only place where cycles read them.
import { isDeepStrictEqual } from 'node:util';
import { ExpectedError } from '../../errors.ts';
import { fieldRules } from '../../rules/ownership.ts';
import { belowStored } from '../../settings/fields.ts';
import { maxFields } from '../../settings/schema.ts';
import { mergeDocuments, resolveSettings, type Settings, type SettingsDocument } from '../../settings/settings.ts';
import { ofManyTenants } from '../database/lock-waits.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';
import { closeFeedBatch, nextFeedBatch } from '../feed/batches.ts';
import { changeRowsOutsideCycle } from '../feed/change-rows.ts';
import { inDryRun } from '../feed/receipts.ts';
import {
  moveOwnership,
  type OwnershipChange,
  type TenantRules,
  tenantsWithoutRules,
  writeRules,
} from './field-rules.ts';

/** Stores `defaults` as the installation's first version if it has none. */
export async function seedSettings(on: Database | Transaction, defaults: SettingsDocument): Promise<void> {
  await on.raw(
    `insert into entra_sync.settings (tenant_id, document, actor)
     select null, :document::jsonb, 'migrate'
      where not exists (select from entra_sync.settings where tenant_id is null)`,
    { document: JSON.stringify(defaults) },
  );
}

export type StoredVersion = {
  version: number;
  document: SettingsDocument;
  tenant_id: string | null;
  applied_at: Date;
  actor: string;
};

/**
 * Returns the newest stored versions that apply to a tenant (null: to the installation only), the installation's first;
 * up to `asOf` if given.
 */
export async function storedSettings(
  on: Database | Transaction,
  tenantId: string | null,
  asOf: number | null = null,
): Promise<StoredVersion[]> {
  return rows<StoredVersion>(
    on,
    `select distinct on (tenant_id) version, document, tenant_id, applied_at, actor from entra_sync.settings
      where (tenant_id is null or tenant_id = :tenant::uuid) and (:asOf::integer is null or version <= :asOf::integer)
      order by tenant_id nulls first, version desc`,
    { tenant: tenantId, asOf },
  );
}

/** Returns the number of the newest version that applies to a tenant. */
export async function settingsVersion(on: Database | Transaction, tenantId: string | null): Promise<number> {
  return Math.max(0, ...(await storedSettings(on, tenantId)).map((one) => one.version));
}

/**
 * Returns the settings in force for a tenant, or when `asOf` was the newest version: the tenant's over the
 * installation's over this release's defaults, which only add settings.
 */
export async function settingsInForce(
  on: Database | Transaction,
  tenantId: string | null,
  defaults: SettingsDocument,
  asOf: number | null = null,
): Promise<Settings> {
  return resolveStored(await storedSettings(on, tenantId, asOf), defaults);
}

/** Merges stored versions into the defaults. Throws `settings_invalid` if they contradict. */
export function resolveStored(
  stored: readonly Pick<StoredVersion, 'version' | 'document'>[],
  defaults: SettingsDocument,
): Settings {
  const version = Math.max(0, ...stored.map((one) => one.version));
  const layers = stored.map((one) => one.document);
  return resolveSettings([belowStored(defaults, layers), ...layers], version);
}

/**
 * {@link settingsInForce} for many tenants in one statement, without those whose settings are invalid. `cache` keeps
 * resolved settings for the caller.
 */
export async function settingsOfMany(
  on: Database | Transaction,
  tenantIds: readonly string[],
  defaults: SettingsDocument,
  cache: Map<string, Settings | undefined>,
): Promise<Map<string, Settings>> {
  const stored = await rows<StoredVersion>(
    on,
    `select distinct on (tenant_id) version, document, tenant_id from entra_sync.settings
      where tenant_id is null or tenant_id = any(:tenantIds::uuid[]) order by tenant_id, version desc`,
    { tenantIds },
  );
  const installation = stored.find((one) => one.tenant_id === null);
  const own = new Map(stored.map((one) => [one.tenant_id, one]));
  const found = new Map<string, Settings>();
  for (const tenantId of tenantIds) {
    const layers = [installation, own.get(tenantId)].filter((one) => one !== undefined);
    const key = layers.map((one) => one.version).join(' ');
    if (!cache.has(key)) cache.set(key, resolveOrNothing(layers, defaults));
    const settings = cache.get(key);
    if (settings) found.set(tenantId, settings);
  }
  return found;
}

function resolveOrNothing(stored: readonly StoredVersion[], defaults: SettingsDocument): Settings | undefined {
  try {
    return resolveStored(stored, defaults);
  } catch (error) {
    if (error instanceof ExpectedError) return undefined;
    throw error;
  }
}

export type SettingsChange = {
  /** Null: the installation's own. */
  readonly tenantId: string | null;
  /** Merged into the stored document; null resets the tenant's own. */
  readonly document: SettingsDocument | null;
  /** Whether `document` takes the place of the stored one, as a revert to an older version does. */
  readonly replaces?: boolean;
  /** The newest version that applies to the tenant as the person saw it. */
  readonly seen?: number;
  readonly actor: string;
};

/** Another version than the one that the person saw is in force. */
export class SettingsChanged extends Error {}

export type TenantEffect = OwnershipChange & {
  readonly tenantId: string;
  /** The batch of its change rows. */
  readonly batch: string;
  readonly before: Settings;
  readonly after: Settings;
};

export type AppliedSettings = { readonly version: number; readonly effects: readonly TenantEffect[] };

/**
 * Stores the next version and applies field rules at once; mapping and scope come with the full round that they cause.
 * Waits for commits, holding no lock between attempts, so that edits need not wait. `look` sees the changed database; a
 * dry run is rolled back after it.
 */
export async function applySettings(
  database: Database,
  defaults: SettingsDocument,
  change: SettingsChange,
  options: { dryRun?: boolean; look?: (transaction: Transaction, applied: AppliedSettings) => Promise<void> } = {},
): Promise<AppliedSettings> {
  return inDryRun(
    database,
    options.dryRun === true,
    async (transaction) => {
      const applied = await storeSettings(transaction, defaults, change);
      if (options.dryRun) await giveBack(transaction, applied.version);
      await options.look?.(transaction, applied);
      return applied;
    },
    ofManyTenants,
  );
}

// A rollback does not reset a sequence. The table lock keeps others from taking a number meanwhile.
async function giveBack(transaction: Transaction, version: number): Promise<void> {
  // A role with USAGE alone on the sequence leaves a gap.
  await transaction.raw(
    `select setval(sequence, :version, false)
       from (select pg_get_serial_sequence('entra_sync.settings', 'version') as sequence) s
      where has_sequence_privilege(sequence, 'UPDATE')`,
    { version },
  );
}

async function storeSettings(
  transaction: Transaction,
  defaults: SettingsDocument,
  change: SettingsChange,
): Promise<AppliedSettings> {
  const { tenantId, actor } = change;
  await transaction.raw('lock table entra_sync.settings in share row exclusive mode');
  const tenants = await rows<{ tenant_id: string }>(
    transaction,
    `select tenant_id from entra_sync.tenants where :tenantId::uuid is null or tenant_id = :tenantId
      order by tenant_id for update`,
    { tenantId },
  );
  if (change.seen !== undefined && (await settingsVersion(transaction, tenantId)) !== change.seen)
    throw new SettingsChanged();
  const ids = tenants.map((one) => one.tenant_id);
  const before = await settingsOf(transaction, ids, defaults);
  const own = (await storedSettings(transaction, tenantId)).find((one) => one.tenant_id === tenantId);
  const kept = change.replaces ? {} : (own?.document ?? {});
  const next = change.document === null ? {} : mergeDocuments(kept, change.document);
  const [stored] = await rows<{ version: number }>(
    transaction,
    `insert into entra_sync.settings (tenant_id, document, actor)
     values (:tenantId, :document::jsonb, :actor) returning version`,
    { tenantId, document: JSON.stringify(next), actor },
  );
  const version = stored?.version ?? 0;
  const after = await settingsOf(transaction, ids, defaults);
  const effects: TenantEffect[] = [];
  for (const tenant of ids) {
    const [old, now] = [before.get(tenant), after.get(tenant)];
    if (!old || !now) continue;
    requireFewFields(tenant, old.fields.length, now.fields.length);
    // Even without a difference: this repairs outdated rules.
    const written = await writeRules(transaction, [tenant], rulesOf(now));
    if (!written && isSame(old, now)) continue;
    const scope = { tenant, actor, batch: await nextFeedBatch(transaction) };
    const moved = await moveOwnership(transaction, scope);
    if (old.intervalMs !== now.intervalMs) await moveNextCycle(transaction, tenant, now.intervalMs - old.intervalMs);
    effects.push({ tenantId: tenant, batch: scope.batch, before: old, after: now, ...moved });
    await transaction.raw(
      changeRowsOutsideCycle("'tenant.settings_changed'", { before: ':before::jsonb', after: ':after::jsonb' }, ''),
      { ...scope, before: JSON.stringify({ version: old.version }), after: JSON.stringify({ version }) },
    );
    await closeFeedBatch(transaction, scope);
  }
  return { version, effects };
}

// The installation's fields and the tenant's own may be too many together. What is in force already stays.
function requireFewFields(tenant: string, before: number, after: number): void {
  if (after <= Math.max(before, maxFields)) return;
  throw new ExpectedError(
    'settings_invalid',
    `tenant ${tenant} would have ${after} fields with its own, and at most ${maxFields} are possible`,
    { cure: 'name fewer, or take out some of its own with entra-sync tenant set TENANT FILE' },
  );
}

// The next cycle was planned with the old interval. A past time means due.
async function moveNextCycle(transaction: Transaction, tenant: string, byMs: number): Promise<void> {
  await transaction.raw(
    `update entra_sync.tenants set next_cycle_at = next_cycle_at + :byMs * interval '1 millisecond'
      where tenant_id = :tenant`,
    { tenant, byMs },
  );
}

/** Returns the rules that the database enforces. */
export function rulesOf(settings: Settings): TenantRules {
  const { retentionMs, manual, managedBy } = settings;
  return { rules: fieldRules(settings), retentionMs, manualRoles: manual.editableBy, managedBy };
}

/** Locks settings until the transaction ends, for rules derived from them. */
export async function shareSettings(transaction: Transaction): Promise<void> {
  await transaction.raw('lock table entra_sync.settings in share mode');
}

/** Writes the rules of tenants that have none. Call {@link shareSettings} first. */
export async function completeRules(transaction: Transaction, defaults: SettingsDocument): Promise<void> {
  const settings = await settingsOf(transaction, await tenantsWithoutRules(transaction), defaults);
  for (const [tenant, one] of settings) await writeRules(transaction, [tenant], rulesOf(one));
}

async function settingsOf(
  transaction: Transaction,
  tenantIds: readonly string[],
  defaults: SettingsDocument,
): Promise<Map<string, Settings>> {
  const settings = new Map<string, Settings>();
  for (const id of tenantIds) {
    try {
      settings.set(id, await settingsInForce(transaction, id, defaults));
    } catch (error) {
      if (!(error instanceof ExpectedError)) throw error;
      throw new ExpectedError(error.code, `tenant ${id}: ${error.message}`, {
        cure: 'correct its own settings with entra-sync tenant set TENANT FILE, or remove them with --reset',
        cause: error,
      });
    }
  }
  return settings;
}

function isSame({ version: _, ...one }: Settings, { version: __, ...other }: Settings): boolean {
  return isDeepStrictEqual(one, other);
}
