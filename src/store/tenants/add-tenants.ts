// Registers many tenants in one transaction, all or none.
import { ExpectedError } from '../../errors.ts';
import type { SettingsDocument } from '../../settings/settings.ts';
import { type Database, rowCount, rows, type Transaction } from '../database/pool.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { completeRules, shareSettings } from '../settings/versions.ts';

export type NewTenant = { readonly tenantId: string; readonly name: string; readonly ref: string | null };

/** A listed tenant that stands in the way of the whole list. */
export type Obstacle = {
  readonly tenantId: string;
  readonly why: 'registered' | 'name_taken';
  /** The tenant that is registered under this id, or has this name. */
  readonly by: { readonly tenantId: string; readonly name: string; readonly ref: string | null };
};

export type Added = {
  /** The ids that were registered. */
  readonly added: readonly string[];
  /** The ids that are registered already, with this name and reference. */
  readonly unchanged: readonly string[];
  /** If there are any, nothing was registered. */
  readonly obstacles: readonly Obstacle[];
};

const listed = `jsonb_to_recordset(:tenants::jsonb) as l ("tenantId" uuid, name text, ref text)`;

/** Registers tenants like {@link addTenant}, in one transaction. Names and ids are distinct. A dry run writes nothing. */
export async function addTenants(
  database: Database,
  tenants: readonly NewTenant[],
  { defaults, dryRun }: { defaults: SettingsDocument; dryRun: boolean },
): Promise<Added> {
  if (dryRun) return plan(database, tenants);
  return inReportedTransaction(database, async (transaction) => {
    await shareSettings(transaction);
    const planned = await plan(transaction, tenants);
    if (planned.obstacles.length > 0 || planned.added.length === 0) return planned;
    const wanted = tenants.filter((one) => planned.added.includes(one.tenantId));
    const count = await rowCount(
      transaction,
      `insert into entra_sync.tenants (tenant_id, name, external_ref)
       select l."tenantId", l.name, l.ref from ${listed} on conflict (tenant_id) do nothing`,
      { tenants: JSON.stringify(wanted) },
    );
    if (count < wanted.length) {
      throw new ExpectedError('tenant_exists', 'a tenant of the list was registered by another process meanwhile', {
        cure: 'run the command again: nothing was registered by this one',
      });
    }
    await completeRules(transaction, defaults);
    return planned;
  });
}

async function plan(database: Database | Transaction, tenants: readonly NewTenant[]): Promise<Added> {
  const found = await rows<{ id: string; same: boolean; tenant_id: string; name: string; external_ref: string | null }>(
    database,
    `select l."tenantId" as id, t.tenant_id, t.name, t.external_ref,
            t.tenant_id = l."tenantId" and t.name = l.name and t.external_ref is not distinct from l.ref as same
       from ${listed} join entra_sync.tenants t
         on t.tenant_id = l."tenantId" or entra_sync.folded(t.name) = entra_sync.folded(l.name)`,
    { tenants: JSON.stringify(tenants) },
  );
  const obstacles = found
    .filter(({ same }) => !same)
    .map(
      ({ id, tenant_id, name, external_ref }): Obstacle => ({
        tenantId: id,
        why: tenant_id === id ? 'registered' : 'name_taken',
        by: { tenantId: tenant_id, name, ref: external_ref },
      }),
    );
  const known = new Set(found.filter(({ same }) => same).map(({ id }) => id));
  const ids = tenants.map((one) => one.tenantId);
  return {
    added: obstacles.length > 0 ? [] : ids.filter((id) => !known.has(id)),
    unchanged: ids.filter((id) => known.has(id)),
    obstacles,
  };
}
