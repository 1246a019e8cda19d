// Changes as the console lists them, newest first.
import { rows, type Transaction } from '../database/pool.ts';
import { type ChangeFilter, type FoundChange, filterBindings, filtered, publicSides } from '../feed/changes.ts';

/** A change with its place in the list; `number` is null until its batch has its place in the feed. */
export type ListedChange = FoundChange & { readonly number: string | null };

const columns = `c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id, c.group_id, c.member_group_id,
  c.before, c.after`;

// From the newest batch on, each read from its end by the index: a list reads what it shows, however large its newest batch is.
// The ids of a packed row are consecutive from its own on, so rows of `changes` are in the order of the changes. A range of one
// batch, because for `=` the planner takes the index of all changes, newest first, and reads each of the newer batches.
const newest = ({ kind, actor, cycle }: ChangeFilter) => `
select ${columns}, b.number
  from entra_sync.batches b
 cross join lateral (
   select coalesce(m.change_id, c.change_id) as change_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id,
          coalesce(m.group_id, c.group_id) as group_id, c.member_group_id, c.before, c.after
     from (select * from entra_sync.changes c
            where c.batch_id between b.batch_id and b.batch_id
              and (:place::bigint is null or b.number is distinct from :number::bigint or c.change_id < :place)
              ${kind === undefined ? '' : 'and c.kind like :kind'}
              ${actor === undefined ? '' : 'and c.actor = :actor'}
              ${cycle === undefined ? '' : 'and c.cycle_id = :cycle'}
            order by c.batch_id desc, c.change_id desc limit :limit) c
     left join lateral unnest(c.change_ids, c.group_ids) m (change_id, group_id) on true
    where :place::bigint is null or b.number is distinct from :number::bigint
       or coalesce(m.change_id, c.change_id) < :place
    order by 1 desc limit :limit) c
 where (:tenantId::uuid is null or b.tenant_id = :tenantId)
   and (:since::timestamptz is null or b.committed_at >= :since)
   and (:until::timestamptz is null or b.committed_at < :until)
   and (:place::bigint is null or :number::bigint is null or b.number <= :number)
 order by b.number desc nulls first, c.change_id desc limit :limit`;

// The few changes of a group or an account come first.
const ofOne = (filter: ChangeFilter) => `
select ${columns}, b.number ${filtered(filter)}
   and (:place::bigint is null or case
          when :number::bigint is null then b.number is not null or c.change_id < :place
          else b.number is not null and (b.number, c.change_id) < (:number::bigint, :place::bigint) end)
 order by b.number desc nulls first, c.change_id desc limit :limit`;

/** Returns at most `limit` changes that fit, newest first, before the one with this number and id. */
export function listChanges(
  read: Transaction,
  filter: ChangeFilter,
  { after, limit }: { after: readonly (string | number | null)[] | null; limit: number },
): Promise<ListedChange[]> {
  const [number = null, id = null] = after ?? [];
  return rows<ListedChange>(
    read,
    `select c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id, c.group_id, c.member_group_id,
            ${publicSides}, c.number,
            coalesce(a.profile ->> 'displayName', a.source ->> 'displayName', a.user_principal_name, n.display_name)
              as display_name,
            g.display_name as group_name, t.name as tenant_name
       from (${filter.groupId === undefined && filter.accountId === undefined ? newest(filter) : ofOne(filter)}) c
       left join entra_sync.tenants t on t.tenant_id = c.tenant_id
       left join entra_sync.accounts a on a.account_id = c.account_id
       left join entra_sync.groups g on g.group_id = c.group_id
       left join entra_sync.groups n on n.group_id = c.member_group_id
      order by c.number desc nulls first, c.change_id desc`,
    { ...filterBindings(filter), number, place: id, limit },
  );
}
