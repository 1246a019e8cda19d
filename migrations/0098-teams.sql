-- The accounts of one manager, for pages of managers: directory.managers by one account, through indexes. And where pictures of previews come from.
create function directory.manages(manager_account_id uuid, account_id uuid) returns text
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  only_tenant constant uuid := entra_sync.narrowed_to();
  manager entra_sync.accounts;
  account entra_sync.accounts;
begin
  select a.* into account from entra_sync.accounts a
   where a.account_id = manages.account_id and a.tenant_id = coalesce(only_tenant, a.tenant_id) and a.removed_at is null;
  if account.account_id is null then
    perform entra_sync.refuse_unknown_account(manages.account_id);
  end if;
  select a.* into manager from entra_sync.accounts a
   where a.account_id = manages.manager_account_id and a.tenant_id = account.tenant_id and a.removed_at is null;
  if manager.account_id is null then
    perform entra_sync.refuse_unknown_account(manages.manager_account_id);
  end if;
  return entra_sync.manages(manager, account);
end $$;
comment on function directory.manages is 'How the first account manages the second: line, else group (as directory.managers says), or null. ES004.';

create type directory.managed_row as (
  account_id uuid,
  display_name text,
  mail text,
  via text,
  sort_name text
);

create function directory.managed(manager_account_id uuid, words text default null, after_name text default null,
  after_account_id uuid default null, max integer default 50) returns setof directory.managed_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off as $$
#variable_conflict use_column
declare
  only_tenant constant uuid := entra_sync.narrowed_to();
  asked constant text[] := array(select w from unnest(entra_sync.words_asked(left(managed.words, 200))) as w where w <> '');
  manager entra_sync.accounts;
  of_groups uuid[];
  -- The accounts that may be; null: all of the tenant.
  numbers integer[];
  longest text;
begin
  select a.* into manager from entra_sync.accounts a
   where a.account_id = managed.manager_account_id and a.tenant_id = coalesce(only_tenant, a.tenant_id) and a.removed_at is null;
  if manager.account_id is null then
    perform entra_sync.refuse_unknown_account(managed.manager_account_id);
  end if;
  of_groups := array(
    select b.people_id from entra_sync.managed_by b
      join entra_sync.groups h on h.tenant_id = b.tenant_id and h.entra_object_id = b.managers_id
      join entra_sync.effective_members e on e.group_no = h.group_no and e.account_no = manager.account_no
     where b.tenant_id = manager.tenant_id);
  if array_position(of_groups, null) is null then
    numbers := array(
      select r.account_no from entra_sync.accounts r
       where r.tenant_id = manager.tenant_id and r.manager_object_id = manager.entra_object_id
      union
      select e.account_no from entra_sync.groups g join entra_sync.effective_members e on e.group_no = g.group_no
       where g.tenant_id = manager.tenant_id and g.entra_object_id = any(of_groups));
  elsif asked <> '{}' then
    -- The index of words leaves few of a whole tenant to judge.
    select w into longest from unnest(asked) w order by length(w) desc limit 1;
    numbers := array(
      select distinct x.no::integer from entra_sync.words x
       where x.tenant_id = manager.tenant_id and x.kind = 'a' and x.word >= longest and x.word < longest || chr(1114111));
  end if;
  return query
    select n.* from (
      select a.account_id, coalesce(a.profile ->> 'displayName', a.source ->> 'displayName'), a.mail,
             case when a.manager_object_id = manager.entra_object_id then 'line' else 'group' end,
             lower(coalesce(a.profile ->> 'displayName', a.source ->> 'displayName', a.user_principal_name, a.mail, ''))
        from entra_sync.accounts a
       where a.tenant_id = manager.tenant_id and a.removed_at is null and a.account_no <> manager.account_no
         and (numbers is null or a.account_no = any(numbers))
         and (asked = '{}' or not exists (
           select from unnest(asked) w where not exists (
             select from unnest(entra_sync.words_of(entra_sync.account_name(a.profile, a.source, a.user_principal_name, a.mail))) x
              where starts_with(x, w))))) n (account_id, display_name, mail, via, sort_name)
     where managed.after_name is null
        or (n.sort_name, n.account_id) > (managed.after_name, coalesce(managed.after_account_id, '00000000-0000-0000-0000-000000000000'))
     order by n.sort_name, n.account_id
     limit greatest(1, least(coalesce(managed.max, 50), 1000));
end $$;
comment on function directory.managed is 'The live accounts that an account manages, by name, at most max (50, and never more than 1,000), after the one with these sort_name and account_id. words: each begins a word of the name or address. ES004.';

do $$
declare
  known constant text := rtrim(pg_get_viewdef('directory.tenants'::regclass), ';');
begin
  execute format($view$
create or replace view directory.tenants with (security_barrier) as
select t.*,
       coalesce((select s.document -> 'previewImages' from entra_sync.settings s
                  where s.tenant_id = t.tenant_id order by s.version desc limit 1),
                (select s.document -> 'previewImages' from entra_sync.settings s
                  where s.tenant_id is null order by s.version desc limit 1), '[]') as preview_images
  from (%s) t$view$, known);
end $$;
revoke execute on function directory.manages, directory.managed from public;
