-- Accounts without kept memberships, as in a first load, have nothing to be compared with. Direct memberships are unlike each
-- other already, so only those by nesting are grouped.
create function entra_sync.first_effective(tenant uuid, accounts integer[], nested boolean) returns bigint
language plpgsql set enable_nestloop = off as $$
declare
  change bigint;
begin
  with above as materialized (
    select c.descendant_no, c.ancestor_no::integer as ancestor_no
      from entra_sync.groups g
     cross join lateral (
       select c.descendant_no, c.ancestor_no from entra_sync.group_closure c
        where nested and c.descendant_no = g.group_no and c.ancestor_no <> c.descendant_no offset 0) c
     where g.tenant_id = tenant
       and exists (select from entra_sync.groups v where v.group_no = c.ancestor_no and v.removed_at is null offset 0)
  ), shown as materialized (
    select g.group_no
      from entra_sync.groups g
     where g.tenant_id = tenant and g.removed_at is null
       and exists (select from entra_sync.group_closure c where c.descendant_no = g.group_no and c.ancestor_no = g.group_no offset 0)
  ), people as materialized (
    select distinct on (t.no) t.no, a.entra_object_id
      from unnest(accounts) as t (no)
     cross join lateral (select a.entra_object_id from entra_sync.accounts a where a.account_no = t.no and a.removed_at is null offset 0) a
     order by t.no
  ), held as materialized (
    select p.no, unnest(m.group_nos) as group_no
      from people p join entra_sync.member_groups m on m.tenant_id = tenant and m.member_object_id = p.entra_object_id
  ), direct as (
    insert into entra_sync.effective_members (account_no, group_no, is_direct)
    select h.no, s.group_no, true from held h join shown s on s.group_no = h.group_no
  ), through as (
    insert into entra_sync.effective_members as e (account_no, group_no, is_direct)
    select w.no, w.ancestor_no, false
      from (select distinct h.no, n.ancestor_no from held h join above n on n.descendant_no = h.group_no) w
      left join held d on d.no = w.no and d.group_no = w.ancestor_no
     where d.no is null
     order by 1, 2
    returning e.account_no
  )
  select count(*) into change from through;
  return change;
end $$;
comment on function entra_sync.first_effective(uuid, integer[], boolean) is 'Does what keep_effective_of_many does for accounts that have no kept rows.';

create or replace function entra_sync.keep_effective_of_many(tenant uuid, accounts integer[], nested boolean) returns bigint
language plpgsql set enable_nestloop = off as $$
declare
  hides constant boolean := entra_sync.leaves_groups_out(tenant);
  change bigint;
begin
  if not exists (select from unnest(accounts) as t (no)
                  cross join lateral (select from entra_sync.effective_members e where e.account_no = t.no limit 1) e) then
    return entra_sync.first_effective(tenant, accounts, nested);
  end if;
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

revoke execute on all functions in schema entra_sync, directory from public;
