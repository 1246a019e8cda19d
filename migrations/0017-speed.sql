-- Cheaper first loads: change rows of memberships are kept account by account, and stages go with their round by a trigger.
alter table entra_sync.changes add column change_ids bigint[], add column group_ids uuid[];
-- Not valid: rows from before have neither, and looking at all of them would hold up every writer.
alter table entra_sync.changes add constraint changes_of_memberships
  check (cardinality(change_ids) is not distinct from cardinality(group_ids) and (group_ids is null or group_id is null)) not valid;
comment on column entra_sync.changes.group_ids is 'A row with them stands for as many changes of memberships, one a group, alike in everything else: a first load writes a tenth of the rows. entra_sync.change_rows shows them one by one.';
comment on column entra_sync.changes.change_ids is 'Their ids, beside group_ids. change_id is the lowest, and no other row of the batch has one between lowest and highest.';

create view entra_sync.change_rows as
select coalesce(m.change_id, c.change_id) as change_id, c.batch_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id,
       coalesce(m.group_id, c.group_id) as group_id, c.member_group_id, c.before, c.after
  from entra_sync.changes c
  left join lateral unnest(c.change_ids, c.group_ids) as m (change_id, group_id) on true;
comment on view entra_sync.change_rows is 'Every change as one row.';

create function entra_sync.last_change(c entra_sync.changes) returns bigint
language sql immutable as $$ select coalesce((select max(i) from unnest(c.change_ids) i), c.change_id) $$;
comment on function entra_sync.last_change is 'The highest change id that a row stands for.';
revoke execute on function entra_sync.last_change from public;

create or replace view directory.changes with (security_barrier) as
select c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id, c.group_id, c.member_group_id,
       c.before, c.after
  from entra_sync.change_rows c
 where c.tenant_id = coalesce((select entra_sync.narrowed_to()), c.tenant_id);

create or replace function directory.feed_position() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select f.epoch || ':' || last.number || ':' || last.change
    from entra_sync.feed f
    cross join lateral (
      select f.pruned_number as number, f.pruned_change as change
      union all
      -- A batch whose change rows were erased still has its number.
      (select b.number, coalesce((select entra_sync.last_change(c) from entra_sync.changes c where c.batch_id = b.batch_id
                                   order by c.change_id desc limit 1), 0)
         from entra_sync.batches b where b.number > f.pruned_number order by b.number desc limit 1)
      order by number desc limit 1
    ) last
$$;

create or replace function directory.read_changes(after text, max integer default 1000) returns setof directory.feed_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  parts text[] := string_to_array(after, ':');
  feed entra_sync.feed;
  from_number bigint;
  from_change bigint;
  from_row bigint;
  only_tenant constant uuid := entra_sync.narrowed_to();
  wanted constant integer := coalesce(max, 1000);
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
  if wanted < 1 then
    raise exception using errcode = '22023', message = 'max must be at least 1';
  end if;
  -- The row that stands for the last change that was read may stand for more.
  select c.change_id into from_row
    from entra_sync.batches b join entra_sync.changes c on c.batch_id = b.batch_id
   where b.number = from_number and c.change_id <= from_change
   order by c.change_id desc limit 1;
  -- So many rows of a batch hold as many changes, beside that one.
  return query
    select feed.epoch || ':' || b.number || ':' || coalesce(m.change_id, c.change_id), coalesce(m.change_id, c.change_id),
           c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id, coalesce(m.group_id, c.group_id), c.member_group_id,
           c.before, c.after
      from entra_sync.batches b
      cross join lateral (
        select * from entra_sync.changes c
         where c.batch_id = b.batch_id and (b.number > from_number or c.change_id >= coalesce(from_row, from_change))
           and c.tenant_id = coalesce(only_tenant, c.tenant_id)
         order by c.change_id limit wanted::bigint + 1) c
      left join lateral unnest(c.change_ids, c.group_ids) as m (change_id, group_id) on true
     where b.number >= from_number and b.tenant_id = coalesce(only_tenant, b.tenant_id)
       and (b.number > from_number or coalesce(m.change_id, c.change_id) > from_change)
     order by b.number, coalesce(m.change_id, c.change_id)
     limit wanted;
end $$;

-- A foreign key is checked row by row, which was a third of the time of a stage.
alter table entra_sync.stage_users drop constraint stage_users_round_id_fkey;
alter table entra_sync.stage_groups drop constraint stage_groups_round_id_fkey;
alter table entra_sync.stage_members drop constraint stage_members_round_id_fkey;

create function entra_sync.drop_stage() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  if old.stream = 'users' then
    delete from entra_sync.stage_users where round_id = old.round_id;
  else
    delete from entra_sync.stage_groups where round_id = old.round_id;
  end if;
  delete from entra_sync.stage_members where round_id = old.round_id;
  return null;
end $$;
revoke execute on function entra_sync.drop_stage() from public;
create trigger drop_stage after delete on entra_sync.rounds for each row execute function entra_sync.drop_stage();
comment on function entra_sync.drop_stage is 'A round takes its stage with it, whatever ends the round.';
