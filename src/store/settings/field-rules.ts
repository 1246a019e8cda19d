// The field rules of a tenant's settings, and the edits that move between overrides and shelf with them.
import type { FieldRule } from '../../rules/ownership.ts';
import { rowCount, rows, type Transaction } from '../database/pool.ts';
import { changeRowsOutsideCycle } from '../feed/change-rows.ts';

export type TenantRules = {
  readonly rules: readonly FieldRule[];
  readonly retentionMs: number;
  /** May remove manual accounts. */
  readonly manualRoles: readonly string[];
  readonly managedBy: readonly { readonly managers: string; readonly people: string | null }[];
};

// As in the record of a rule.
const columns = [
  ...['owner', 'editable_by', 'manual_editable_by', 'value_type', 'mapped_from', 'max_length', 'pattern', 'label'],
  ...['help', 'kind', 'sort_order', 'private', 'shown', 'manager_path'],
];

/** Writes the rules of these tenants. Returns whether any differed. */
export async function writeRules(
  transaction: Transaction,
  tenantIds: readonly string[],
  { rules, retentionMs, manualRoles, managedBy }: TenantRules,
): Promise<boolean> {
  const bind = { tenantIds, rules: JSON.stringify(rules), retentionMs, manualRoles };
  const rule = `jsonb_to_recordset(:rules::jsonb) as r (field text, owner text, "editableBy" text[],
    "manualEditableBy" text[], "valueType" text, "mappedFrom" text, "max" integer, "pattern" text, "label" jsonb,
    "help" jsonb, "kind" text, "order" integer, "private" boolean, "shown" boolean, "managerPath" text[])`;
  const deleted = await rowCount(
    transaction,
    `delete from entra_sync.field_rules f
      where f.tenant_id = any(:tenantIds::uuid[]) and f.field not in (select r.field from ${rule})`,
    bind,
  );
  const written = await rowCount(
    transaction,
    `insert into entra_sync.field_rules as f (tenant_id, field, ${columns.join(', ')})
     select t.id, r.* from unnest(:tenantIds::uuid[]) as t (id) cross join ${rule}
     on conflict (tenant_id, field) do update
        set ${columns.map((column) => `${column} = excluded.${column}`).join(', ')}
      where (${columns.map((column) => `f.${column}`).join(', ')})
            is distinct from (${columns.map((column) => `excluded.${column}`).join(', ')})`,
    bind,
  );
  const tenants = await rowCount(
    transaction,
    `update entra_sync.tenants set retention = :retentionMs * interval '1 millisecond', manual_roles = :manualRoles
      where tenant_id = any(:tenantIds::uuid[])
        and (retention, manual_roles) is distinct from (:retentionMs * interval '1 millisecond', :manualRoles::text[])`,
    bind,
  );
  const groups = await writeManagedBy(transaction, tenantIds, managedBy);
  return deleted + written + tenants + groups > 0;
}

async function writeManagedBy(
  transaction: Transaction,
  tenantIds: readonly string[],
  managedBy: TenantRules['managedBy'],
): Promise<number> {
  const bind = { tenantIds, managedBy: JSON.stringify(managedBy) };
  const wanted = `(select t.id, b.managers, b.people from unnest(:tenantIds::uuid[]) as t (id)
    cross join (select distinct b.managers, b.people
                  from jsonb_to_recordset(:managedBy::jsonb) as b (managers uuid, people uuid)) b)`;
  const deleted = await rowCount(
    transaction,
    `delete from entra_sync.managed_by m
      where m.tenant_id = any(:tenantIds::uuid[])
        and not exists (select from ${wanted} w (id, managers, people)
                         where w.id = m.tenant_id and w.managers = m.managers_id
                           and w.people is not distinct from m.people_id)`,
    bind,
  );
  const written = await rowCount(
    transaction,
    `insert into entra_sync.managed_by (tenant_id, managers_id, people_id)
     select w.* from ${wanted} w on conflict do nothing`,
    bind,
  );
  return deleted + written;
}

export type OwnershipChange = {
  readonly shelved: number;
  /** In force again. */
  readonly unshelved: number;
};

/**
 * Shelves edits of fields that the directory owns now, restores those that users own again, in managed accounts. Writes
 * account.updated where a profile changes.
 */
export async function moveOwnership(
  transaction: Transaction,
  scope: { tenant: string; batch: string; actor: string },
): Promise<OwnershipChange> {
  await transaction.raw(
    `select from entra_sync.accounts
      where tenant_id = :tenant and state = 'managed' and (overrides <> '{}' or shelf <> '{}')
      order by account_id for update`,
    scope,
  );
  const [moved] = await rows<OwnershipChange>(transaction, move, scope);
  await transaction.raw('select entra_sync.note_managers_values(:tenant, :batch, null)', scope);
  return moved ?? { shelved: 0, unshelved: 0 };
}

const move = `
with pair as materialized (
  select a.account_id, a.overrides, a.shelf || a.overrides as given,
         entra_sync.user_owned(a.tenant_id, a.shelf || a.overrides) as kept, entra_sync.account_facts(a) as old_facts
    from entra_sync.accounts a
   where a.tenant_id = :tenant and a.state = 'managed' and (a.overrides <> '{}' or a.shelf <> '{}')
), moving as materialized (
  select * from pair where kept <> overrides
), written as (
  update entra_sync.accounts a
     set overrides = m.kept, shelf = entra_sync.without_keys(m.given, m.kept), updated_at = now()
    from moving m where a.account_id = m.account_id
  returning a.account_id, a.removed_at, m.old_facts, entra_sync.account_facts(a) as new_facts
), fact as materialized (
  select account_id, entra_sync.differing_facts(old_facts, new_facts) as before,
         entra_sync.differing_facts(new_facts, old_facts) as after
    from written where removed_at is null
), change as (${changeRowsOutsideCycle(
  "'account.updated'",
  { account_id: 'account_id', before: 'before', after: 'after' },
  "from fact where after <> '{}'",
)}
)
select coalesce(sum((select count(*) from jsonb_object_keys(entra_sync.without_keys(overrides, kept)))), 0)::int
         as shelved,
       coalesce(sum((select count(*) from jsonb_object_keys(entra_sync.without_keys(kept, overrides)))), 0)::int
         as unshelved
  from moving`;

/** Returns tenants without rules, or with rules that an earlier release wrote and that lack columns of today. */
export async function tenantsWithoutRules(transaction: Transaction): Promise<string[]> {
  const found = await rows<{ tenant_id: string }>(
    transaction,
    `select t.tenant_id from entra_sync.tenants t
      where not exists (select from entra_sync.field_rules r where r.tenant_id = t.tenant_id)
         or exists (select from entra_sync.field_rules r where r.tenant_id = t.tenant_id and r.kind is null)
      order by 1`,
  );
  return found.map((row) => row.tenant_id);
}
