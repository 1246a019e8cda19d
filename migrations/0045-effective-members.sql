-- Effective memberships are kept as rows. As a join of memberships, closure and an aggregate they could not be estimated, so natural
-- joins of the views took minutes (bench/NOTES.md). While they are written for the first time writers wait, and readers do not:
-- every writer locks its tenant's row first.
lock table entra_sync.tenants in exclusive mode;

update entra_sync.accounts set account_no = default where account_no is null;
create unique index accounts_by_number on entra_sync.accounts (account_no) include (account_id);
-- 0046 takes this for the proof that no row is without, and need not read the table under its lock.
alter table entra_sync.accounts add constraint accounts_numbered check (account_no is not null) not valid;
alter table entra_sync.accounts validate constraint accounts_numbered;

alter table entra_sync.tenants
  add column nested_members bigint not null default 0,
  add column nested_left_out bigint;
comment on column entra_sync.tenants.nested_members is 'How many rows of effective_members are not direct.';
comment on column entra_sync.tenants.nested_left_out is 'Null: every effective membership is kept. Else only direct ones are: so many more, counted by path, would exceed entra_sync.most_nested_members().';

create table entra_sync.effective_members (
  account_no integer not null,
  group_no integer not null,
  is_direct boolean not null,
  primary key (account_no, group_no)
);
comment on table entra_sync.effective_members is 'Which live account is in which live group, directly or through live groups (rule 30). Written by triggers within the transaction that changes a membership, an account, a group or the nesting, of an earlier release too. No foreign keys: a check a row would cost more than the row.';

create function entra_sync.most_nested_members() returns bigint
language sql immutable as $$ select 5000000::bigint $$;
comment on function entra_sync.most_nested_members is 'The bound of kept rows of a tenant that are not direct. Groups nested in a ring put every account into all of them; a commit must not write such a product.';

create function entra_sync.effective_of(account integer, nested boolean) returns table (group_no integer, is_direct boolean)
language sql stable as $$
  select c.ancestor_no::integer, bool_or(c.ancestor_no = c.descendant_no)
    from entra_sync.accounts a
   cross join lateral (
     select m.group_nos from entra_sync.member_groups m
      where m.tenant_id = a.tenant_id and m.member_object_id = a.entra_object_id offset 0) m
   cross join lateral unnest(m.group_nos) as held (no)
   cross join lateral (
     select c.ancestor_no, c.descendant_no from entra_sync.group_closure c where c.descendant_no = held.no offset 0) c
   where a.account_no = account and a.removed_at is null and (nested or c.ancestor_no = c.descendant_no)
   group by c.ancestor_no
$$;
comment on function entra_sync.effective_of(integer, boolean) is 'The rows that effective_members should have of an account. The closure holds live groups only, each with itself.';

create function entra_sync.many_accounts() returns integer
language sql immutable as $$ select 1000 $$;
comment on function entra_sync.many_accounts is 'From more accounts on, reading the tenant''s memberships once is faster than looking each account up.';

create function entra_sync.keep_effective_of_many(tenant uuid, accounts integer[], nested boolean) returns bigint
language plpgsql set enable_nestloop = off as $$
declare
  change bigint;
begin
  with pairs as materialized (
    select c.descendant_no, c.ancestor_no
      from entra_sync.groups g
     cross join lateral (
       select c.descendant_no, c.ancestor_no from entra_sync.group_closure c
        where c.descendant_no = g.group_no and (nested or c.ancestor_no = c.descendant_no) offset 0) c
     where g.tenant_id = tenant
  ), people as materialized (
    select t.no, a.entra_object_id
      from unnest(accounts) as t (no)
     cross join lateral (select a.entra_object_id from entra_sync.accounts a where a.account_no = t.no and a.removed_at is null offset 0) a
  ), want as materialized (
    select p.no as account_no, c.ancestor_no::integer as group_no, bool_or(c.ancestor_no = c.descendant_no) as is_direct
      from people p
      join entra_sync.member_groups m on m.tenant_id = tenant and m.member_object_id = p.entra_object_id
     cross join lateral unnest(m.group_nos) as held (no)
      join pairs c on c.descendant_no = held.no
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
comment on function entra_sync.keep_effective_of_many(uuid, integer[], boolean) is 'Does for many accounts at once what keep_effective does account by account, and returns by how much nested_members grew. Tables that this transaction has filled have no statistics: without nested loops no wrong estimate makes it quadratic.';

create function entra_sync.nested_paths(tenant uuid) returns bigint
language sql stable as $$
  select coalesce(sum(d.members * c.holders), 0)::bigint
    from entra_sync.groups g
   cross join lateral (
     select count(*) - 1 as holders from entra_sync.group_closure c where c.descendant_no = g.group_no offset 0) c
   cross join lateral (
     select count(*) as members from entra_sync.effective_members e
      where c.holders > 0 and e.group_no = g.group_no and e.is_direct offset 0) d
   where g.tenant_id = tenant and g.removed_at is null
$$;
comment on function entra_sync.nested_paths(uuid) is 'How many pairs of a direct membership and a group above it the tenant has: at least its effective memberships that are not direct.';

create function entra_sync.leave_nested_out(tenant uuid, paths bigint) returns void
language plpgsql as $$
begin
  delete from entra_sync.effective_members e using entra_sync.accounts a
   where a.tenant_id = tenant and e.account_no = a.account_no and not e.is_direct;
  update entra_sync.tenants t set nested_members = 0, nested_left_out = paths where t.tenant_id = tenant;
end $$;
comment on function entra_sync.leave_nested_out(uuid, bigint) is 'From here on the tenant keeps direct memberships only.';

create function entra_sync.keep_effective(tenant uuid, accounts integer[]) returns void
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
             where g.tenant_id = tenant and g.removed_at is null) h
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
comment on function entra_sync.keep_effective(uuid, integer[]) is 'Compares the kept effective memberships of these accounts of the tenant with what they should be, and writes the differences. The tenant''s row is locked.';

select entra_sync.keep_effective(t.tenant_id, a.numbers)
  from entra_sync.tenants t
 cross join lateral (
   select array_agg(a.account_no order by a.account_no) as numbers from entra_sync.accounts a
    where a.tenant_id = t.tenant_id and a.removed_at is null and a.entra_object_id is not null) a
 where a.numbers is not null;
create index effective_members_by_group on entra_sync.effective_members (group_no);
comment on index entra_sync.effective_members_by_group is 'Of the group alone: equal keys are stored once, and 200,000 rows of a first load cost a third of what they would with the account beside.';
analyze entra_sync.effective_members;

-- The change rows of a batch name every membership that appears or vanishes, whatever the cause, and its row is written after them.
create function entra_sync.keep_effective_of_batch() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  accounts constant integer[] := array(
    select distinct a.account_no
      from entra_sync.changes c
     cross join lateral (select a.account_no from entra_sync.accounts a where a.account_id = c.account_id offset 0) a
     where c.batch_id = new.batch_id and c.kind in ('membership.added', 'membership.removed') and c.account_id is not null
     order by 1);
begin
  if accounts <> '{}' or exists (
      select from entra_sync.tenants t where t.tenant_id = new.tenant_id and t.nested_left_out is not null) then
    perform entra_sync.keep_effective(new.tenant_id, accounts);
  end if;
  return null;
end $$;
create trigger keep_effective after insert on entra_sync.batches
  for each row execute function entra_sync.keep_effective_of_batch();

-- Nesting changes nothing about an account's direct groups, so a pair concerns the kept direct members of the group below. Those of
-- this batch's own memberships are compared when its row is written.
create function entra_sync.keep_nested_members() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  most constant bigint := entra_sync.most_nested_members();
  one record;
begin
  for one in
    select t.tenant_id, t.nested_members, sum(d.members)::bigint as paths
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
        on conflict do nothing returning 1
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
        returning 1
      )
      update entra_sync.tenants t set nested_members = t.nested_members - (select count(*) from gone)
       where t.tenant_id = one.tenant_id;
    end if;
  end loop;
  return null;
end $$;
create trigger keep_nested_members_in after insert on entra_sync.group_closure
  referencing new table as pairs for each statement execute function entra_sync.keep_nested_members();
create trigger keep_nested_members_out after delete on entra_sync.group_closure
  referencing old table as pairs for each statement execute function entra_sync.keep_nested_members();

-- Removal ended an account's memberships before its purge. Only a tenant is erased while its accounts are live.
create function entra_sync.drop_effective() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from entra_sync.effective_members where ctid = any(array(
    select e.place from gone g cross join lateral (
      select e.ctid as place from entra_sync.effective_members e where e.account_no = g.account_no offset 0) e));
  return null;
end $$;
create trigger drop_effective after delete on entra_sync.accounts
  referencing old table as gone for each statement execute function entra_sync.drop_effective();
revoke execute on all functions in schema entra_sync from public;

create or replace function directory.remove_account(account_id uuid, actor text, actor_role text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  account entra_sync.accounts;
  roles text[];
  kept_for interval;
begin
  perform entra_sync.require_actor(actor);
  perform entra_sync.require_latest_snapshot();
  account := entra_sync.lock_account(remove_account.account_id, true);
  select t.manual_roles, t.retention into roles, kept_for from entra_sync.tenants t where t.tenant_id = account.tenant_id;
  if account.state = 'managed' then
    raise exception using errcode = 'ES007', message = format('account %s is managed by the directory: it is not removed by hand', account.account_id),
      hint = 'Delete the user in Entra ID, or take it out of the scope of the settings.';
  end if;
  if (actor_role = any(roles)) is not true then
    raise exception using errcode = 'ES003', message = format('the role %s may not remove accounts', entra_sync.quoted(actor_role)),
      hint = 'manual.editableBy in the settings says who may'
        || case when roles = '{}' then ': no role.' else ': ' || array_to_string(roles, ', ') || '.' end;
  end if;
  -- Before the account goes: its memberships are those that show now.
  perform entra_sync.write_account_change(account, actor, 'account.removed', null, jsonb_build_object('removed', 'by_hand'));
  update entra_sync.accounts a
     set removed_at = now(), removed_reason = 'by_hand', purge_at = now() + kept_for, updated_at = now()
   where a.account_id = account.account_id;
  -- The batch of a person's edits has its row before its changes.
  perform entra_sync.keep_effective(account.tenant_id, array[account.account_no]);
end $$;
