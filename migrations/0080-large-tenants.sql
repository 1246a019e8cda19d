-- A role that is narrowed to one tenant read its memberships group by group, because the planner takes each tenant for one of average
-- size. Beside a thousand small tenants that took five times as long for a tenant of 20,000 people as reading the memberships of all
-- tenants once. The views choose between the two when they are asked, by what is noted here.
create table entra_sync.large_tenants (
  tenant_id uuid primary key references entra_sync.tenants on delete cascade
);
comment on table entra_sync.large_tenants is 'Tenants with a tenth of all accounts or more, ten at most (rule 39). Their memberships are read whole. No tenant is shown more or less by a row here. A table, and not a look at the statistics, because both halves of a view must see the same within one statement.';

create function entra_sync.note_large_tenants() returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  large constant uuid[] := array(
    select f.tenant_id
      from pg_stats s
     cross join lateral unnest(s.most_common_vals::text::uuid[], s.most_common_freqs) as f (tenant_id, part)
     where s.schemaname = 'entra_sync' and s.tablename = 'accounts' and s.attname = 'tenant_id' and not s.inherited and f.part >= 0.1);
begin
  delete from entra_sync.large_tenants l where l.tenant_id <> all(large);
  -- A tenant that a commit holds is noted the next time.
  insert into entra_sync.large_tenants (tenant_id)
  select t.tenant_id from entra_sync.tenants t
   where t.tenant_id = any(large)
     and not exists (select from entra_sync.large_tenants o where o.tenant_id = t.tenant_id)
   order by 1 for key share skip locked
  on conflict do nothing;
end $$;
comment on function entra_sync.note_large_tenants is 'Notes which tenants are large, by the statistics of accounts: without statistics none.';
revoke execute on function entra_sync.note_large_tenants() from public;
select entra_sync.note_large_tenants();

create or replace view directory.effective_memberships with (security_barrier) as
select g.tenant_id, g.group_id, a.account_id, e.is_direct
  from entra_sync.effective_members e
  join entra_sync.groups g on g.group_no = e.group_no
  join entra_sync.accounts a on a.account_no = e.account_no
 where (select entra_sync.narrowed_to()) is null
union all
select g.tenant_id, g.group_id, a.account_id, e.is_direct
  from entra_sync.effective_members e
  join entra_sync.groups g on g.group_no = e.group_no
  join entra_sync.accounts a on a.account_no = e.account_no
 where (select entra_sync.narrowed_to()) is not null and g.tenant_id = (select entra_sync.narrowed_to())
   and not (select exists (select from entra_sync.large_tenants l where l.tenant_id = (select entra_sync.narrowed_to())))
union all
-- A `case` counts as a half of the groups, and so the planner reads all of them once.
select g.tenant_id, g.group_id, a.account_id, e.is_direct
  from entra_sync.effective_members e
  join entra_sync.groups g on g.group_no = e.group_no
  join entra_sync.accounts a on a.account_no = e.account_no
 where (select exists (select from entra_sync.large_tenants l where l.tenant_id = (select entra_sync.narrowed_to())))
   and case when g.tenant_id = (select entra_sync.narrowed_to()) then true end;

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
 where (select entra_sync.narrowed_to()) is null
union all
select g.tenant_id, g.group_id, 'group', null, n.group_id
  from entra_sync.group_closure c
  join entra_sync.groups g on g.group_no = c.ancestor_no
  join entra_sync.groups n on n.group_no = c.descendant_no
  join entra_sync.member_groups m
    on m.tenant_id = n.tenant_id and m.member_object_id = n.entra_object_id and g.group_no = any(m.group_nos)
 where (select entra_sync.narrowed_to()) is not null and g.tenant_id = (select entra_sync.narrowed_to());
