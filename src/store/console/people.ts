// The people of a tenant as the console lists them.
import { type AccountThen, accountAt } from '../accounts/history.ts';
import { keyset, type ListOrder } from '../database/keyset.ts';
import { type Database, rows, sqlState, type Transaction } from '../database/pool.ts';

export type ListedPerson = {
  readonly account_id: string;
  readonly display_name: string | null;
  readonly user_principal_name: string | null;
  readonly mail: string | null;
  readonly state: 'managed' | 'manual';
  readonly enabled: boolean;
  readonly edited: boolean;
  readonly removed_at: Date | null;
  readonly removed_reason: string | null;
  readonly purge_at: Date | null;
  /** The key that orders the list. */
  readonly sort_key: string | null;
};

/** Which accounts to list; without one the live ones. */
export const personFilters = ['managed', 'manual', 'suspended', 'edited', 'removed'] as const;

export type PersonFilter = (typeof personFilters)[number];

const live = 'a.removed_at is null';
const fits: Readonly<Record<PersonFilter, string>> = {
  managed: `${live} and a.state = 'managed'`,
  manual: `${live} and a.state = 'manual'`,
  suspended: `${live} and a.suspended_at is not null`,
  edited: `${live} and a.overrides <> '{}'`,
  removed: 'a.removed_at is not null',
};

const columns = `a.account_id, coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name,
  a.user_principal_name, a.mail, a.state, a.enabled, a.overrides <> '{}' as edited, a.removed_at, a.removed_reason,
  a.purge_at`;

// Those of the indexes accounts_by_principal and accounts_by_mail, so that a page reads a page.
const sortKeys = {
  principal: 'entra_sync.folded(a.user_principal_name)',
  mail: 'entra_sync.folded(a.mail)',
} as const;

export type PersonOrder = keyof typeof sortKeys;

/** A field of the profile and the value that it has. */
export type FieldFilter = { readonly field: string; readonly value: string };

const hasValue = 'lower(a.profile ->> :field) = lower(:value)';

// A value that many accounts have fills the page from the next accounts in the order. A value of few accounts, or none, is found
// by one walk through all accounts: the index would take three times as long, and the planner does not know how many have it.
const nearbyPages = 40;

/**
 * Returns at most `limit` accounts of a tenant in this order, those without the value last in either direction, after the
 * account with these sort keys.
 */
export async function listPeople(
  read: Transaction,
  options: {
    readonly tenantId: string;
    readonly filter?: PersonFilter | undefined;
    readonly where?: FieldFilter | undefined;
    readonly order: ListOrder<PersonOrder>;
    readonly after: readonly (string | number | null)[] | null;
    readonly limit: number;
  },
): Promise<ListedPerson[]> {
  const { tenantId, filter, where, after, limit } = options;
  const { by, descending } = options.order;
  const [key = null, id = null] = after ?? [];
  const bind = { tenantId, key, id, field: where?.field ?? null, value: where?.value ?? null };
  const sortKey = sortKeys[by];
  const { after: isAfter, order } = keyset(sortKey, 'a.account_id', descending);
  const has = `${filter ? fits[filter] : live} ${where ? `and ${hasValue}` : ''}`;
  const of = (condition: string) => `entra_sync.accounts a where a.tenant_id = :tenantId and ${condition}`;
  const list = (from: string, inOrder: string, most: number) =>
    rows<ListedPerson>(read, `select ${columns}, ${sortKey} as sort_key from ${from} order by ${inOrder} limit :most`, {
      ...bind,
      most,
      nearby: nearbyPages * limit,
    });
  const without = (following: boolean, most: number) =>
    list(of(`${sortKey} is null ${following ? 'and a.account_id > :id' : ''} and ${has}`), 'a.account_id', most);
  if (after !== null && key === null) return without(true, limit);
  // The key by itself, beside the pair: the index has no id.
  const beyond =
    after === null ? `${sortKey} is not null` : `${sortKey} ${descending ? '<=' : '>='} :key and ${isAfter}`;
  if (!filter && !where) {
    const found = await list(of(`${beyond} and ${has}`), order, limit);
    return found.length >= limit ? found : [...found, ...(await without(false, limit - found.length))];
  }
  const near = await list(
    `(select a.* from ${of(beyond)} order by ${order} limit :nearby) a where ${has}`,
    order,
    limit,
  );
  if (near.length >= limit) return near;
  return list(
    `(select a.* from ${of(`(${beyond} or ${sortKey} is null) and ${has}`)} offset 0) a`,
    `${sortKey} is null, case when ${sortKey} is null then a.account_id end, ${order}`,
    limit,
  );
}

/** Returns the accounts among these ids that are of the tenant and fit the filters, in the order of the ids. */
export function peopleById(
  read: Database | Transaction,
  tenantId: string,
  ids: readonly string[],
  { filter, where }: { readonly filter?: PersonFilter | undefined; readonly where?: FieldFilter | undefined } = {},
): Promise<ListedPerson[]> {
  return rows<ListedPerson>(
    read,
    `select ${columns}, null as sort_key from unnest(:ids::uuid[]) with ordinality i (id, place)
       join entra_sync.accounts a on a.account_id = i.id and a.tenant_id = :tenantId
      where ${filter ? fits[filter] : 'true'} and ${where ? hasValue : 'true'} order by i.place`,
    { tenantId, ids, field: where?.field ?? null, value: where?.value ?? null },
  );
}

/** An item that a person gets in a slot, and the rule that gives it. */
export type AssignedItem = {
  readonly slot: string;
  readonly slot_title: string | null;
  readonly rank: number;
  readonly item: string;
  readonly item_title: string | null;
  readonly target: string;
  readonly group_id: string | null;
  readonly group_name: string | null;
};

/** Returns what an account gets, by slot and rank. */
export function assignedTo(read: Transaction, accountId: string): Promise<AssignedItem[]> {
  return rows<AssignedItem>(
    read,
    `select x.slot, s.title as slot_title, x.rank, x.item, i.title as item_title, r.target, x.via_group_id as group_id,
            g.display_name as group_name
       from directory.assigned x
       join directory.assignments r on r.assignment_id = x.assignment_id
       left join lateral (select s.title from directory.slots s
                           where s.slot = x.slot and (s.tenant_id = x.tenant_id or s.tenant_id is null)
                           order by s.tenant_id nulls last limit 1) s on true
       left join lateral (select i.title from directory.items i
                           where i.slot = x.slot and i.item = x.item
                             and (i.tenant_id = x.tenant_id or i.tenant_id is null)
                           order by i.tenant_id nulls last limit 1) i on true
       left join directory.groups g on g.group_id = x.via_group_id
      where x.account_id = :accountId order by x.slot, x.rank`,
    { accountId },
  );
}

/** An account on a day: as it was, `absent` where it was not there, `unknown` before what is kept. */
export type AccountOnDay = AccountThen | 'absent' | 'unknown';

/** Returns an account as it was at a time. */
export async function accountOnDay(
  read: Transaction,
  which: { readonly tenantId: string; readonly accountId: string; readonly at: string },
): Promise<AccountOnDay> {
  try {
    // A savepoint: the function refuses times before what is kept, and the page reads on.
    return await read.transaction(async (savepoint) => (await accountAt(savepoint, which)) ?? 'absent');
  } catch (error) {
    if (sqlState(error) === 'ES006') return 'unknown';
    throw error;
  }
}
