// Lists of slots, items and assignments, with the names of tenants and targets.
import { type Database, rows, type Transaction } from '../database/pool.ts';
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

// A row of a tenant without a slot of this name is in the slot `s` of all tenants.
const usesSlot = (
  alias: string,
) => `s.tenant_id is null and ${alias}.tenant_id = coalesce(:tenantId, ${alias}.tenant_id)
  and not exists (select from directory.slots o where o.slot = s.slot and o.tenant_id = ${alias}.tenant_id)`;

/** Returns the slots of a tenant and of all tenants; null: every slot. */
export async function listSlots(database: Database, tenantId: string | null): Promise<ListedSlot[]> {
  return rows<ListedSlot>(
    database,
    `select s.*, t.name as tenant_name,
            (select count(distinct i.item)::int from directory.items i
              where i.slot = s.slot and (i.tenant_id is not distinct from s.tenant_id or ${usesSlot('i')})) as items,
            (select count(*)::int from directory.assignments r
              where r.slot = s.slot and (r.tenant_id = s.tenant_id or ${usesSlot('r')})) as assignments
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

/** The title of an item, or of a slot where `item` is null. */
export type ListedTitle = { readonly slot: string; readonly item: string | null; readonly title: string | null };

/** Returns the titles of slots and items of a tenant, those of all tenants first. */
export function listTitles(on: Database | Transaction, tenantId: string): Promise<ListedTitle[]> {
  return rows<ListedTitle>(
    on,
    `select x.slot, x.item, x.title
       from (select s.tenant_id, s.slot, null as item, s.title from directory.slots s
             union all
             select i.tenant_id, i.slot, i.item, i.title from directory.items i) x
      where x.tenant_id is null or x.tenant_id = :tenantId
      order by x.tenant_id nulls first`,
    { tenantId },
  );
}

/** Returns an item as a tenant has it: its own one before that of all tenants. */
export async function findItem(
  database: Database,
  tenantId: string,
  slot: string,
  item: string,
): Promise<Item | undefined> {
  const [found] = await rows<Item>(
    database,
    `select tenant_id, slot, item, title, html from directory.items
      where slot = :slot and item = :item and (tenant_id is null or tenant_id = :tenantId)
      order by tenant_id nulls last limit 1`,
    { tenantId, slot, item },
  );
  return found;
}

/** Which assignments are listed, and how far it is counted. */
export type AssignmentsAsked = {
  /** Those of these ids alone. */
  readonly ids?: readonly string[];
  /** Counts no more accounts of an assignment than this; 0: none. Without it all are counted. */
  readonly counted?: number;
  /** The first ones of each slot alone. */
  readonly perSlot?: number;
};

// A list that counts all reads the kept rows once. One that counts up to a number reads so many by the index: the range and
// the order are there because a plan for `=` may read the whole table for an assignment that gives nothing.
const allCounted = `
       left join (select s.seq, count(*)::int as accounts
                    from entra_sync.assignments x join entra_sync.assigned s on s.seq = x.seq
                   where (:tenantId::uuid is null or x.tenant_id = :tenantId)
                     and (:ids::uuid[] is null or x.assignment_id = any(:ids))
                   group by s.seq) g on g.seq = l.seq`;
const someCounted = `
      cross join lateral (select count(*)::int as accounts
                            from (select from entra_sync.assigned s where s.seq between l.seq and l.seq
                                   order by s.seq limit :counted) c) g`;

/** Returns the assignments of a tenant in their order of each slot; null: of all tenants. */
export async function listAssignments(
  on: Database | Transaction,
  tenantId: string | null,
  { ids, counted, perSlot }: AssignmentsAsked = {},
): Promise<ListedAssignment[]> {
  return rows<ListedAssignment>(
    on,
    `with listed as (
       select v.*, r.seq, t.name as tenant_name, row_number() over slot_order as place
         from directory.assignments v
         join entra_sync.assignments r using (assignment_id)
         join directory.tenants t on t.tenant_id = v.tenant_id
        where (:tenantId::uuid is null or v.tenant_id = :tenantId)
          and (:ids::uuid[] is null or v.assignment_id = any(:ids))
       window slot_order as (
         partition by v.tenant_id, v.slot
         order by v."except" desc,
                  case v.target when 'account' then 1 when 'group' then 2 when 'field' then 3 else 4 end,
                  v.priority desc, r.seq))
     select l.assignment_id, l.tenant_id, l.tenant_name, l.slot, l.item, l.target, l.group_id, l.group_name,
            l.account_id, (select coalesce(a.profile ->> 'displayName', a.source ->> 'displayName')
                             from entra_sync.accounts a where a.account_id = l.account_id) as account_name,
            l.field, l.field_values, l."except", l.priority, l.starts_at, l.ends_at, l.state, l.created_by,
            l.updated_at, coalesce(g.accounts, 0) as accounts
       from listed l${counted === undefined ? allCounted : someCounted}
      where :perSlot::int is null or l.place <= :perSlot
      order by l.tenant_name, l.tenant_id, l.slot, l.place`,
    { tenantId, ids: ids ?? null, counted: counted ?? null, perSlot: perSlot ?? null },
  );
}

/** An account with an item that it gets, and the assignment that gives it. */
export type AssignedPerson = {
  readonly account_id: string;
  readonly display_name: string | null;
  readonly user_principal_name: string | null;
  readonly item: string;
  readonly rank: number;
  readonly assignment_id: string;
  readonly target: ListedAssignment['target'];
  readonly group_name: string | null;
  readonly field: string | null;
};

/** Returns the accounts that get the items of a slot now, or one item of it, by name. */
export function listAssigned(
  database: Database,
  { tenantId, slot, item }: { readonly tenantId: string; readonly slot: string; readonly item: string | null },
): Promise<AssignedPerson[]> {
  return rows<AssignedPerson>(
    database,
    `select x.account_id, a.display_name, a.user_principal_name, x.item, x.rank, x.assignment_id, r.target,
            g.display_name as group_name, r.field
       from directory.assigned x
       join directory.accounts a on a.account_id = x.account_id
       join directory.assignments r on r.assignment_id = x.assignment_id
       left join directory.groups g on g.group_id = x.via_group_id
      where x.tenant_id = :tenantId and x.slot = :slot and x.item = coalesce(:item, x.item)
      order by lower(a.display_name), x.account_id, x.rank`,
    { tenantId, slot, item },
  );
}
