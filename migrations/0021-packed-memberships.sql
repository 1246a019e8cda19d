-- Memberships are kept a row a member with the numbers of its groups: a tenth of the rows, a quarter of the bytes, and a
-- first load fills them in a fifth of the time (bench/NOTES.md). entra_sync.memberships shows them one by one as before.
-- While they are copied cycles wait, and whoever reads does not.
lock table entra_sync.memberships in share mode;

create table entra_sync.member_groups (
  tenant_id uuid not null,
  member_object_id uuid not null,
  member_type "char" not null,
  group_nos bigint[] not null check (cardinality(group_nos) > 0),
  primary key (tenant_id, member_object_id)
);
comment on table entra_sync.member_groups is 'Direct memberships as facts of Graph, by object id, whatever becomes of the member''s row (rules 8, 9). No foreign keys: members may come before their object, or never.';
comment on column entra_sync.member_groups.member_type is 'What Graph called the member: u user, g group, d device, c contact, s service principal, x anything else. For reading only: views resolve by id.';
comment on column entra_sync.member_groups.group_nos is 'The groups that hold the member, each once; a member without any has no row.';

insert into entra_sync.member_groups (tenant_id, member_object_id, member_type, group_nos)
select g.tenant_id, m.member_object_id, (array_agg(m.member_type order by m.member_type = 'x'))[1], array_agg(m.group_no order by m.group_no)
  from entra_sync.memberships m join entra_sync.groups g on g.group_no = m.group_no
 group by g.tenant_id, m.member_object_id;
create index member_groups_by_group on entra_sync.member_groups using gin (group_nos) with (gin_pending_list_limit = 1024);
comment on index entra_sync.member_groups_by_group is 'Every look-up reads what waits in its pending list, so that is a short one.';

-- From here on it takes milliseconds. The views first, since whoever reads locks them before what is below them.
lock table directory.memberships, directory.effective_memberships in access exclusive mode;
alter table entra_sync.memberships rename to membership_rows;

create view entra_sync.memberships as
select u.group_no, m.member_object_id, m.member_type, m.tenant_id, m.group_nos
  from entra_sync.member_groups m cross join lateral unnest(m.group_nos) as u (group_no);
comment on view entra_sync.memberships is 'Every direct membership as one row. Whoever asks by group adds group_nos @> array[group_no], which an index answers.';

create or replace view directory.memberships with (security_barrier) as
select g.tenant_id, g.group_id, 'account' as member_kind, a.account_id, null::uuid as member_group_id
  from entra_sync.groups g
  join entra_sync.memberships m on m.group_no = g.group_no and m.group_nos @> array[g.group_no]
  join entra_sync.accounts a on a.tenant_id = m.tenant_id and a.entra_object_id = m.member_object_id
 where g.removed_at is null and a.removed_at is null
   and (g.tenant_id = (select entra_sync.narrowed_to())) is not false
union all
select g.tenant_id, g.group_id, 'group', null, n.group_id
  from entra_sync.groups g
  join entra_sync.memberships m on m.group_no = g.group_no and m.group_nos @> array[g.group_no]
  join entra_sync.groups n on n.tenant_id = m.tenant_id and n.entra_object_id = m.member_object_id
 where g.removed_at is null and n.removed_at is null
   and (g.tenant_id = (select entra_sync.narrowed_to())) is not false;

create or replace view directory.effective_memberships with (security_barrier) as
select g.tenant_id, g.group_id, a.account_id, bool_or(c.descendant_no = c.ancestor_no) as is_direct
  from entra_sync.groups g
  join entra_sync.group_closure c on c.ancestor_no = g.group_no
  join entra_sync.memberships m on m.group_no = c.descendant_no and m.group_nos @> array[c.descendant_no]
  join entra_sync.accounts a on a.tenant_id = m.tenant_id and a.entra_object_id = m.member_object_id
 where g.removed_at is null and a.removed_at is null
   and (g.tenant_id = (select entra_sync.narrowed_to())) is not false
 group by g.tenant_id, g.group_id, a.account_id;

create or replace function entra_sync.write_account_change(
  account entra_sync.accounts, actor text, kind text, before jsonb, after jsonb
) returns void
language plpgsql as $$
declare
  batch constant bigint := nextval(pg_get_serial_sequence('entra_sync.batches', 'batch_id'));
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
  insert into entra_sync.batches (batch_id, tenant_id) values (batch, account.tenant_id);
end $$;

create or replace function entra_sync.drop_copy() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from entra_sync.accounts where tenant_id = old.tenant_id;
  delete from entra_sync.groups where tenant_id = old.tenant_id;
  delete from entra_sync.member_groups where tenant_id = old.tenant_id;
  return null;
end $$;
comment on function entra_sync.drop_copy is 'A tenant takes its accounts, groups and memberships with it.';

drop table entra_sync.membership_rows;

-- The planner needs to know how many rows a stage has, and little else: a tenth of the usual sample tells that.
alter table entra_sync.stage_users
  alter column round_id set statistics 10, alter column entra_object_id set statistics 10,
  alter column removed set statistics 10, alter column in_scope set statistics 10;
alter table entra_sync.stage_members
  alter column round_id set statistics 10, alter column group_object_id set statistics 10,
  alter column member_object_id set statistics 10, alter column removed set statistics 10;
