-- The last changes without reading all of them. The view directory.changes cannot take them from an index: a packed row of
-- memberships is many changes, and Postgres does not know that these lie in the order of the rows around them.
create type directory.change_row as (
  change_id bigint,
  tenant_id uuid,
  at timestamptz,
  cycle_id bigint,
  actor text,
  kind text,
  account_id uuid,
  group_id uuid,
  member_group_id uuid,
  before jsonb,
  after jsonb
);

-- With a tenant its batches are sorted, without one the newest are read from their index: two plans, hence planned each time.
-- Without statistics Postgres takes every batch for a small one, and would read it whole and sort it: it is to follow the index.
create function directory.latest_changes(tenant_id uuid, max integer default 50) returns setof directory.change_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set plan_cache_mode = force_custom_plan
set enable_bitmapscan = off set enable_seqscan = off as $$
#variable_conflict use_column
declare
  asked constant uuid := latest_changes.tenant_id;
  wanted constant integer := coalesce(latest_changes.max, 50);
  tenant constant uuid := coalesce(asked, entra_sync.narrowed_to());
begin
  if asked is not null and not exists (
    select from entra_sync.tenants t where t.tenant_id = asked and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id)) then
    perform entra_sync.refuse_unknown_tenant(asked);
  elsif wanted < 1 then
    raise exception using errcode = '22023', message = 'max must be at least 1';
  end if;
  return query
    select c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id, c.group_id, c.member_group_id, c.before, c.after
      from entra_sync.batches b
     cross join lateral (
        -- Packed rows of one batch do not overlap: its last rows have its last changes.
        select coalesce(m.change_id, r.change_id) as change_id, r.tenant_id, r.at, r.cycle_id, r.actor, r.kind, r.account_id,
               coalesce(m.group_id, r.group_id) as group_id, r.member_group_id, r.before, r.after
          from (select * from entra_sync.changes x where x.batch_id = b.batch_id order by x.change_id desc limit wanted) r
          left join lateral unnest(r.change_ids, r.group_ids) m (change_id, group_id) on true
         order by 1 desc limit wanted
      ) c
     where tenant is null or b.tenant_id = tenant
     -- A batch without a number is newer than all others.
     order by b.number desc nulls first, c.change_id desc limit wanted;
end $$;
revoke execute on function directory.latest_changes(uuid, integer) from public;
comment on function directory.latest_changes is 'The last changes of a tenant (null: of all that the role sees), newest first in the order of the feed, 50 unless max says otherwise. It reads the newest batches alone. ES004.';
