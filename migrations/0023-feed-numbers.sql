-- Batches are numbered after their commit, by a short transaction of ours. Before, each transaction took the feed's lock at
-- its commit, and an application could take it sooner ("set constraints all immediate") and keep it: every commit waited.

-- Waits for each transaction that the old trigger still has to number; a batch that comes later has no number yet.
lock table entra_sync.batches in access exclusive mode;
drop trigger number_batch on entra_sync.batches;
drop function entra_sync.number_batch();

alter table entra_sync.batches
  add column opened_by xid8, add column opened_at timestamptz,
  alter column committed_at set default clock_timestamp();
comment on column entra_sync.batches.number is 'The place in the feed, given by entra_sync.number_batches after the commit. Null until then: such a batch is read all the same.';
comment on column entra_sync.batches.committed_at is 'When the batch''s row was written, raised by the numbering so that it never falls in the order of the feed.';
comment on column entra_sync.batches.opened_by is 'The transaction whose later edits of the tenant belong to the batch as well. Null once it is numbered.';
comment on column entra_sync.batches.opened_at is 'When that transaction began: after a restore on another server, transactions get the same ids again.';
create index batches_unnumbered on entra_sync.batches (batch_id) where number is null;
create index batches_by_opener on entra_sync.batches (opened_by, tenant_id) where opened_by is not null;

comment on table entra_sync.feed_order is 'Locked by the transaction that numbers batches, and by no other. Never updated, so that the lock fails no transaction for its isolation level.';

create function entra_sync.tell_of_batch() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  perform pg_notify('directory_changes', '');
  return null;
end $$;
revoke execute on function entra_sync.tell_of_batch() from public;
-- Not for each statement: that would be told of an insert of no row, too.
create trigger tell_of_batch after insert on entra_sync.batches for each row execute function entra_sync.tell_of_batch();

create function entra_sync.own_batch(tenant uuid) returns bigint
language plpgsql as $$
declare
  batch bigint;
begin
  select b.batch_id into batch from entra_sync.batches b
   where b.opened_by = pg_current_xact_id() and b.tenant_id = tenant and b.opened_at = now() limit 1;
  if batch is null then
    insert into entra_sync.batches (tenant_id, opened_by, opened_at) values (tenant, pg_current_xact_id(), now())
    returning batch_id into batch;
  end if;
  return batch;
end $$;
comment on function entra_sync.own_batch is 'The batch of this transaction''s edits of the tenant. Written once and never updated by the transaction, so that the last of many edits finds it as fast as the first.';
revoke execute on function entra_sync.own_batch from public;

create or replace function entra_sync.write_account_change(
  account entra_sync.accounts, actor text, kind text, before jsonb, after jsonb
) returns void
language plpgsql as $$
declare
  batch constant bigint := entra_sync.own_batch(account.tenant_id);
begin
  if kind = 'account.removed' then
    insert into entra_sync.changes (batch_id, tenant_id, actor, kind, group_id, account_id)
    select batch, account.tenant_id, actor, 'membership.removed', g.group_id, account.account_id
      from entra_sync.memberships m
      join entra_sync.groups g on g.group_no = m.group_no and g.removed_at is null
     where m.tenant_id = account.tenant_id and m.member_object_id = account.entra_object_id;
  end if;
  insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, before, after)
  values (batch, account.tenant_id, actor, kind, account.account_id, before, after);
end $$;
comment on function entra_sync.write_account_change is 'The change, in the batch of this transaction; before a removal the visible memberships that vanish with the account.';

-- Here and below: with "between" and both columns in the order only the index changes_by_batch will do, whatever the planner
-- believes; by change_id alone it might walk through the changes of all other batches.
create view entra_sync.unnumbered_batches as
select b.batch_id, b.tenant_id, b.committed_at, coalesce(last.change_id, 0) as last_change, last.at as last_change_at
  from entra_sync.batches b
  left join lateral (
    select entra_sync.last_change(c) as change_id, c.at from entra_sync.changes c
     where c.batch_id between b.batch_id and b.batch_id order by c.batch_id desc, c.change_id desc limit 1) last on true
 where b.number is null;
comment on view entra_sync.unnumbered_batches is 'Committed batches without a number. Their order is that of last_change: a change takes its id after the lock of the row that it changes, so of two batches that change the same row the one that committed first has the lower last_change.';

create function entra_sync.number_batches() returns integer
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
  first_number bigint;
  last_number bigint;
  latest timestamptz;
  numbered integer;
begin
  -- The look costs no lock and no transaction id.
  if not exists (select from entra_sync.batches b where b.number is null) then
    return 0;
  end if;
  perform from entra_sync.feed_order for update skip locked;
  if not found then
    return 0;
  end if;
  -- From here on each statement sees what was committed before the lock was ours.
  select b.committed_at into latest from entra_sync.batches b where b.number is not null order by b.number desc limit 1;
  first_number := nextval('entra_sync.batch_numbers');
  with placed as materialized (
    select u.batch_id, row_number() over line as place, max(greatest(u.committed_at, u.last_change_at)) over line as committed_at
      from entra_sync.unnumbered_batches u window line as (order by u.last_change, u.batch_id)
  ), written as (
    update entra_sync.batches b
       set number = first_number + p.place - 1, committed_at = greatest(latest, p.committed_at), opened_by = null, opened_at = null
      from placed p where b.batch_id = p.batch_id
    returning b.number
  )
  select count(*), max(w.number) into numbered, last_number from written w;
  if numbered > 0 then
    perform setval('entra_sync.batch_numbers', last_number);
  end if;
  return numbered;
end $$;
comment on function entra_sync.number_batches is 'Numbers all committed batches without a number and returns how many; none where another transaction is at it. Readers do not need it: it keeps positions short.';
revoke execute on function entra_sync.number_batches from public;

create function entra_sync.feed_ranges(batches int8multirange) returns text
language sql immutable as $$
  select string_agg(case when upper(r) - 1 = lower(r) then lower(r)::text else lower(r) || '-' || upper(r) - 1 end, '.' order by r)
    from unnest(batches) r
$$;
comment on function entra_sync.feed_ranges is 'Ids of batches as a position holds them: 12-14.17. Null for none.';
revoke execute on function entra_sync.feed_ranges from public;

create function entra_sync.feed_batches(ranges text) returns int8multirange
language sql immutable as $$
  select coalesce(range_agg(int8range(least(e.one, e.other), greatest(e.one, e.other), '[]')), '{}')
    from string_to_table(nullif(ranges, ''), '.') r
   cross join lateral (select split_part(r, '-', 1)::bigint as one, split_part(r, '-', -1)::bigint as other) e
$$;
comment on function entra_sync.feed_batches is 'What entra_sync.feed_ranges wrote.';
revoke execute on function entra_sync.feed_batches from public;

create function entra_sync.batch_end(batch bigint) returns bigint
language sql stable as $$
  -- A batch whose change rows were erased still has its number.
  select coalesce((select entra_sync.last_change(c) from entra_sync.changes c
                    where c.batch_id between batch and batch order by c.batch_id desc, c.change_id desc limit 1), 0)
$$;
comment on function entra_sync.batch_end is 'The highest change id of a batch, 0 where it has none any more.';
revoke execute on function entra_sync.batch_end from public;

create function entra_sync.feed_end(out epoch text, out number bigint, out change bigint)
language sql stable as $$
  select f.epoch, last.number, last.change
    from entra_sync.feed f
    cross join lateral (
      select f.pruned_number as number, f.pruned_change as change
      union all
      (select b.number, entra_sync.batch_end(b.batch_id)
         from entra_sync.batches b where b.number > f.pruned_number order by b.number desc limit 1)
      order by number desc limit 1
    ) last
$$;
comment on function entra_sync.feed_end is 'The last change of the newest batch that has a number.';
revoke execute on function entra_sync.feed_end from public;

create or replace function directory.feed_position() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select e.epoch || ':' || e.number || ':' || e.change || coalesce('_' || entra_sync.feed_ranges((
           select range_agg(int8range(b.batch_id, b.batch_id, '[]')) from entra_sync.batches b where b.number is null)), '')
    from entra_sync.feed_end() e
$$;

create function entra_sync.batch_rows(batch bigint, after_change bigint, only_tenant uuid, wanted bigint) returns table (
  change_id bigint, tenant_id uuid, at timestamptz, cycle_id bigint, actor text, kind text,
  account_id uuid, group_id uuid, member_group_id uuid, before jsonb, after jsonb
)
language sql stable as $$
  select coalesce(m.change_id, c.change_id), c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id,
         coalesce(m.group_id, c.group_id), c.member_group_id, c.before, c.after
    from (
      -- The row that stands for the last change that was read may stand for more. So many rows hold as many changes, beside it.
      select x.* from entra_sync.changes x
       where (x.batch_id, x.change_id) >= (batch_rows.batch, coalesce(
               (select y.change_id from entra_sync.changes y
                 where (y.batch_id, y.change_id) <= (batch_rows.batch, batch_rows.after_change) and y.batch_id >= batch_rows.batch
                 order by y.batch_id desc, y.change_id desc limit 1), batch_rows.after_change))
         and x.batch_id <= batch_rows.batch and x.tenant_id = coalesce(batch_rows.only_tenant, x.tenant_id)
       order by x.batch_id, x.change_id limit batch_rows.wanted + 1) c
    left join lateral unnest(c.change_ids, c.group_ids) as m (change_id, group_id) on true
   where coalesce(m.change_id, c.change_id) > batch_rows.after_change
   order by 1 limit batch_rows.wanted
$$;
comment on function entra_sync.batch_rows is 'The first changes of a batch after one of them, each as a row.';
revoke execute on function entra_sync.batch_rows from public;

create or replace function directory.read_changes(after text, max integer default 1000) returns setof directory.feed_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  ranges constant text := '[0-9]{1,18}(-[0-9]{1,18})?(\.[0-9]{1,18}(-[0-9]{1,18})?)*';
  parts text[] := string_to_array(after, '_');
  head text[] := string_to_array(parts[1], ':');
  feed entra_sync.feed;
  feed_end record;
  from_number bigint;
  from_change bigint;
  only_tenant constant uuid := entra_sync.narrowed_to();
  wanted integer := coalesce(max, 1000);
  found_rows integer;
  -- Batches that were read before those of lower numbers, and up to which number there are any.
  known int8multirange := '{}';
  known_until bigint;
  skipping text;
  -- The position may stand amid a page of unnumbered batches: that page, its half-read batch, and the tenant of that batch.
  page int8multirange := '{}';
  half bigint;
  half_tenant uuid;
  ids bigint[];
  lasts bigint[];
  fresh int8multirange;
  last_of_all bigint;
  whole text;
  amid text;
begin
  select * into strict feed from entra_sync.feed;
  select * into strict feed_end from entra_sync.feed_end();
  -- From null too, nothing before what was pruned: its positions would be refused at the next call.
  from_number := feed.pruned_number;
  from_change := feed.pruned_change;
  if after is not null then
    if after !~ ('^[0-9a-f]{8}:[0-9]{1,18}:[0-9]{1,18}(_' || ranges || '|_(' || ranges || ')?_' || ranges || '_[0-9]{1,18}_[0-9]{1,18})?$')
       or head[1] <> feed.epoch
       or (head[2]::bigint, head[3]::bigint) < (feed.pruned_number, feed.pruned_change)
       or head[2]::bigint > feed_end.number then
      raise exception using errcode = 'ES006',
        message = format('the feed position %s is too old or not of this database', left(quote_literal(after), 60)),
        hint = 'Read the views again, take directory.feed_position() and follow from there.';
    end if;
    from_number := head[2];
    from_change := head[3];
  end if;
  if wanted < 1 then
    raise exception using errcode = '22023', message = 'max must be at least 1';
  end if;

  if cardinality(parts) > 1 then
    known := entra_sync.feed_batches(parts[2]);
  end if;
  if cardinality(parts) = 5 then
    page := entra_sync.feed_batches(parts[3]);
    select known + coalesce(range_agg(int8range(b.batch_id, b.batch_id, '[]')) filter (where b.last_change < parts[4]::bigint), '{}'),
           max(b.batch_id) filter (where b.last_change = parts[4]::bigint)
      into known, half
      from unnest(page) r
      cross join lateral (
        select x.batch_id, entra_sync.batch_end(x.batch_id) as last_change
          from entra_sync.batches x where x.batch_id >= lower(r) and x.batch_id < upper(r)
           and (x.number > from_number or x.number is null) offset 0) b;
  end if;
  -- Where a batch that was read has a number by now, a position of a higher one need not name it any more.
  if known <> '{}' or half is not null then
    select coalesce(range_agg(int8range(b.batch_id, b.batch_id, '[]')), '{}'), max(coalesce(b.number, 9223372036854775807))
      into known, known_until
      from unnest(case when half is null then known else known + int8multirange(int8range(half, half, '[]')) end) r
      cross join lateral (
        select x.batch_id, x.number from entra_sync.batches x where x.batch_id >= lower(r) and x.batch_id < upper(r)
           and (x.number > from_number or x.number is null) offset 0) b;
    skipping := '_' || entra_sync.feed_ranges(known);
  end if;

  if half is not null then
    select b.tenant_id into half_tenant from entra_sync.batches b where b.batch_id = half;
    if half_tenant = coalesce(only_tenant, half_tenant) then
      return query
        select array_to_string(parts[1:4], '_') || '_' || c.change_id, c.*
          from entra_sync.batch_rows(half, parts[5]::bigint, only_tenant, wanted) c order by c.change_id;
      get diagnostics found_rows = row_count;
      wanted := wanted - found_rows;
    end if;
  end if;

  if wanted > 0 then
    return query
      select feed.epoch || ':' || b.number || ':' || c.change_id || case when b.number < known_until then skipping else '' end, c.*
        from entra_sync.batches b
        cross join lateral entra_sync.batch_rows(
          b.batch_id, case when b.number = from_number then from_change else 0 end, only_tenant, wanted) c
       where b.number >= from_number and b.tenant_id = coalesce(only_tenant, b.tenant_id) and not known @> b.batch_id
       order by b.number, c.change_id
       limit wanted;
    get diagnostics found_rows = row_count;
    wanted := wanted - found_rows;
  end if;

  -- Committed batches that have no number yet, in the order in which they will be numbered.
  if wanted > 0 then
    select array_agg(u.batch_id order by u.last_change), array_agg(u.last_change order by u.last_change), max(u.last_change) into ids, lasts, last_of_all
      from (select u.batch_id, u.last_change from entra_sync.unnumbered_batches u
             where u.last_change > 0 and u.tenant_id = coalesce(only_tenant, u.tenant_id) and not known @> u.batch_id
             -- Each holds a change, so the page needs no more of them, and its positions name no more.
             order by u.last_change limit wanted) u;
    if ids is not null then
      select coalesce(range_agg(int8range(b.batch_id, b.batch_id, '[]')), '{}') into known
        from entra_sync.batches b where b.number is null and known @> b.batch_id;
      select range_agg(int8range(u.batch_id, u.batch_id, '[]')) into fresh
        from entra_sync.unnumbered_batches u where u.last_change <= last_of_all and not known @> u.batch_id;
      skipping := feed_end.epoch || ':' || feed_end.number || ':' || feed_end.change || '_';
      whole := skipping || entra_sync.feed_ranges(known + fresh);
      amid := skipping || coalesce(entra_sync.feed_ranges(known), '') || '_' || entra_sync.feed_ranges(fresh) || '_';
      -- The limit ends the walk through the batches at the end of the page; the walk itself is in their order.
      return query
        select case when x.change_id = last_of_all then whole else amid || x.last_change || '_' || x.change_id end,
               x.change_id, x.tenant_id, x.at, x.cycle_id, x.actor, x.kind, x.account_id, x.group_id, x.member_group_id, x.before, x.after
          from (select u.place, u.last_change, c.*
                  from unnest(ids, lasts) with ordinality as u (batch_id, last_change, place)
                 cross join lateral entra_sync.batch_rows(u.batch_id, 0, only_tenant, wanted) c
                 limit wanted) x
         order by x.place, x.change_id;
    end if;
  end if;
end $$;
comment on function directory.read_changes is 'Changes after a position, oldest first; null reads from the oldest from which on nothing is missing. ES006: the position is too old or of another database.';
