// Lists of slots, items and assignments, with the names of tenants and targets.
import { type Database, rows } from '../database/pool.ts';
import type { Item, Slot } from './assignments.ts';

/** A row of all tenants has no tenant. */
type Named = { tenant_name: string | null };
export type ListedSlot = Slot & Named & { items: number; assignments: number };
export type ListedItem = Item & Named & { updated_at: Date; assignments: number };
export type ListedAssignment = {
  assignment_id: string;
  tenant_id: string;
  tenant_name: string;
  slot: string;
  item: string;
  target: 'account' | 'group' | 'field' | 'everyone';
  group_id: string | null;
  group_name: string | null;
  account_id: string | null;
  account_name: string | null;
  field: string | null;
  field_values: string[] | null;
  except: boolean;
  priority: number;
  starts_at: Date | null;
  ends_at: Date | null;
  state: 'scheduled' | 'active' | 'ended' | 'dormant' | 'orphaned';
  created_by: string;
  updated_at: Date;
  /** How many accounts get the item by it. */
  accounts: number;
};

/** Returns the slots of a tenant and of all tenants; null: every slot. */
export async function listSlots(database: Database, tenantId: string | null): Promise<ListedSlot[]> {
  return rows<ListedSlot>(
    database,
    `select s.*, t.name as tenant_name,
            (select count(*)::int from directory.items i
              where i.slot = s.slot and i.tenant_id is not distinct from s.tenant_id) as items,
            (select count(*)::int from directory.assignments r
              where r.slot = s.slot and r.tenant_id = coalesce(s.tenant_id, :tenantId, r.tenant_id)) as assignments
       from directory.slots s left join directory.tenants t using (tenant_id)
      where :tenantId::uuid is null or s.tenant_id is null or s.tenant_id = :tenantId
      order by s.slot, t.name nulls first`,
    { tenantId },
  );
}

/** Returns the items of a tenant and of all tenants; null: every item. */
export async function listItems(database: Database, tenantId: string | null): Promise<ListedItem[]> {
  return rows<ListedItem>(
    database,
    `select i.*, t.name as tenant_name,
            (select count(*)::int from directory.assignments r
              where r.slot = i.slot and r.item = i.item and r.tenant_id = coalesce(i.tenant_id, :tenantId, r.tenant_id))
            as assignments
       from directory.items i left join directory.tenants t using (tenant_id)
      where :tenantId::uuid is null or i.tenant_id is null or i.tenant_id = :tenantId
      order by i.slot, i.item, t.name nulls first`,
    { tenantId },
  );
}

/** Returns the assignments of a tenant in their order of each slot; null: of all tenants. */
export async function listAssignments(database: Database, tenantId: string | null): Promise<ListedAssignment[]> {
  return rows<ListedAssignment>(
    database,
    `select v.*, t.name as tenant_name, coalesce(a.display_name, d.display_name) as account_name,
            coalesce(g.accounts, 0)::int as accounts
       from directory.assignments v
       join entra_sync.assignments r using (assignment_id)
       join directory.tenants t on t.tenant_id = v.tenant_id
       left join directory.accounts a on a.account_id = v.account_id
       left join directory.removed_accounts d on d.account_id = v.account_id
       left join (select s.seq, count(*) as accounts from entra_sync.assigned s group by s.seq) g on g.seq = r.seq
      where v.tenant_id = coalesce(:tenantId, v.tenant_id)
      order by t.name, v.slot, v."except" desc,
               case v.target when 'account' then 1 when 'group' then 2 when 'field' then 3 else 4 end,
               v.priority desc, r.seq`,
    { tenantId },
  );
}
