-- The public contract: views and the feed's functions. `set local directory.tenant` narrows all of them to one tenant;
-- a pooled connection reads the unset setting as '' (not null), hence nullif.
create view directory.tenants with (security_barrier) as
select t.tenant_id, t.name, t.external_ref, t.status, t.paused, t.provisional,
       coalesce(
         (select s.document ->> 'sourceOfTruth' from entra_sync.settings s
           where s.tenant_id = t.tenant_id order by s.version desc limit 1),
         (select s.document ->> 'sourceOfTruth' from entra_sync.settings s
           where s.tenant_id is null order by s.version desc limit 1),
         'directory') as source_of_truth,
       0 as held_removals,
       (select count(*)::integer from entra_sync.set_aside a where a.tenant_id = t.tenant_id) as set_aside,
       t.last_success_at, t.next_cycle_at, t.last_error_code, t.last_error_message
  from entra_sync.tenants t
 where t.tenant_id = coalesce(nullif(current_setting('directory.tenant', true), '')::uuid, t.tenant_id);

create view directory.accounts with (security_barrier) as
select a.tenant_id, a.account_id, a.entra_object_id, a.state, a.enabled, a.user_principal_name, a.mail,
       coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name,
       a.profile, array(select jsonb_object_keys(a.overrides)) as edited_fields, a.created_at, a.updated_at
  from entra_sync.accounts a
 where a.removed_at is null
   and a.tenant_id = coalesce(nullif(current_setting('directory.tenant', true), '')::uuid, a.tenant_id);

create view directory.removed_accounts with (security_barrier) as
select a.tenant_id, a.account_id, a.entra_object_id, a.removed_reason as reason, a.removed_at, a.purge_at,
       coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name
  from entra_sync.accounts a
 where a.removed_at is not null
   and a.tenant_id = coalesce(nullif(current_setting('directory.tenant', true), '')::uuid, a.tenant_id);

create view directory.set_aside with (security_barrier) as
select s.tenant_id, s.stream, s.object_key as entra_object_id, s.reason, s.first_seen_at, s.last_seen_at
  from entra_sync.set_aside s
 where s.tenant_id = coalesce(nullif(current_setting('directory.tenant', true), '')::uuid, s.tenant_id);
comment on column directory.set_aside.entra_object_id is 'As Graph sent it (text): an id that is no GUID is one of the reasons to be here.';

create view directory.cycles with (security_barrier) as
select c.cycle_id, c.tenant_id, c.kind, c.started_at, c.finished_at, c.outcome, c.streams, c.settings_version,
       c.error_code, c.error_message
  from entra_sync.cycles c
 where c.tenant_id = coalesce(nullif(current_setting('directory.tenant', true), '')::uuid, c.tenant_id);

create view directory.changes with (security_barrier) as
select c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id, c.group_id, c.member_group_id,
       c.before, c.after
  from entra_sync.changes c
 where c.tenant_id = coalesce(nullif(current_setting('directory.tenant', true), '')::uuid, c.tenant_id);

create type directory.feed_row as (
  position text, change_id bigint, tenant_id uuid, at timestamptz, cycle_id bigint, actor text, kind text,
  account_id uuid, group_id uuid, member_group_id uuid, before jsonb, after jsonb
);

create function directory.feed_position() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select f.epoch || ':' || last.number || ':' || last.change
    from entra_sync.feed f
    cross join lateral (
      select f.pruned_number as number, f.pruned_change as change
      union all
      (select b.number, (select max(c.change_id) from entra_sync.changes c where c.batch_id = b.batch_id)
         from entra_sync.batches b where b.number > f.pruned_number order by b.number desc limit 1)
      order by number desc limit 1
    ) last
$$;
comment on function directory.feed_position is 'Where the feed stands now. Read it and the views in one repeatable read transaction, then follow with read_changes.';
revoke execute on function directory.feed_position from public;

create function directory.read_changes(after text, max integer default 1000) returns setof directory.feed_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  parts text[] := string_to_array(after, ':');
  feed entra_sync.feed;
  from_number bigint;
  from_change bigint;
begin
  select * into strict feed from entra_sync.feed;
  -- From null too, nothing before what was pruned: its positions would be refused at the next call.
  from_number := feed.pruned_number;
  from_change := feed.pruned_change;
  if after is not null then
    if after !~ '^[0-9a-f]{8}:[0-9]{1,18}:[0-9]{1,18}$' or parts[1] <> feed.epoch
       or (parts[2]::bigint, parts[3]::bigint) < (feed.pruned_number, feed.pruned_change)
       or parts[2]::bigint > greatest(feed.pruned_number,
            coalesce((select b.number from entra_sync.batches b where b.number is not null order by b.number desc limit 1), 0)) then
      raise exception using errcode = 'ES006',
        message = format('the feed position %s is too old or not of this database', left(quote_literal(after), 60)),
        hint = 'Read the views again, take directory.feed_position() and follow from there.';
    end if;
    from_number := parts[2];
    from_change := parts[3];
  end if;
  if coalesce(max, 1000) < 1 then
    raise exception using errcode = '22023', message = 'max must be at least 1';
  end if;
  return query
    select feed.epoch || ':' || b.number || ':' || c.change_id, c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor,
           c.kind, c.account_id, c.group_id, c.member_group_id, c.before, c.after
      from entra_sync.batches b
      join entra_sync.changes c on c.batch_id = b.batch_id
     where b.number >= from_number
       and (b.number > from_number or c.change_id > from_change)
       and c.tenant_id = coalesce(nullif(current_setting('directory.tenant', true), '')::uuid, c.tenant_id)
     order by b.number, c.change_id
     limit coalesce(max, 1000);
end $$;
comment on function directory.read_changes is 'Changes after a position, oldest first, in commit order; null reads from the oldest from which on nothing is missing. ES006: the position is too old or of another database.';
revoke execute on function directory.read_changes from public;
