// Held removals: the lists that wait for a decision, and what each list holds (rule 10).
import type { Stream } from '../../rules/streams.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';
import { joinMember } from '../database/vocabulary.ts';

export type RemovalList = {
  list_id: string;
  tenant_id: string;
  tenant_name: string;
  stream: Stream;
  why: string;
  opened_at: Date;
  what: 'account' | 'group' | 'membership';
  held: number;
  /** Missed by one full round only: they can be approved after a second one. */
  unconfirmed: number;
};

/** Returns the open lists, oldest first, of one tenant or all. */
export async function openLists(on: Database | Transaction, tenantId: string | null): Promise<RemovalList[]> {
  return rows<RemovalList>(
    on,
    `select l.list_id, l.tenant_id, t.name as tenant_name, l.stream, l.why, l.opened_at, count(*)::int as held,
            (count(*) filter (where h.reason = 'not_seen' and h.missed < 2))::int as unconfirmed,
            case when bool_or(h.is_membership) then 'membership' when l.stream = 'users' then 'account'
                 else 'group' end as what
       from entra_sync.removal_lists l
       join entra_sync.tenants t on t.tenant_id = l.tenant_id
       join (select list_id, reason, missed, false as is_membership from entra_sync.held_removals
             union all select list_id, 'not_seen', missed, true from entra_sync.held_memberships) h
         on h.list_id = l.list_id
      where :tenantId::uuid is null or l.tenant_id = :tenantId
      group by l.list_id, t.name order by l.list_id`,
    { tenantId },
  );
}

export type HeldRemoval = {
  list_id: string;
  account_id: string | null;
  group_id: string | null;
  /** The nested group that would leave. */
  member_group_id: string | null;
  display_name: string | null;
  user_principal_name: string | null;
  /** The group that the member would leave. */
  group_name: string | null;
  reason: string;
  held_since: Date;
  missed: number;
};

// Binds listId, or tenantId for all open lists of a tenant.
const heldRows = (of: (alias: string) => string) => `
     select h.list_id, h.account_id, g.group_id, null::uuid as member_group_id,
            coalesce(a.profile ->> 'displayName', a.source ->> 'displayName', g.display_name) as display_name,
            a.user_principal_name, null as group_name, h.reason, h.held_since, h.missed
       from entra_sync.held_removals h
       left join entra_sync.accounts a on a.account_id = h.account_id
       left join entra_sync.groups g on g.group_no = h.group_no
      where ${of('h')}
     union all
     select h.list_id, a.account_id, g.group_id, n.group_id,
            coalesce(a.profile ->> 'displayName', a.source ->> 'displayName', n.display_name),
            a.user_principal_name, g.display_name, 'not_seen', h.held_since, h.missed
       from entra_sync.held_memberships h
       join entra_sync.groups g on g.group_no = h.group_no
       ${joinMember('h')}
      where ${of('h')}`;

/** Returns the first `limit` held removals of a list, by name. */
export async function heldIn(database: Database, listId: string, limit: number): Promise<HeldRemoval[]> {
  return rows<HeldRemoval>(
    database,
    `${heldRows((h) => `${h}.list_id = :listId`)} order by 7 nulls first, 5, 2, 3 limit :limit`,
    { listId, limit },
  );
}

/** A held removal with its place in the order of the tenant's lists. */
export type ListedHeld = HeldRemoval & { readonly place: string };

/** Returns at most `limit` held removals of all open lists of a tenant, after this one. */
export async function heldOf(
  database: Database,
  tenantId: string,
  after: ListedHeld | undefined,
  limit: number,
): Promise<ListedHeld[]> {
  return rows<ListedHeld>(
    database,
    `select h.*, k.place
       from (${heldRows((h) => `${h}.tenant_id = :tenantId`)}) h
      cross join lateral (select concat_ws(' ', h.account_id, h.member_group_id, h.group_id) as place) k
      where :list::bigint is null or (h.list_id, k.place) > (:list::bigint, :place::text)
      order by h.list_id, k.place limit :limit`,
    { tenantId, list: after?.list_id ?? null, place: after?.place ?? null, limit },
  );
}

/** A person's decision about a list: how many of its removals, with which outcome. */
export type DecidedRemovals = {
  /** The batch of its change rows. */
  readonly batch_id: string;
  readonly at: Date;
  readonly tenant_id: string;
  readonly tenant_name: string;
  /** Null where every account and group of the decision was purged by a release that kept no number. */
  readonly list_id: string | null;
  readonly decision: 'approved' | 'rejected';
  readonly actor: string;
  /** How many there are of each reason; none is kept of what was purged since. */
  readonly reasons: Readonly<Record<string, number>>;
  readonly count: number;
};

/**
 * Returns the newest `limit` decisions about held removals, of one tenant or all, from the change rows; with `listId` those
 * about one list.
 */
export async function decidedRemovals(
  database: Database,
  tenantId: string | null,
  limit: number,
  listId: string | null = null,
): Promise<DecidedRemovals[]> {
  return rows<DecidedRemovals>(
    database,
    // A batch is one decision about one list.
    `select d.batch_id, min(d.at) as at, d.tenant_id, t.name as tenant_name, min(d.list_id) as list_id, d.decision,
            d.actor, jsonb_object_agg(d.reason, d.count) as reasons, sum(d.count)::int as count
       from (select c.batch_id, c.tenant_id, min(c.at) as at, min(c.after ->> 'list_id') as list_id, c.actor,
                    split_part(c.kind, '.', 2) as decision, coalesce(c.after ->> 'reason', 'purged') as reason,
                    count(*)::int as count
               from entra_sync.changes c
              where c.kind in ('removal.approved', 'removal.rejected')
                and (:tenantId::uuid is null or c.tenant_id = :tenantId)
              group by c.batch_id, c.tenant_id, c.actor, c.kind, c.after ->> 'reason') d
       join entra_sync.tenants t using (tenant_id)
      group by d.batch_id, d.tenant_id, t.name, d.decision, d.actor
     having :listId::text is null or min(d.list_id) = :listId
      order by d.batch_id desc limit :limit`,
    { tenantId, limit, listId },
  );
}

/** One removal of a decision. Names are the present ones; null for what was purged since. */
export type DecidedRemoval = Pick<
  HeldRemoval,
  'account_id' | 'group_id' | 'member_group_id' | 'display_name' | 'group_name'
> & { readonly batch_id: string; readonly reason: string | null };

/** Returns the first `each` removals of each decision (null: all), in the order of the decisions. */
export async function removalsDecided(
  on: Database | Transaction,
  decisions: readonly DecidedRemovals[],
  each: number | null,
): Promise<DecidedRemoval[]> {
  return rows<DecidedRemoval>(
    on,
    // A batch begins with its decision, and what that did stands behind it. The kinds are asked for outside: inside, the
    // planner would take the index of all decisions and go through the whole batch.
    `select d.batch_id, c.account_id, c.group_id, c.member_group_id,
            coalesce(a.profile ->> 'displayName', a.user_principal_name, n.display_name,
                     case when c.account_id is null and c.member_group_id is null then g.display_name end)
              as display_name,
            case when c.account_id is not null or c.member_group_id is not null then g.display_name end as group_name,
            c.after ->> 'reason' as reason
       from unnest(:batches::bigint[]) with ordinality d (batch_id, place)
      cross join lateral (
        select * from entra_sync.changes x where x.batch_id = d.batch_id order by x.change_id limit :each::bigint) c
       left join entra_sync.accounts a on a.account_id = c.account_id
       left join entra_sync.groups g on g.group_id = c.group_id
       left join entra_sync.groups n on n.group_id = c.member_group_id
      where c.kind in ('removal.approved', 'removal.rejected')
      order by d.place, c.change_id`,
    { batches: decisions.map((one) => one.batch_id), each },
  );
}
