// Reading the change feed, for the command line.
import { ExpectedError } from '../../errors.ts';
import { type Database, rows, sqlState } from '../database/pool.ts';

export type ChangeRow = {
  position: string;
  change_id: string;
  tenant_id: string;
  at: Date;
  cycle_id: string | null;
  actor: string;
  kind: string;
  account_id: string | null;
  group_id: string | null;
  member_group_id: string | null;
  before: unknown;
  after: unknown;
  /** The present names of account, group and tenant; null if they no longer exist. */
  display_name: string | null;
  group_name: string | null;
  tenant_name: string | null;
};

/** Returns the feed's present position. */
export async function feedPosition(database: Database): Promise<string> {
  const [row] = await rows<{ position: string }>(database, 'select directory.feed_position() as position');
  return row?.position ?? '';
}

/**
 * Returns up to `limit` changes after a position (null: from the oldest kept), in the feed's order. Throws `usage` for an
 * invalid position.
 */
export async function readChanges(database: Database, after: string | null, limit: number): Promise<ChangeRow[]> {
  return rows<ChangeRow>(
    database,
    `select c.position, c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id, c.group_id,
            c.member_group_id, c.before, c.after,
            coalesce(a.profile ->> 'displayName', a.user_principal_name, n.display_name) as display_name,
            g.display_name as group_name, t.name as tenant_name
       from directory.read_changes(:after, :limit) with ordinality c
       left join entra_sync.tenants t on t.tenant_id = c.tenant_id
       left join entra_sync.accounts a on a.account_id = c.account_id
       left join entra_sync.groups g on g.group_id = c.group_id
       left join entra_sync.groups n on n.group_id = c.member_group_id order by c.ordinality`,
    { after, limit },
  ).catch((error: unknown) => {
    if (sqlState(error) !== 'ES006') throw error;
    throw new ExpectedError('usage', 'this feed position is too old or not of this database', {
      cure: 'read the views again and follow from the position that entra-sync changes --position prints',
      cause: error,
    });
  });
}

/** Returns the position before the last `count` changes of one tenant or all. */
export async function positionBefore(
  database: Database,
  count: number,
  tenantId: string | null,
): Promise<string | null> {
  const [row] = await rows<{ position: string }>(
    database,
    `with newest as (  -- unnumbered batches are newer than all numbered ones
       (select null::bigint as number, u.last_change, c.change_id
          from entra_sync.unnumbered_batches u join entra_sync.change_rows c using (batch_id)
         where :tenantId::uuid is null or u.tenant_id = :tenantId
         order by u.last_change desc, c.change_id desc limit :count)
       union all
       (select b.number, null, c.change_id
          from entra_sync.feed f cross join entra_sync.batches b join entra_sync.change_rows c using (batch_id)
         where b.number > f.pruned_number and (:tenantId::uuid is null or c.tenant_id = :tenantId)
         order by b.number desc, c.change_id desc limit :count)
       order by number desc nulls first, last_change desc, change_id desc limit :count
     ), first as (
       select * from newest order by number, last_change, change_id limit 1
     )
     select case when f.number is not null then concat_ws(':', e.epoch, f.number, f.change_id - 1)
                 else concat_ws('_', now.parts[1], '', now.parts[2], f.last_change, f.change_id - 1) end as position
       from first f cross join entra_sync.feed e
      cross join lateral (select string_to_array(directory.feed_position(), '_') as parts) now`,
    { count, tenantId },
  );
  return row?.position ?? null;
}

/** Which changes to find. All that are given have to hold; `kinds` are globs, times are those of the commits. */
export type ChangeFilter = {
  readonly tenantId?: string | undefined;
  readonly accountId?: string | undefined;
  readonly groupId?: string | undefined;
  readonly kind?: string | undefined;
  readonly actor?: string | undefined;
  readonly cycle?: string | undefined;
  readonly since?: string | undefined;
  readonly until?: string | undefined;
};

export type FoundChange = Omit<ChangeRow, 'position'>;

/** The sides of a change row `c` for a reader who is not the person: values of private fields are not told. */
export const publicSides = `
entra_sync.without_private(c.before, entra_sync.private_fields(c.tenant_id)) as before,
entra_sync.without_private(c.after, entra_sync.private_fields(c.tenant_id)) as after`;

// From the batches, which are ordered, to their changes: of an account or a group its few changes come first.
/** The changes that fit a filter, with their batch `b` and row `c`. Binds {@link filterBindings}. */
export const filtered = ({ accountId, groupId }: ChangeFilter, changes = 'entra_sync.change_rows') => `
from entra_sync.batches b
join ${changes} c on c.batch_id = b.batch_id
where (:tenantId::uuid is null or b.tenant_id = :tenantId)
  and (:since::timestamptz is null or b.committed_at >= :since)
  and (:until::timestamptz is null or b.committed_at < :until)
  ${accountId ? 'and c.account_id = :accountId' : ''}
  ${
    groupId
      ? `and c.batch_id in (
           select x.batch_id from entra_sync.changes x where x.group_id = :groupId or x.member_group_id = :groupId
           union select x.batch_id from entra_sync.changes x where x.group_ids @> array[:groupId::uuid])
         and (c.group_id = :groupId or c.member_group_id = :groupId)`
      : ''
  }
  and (:kind::text is null or c.kind like :kind)
  and (:actor::text is null or c.actor = :actor)
  and (:cycle::bigint is null or c.cycle_id = :cycle)`;

/** The values that {@link filtered} binds. */
export const filterBindings = (filter: ChangeFilter) => ({
  ...{ tenantId: null, accountId: null, groupId: null, actor: null, cycle: null, since: null, until: null },
  ...Object.fromEntries(Object.entries(filter).filter(([, value]) => value !== undefined)),
  kind: filter.kind?.replaceAll(/[\\%_]/g, '\\$&').replaceAll('*', '%') ?? null,
});

/** Returns the newest `limit` changes that fit, oldest first. */
export async function findChanges(database: Database, filter: ChangeFilter, limit: number): Promise<FoundChange[]> {
  const found = await rows<FoundChange>(
    database,
    `select c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id, c.group_id, c.member_group_id,
            ${publicSides},
            coalesce(a.profile ->> 'displayName', a.user_principal_name, n.display_name) as display_name,
            g.display_name as group_name, t.name as tenant_name
       from (select c.*, b.number ${filtered(filter)}
              order by b.number desc nulls first, c.change_id desc limit :limit) c
       left join entra_sync.tenants t on t.tenant_id = c.tenant_id
       left join entra_sync.accounts a on a.account_id = c.account_id
       left join entra_sync.groups g on g.group_id = c.group_id
       left join entra_sync.groups n on n.group_id = c.member_group_id
      order by c.number nulls last, c.change_id`,
    { ...filterBindings(filter), limit },
  );
  return found;
}

/** Returns the number of changes that fit, by kind. */
export function countChanges(database: Database, filter: ChangeFilter): Promise<{ kind: string; count: number }[]> {
  // A packed row counts without being unfolded, which takes as long as reading it. Of a group only some of it fits.
  const [number, from] =
    filter.groupId === undefined
      ? ['sum(coalesce(cardinality(c.change_ids), 1))', filtered(filter, 'entra_sync.changes')]
      : ['count(*)', filtered(filter)];
  return rows(database, `select c.kind, ${number}::int as count ${from} group by c.kind order by c.kind`, {
    ...filterBindings(filter),
  });
}
