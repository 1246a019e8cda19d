// The versions of the settings that were ever stored.
import { type Database, rows } from '../database/pool.ts';
import type { StoredVersion } from './versions.ts';

export type NamedVersion = StoredVersion & { readonly tenant_name: string | null };

/**
 * Returns stored versions, newest first: the installation's, and with `tenantId` those of the tenant too; with `version`
 * that one alone, of whichever tenant.
 */
export function settingsHistory(database: Database, tenantId?: string, version?: number): Promise<NamedVersion[]> {
  return rows<NamedVersion>(
    database,
    `select s.version, s.document, s.tenant_id, s.applied_at, s.actor, t.name as tenant_name
       from entra_sync.settings s left join entra_sync.tenants t using (tenant_id)
      where case when :version::integer is not null then s.version = :version
                 else s.tenant_id is null or s.tenant_id = :tenantId::uuid end
      order by s.version desc`,
    { tenantId: tenantId ?? null, version: version ?? null },
  );
}
