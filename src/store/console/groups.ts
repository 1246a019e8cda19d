// The groups of a tenant as the console shows them.
import { keyset } from '../database/keyset.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';

export type ListedGroup = {
  readonly group_id: string;
  readonly display_name: string | null;
  readonly description: string | null;
  readonly mail: string | null;
  readonly kind: string;
  readonly is_dynamic: boolean;
  readonly state: 'managed' | 'manual';
  readonly entra_object_id: string | null;
  readonly removed_at: Date | null;
  readonly removed_reason: string | null;
  readonly purge_at: Date | null;
  readonly updated_at: Date;
  /** Accounts that are in it, with those through nested groups: at most {@link mostMembers} plus one, unless all are counted. */
  readonly all: number;
  /** Accounts that are in it directly; null where not all are counted. */
  readonly direct: number | null;
  /** The key that orders the list. */
  readonly sort_key: string;
};

/** Which groups to list; without one the live ones. */
export const groupFilters = ['security', 'microsoft365', 'distribution', 'mail_enabled_security', 'removed'] as const;

export type GroupFilter = (typeof groupFilters)[number];

const shown = `g.group_id, g.display_name, g.description, g.mail, g.kind, g.is_dynamic, g.state, g.entra_object_id,
  g.removed_at, g.removed_reason, g.purge_at, g.updated_at, k.sort_key, c.direct, c.all`;
/** Counting goes on to this number; one more says that there are more. */
export const mostMembers = 10_000;

const counts = (most: number | null) => `cross join lateral (
  select count(*)::int as all, ${most === null ? '' : `case when count(*) <= ${most} then`}
         count(*) filter (where e.is_direct)::int ${most === null ? '' : 'end'} as direct
    from (select e.is_direct from entra_sync.effective_members e
           where e.group_no = g.group_no ${most === null ? '' : `limit ${most + 1}`}) e) c`;
const key = "cross join lateral (select lower(coalesce(g.display_name, '')) as sort_key) k";

/** Returns at most `limit` groups of a tenant by name, `descending` from the last, after the group with these sort keys. */
export function listGroups(
  read: Transaction,
  options: {
    readonly tenantId: string;
    readonly filter?: GroupFilter | undefined;
    readonly descending?: boolean | undefined;
    readonly after: readonly (string | number | null)[] | null;
    readonly limit: number;
    /** For a download: no number is cut. */
    readonly countAll?: true;
  },
): Promise<ListedGroup[]> {
  const [after = null, id = null] = options.after ?? [];
  const { descending = false } = options;
  const inside = keyset('k.sort_key', 'g.group_id', descending);
  const counted = counts(options.countAll ? null : mostMembers).replaceAll('g.', 'x.');
  return rows<ListedGroup>(
    read,
    `select ${shown.replaceAll('g.', 'x.').replace('k.sort_key', 'x.sort_key')} from (
       select g.*, k.sort_key from entra_sync.groups g ${key}
        where g.tenant_id = :tenantId and g.copied
          and g.removed_at is ${options.filter === 'removed' ? 'not null' : 'null'}
          and (:kind::text is null or g.kind = :kind)
          and (:id::uuid is null or ${inside.after})
        order by ${inside.order} limit :limit) x ${counted}
      order by ${keyset('x.sort_key', 'x.group_id', descending).order}`,
    {
      ...{ tenantId: options.tenantId, key: after, id, limit: options.limit },
      kind: options.filter === undefined || options.filter === 'removed' ? null : options.filter,
    },
  );
}

/** Returns the groups among these ids that are of the tenant and fit the filter, in the order of the ids. */
export function groupsById(
  read: Database | Transaction,
  tenantId: string,
  ids: readonly string[],
  filter?: GroupFilter,
): Promise<ListedGroup[]> {
  return rows<ListedGroup>(
    read,
    `select ${shown} from unnest(:ids::uuid[]) with ordinality i (id, place)
       join entra_sync.groups g on g.group_id = i.id and g.tenant_id = :tenantId and g.copied
       ${key} ${counts(mostMembers)}
      where :filter::text is null
         or case when :filter = 'removed' then g.removed_at is not null
                 else g.removed_at is null and g.kind = :filter end
      order by i.place`,
    { tenantId, ids, filter: filter ?? null },
  );
}

export type Member = {
  readonly account_id: string;
  readonly display_name: string | null;
  readonly user_principal_name: string | null;
  readonly enabled: boolean;
  readonly is_direct: boolean;
  readonly account_no: number;
};

/** Returns at most `limit` members of a group, those through nested groups too, after a number of an account. */
export function membersOf(
  read: Transaction,
  groupId: string,
  { direct, after, limit }: { direct: boolean; after: number | null; limit: number },
): Promise<Member[]> {
  return rows<Member>(
    read,
    `select a.account_id, coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name,
            a.user_principal_name, a.enabled, e.is_direct, a.account_no
       from (select e.account_no, e.is_direct from entra_sync.effective_members e
              where e.group_no = (select g.group_no from entra_sync.groups g where g.group_id = :groupId)
                and (not :direct::boolean or e.is_direct) and e.account_no > coalesce(:after::bigint, 0)
              order by e.account_no limit :limit) e
       join entra_sync.accounts a on a.account_no = e.account_no
      order by a.account_no`,
    { groupId, direct, after, limit },
  );
}

/** A group above or below another. `depth` 1: it holds it, or is held by it, itself. */
export type Relative = {
  readonly group_id: string;
  readonly display_name: string | null;
  readonly direct: boolean;
};

/** Returns the live groups that hold a group (`holders`), or that it holds, the near ones first. */
export function relativesOf(
  read: Transaction,
  groupId: string,
  which: 'holders' | 'held',
  limit: number,
): Promise<Relative[]> {
  const [own, other] = which === 'holders' ? ['descendant_no', 'ancestor_no'] : ['ancestor_no', 'descendant_no'];
  const isDirect =
    which === 'holders'
      ? `exists (select from entra_sync.member_groups m where m.tenant_id = g.tenant_id
                  and m.member_object_id = g.entra_object_id and m.group_nos @> array[o.group_no])`
      : `exists (select from entra_sync.member_groups m where m.tenant_id = g.tenant_id
                  and m.member_object_id = o.entra_object_id and m.group_nos @> array[g.group_no])`;
  return rows<Relative>(
    read,
    `select o.group_id, o.display_name, ${isDirect} as direct
       from entra_sync.groups g
       join entra_sync.group_closure c on c.${own} = g.group_no and c.${other} <> g.group_no
       join entra_sync.groups o on o.group_no = c.${other} and o.removed_at is null
      where g.group_id = :groupId order by 3 desc, lower(o.display_name), o.group_id limit :limit`,
    { groupId, limit },
  );
}

export type AssignedByGroup = {
  readonly assignment_id: string;
  readonly slot: string;
  readonly item: string;
  readonly except: boolean;
  readonly priority: number;
  readonly state: string;
};

/** Returns the assignments that name a group. */
export function assignmentsOfGroup(read: Transaction, groupId: string): Promise<AssignedByGroup[]> {
  return rows<AssignedByGroup>(
    read,
    `select assignment_id, slot, item, "except", priority, state from directory.assignments
      where group_id = :groupId order by slot, priority desc, item`,
    { groupId },
  );
}
