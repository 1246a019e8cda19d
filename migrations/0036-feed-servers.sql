-- A new epoch of the feed begins by itself. A promoted standby, or a database from a backup, may lack the newest batches and gives
-- their numbers to other ones: a reader that goes on with its old position would skip those, and keep what was lost.

alter table entra_sync.feed
  add column system_identifier bigint, add column timeline bigint, add column database_oid oid;
comment on table entra_sync.feed is 'epoch: which life of this database positions belong to. system_identifier, timeline, database_oid: the server and database in which it began, null where unknown; in another one the next epoch begins. pruned_number, pruned_change: the newest batch that is no longer kept, and its last change; what lies before is incomplete.';

create table entra_sync.feed_epochs (
  epoch text primary key,
  last_number bigint not null,
  ended_at timestamptz not null default clock_timestamp()
);
comment on table entra_sync.feed_epochs is 'Earlier epochs of the feed. last_number: the newest batch that this server had of it. Positions up to there stay good, since all that they count as read is here.';

create function entra_sync.this_server(out system_identifier bigint, out timeline bigint, out database_oid oid)
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
  -- A standby shows the feed of its primary.
  if pg_is_in_recovery() then
    return;
  end if;
  select d.oid into database_oid from pg_database d where d.datname = current_database();
  -- A hosted server may refuse either function. What is unknown is no difference.
  begin
    -- pg_control_checkpoint() tells a promotion only after the next checkpoint, minutes later.
    timeline := ('x' || substr(pg_walfile_name(pg_current_wal_insert_lsn()), 1, 8))::bit(32)::bigint;
  exception when others then
    null;
  end;
  begin
    select c.system_identifier into system_identifier from pg_control_system() c;
  exception when others then
    null;
  end;
end $$;
comment on function entra_sync.this_server is 'The server, its timeline and the database of this session. A promotion and a recovery to a point in time begin a new timeline; pg_upgrade and a dump that is restored elsewhere, a new server or database.';
revoke execute on function entra_sync.this_server from public;

create or replace function entra_sync.feed_end(out epoch text, out number bigint, out change bigint)
language sql stable as $$
  select case
           when s.system_identifier <> f.system_identifier or s.timeline <> f.timeline or s.database_oid <> f.database_oid
           then substr(md5(concat_ws(':', f.epoch, s.system_identifier, s.timeline, s.database_oid, last.number)), 1, 8)
           else f.epoch end,
         last.number, last.change
    from entra_sync.feed f
    cross join lateral (
      select f.pruned_number as number, f.pruned_change as change
      union all
      (select b.number, entra_sync.batch_end(b.batch_id)
         from entra_sync.batches b where b.number > f.pruned_number order by b.number desc limit 1)
      order by number desc limit 1
    ) last
    cross join entra_sync.this_server() s
$$;
comment on function entra_sync.feed_end is 'The last change of the newest batch that has a number. On another server than the kept one the epoch is a passing one until entra_sync.number_batches begins the next: a reader must not write, and a position must not mean two things.';

create function entra_sync.is_elsewhere() returns boolean
language sql stable as $$
  select coalesce(s.system_identifier, f.system_identifier) is distinct from f.system_identifier
      or coalesce(s.timeline, f.timeline) is distinct from f.timeline
      or coalesce(s.database_oid, f.database_oid) is distinct from f.database_oid
    from entra_sync.feed f cross join entra_sync.this_server() s
$$;
comment on function entra_sync.is_elsewhere is 'Whether this is another server, timeline or database than the kept one, or one of them was not known before.';
revoke execute on function entra_sync.is_elsewhere from public;

create function entra_sync.follow_server() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  feed entra_sync.feed;
  feed_end record;
begin
  if not entra_sync.is_elsewhere() then
    return;
  end if;
  select * into strict feed from entra_sync.feed for update;
  select * into strict feed_end from entra_sync.feed_end();
  if feed_end.epoch <> feed.epoch then
    delete from entra_sync.feed_epochs e where e.last_number < feed.pruned_number;
    insert into entra_sync.feed_epochs (epoch, last_number) values (feed.epoch, feed_end.number), (feed_end.epoch, feed_end.number);
    feed.epoch := substr(md5(gen_random_uuid()::text), 1, 8);
  end if;
  update entra_sync.feed f
     set epoch = feed.epoch,
         system_identifier = coalesce(s.system_identifier, f.system_identifier),
         timeline = coalesce(s.timeline, f.timeline),
         database_oid = coalesce(s.database_oid, f.database_oid)
    from entra_sync.this_server() s;
end $$;
comment on function entra_sync.follow_server is 'Begins a new epoch of the feed on another server, timeline or database than the kept one. Learns what was not known without one. The caller holds entra_sync.feed_order.';
revoke execute on function entra_sync.follow_server from public;

-- With the owner's rights, as those of a worker's role may end at what earlier releases called.
create or replace function entra_sync.number_batches() returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
  first_number bigint;
  latest timestamptz;
  numbered integer;
begin
  -- The look costs no lock and no transaction id.
  if not exists (select from entra_sync.batches b where b.number is null) and not entra_sync.is_elsewhere() then
    return 0;
  end if;
  perform from entra_sync.feed_order for update skip locked;
  if not found then
    return 0;
  end if;
  -- From here on each statement sees everything that was committed before this transaction held the lock.
  perform entra_sync.follow_server();
  if not exists (select from entra_sync.batches b where b.number is null) then
    return 0;
  end if;
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
  select count(*) into numbered from written w;
  -- The lock keeps other transactions from taking numbers in between.
  perform nextval('entra_sync.batch_numbers') from generate_series(2, numbered);
  return numbered;
end $$;
comment on function entra_sync.number_batches is 'Numbers all committed batches without a number and returns how many; none where another transaction is at it. On another server than before it begins a new epoch first, since the old one may have given the same numbers to other batches. Readers do not need it: it keeps positions short.';

create function entra_sync.has_all(batches int8multirange, up_to_number bigint) returns boolean
language sql stable as $$
  select coalesce(sum(upper(r) - lower(r)), 0) = coalesce(sum(f.count), 0)
    from unnest(batches) r
   cross join lateral (
     select count(*) from entra_sync.batches b
      where b.batch_id >= lower(r) and b.batch_id < upper(r) and b.number <= up_to_number) f
$$;
comment on function entra_sync.has_all is 'Whether each of these ids is a batch with a number up to this one. An id alone proves nothing: another server may have given it to another batch.';
revoke execute on function entra_sync.has_all from public;

create or replace function directory.read_changes(after text, max integer default 1000) returns setof directory.feed_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  ranges constant text := '[0-9]{1,18}(-[0-9]{1,18})?(\.[0-9]{1,18}(-[0-9]{1,18})?)*';
  parts text[] := string_to_array(after, '_');
  head text[] := string_to_array(parts[1], ':');
  feed entra_sync.feed;
  feed_end record;
  until_number bigint;
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
    -- Up to there this server has what the position's epoch had.
    until_number := case when head[1] in (feed_end.epoch, feed.epoch) then feed_end.number
                         else (select e.last_number from entra_sync.feed_epochs e where e.epoch = head[1]) end;
    if after !~ ('^[0-9a-f]{8}:[0-9]{1,18}:[0-9]{1,18}(_' || ranges || '|_(' || ranges || ')?_' || ranges || '_[0-9]{1,18}_[0-9]{1,18})?$')
       or until_number is null
       or (head[2]::bigint, head[3]::bigint) < (feed.pruned_number, feed.pruned_change)
       or head[2]::bigint > until_number
       or (head[1] <> feed_end.epoch
           and not entra_sync.has_all(entra_sync.feed_batches(parts[2]) + entra_sync.feed_batches(parts[3]), until_number)) then
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
      select feed_end.epoch || ':' || b.number || ':' || c.change_id || case when b.number < known_until then skipping else '' end, c.*
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

-- This release begins no epoch: what was handed out here stays good.
update entra_sync.feed f
   set system_identifier = s.system_identifier, timeline = s.timeline, database_oid = s.database_oid
  from entra_sync.this_server() s;
