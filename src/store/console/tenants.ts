// The tenants as the console lists them.
import { effects } from '../../rules/counts.ts';
import { keyset, type ListOrder } from '../database/keyset.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';
import { naturally } from '../database/vocabulary.ts';
import { isOf, lastCycle } from '../tenants/status.ts';

/** One of the last cycles, oldest first: how much it changed, and whether it failed. */
export type CycleBar = { readonly changes: number; readonly failed: boolean };

export type ListedTenant = {
  readonly tenant_id: string;
  readonly name: string;
  readonly external_ref: string | null;
  readonly status: string;
  readonly paused: boolean;
  readonly provisional: boolean;
  readonly held_removals: number;
  readonly set_aside: number;
  readonly last_success_at: Date | null;
  readonly next_cycle_at: Date | null;
  readonly last_error_code: string | null;
  readonly last_error_message: string | null;
  readonly notice: string | null;
  readonly failing: boolean;
  /** Failures in a row; one that could not begin has no cycle. */
  readonly failures: number;
  readonly stale: boolean;
  readonly running: boolean;
  /** At most {@link mostCounted} plus one, which says that there are more. */
  readonly people: number;
  readonly groups: number;
  readonly bars: readonly CycleBar[];
  /** The key that orders the list. */
  readonly sort_key: string;
};

/** Counting goes on to this number; one more says that there are more. */
export const mostCounted = 10_000;

/** Which tenants to list; `need`: those that need a person. */
export const tenantFilters = ['need', 'held', 'failing', 'stale', 'first_load', 'paused', 'disconnected'] as const;

export type TenantFilter = (typeof tenantFilters)[number];

const needs = `(t.held_removals > 0 or t.notice is not null or (${isOf.failing}) is true or (${isOf.stale}) is true)`;
const fits: Readonly<Record<TenantFilter, string>> = {
  need: needs,
  held: 't.held_removals > 0',
  failing: isOf.failing,
  stale: isOf.stale,
  first_load: "t.provisional and t.status <> 'disconnected'",
  paused: 't.paused',
  disconnected: "t.status = 'disconnected'",
};

const counted = (table: string) => `(select count(*)::int from (
  select from entra_sync.${table} n
   where n.tenant_id = x.tenant_id and n.removed_at is null limit ${mostCounted + 1}) n)`;

const barsShown = 30;

/** Tenants that were never read have no time, and come before the one that was read the longest ago. */
const sortKeys = {
  name: naturally('t.name'),
  fresh: "coalesce(to_char(t.last_success_at at time zone 'utc', 'YYYYMMDDHH24MISSUS'), '')",
} as const;

export type TenantOrder = keyof typeof sortKeys;

/** Returns at most `limit` tenants that fit, in this order, after the tenant with these sort keys. */
export function listTenants(
  read: Transaction,
  options: {
    readonly filter?: TenantFilter | undefined;
    readonly words?: string | undefined;
    readonly order: ListOrder<TenantOrder>;
    readonly after: readonly (string | number | null)[] | null;
    readonly limit: number;
  },
): Promise<ListedTenant[]> {
  const [key = null, id = null] = options.after ?? [];
  const { by, descending } = options.order;
  const inside = keyset('k.sort_key', 't.tenant_id::text', descending);
  const around = keyset('x.sort_key', 'x.tenant_id::text', descending);
  return rows<ListedTenant>(
    read,
    `select x.*, ${counted('accounts')} as people, ${counted('groups')} as groups,
            array(select jsonb_build_object('changes', d.changes, 'failed', d.failed) from (
              select c.cycle_id, c.outcome in ('failed', 'partial') as failed, (
                       select coalesce(sum((s.value ->> n.name)::int), 0)::int
                         from jsonb_each(c.streams) s cross join unnest(:effects::text[]) as n (name)) as changes
                from entra_sync.cycles c
               where c.tenant_id = x.tenant_id and c.kind <> 'on_demand' and c.outcome <> 'running'
               order by c.cycle_id desc limit ${barsShown}) d order by d.cycle_id) as bars
       from (
         select t.tenant_id, t.name, t.external_ref, t.status, t.paused, t.provisional, t.held_removals, t.set_aside,
                t.last_success_at, t.next_cycle_at, t.last_error_code, t.last_error_message, t.notice,
                (${isOf.failing}) is true as failing, (${isOf.stale}) is true as stale, p.failures,
                coalesce(c.outcome = 'running' and h.alive, false) as running, k.sort_key
           from directory.tenants t join entra_sync.tenants p using (tenant_id)
          cross join lateral (select ${sortKeys[by]} as sort_key) k
           ${lastCycle}
          where (:id::text is null or ${inside.after})
            and (:words::text is null
                 or strpos(lower(concat_ws(' ', t.name, t.external_ref, t.tenant_id)), lower(:words)) > 0)
            and ${options.filter ? fits[options.filter] : 'true'}
          order by ${inside.order} limit :limit) x
      order by ${around.order}`,
    {
      ...{ key, id, limit: options.limit },
      words: options.words ?? null,
      effects: effects.filter((name) => name !== 'held'),
    },
  );
}

export type TenantTotals = { readonly tenants: number; readonly customers: number };

/** Returns how many tenants there are, of how many customers; a tenant without a reference is a customer of its own. */
export async function countTenants(read: Transaction): Promise<TenantTotals> {
  const [totals] = await rows<TenantTotals>(
    read,
    `select count(*)::int as tenants, count(distinct coalesce(external_ref, tenant_id::text))::int as customers
       from directory.tenants`,
  );
  return totals ?? { tenants: 0, customers: 0 };
}

export type TenantCounts = { readonly groups: number; readonly outside: number; readonly memberships: number };

/** Returns how many live groups and memberships a tenant has, and how many users are outside its scope. */
export async function countTenant(read: Transaction, tenantId: string): Promise<TenantCounts> {
  const [counts] = await rows<TenantCounts>(
    read,
    `select (select count(*)::int from entra_sync.groups g
              where g.tenant_id = :tenantId and g.removed_at is null) as groups,
            (select count(*)::int from entra_sync.outside_scope o where o.tenant_id = :tenantId) as outside,
            (select coalesce(sum(cardinality(m.group_nos)), 0)::int from entra_sync.member_groups m
              where m.tenant_id = :tenantId) as memberships`,
    { tenantId },
  );
  return counts ?? { groups: 0, outside: 0, memberships: 0 };
}

/** Returns whether a tenant is registered. */
export async function isTenant(database: Database, tenantId: string): Promise<boolean> {
  const found = await rows(database, 'select from directory.tenants where tenant_id = :tenantId', { tenantId });
  return found.length > 0;
}
