-- Managers of accounts. The link is part of the document of the managed user, by the manager's object id; this column repeats it, so that
-- the accounts of a manager are found. An update that leaves the manager writes no index entry, and a tenant without managers has none.
alter table entra_sync.accounts add column manager_object_id uuid;
comment on column entra_sync.accounts.manager_object_id is 'The object id of the user''s manager, known or not, live or not: source ->> ''manager'', kept by a trigger.';

create function entra_sync.note_manager() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.manager_object_id := case
    when new.source ->> 'manager' ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$' then (new.source ->> 'manager')::uuid end;
  return new;
end $$;
revoke execute on function entra_sync.note_manager from public;
create trigger note_manager before insert or update of source on entra_sync.accounts
  for each row when (jsonb_exists(new.source, 'manager') or new.manager_object_id is not null) execute function entra_sync.note_manager();
create index accounts_by_manager on entra_sync.accounts (tenant_id, manager_object_id) where manager_object_id is not null;

create table entra_sync.managed_by (
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  managers_id uuid not null,
  people_id uuid,
  unique nulls not distinct (tenant_id, managers_id, people_id)
);
comment on table entra_sync.managed_by is 'managedBy of the settings in force: object ids of groups. The members of managers_id manage those of people_id; null: every account of the tenant. Written by the transaction of a settings change.';

create view directory.managers with (security_barrier) as
select m.* from (
select r.tenant_id, r.account_id, m.account_id as manager_account_id, 'line' as via
  from entra_sync.accounts r
  join entra_sync.accounts m on m.tenant_id = r.tenant_id and m.entra_object_id = r.manager_object_id
 where r.manager_object_id is not null and r.removed_at is null and m.removed_at is null and m.account_id <> r.account_id
   and r.tenant_id = coalesce((select entra_sync.narrowed_to()), r.tenant_id)
union all
(select distinct b.tenant_id, p.account_id, m.account_id, 'group'
  from entra_sync.managed_by b
  join entra_sync.groups h on h.tenant_id = b.tenant_id and h.entra_object_id = b.managers_id
  join entra_sync.effective_members e on e.group_no = h.group_no
  join entra_sync.accounts m on m.account_no = e.account_no
  join entra_sync.accounts p on p.tenant_id = b.tenant_id and p.removed_at is null
 where p.account_id <> m.account_id
   and (b.people_id is null or exists (
     select from entra_sync.groups g join entra_sync.effective_members x on x.group_no = g.group_no and x.account_no = p.account_no
      where g.tenant_id = b.tenant_id and g.entra_object_id = b.people_id))
   and b.tenant_id = coalesce((select entra_sync.narrowed_to()), b.tenant_id))) m;
comment on view directory.managers is 'Each account with an account that manages it, both live: via line, the manager in Entra ID, or via group, by managedBy of the settings. Direct reports only.';

create function entra_sync.manages(manager entra_sync.accounts, account entra_sync.accounts) returns text
language sql stable as $$
  select case
    when manager.tenant_id <> account.tenant_id or manager.account_id = account.account_id
      or manager.removed_at is not null or account.removed_at is not null then null
    when manager.entra_object_id = account.manager_object_id then 'line'
    when exists (
      select from entra_sync.managed_by b
       cross join lateral (
         select from entra_sync.groups h join entra_sync.effective_members e on e.group_no = h.group_no
          where h.tenant_id = b.tenant_id and h.entra_object_id = b.managers_id and e.account_no = manager.account_no offset 0) m
       where b.tenant_id = account.tenant_id
         and (b.people_id is null or exists (
           select from entra_sync.groups g join entra_sync.effective_members e on e.group_no = g.group_no
            where g.tenant_id = b.tenant_id and g.entra_object_id = b.people_id and e.account_no = account.account_no)))
      then 'group' end
$$;
comment on function entra_sync.manages is 'How the first account manages the second (line, else group), or null: directory.managers for one pair, by indexes alone.';
revoke execute on function entra_sync.manages from public;
