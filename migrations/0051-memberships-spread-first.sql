-- Memberships are unpacked before they meet the nesting. The planner put the join of the two below each account's row, and read
-- every pair of the nesting once an account: half of the time of writing a first load's groups.
create or replace function entra_sync.keep_effective_of_many(tenant uuid, accounts integer[], nested boolean) returns bigint
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
