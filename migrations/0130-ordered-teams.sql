-- A team in an order. A search in a large team asks the index of words: the names of 20,000 people took a second.
create function directory.managed(manager_account_id uuid, words text, after_name text, after_account_id uuid,
  max integer, order_by text, descending boolean) returns setof directory.managed_row
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp set jit = off set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
declare
  only_tenant constant uuid := entra_sync.narrowed_to();
  last constant text := U&'\+10FFFF';
  by_mail constant boolean := coalesce(managed.order_by, 'name') = 'mail';
  backwards constant boolean := coalesce(managed.descending, false);
  wanted constant text[] := array(
    select distinct w from unnest(entra_sync.words_asked(left(managed.words, 200))) as w where w <> '');
  -- At most so many names are read: one takes as long as a hundred rows of the index of words.
  few constant integer := 1000;
  manager entra_sync.accounts;
  everyone boolean;
  groups integer[];
  -- The accounts that may be; null: all of the tenant.
  numbers integer[];
  rarest text;
  holders integer;
  -- Whether these came by the words and are not most of the tenant, all are managed, and all have the words.
  are_found boolean := wanted <> '{}';
  managed_all boolean := true;
  named_all boolean := wanted = '{}';
begin
  if managed.order_by not in ('name', 'mail') then
    raise exception using errcode = '22023', message = 'order_by must be name or mail';
  end if;
  select a.* into manager from entra_sync.accounts a
   where a.account_id = managed.manager_account_id and a.tenant_id = coalesce(only_tenant, a.tenant_id)
     and a.removed_at is null;
  if manager.account_id is null then
    perform entra_sync.refuse_unknown_account(managed.manager_account_id);
  end if;
  select coalesce(bool_or(b.people_id is null), false),
         coalesce(array_agg(distinct g.group_no) filter (where g.group_no is not null), '{}')
    into everyone, groups
    from entra_sync.managed_by b
    join entra_sync.groups h on h.tenant_id = b.tenant_id and h.entra_object_id = b.managers_id
    join entra_sync.effective_members e on e.group_no = h.group_no and e.account_no = manager.account_no
    left join entra_sync.groups g on g.tenant_id = b.tenant_id and g.entra_object_id = b.people_id
   where b.tenant_id = manager.tenant_id;

  if not everyone and (named_all or few >= (
    select count(*) from (
      (select from entra_sync.accounts r
        where r.tenant_id = manager.tenant_id and r.manager_object_id = manager.entra_object_id limit few + 1)
      union all
      (select from entra_sync.effective_members e where e.group_no = any(groups) limit few + 1)) c)) then
    numbers := array(
      select r.account_no from entra_sync.accounts r
       where r.tenant_id = manager.tenant_id and r.manager_object_id = manager.entra_object_id
      union
      select e.account_no from entra_sync.effective_members e where e.group_no = any(groups)
       order by 1);
  elsif not named_all then
    managed_all := everyone;
    select w.word, w.holders into rarest, holders
      from (select u.w as word, (select count(*) from (
              select from entra_sync.words x
               where x.tenant_id = manager.tenant_id and x.kind = 'a'
                 and x.word >= left(u.w, 64) and x.word < left(u.w, 64) || last limit few + 1) c) as holders
              from unnest(wanted) as u (w)) w
     order by w.holders, length(w.word) desc limit 1;
    if holders <= few then
      numbers := array(
        select distinct x.no from entra_sync.words x
         where x.tenant_id = manager.tenant_id and x.kind = 'a'
           and x.word >= left(rarest, 64) and x.word < left(rarest, 64) || last order by 1);
    else
      -- The index alone tells which accounts have all the words.
      named_all := true;
      numbers := array(
        select f.no from unnest(wanted) as u (w)
         cross join lateral (
           select distinct x.no from entra_sync.words x
            where x.tenant_id = manager.tenant_id and x.kind = 'a'
              and x.word >= left(u.w, 64) and x.word < left(u.w, 64) || last) f
         group by f.no having count(*) = cardinality(wanted) order by 1);
      -- Beyond that, reading the tenant once costs less than looking each account up.
      are_found := cardinality(numbers) <= 20 * few;
    end if;
  end if;

  return query
    select n.account_id, n.display_name, n.mail, n.via, n.sort_name from (
      select a.account_id, coalesce(a.profile ->> 'displayName', a.source ->> 'displayName'), a.mail,
             case when a.manager_object_id = manager.entra_object_id then 'line' else 'group' end,
             case when by_mail then lower(coalesce(a.mail, ''))
                  else lower(coalesce(a.profile ->> 'displayName', a.source ->> 'displayName',
                                      a.user_principal_name, a.mail, '')) end
        from (
          -- Each is looked up: before ANALYZE all accounts of the tenant would be read for them.
          select o.* from unnest(numbers) as u (no)
           cross join lateral (select c.* from entra_sync.accounts c where c.account_no = u.no offset 0) o
           where are_found
          union all
          select c.* from entra_sync.accounts c
           where not are_found and c.tenant_id = manager.tenant_id
             and (numbers is null or c.account_no = any(numbers))) a
       where a.tenant_id = manager.tenant_id and a.removed_at is null and a.account_no <> manager.account_no
         and (managed_all or a.manager_object_id = manager.entra_object_id or exists (
           select from entra_sync.effective_members e
            where e.account_no = a.account_no and e.group_no = any(groups) offset 0))
         and (named_all or not exists (
           select from unnest(wanted) w where not exists (
             select from unnest(entra_sync.words_of(
                           entra_sync.account_name(a.profile, a.source, a.user_principal_name, a.mail))) x
              where starts_with(x, w))))
       offset 0) n (account_id, display_name, mail, via, sort_name)
     where case
       when managed.after_name is null then true
       when n.sort_name = managed.after_name
         then n.account_id > coalesce(managed.after_account_id, '00000000-0000-0000-0000-000000000000')
       when '' in (n.sort_name, managed.after_name) then n.sort_name = ''
       else backwards = (n.sort_name < managed.after_name) end
     order by n.sort_name = '', case when not backwards then n.sort_name end,
              case when backwards then n.sort_name end desc, n.account_id
     limit greatest(1, least(coalesce(managed.max, 50), 1000));
end $$;
comment on function directory.managed(uuid, text, text, uuid, integer, text, boolean) is
  'As the one without an order: by name or mail, from the last if descending; without one, accounts are last. 22023, ES004.';
revoke execute on function directory.managed(uuid, text, text, uuid, integer, text, boolean) from public;

create or replace function directory.managed(manager_account_id uuid, words text default null,
  after_name text default null, after_account_id uuid default null, max integer default 50)
returns setof directory.managed_row
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select m.* from directory.managed(managed.manager_account_id, managed.words, managed.after_name,
    managed.after_account_id, managed.max, 'name', false) m
$$;
