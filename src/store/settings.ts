// Settings as numbered versions in the database, from which alone cycles read.
import { mergeDocuments, resolveSettings, type Settings, type SettingsDocument } from '../settings.ts';
import { type Database, inTransaction, rows, type Transaction } from './pool.ts';

/** Stores `defaults` as the installation's first version, if it has none. */
export async function seedSettings(on: Database | Transaction, defaults: SettingsDocument): Promise<void> {
  await on.raw(
    `insert into entra_sync.settings (tenant_id, document, actor)
     select null, :document::jsonb, 'migrate'
      where not exists (select from entra_sync.settings where tenant_id is null)`,
    { document: JSON.stringify(defaults) },
  );
}

type StoredVersion = {
  version: number;
  document: SettingsDocument;
  tenant_id: string | null;
  applied_at: Date;
  actor: string;
};

/** The newest stored versions that hold for a tenant (null: for the installation alone), the installation's first. */
export async function storedSettings(on: Database | Transaction, tenantId: string | null): Promise<StoredVersion[]> {
  return rows<StoredVersion>(
    on,
    `select distinct on (tenant_id) version, document, tenant_id, applied_at, actor from entra_sync.settings
      where tenant_id is null or tenant_id = :tenant::uuid order by tenant_id nulls first, version desc`,
    { tenant: tenantId },
  );
}

/** The number of the newest version that holds for a tenant. */
export async function settingsVersion(on: Database | Transaction, tenantId: string | null): Promise<number> {
  return Math.max(0, ...(await storedSettings(on, tenantId)).map((one) => one.version));
}

/**
 * The settings in force for a tenant: its own version over the installation's over the defaults of this release, which
 * only fill in settings that older stored versions do not know.
 */
export async function settingsInForce(
  on: Database | Transaction,
  tenantId: string | null,
  defaults: SettingsDocument,
): Promise<Settings> {
  const stored = await storedSettings(on, tenantId);
  const version = Math.max(0, ...stored.map((one) => one.version));
  return resolveSettings([withoutFields(defaults, stored.length > 0), ...stored.map((one) => one.document)], version);
}

// A stored field list is complete: a field that a newer release adds by default must not appear without anybody's doing.
function withoutFields(defaults: SettingsDocument, stored: boolean): SettingsDocument {
  return stored ? { ...defaults, fields: {} } : defaults;
}

/** Stores the installation's next version, `document` over what is in force, and returns its number. Waits for commits. */
export async function applySettings(database: Database, document: SettingsDocument, actor: string): Promise<number> {
  return inTransaction(database, async (transaction) => {
    await transaction.raw('lock table entra_sync.settings in share row exclusive mode');
    await transaction.raw('select from entra_sync.tenants order by tenant_id for update');
    const [current] = await storedSettings(transaction, null);
    const next = mergeDocuments(current?.document ?? {}, document);
    const [stored] = await rows<{ version: number }>(
      transaction,
      'insert into entra_sync.settings (tenant_id, document, actor) values (null, :document::jsonb, :actor) returning version',
      { document: JSON.stringify(next), actor },
    );
    return stored?.version ?? 0;
  });
}
