-- Groups that the settings leave out (rule 43). One is kept in the form of a removed group, so that no reader of live groups sees it,
-- with its id, its members and its place in the nesting; `removed_reason` is not_copied while Graph shows it, `purge_at` infinite.
alter table entra_sync.groups
  add column copied boolean not null default true,
  add column shown_before boolean not null default true,
  drop constraint groups_removed_reason_check,
  add constraint groups_removed_reason_check
    check (removed_reason in ('deleted_restorable', 'deleted', 'not_seen', 'by_hand', 'not_copied')),
  add constraint groups_left_out check (copied or removed_at is not null),
  add constraint groups_copied check (not copied or removed_reason is distinct from 'not_copied');
comment on column entra_sync.groups.copied is 'False: the settings leave the group out (groups.only, groups.except). Its names are blank, and no view has it.';
comment on column entra_sync.groups.shown_before is 'A change row has told of the group. False: it was left out ever since Graph first showed it.';
create index groups_not_copied on entra_sync.groups (tenant_id) where removed_reason = 'not_copied';
comment on index entra_sync.groups_not_copied is 'One look tells that a tenant leaves no group out.';

alter table entra_sync.held_removals
  drop constraint held_removals_reason_check,
  add constraint held_removals_reason_check
    check (reason in ('deleted_restorable', 'deleted', 'out_of_scope', 'disabled', 'not_seen', 'suspended', 'not_copied'));

alter table entra_sync.stage_groups add column copied boolean;
comment on column entra_sync.stage_groups.copied is 'Whether the settings copy the group; null: the round does not show its name, so it stays as it is.';

create function entra_sync.leaves_groups_out(tenant uuid) returns boolean
language sql stable as $$
  select exists (select from entra_sync.groups g where g.tenant_id = tenant and g.removed_reason = 'not_copied')
$$;
comment on function entra_sync.leaves_groups_out is 'Whether Graph shows groups of the tenant that are not copied.';

create table entra_sync.unseen_moves (
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  object_id uuid not null
);
create index unseen_moves_by_tenant on entra_sync.unseen_moves (tenant_id);
comment on table entra_sync.unseen_moves is 'Users and groups whose place in the nesting this transaction changes, and no change row names all that follows: through groups that are not copied. Emptied when the batch is written.';

create function entra_sync.moves_unseen(tenant uuid) returns boolean
language sql stable as $$
  select entra_sync.leaves_groups_out(tenant)
      or exists (select from entra_sync.unseen_moves u where u.tenant_id = tenant)
$$;
comment on function entra_sync.moves_unseen is 'Whether memberships may change without a change row: the tenant leaves groups out, or did until this transaction.';

create function entra_sync.moved_unseen(tenant uuid) returns integer[]
language sql stable as $$
  with moved as materialized (
    select distinct u.object_id from entra_sync.unseen_moves u where u.tenant_id = tenant
  ), below as materialized (
    select g.group_no as no
      from moved m
     cross join lateral (
       select g.group_no from entra_sync.groups g where g.tenant_id = tenant and g.entra_object_id = m.object_id offset 0) g
    union
    select c.descendant_no
      from moved m
     cross join lateral (
       select g.group_no from entra_sync.groups g where g.tenant_id = tenant and g.entra_object_id = m.object_id offset 0) g
     cross join lateral (
       select c.descendant_no from entra_sync.group_closure c where c.ancestor_no = g.group_no offset 0) c
  ), people as materialized (
    select m.object_id as id from moved m
    union
    select m.member_object_id
      from below b
     cross join lateral (
       select m.member_object_id from entra_sync.member_groups m
        where m.tenant_id = tenant and m.group_nos @> array[b.no] offset 0) m
  )
  select coalesce(array_agg(a.account_no order by a.account_no), '{}')
    from people p
   cross join lateral (
     select a.account_no from entra_sync.accounts a where a.tenant_id = tenant and a.entra_object_id = p.id offset 0) a
$$;
comment on function entra_sync.moved_unseen is 'The accounts in unseen_moves, and those in a group there or below one.';

create or replace function entra_sync.effective_of(account integer, nested boolean) returns table (group_no integer, is_direct boolean)
language sql stable as $$
  select c.ancestor_no::integer, bool_or(c.ancestor_no = c.descendant_no)
    from entra_sync.accounts a
   cross join lateral (
     select exists (select from entra_sync.groups g where g.tenant_id = a.tenant_id and g.removed_reason = 'not_copied') as hides
     offset 0) t
   cross join lateral (
     select m.group_nos from entra_sync.member_groups m
      where m.tenant_id = a.tenant_id and m.member_object_id = a.entra_object_id offset 0) m
   cross join lateral unnest(m.group_nos) as held (no)
   cross join lateral (
     select c.ancestor_no, c.descendant_no from entra_sync.group_closure c where c.descendant_no = held.no offset 0) c
   where a.account_no = account and a.removed_at is null and (nested or c.ancestor_no = c.descendant_no)
     and case when t.hides then exists (
           select from entra_sync.groups v where v.group_no = c.ancestor_no and v.removed_at is null) else true end
   group by c.ancestor_no
$$;
comment on function entra_sync.effective_of(integer, boolean) is 'The rows that effective_members should have of an account: its live groups. The closure holds the groups that Graph shows, each with itself; those that are not copied are on the way alone.';

create or replace function entra_sync.keep_effective_of_many(tenant uuid, accounts integer[], nested boolean) returns bigint
language plpgsql set enable_nestloop = off as $$
declare
  hides constant boolean := entra_sync.leaves_groups_out(tenant);
  change bigint;
begin
  with pairs as materialized (
    select c.descendant_no, c.ancestor_no
      from entra_sync.groups g
     cross join lateral (
       select c.descendant_no, c.ancestor_no from entra_sync.group_closure c
        where c.descendant_no = g.group_no and (nested or c.ancestor_no = c.descendant_no) offset 0) c
     where g.tenant_id = tenant
       and (not hides or exists (
         select from entra_sync.groups v where v.group_no = c.ancestor_no and v.removed_at is null offset 0))
  ), people as materialized (
    select t.no, a.entra_object_id
      from unnest(accounts) as t (no)
     cross join lateral (select a.entra_object_id from entra_sync.accounts a where a.account_no = t.no and a.removed_at is null offset 0) a
  ), held as materialized (
    select p.no, unnest(m.group_nos) as group_no
      from people p join entra_sync.member_groups m on m.tenant_id = tenant and m.member_object_id = p.entra_object_id
  ), want as materialized (
    select h.no as account_no, c.ancestor_no::integer as group_no, bool_or(c.ancestor_no = c.descendant_no) as is_direct
      from held h join pairs c on c.descendant_no = h.group_no
     group by 1, 2
  ), kept as materialized (
    select e.place, t.no as account_no, e.group_no, e.is_direct
      from unnest(accounts) as t (no)
     cross join lateral (
       select e.ctid as place, e.group_no, e.is_direct from entra_sync.effective_members e where e.account_no = t.no offset 0) e
  ), gone as (
    delete from entra_sync.effective_members where ctid = any(array(
      select k.place from kept k left join want w on w.account_no = k.account_no and w.group_no = k.group_no where w.account_no is null))
    returning is_direct
  ), turned as (
    update entra_sync.effective_members e set is_direct = not e.is_direct where e.ctid = any(array(
      select k.place from kept k join want w on w.account_no = k.account_no and w.group_no = k.group_no where w.is_direct <> k.is_direct))
    returning e.is_direct
  ), come as (
    insert into entra_sync.effective_members as e (account_no, group_no, is_direct)
    select w.account_no, w.group_no, w.is_direct
      from want w left join kept k on k.account_no = w.account_no and k.group_no = w.group_no
     where k.account_no is null
     order by 1, 2
    returning e.is_direct
  )
  select (select count(*) filter (where not c.is_direct) from come c) - (select count(*) filter (where not g.is_direct) from gone g)
         + (select coalesce(sum(case when t.is_direct then -1 else 1 end), 0) from turned t)
    into change;
  return change;
end $$;

create or replace function entra_sync.nested_paths(tenant uuid) returns bigint
language sql stable as $$
  select coalesce(sum(d.members * c.holders), 0)::bigint
    from entra_sync.groups g
   cross join lateral (
     select count(*) - 1 as holders from entra_sync.group_closure c where c.descendant_no = g.group_no offset 0) c
   cross join lateral (
     select case when g.removed_at is null then (
              select count(*) from entra_sync.effective_members e
               where c.holders > 0 and e.group_no = g.group_no and e.is_direct)
            else (
              select count(*) from entra_sync.member_groups m
               where c.holders > 0 and m.tenant_id = tenant and m.group_nos @> array[g.group_no]) end as members offset 0) d
   where g.tenant_id = tenant and (g.removed_at is null or g.removed_reason = 'not_copied')
$$;

create or replace function entra_sync.keep_effective(tenant uuid, accounts integer[]) returns void
language plpgsql as $$
declare
  most constant bigint := entra_sync.most_nested_members();
  kept bigint;
  left_out bigint;
  paths bigint;
  change bigint := 0;
begin
  select t.nested_members, t.nested_left_out into kept, left_out from entra_sync.tenants t where t.tenant_id = tenant;
  if left_out is not null then
    paths := entra_sync.nested_paths(tenant);
    if paths <= most then
      left_out := null;
      accounts := array(select a.account_no from entra_sync.accounts a where a.tenant_id = tenant order by 1);
      update entra_sync.tenants t set nested_left_out = null where t.tenant_id = tenant;
    end if;
  end if;
  if left_out is null then
    -- No account has more groups than all together, nor a group more holders than the one with most. Only beyond that it is counted.
    select (h.holders * m.memberships)::bigint into paths
      from (select coalesce(max(c.holders), 0) as holders
              from entra_sync.groups g cross join lateral (
                select count(*) - 1 as holders from entra_sync.group_closure c where c.descendant_no = g.group_no offset 0) c
             where g.tenant_id = tenant and (g.removed_at is null or g.removed_reason = 'not_copied')) h
     cross join lateral (
       select coalesce(sum(cardinality(m.group_nos)), 0) as memberships
         from unnest(accounts) as t (no)
        cross join lateral (select a.entra_object_id from entra_sync.accounts a where a.account_no = t.no offset 0) a
        cross join lateral (
          select m.group_nos from entra_sync.member_groups m
           where m.tenant_id = tenant and m.member_object_id = a.entra_object_id offset 0) m
        where h.holders > 0) m;
    if kept + paths > most then
      select coalesce(sum(c.holders), 0)::bigint into paths
        from unnest(accounts) as t (no)
       cross join lateral (select a.entra_object_id from entra_sync.accounts a where a.account_no = t.no and a.removed_at is null offset 0) a
       cross join lateral (
         select m.group_nos from entra_sync.member_groups m
          where m.tenant_id = tenant and m.member_object_id = a.entra_object_id offset 0) m
       cross join lateral unnest(m.group_nos) as held (no)
       cross join lateral (
         select count(*) - 1 as holders from entra_sync.group_closure c
          where c.descendant_no = held.no having count(*) > 0 offset 0) c;
      -- Their own rows are not counted twice.
      paths := kept + paths - (
        select count(*) from unnest(accounts) as t (no) cross join lateral (
          select from entra_sync.effective_members e where e.account_no = t.no and not e.is_direct offset 0) e);
      if paths > most then
        left_out := paths;
        perform entra_sync.leave_nested_out(tenant, left_out);
      end if;
    end if;
  end if;
  if cardinality(accounts) > entra_sync.many_accounts() then
    change := entra_sync.keep_effective_of_many(tenant, accounts, left_out is null);
  -- By account: each compares few rows, whatever the planner believes of tables that this transaction has filled.
  elsif exists (select from unnest(accounts) as t (no) cross join lateral (
      select from entra_sync.effective_members e where e.account_no = t.no limit 1) e) then
    with gone as (
      delete from entra_sync.effective_members where ctid = any(array(
        select e.place from unnest(accounts) as t (no)
         cross join lateral (
           select e.group_no, e.is_direct from entra_sync.effective_members e where e.account_no = t.no
           except select w.group_no, w.is_direct from entra_sync.effective_of(t.no, left_out is null) w offset 0) x
         cross join lateral (
           select e.ctid as place from entra_sync.effective_members e
            where e.account_no = t.no and e.group_no = x.group_no offset 0) e))
      returning is_direct
    )
    select -count(*) filter (where not g.is_direct) into change from gone g;
    with come as (
      insert into entra_sync.effective_members as e (account_no, group_no, is_direct)
      select t.no, w.group_no, w.is_direct from unnest(accounts) as t (no)
       cross join lateral (
         select w.group_no, w.is_direct from entra_sync.effective_of(t.no, left_out is null) w
         except select e.group_no, e.is_direct from entra_sync.effective_members e where e.account_no = t.no offset 0) w
      returning e.is_direct
    )
    select change + count(*) filter (where not c.is_direct) into change from come c;
  else
    with come as (
      insert into entra_sync.effective_members as e (account_no, group_no, is_direct)
      select t.no, w.group_no, w.is_direct from unnest(accounts) as t (no)
       cross join lateral (
         select w.group_no, w.is_direct from entra_sync.effective_of(t.no, left_out is null) w offset 0) w
      returning e.is_direct
    )
    select count(*) filter (where not c.is_direct) into change from come c;
  end if;
  if change <> 0 then
    update entra_sync.tenants t set nested_members = t.nested_members + change where t.tenant_id = tenant;
  end if;
end $$;

create or replace function entra_sync.keep_nested_members() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  most constant bigint := entra_sync.most_nested_members();
  one record;
begin
  -- Hidden groups have no kept rows to go by: the accounts below the pairs are compared when the batch's row is written. The pairs of
  -- a statement are of one tenant.
  if (select entra_sync.moves_unseen(g.tenant_id) from (select p.descendant_no from pairs p limit 1) p
       cross join lateral (select g.tenant_id from entra_sync.groups g where g.group_no = p.descendant_no offset 0) g) then
    insert into entra_sync.unseen_moves (tenant_id, object_id)
    select g.tenant_id, g.entra_object_id
      from (select distinct p.descendant_no as no from pairs p where p.ancestor_no <> p.descendant_no) p
     cross join lateral (select g.tenant_id, g.entra_object_id from entra_sync.groups g where g.group_no = p.no offset 0) g;
    return null;
  end if;
  for one in
    select t.tenant_id, t.nested_members, t.assigned_at is not null as assigns, sum(d.members)::bigint as paths
      from (select p.descendant_no as no, count(*) as pairs from pairs p where p.ancestor_no <> p.descendant_no group by 1) p
     cross join lateral (select g.tenant_id from entra_sync.groups g where g.group_no = p.no offset 0) g
     cross join lateral (
       select count(*) * p.pairs as members from entra_sync.effective_members e where e.group_no = p.no and e.is_direct offset 0) d
      join entra_sync.tenants t on t.tenant_id = g.tenant_id and t.nested_left_out is null
     where d.members > 0
     group by t.tenant_id
  loop
    if tg_op = 'INSERT' and one.nested_members + one.paths > most then
      perform entra_sync.leave_nested_out(one.tenant_id, one.nested_members + one.paths);
    elsif tg_op = 'INSERT' then
      with come as (
        insert into entra_sync.effective_members as e (account_no, group_no, is_direct)
        select distinct d.account_no, p.ancestor_no::integer, false
          from pairs p
         cross join lateral (
           select from entra_sync.groups g where g.group_no = p.descendant_no and g.tenant_id = one.tenant_id offset 0) g
         cross join lateral (
           select e.account_no from entra_sync.effective_members e where e.group_no = p.descendant_no and e.is_direct offset 0) d
         where p.ancestor_no <> p.descendant_no
         order by 1, 2
        on conflict do nothing returning e.account_no
      ), touched as (
        insert into entra_sync.assigned_touched (tenant_id, account_no)
        select distinct one.tenant_id, c.account_no from come c where one.assigns
      )
      update entra_sync.tenants t set nested_members = t.nested_members + (select count(*) from come)
       where t.tenant_id = one.tenant_id;
    else
      with gone as (
        delete from entra_sync.effective_members where ctid = any(array(
          select e.place
            from (select distinct d.account_no, p.ancestor_no
                    from pairs p
                   cross join lateral (
                     select from entra_sync.groups g where g.group_no = p.descendant_no and g.tenant_id = one.tenant_id offset 0) g
                   cross join lateral (
                     select e.account_no from entra_sync.effective_members e
                      where e.group_no = p.descendant_no and e.is_direct offset 0) d
                   where p.ancestor_no <> p.descendant_no) x
           cross join lateral (
             select e.ctid as place from entra_sync.effective_members e
              where e.account_no = x.account_no and e.group_no = x.ancestor_no and not e.is_direct
                and not exists (
                  select from entra_sync.effective_members o
                    join entra_sync.group_closure c on c.descendant_no = o.group_no and c.ancestor_no = x.ancestor_no
                   where o.account_no = x.account_no and o.is_direct)
             offset 0) e))
        returning account_no
      ), touched as (
        insert into entra_sync.assigned_touched (tenant_id, account_no)
        select distinct one.tenant_id, g.account_no from gone g where one.assigns
      )
      update entra_sync.tenants t set nested_members = t.nested_members - (select count(*) from gone)
       where t.tenant_id = one.tenant_id;
    end if;
  end loop;
  return null;
end $$;

create or replace function entra_sync.keep_effective_of_batch() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  hides constant boolean := entra_sync.moves_unseen(new.tenant_id);
  unseen constant integer[] := case when hides then entra_sync.moved_unseen(new.tenant_id) else '{}' end;
  accounts constant integer[] := array(
    select distinct a.account_no
      from entra_sync.changes c
     cross join lateral (select a.account_no from entra_sync.accounts a where a.account_id = c.account_id offset 0) a
     where c.batch_id = new.batch_id and c.account_id is not null
       and (c.kind in ('membership.added', 'membership.removed')
            -- An account may be in groups that are not copied alone.
            or hides and c.kind in ('account.created', 'account.adopted', 'account.removed', 'account.restored'))
    union
    select u.no from unnest(unseen) as u (no)
    order by 1);
  assigns boolean;
begin
  if accounts <> '{}' or exists (
      select from entra_sync.tenants t where t.tenant_id = new.tenant_id and t.nested_left_out is not null) then
    perform entra_sync.keep_effective(new.tenant_id, accounts);
  end if;
  assigns := exists (select from entra_sync.tenants t where t.tenant_id = new.tenant_id and t.assigned_at is not null);
  if hides then
    delete from entra_sync.unseen_moves u where u.tenant_id = new.tenant_id;
    insert into entra_sync.assigned_touched (tenant_id, account_no)
    select new.tenant_id, u.no from unnest(unseen) as u (no) where assigns;
  end if;
  -- The batch of a person's edits has its row before its changes (entra_sync.write_account_change), and its tenant is not always locked.
  if new.opened_by is null and assigns then
    perform entra_sync.keep_assigned_of_batch(new);
  end if;
  return null;
end $$;

create or replace function entra_sync.assigning_due(tenant uuid) returns boolean
language sql stable as $$
  select exists (
    select from entra_sync.tenants t
     where t.tenant_id = tenant and t.assigned_at is not null
       and (t.assigned_winners is null or t.assign_next_at <= clock_timestamp()
            or exists (select from jsonb_each(entra_sync.slot_winners(tenant)) w
                        where jsonb_exists(t.assigned_winners, w.key) and t.assigned_winners -> w.key <> w.value)))
      or exists (select from entra_sync.unseen_moves u where u.tenant_id = tenant)
$$;
comment on function entra_sync.assigning_due is 'Whether a start, an end or a changed slot waits to be applied, or effective memberships without a change row. One look each for a tenant without.';

-- The closure has groups that are not copied: both ends of what is shown are live.
create or replace view directory.memberships with (security_barrier) as
select g.tenant_id, g.group_id, 'account' as member_kind, a.account_id, null::uuid as member_group_id
  from entra_sync.effective_members e
  join entra_sync.groups g on g.group_no = e.group_no
  join entra_sync.accounts a on a.account_no = e.account_no
 where e.is_direct and (select entra_sync.narrowed_to()) is null
union all
select g.tenant_id, g.group_id, 'account' as member_kind, a.account_id, null::uuid as member_group_id
  from entra_sync.effective_members e
  join entra_sync.groups g on g.group_no = e.group_no
  join entra_sync.accounts a on a.account_no = e.account_no
 where e.is_direct and (select entra_sync.narrowed_to()) is not null and g.tenant_id = (select entra_sync.narrowed_to())
   and not (select exists (select from entra_sync.large_tenants l where l.tenant_id = (select entra_sync.narrowed_to())))
union all
select g.tenant_id, g.group_id, 'account' as member_kind, a.account_id, null::uuid as member_group_id
  from entra_sync.effective_members e
  join entra_sync.groups g on g.group_no = e.group_no
  join entra_sync.accounts a on a.account_no = e.account_no
 where e.is_direct and (select exists (select from entra_sync.large_tenants l where l.tenant_id = (select entra_sync.narrowed_to())))
   and case when g.tenant_id = (select entra_sync.narrowed_to()) then true end
union all
-- The closure finds the groups in a group, and the groups that hold one, by an index.
select g.tenant_id, g.group_id, 'group', null, n.group_id
  from entra_sync.group_closure c
  join entra_sync.groups g on g.group_no = c.ancestor_no
  join entra_sync.groups n on n.group_no = c.descendant_no
  join entra_sync.member_groups m
    on m.tenant_id = n.tenant_id and m.member_object_id = n.entra_object_id and g.group_no = any(m.group_nos)
 where case when g.removed_at is null and n.removed_at is null then true end and (select entra_sync.narrowed_to()) is null
union all
select g.tenant_id, g.group_id, 'group', null, n.group_id
  from entra_sync.group_closure c
  join entra_sync.groups g on g.group_no = c.ancestor_no
  join entra_sync.groups n on n.group_no = c.descendant_no
  join entra_sync.member_groups m
    on m.tenant_id = n.tenant_id and m.member_object_id = n.entra_object_id and g.group_no = any(m.group_nos)
 where case when g.removed_at is null and n.removed_at is null then true end and (select entra_sync.narrowed_to()) is not null and g.tenant_id = (select entra_sync.narrowed_to());

create or replace view directory.removed_groups with (security_barrier) as
select g.tenant_id, g.group_id, g.entra_object_id, g.removed_reason as reason, g.removed_at, g.purge_at, g.display_name
  from entra_sync.groups g
 where g.removed_at is not null and g.copied and (select entra_sync.narrowed_to()) is null
union all
select g.tenant_id, g.group_id, g.entra_object_id, g.removed_reason as reason, g.removed_at, g.purge_at, g.display_name
  from entra_sync.groups g
 where g.removed_at is not null and g.copied and (select entra_sync.narrowed_to()) is not null and g.tenant_id = (select entra_sync.narrowed_to());

-- By id alone: its names are blank.
create or replace function entra_sync.judged(tenant uuid, accounts bigint[], groups bigint[], wanted text[], removed boolean)
returns setof directory.found_row
language sql stable as $$
  select 'account', a.tenant_id, a.account_id, null::uuid, a.entra_object_id,
         coalesce(a.profile ->> 'displayName', a.source ->> 'displayName'), a.user_principal_name, a.mail,
         case when a.removed_at is null then a.state else 'removed' end, f.fit
    from unnest(accounts) as n (no)
   cross join lateral (
     select a.* from entra_sync.accounts a where a.account_no = n.no::integer and a.tenant_id = tenant offset 0) a
   cross join lateral (select case when wanted is null then 'id' else entra_sync.fit_of(
     entra_sync.words_of(entra_sync.account_name(a.profile, a.source, a.user_principal_name, a.mail)), wanted) end as fit offset 0) f
   where (removed or a.removed_at is null) and f.fit is not null
  union all
  select 'group', g.tenant_id, null, g.group_id, g.entra_object_id, g.display_name, null, g.mail,
         case when g.removed_at is null then g.state when g.copied then 'removed' else 'not_copied' end, f.fit
    from unnest(groups) as n (no)
   cross join lateral (select g.* from entra_sync.groups g where g.group_no = n.no and g.tenant_id = tenant offset 0) g
   cross join lateral (select case when wanted is null then 'id' else entra_sync.fit_of(
     entra_sync.words_of(entra_sync.group_name(g.display_name, g.mail)), wanted) end as fit offset 0) f
   where (removed or g.removed_at is null) and f.fit is not null
$$;
revoke execute on all functions in schema entra_sync from public;
