-- The names of accounts in their order, so that a page of a large team reads a page. An index of accounts would make each
-- update of a profile write all indexes anew; these rows change with a name alone.
create function entra_sync.sort_name(profile jsonb, source jsonb, principal text, mail text) returns text
language sql immutable parallel safe as $$
  select pg_catalog.lower(coalesce(profile ->> 'displayName', source ->> 'displayName', principal, mail, ''))
$$;
comment on function entra_sync.sort_name is 'The name of an account as directory.managed orders it.';

create function entra_sync.long_sort_name() returns text
language sql immutable parallel safe as $$ select U&'\+10FFFF' $$;
comment on function entra_sync.long_sort_name is 'Stands for a name that no index holds. A tenant that has one is read whole.';

create function entra_sync.kept_sort_name(sort_name text) returns text
language sql immutable parallel safe as $$
  select case when pg_catalog.octet_length(sort_name) > 1000 then entra_sync.long_sort_name() else sort_name end
$$;

create table entra_sync.sort_names (
  tenant_id uuid not null,
  sort_name text not null,
  account_id uuid not null,
  primary key (tenant_id, sort_name, account_id)
);
comment on table entra_sync.sort_names is
  'The sort name of each account, removed ones included; those of words_due come later. No foreign keys: triggers keep it.';

create or replace function entra_sync.words_of_new_accounts()
returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  most constant integer := entra_sync.many_new_accounts();
begin
  if (select count(*) from come) > most then
    insert into entra_sync.words_due (tenant_id, account_nos)
    select c.tenant_id, array_agg(c.account_no order by c.account_no)
      from (select c.tenant_id, c.account_no, (row_number() over (partition by c.tenant_id order by c.account_no) - 1) / most as lot
              from come c) c
     group by c.tenant_id, c.lot order by c.tenant_id, c.lot;
  else
    perform entra_sync.add_words(c.tenant_id, 'a', array_agg(c.account_no),
              array_agg(entra_sync.account_name(c.mapped || c.overrides, c.source, c.user_principal_name, c.mail)))
       from come c group by c.tenant_id order by c.tenant_id;
    insert into entra_sync.sort_names (tenant_id, sort_name, account_id)
    select c.tenant_id, entra_sync.kept_sort_name(
             entra_sync.sort_name(c.mapped || c.overrides, c.source, c.user_principal_name, c.mail)), c.account_id
      from come c order by 1, 2, 3
    on conflict do nothing;
  end if;
  return null;
end $$;

create or replace function entra_sync.keep_words_due(tenant uuid, after_no bigint)
returns bigint
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  due entra_sync.words_due;
  numbers bigint[];
  names text[];
  still integer[];
begin
  select w.* into due from entra_sync.words_due w where w.tenant_id = tenant and w.due_no > after_no
   order by w.due_no limit 1 for update skip locked;
  if not found then
    return null;
  end if;
  -- A name that changes meanwhile waits for these words, so that it takes the old ones back. This waits for nothing.
  select array_agg(h.account_no), array_agg(h.name) into numbers, names
    from (select a.account_no, entra_sync.account_name(a.profile, a.source, a.user_principal_name, a.mail) as name
            from entra_sync.accounts a where a.account_no = any(due.account_nos) for share of a skip locked) h;
  if numbers is not null then
    perform entra_sync.add_words(due.tenant_id, 'a', numbers, names);
    insert into entra_sync.sort_names (tenant_id, sort_name, account_id)
    select due.tenant_id, entra_sync.kept_sort_name(
             entra_sync.sort_name(a.profile, a.source, a.user_principal_name, a.mail)), a.account_id
      from entra_sync.accounts a where a.account_no = any(numbers) order by 2, 3
    on conflict do nothing;
  end if;
  still := array(select a.account_no from entra_sync.accounts a
                  where a.account_no = any(due.account_nos) and a.account_no <> all(coalesce(numbers, '{}')) order by 1);
  if still = '{}' then
    delete from entra_sync.words_due w where w.due_no = due.due_no;
  else
    update entra_sync.words_due w set account_nos = still where w.due_no = due.due_no;
  end if;
  return due.due_no;
end $$;

create or replace function entra_sync.keep_account_words()
returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  had constant text := entra_sync.sort_name(old.profile, old.source, old.user_principal_name, old.mail);
  has constant text := entra_sync.sort_name(new.profile, new.source, new.user_principal_name, new.mail);
begin
  if had <> has then
    delete from entra_sync.sort_names s
     where s.tenant_id = old.tenant_id and s.sort_name = entra_sync.kept_sort_name(had) and s.account_id = old.account_id;
    insert into entra_sync.sort_names (tenant_id, sort_name, account_id)
    values (new.tenant_id, entra_sync.kept_sort_name(has), new.account_id) on conflict do nothing;
  end if;
  perform entra_sync.keep_words(new.tenant_id, 'a', new.account_no,
    entra_sync.account_name(old.profile, old.source, old.user_principal_name, old.mail),
    entra_sync.account_name(new.profile, new.source, new.user_principal_name, new.mail));
  return null;
end $$;

create or replace trigger words_kept after update on entra_sync.accounts for each row when (
  (old.mapped is distinct from new.mapped or old.overrides is distinct from new.overrides or old.source is distinct from new.source
   or old.user_principal_name is distinct from new.user_principal_name or old.mail is distinct from new.mail)
  and (entra_sync.account_name(old.profile, old.source, old.user_principal_name, old.mail)
         is distinct from entra_sync.account_name(new.profile, new.source, new.user_principal_name, new.mail)
       or entra_sync.sort_name(old.profile, old.source, old.user_principal_name, old.mail)
         <> entra_sync.sort_name(new.profile, new.source, new.user_principal_name, new.mail)))
  execute function entra_sync.keep_account_words();

create or replace function entra_sync.words_of_gone_accounts()
returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform entra_sync.take_words(g.tenant_id, 'a', array_agg(g.account_no),
            array_agg(entra_sync.account_name(g.mapped || g.overrides, g.source, g.user_principal_name, g.mail)))
     from gone g group by g.tenant_id order by g.tenant_id;
  delete from entra_sync.sort_names where ctid = any(array(
    select s.place from gone g cross join lateral (
      select s.ctid as place from entra_sync.sort_names s
       where s.tenant_id = g.tenant_id and s.account_id = g.account_id and s.sort_name = entra_sync.kept_sort_name(
               entra_sync.sort_name(g.mapped || g.overrides, g.source, g.user_principal_name, g.mail)) offset 0) s));
  return null;
end $$;

insert into entra_sync.sort_names (tenant_id, sort_name, account_id)
select a.tenant_id, entra_sync.kept_sort_name(entra_sync.sort_name(a.profile, a.source, a.user_principal_name, a.mail)), a.account_id
  from entra_sync.accounts a order by 1, 2, 3;

create function entra_sync.next_by_order(tenant uuid, by_mail boolean, backwards boolean, after_key text, after_id uuid,
  most integer)
returns uuid[]
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  of text := 'select s.account_id, s.sort_name as key from entra_sync.sort_names s where s.tenant_id = $1';
  beyond text := '';
  found uuid[];
begin
  if by_mail then
    of := 'select a.account_id, entra_sync.folded(a.mail) as key from entra_sync.accounts a where a.tenant_id = $1';
  elsif exists (select from entra_sync.words_due w where w.tenant_id = tenant) or exists (
    select from entra_sync.sort_names s where s.tenant_id = tenant and s.sort_name = entra_sync.long_sort_name()) then
    return '{}';
  end if;
  if after_key = '' then
    return '{}';
  elsif after_key is not null then
    beyond := format('and k.key %s $2 and (k.key <> $2 or k.account_id > $3)', case when backwards then '<=' else '>=' end);
  end if;
  execute format($q$
    select array(select k.account_id from (%s) k where k.key > '' %s order by k.key %s, k.account_id limit $4)$q$,
      of, beyond, case when backwards then 'desc' else 'asc' end)
    into found using tenant, after_key, coalesce(after_id, '00000000-0000-0000-0000-000000000000'), most;
  return found;
end $$;
comment on function entra_sync.next_by_order is
  'The next accounts of a tenant by name or mail, in that order, removed ones among them; none where the order is not kept.';

create or replace function directory.managed(manager_account_id uuid, words text, after_name text, after_account_id uuid,
  max integer, order_by text, descending boolean)
returns setof directory.managed_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp set jit = off
set plan_cache_mode = force_custom_plan as $$
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
  -- Whether the team is everyone, or more than a few.
  is_large boolean;
  page constant integer := greatest(1, least(coalesce(managed.max, 50), 1000));
  near integer[] := '{}';
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

  is_large := everyone or few < (
    select count(*) from (
      (select from entra_sync.accounts r
        where r.tenant_id = manager.tenant_id and r.manager_object_id = manager.entra_object_id limit few + 1)
      union all
      (select from entra_sync.effective_members e where e.group_no = any(groups) limit few + 1)) c);
  if is_large and not named_all then
    select w.word, w.holders into rarest, holders
      from (select u.w as word, (select count(*) from (
              select from entra_sync.words x
               where x.tenant_id = manager.tenant_id and x.kind = 'a'
                 and x.word >= left(u.w, 64) and x.word < left(u.w, 64) || last limit few + 1) c) as holders
              from unnest(wanted) as u (w)) w
     order by w.holders, length(w.word) desc limit 1;
  end if;
  -- A large team, or a word that many accounts have, fills its page from the next accounts in the order.
  if is_large and (named_all or holders > few) then
    near := array(
      select o.account_no
        from unnest(entra_sync.next_by_order(manager.tenant_id, by_mail, backwards, managed.after_name,
                      managed.after_account_id, case when named_all then few else few / 2 end + page))
             with ordinality as u (id, place)
       cross join lateral (select c.* from entra_sync.accounts c where c.account_id = u.id offset 0) o
       where o.removed_at is null and o.account_no <> manager.account_no
         and (everyone or o.manager_object_id = manager.entra_object_id or exists (
           select from entra_sync.effective_members e
            where e.account_no = o.account_no and e.group_no = any(groups) offset 0))
         and (named_all or not exists (
           select from unnest(wanted) w where not exists (
             select from unnest(entra_sync.words_of(
                           entra_sync.account_name(o.profile, o.source, o.user_principal_name, o.mail))) x
              where starts_with(x, w))))
       order by u.place limit page);
  end if;

  if cardinality(near) = page then
    numbers := near;
    are_found := true;
    named_all := true;
  elsif not everyone and (named_all or not is_large) then
    numbers := array(
      select r.account_no from entra_sync.accounts r
       where r.tenant_id = manager.tenant_id and r.manager_object_id = manager.entra_object_id
      union
      select e.account_no from entra_sync.effective_members e where e.group_no = any(groups)
       order by 1);
  elsif not named_all then
    managed_all := everyone;
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
             case when by_mail then coalesce(entra_sync.folded(a.mail), '')
                  else entra_sync.sort_name(a.profile, a.source, a.user_principal_name, a.mail) end
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
     limit page;
end $$;
comment on function directory.managed(uuid, text, text, uuid, integer, text, boolean) is
  'As the one without an order: by name or mail, from the last if descending; without one, accounts are last. 22023, ES004.';
revoke execute on function entra_sync.sort_name, entra_sync.long_sort_name, entra_sync.kept_sort_name,
  entra_sync.next_by_order from public;
