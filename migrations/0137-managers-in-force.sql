-- The links of the line count where the settings in force say so. No round takes those of manual accounts away.
create view entra_sync.tenants_with_managers as
select t.tenant_id from entra_sync.tenants t
 where coalesce(
   (select s.document -> 'managers' from entra_sync.settings s
     where s.tenant_id = t.tenant_id order by s.version desc limit 1),
   (select s.document -> 'managers' from entra_sync.settings s
     where s.tenant_id is null order by s.version desc limit 1)) = 'true';
comment on view entra_sync.tenants_with_managers is
  'The tenants whose settings in force say managers: true. In others the links in accounts count for nothing.';

create or replace view directory.managers with (security_barrier) as
select m.* from (
select r.tenant_id, r.account_id, m.account_id as manager_account_id, 'line' as via
  from entra_sync.accounts r
  join entra_sync.accounts m on m.tenant_id = r.tenant_id and m.entra_object_id = r.manager_object_id
 where r.manager_object_id is not null and r.removed_at is null and m.removed_at is null
   and m.account_id <> r.account_id
   and exists (select from entra_sync.tenants_with_managers k where k.tenant_id = r.tenant_id)
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
     select from entra_sync.groups g
       join entra_sync.effective_members x on x.group_no = g.group_no and x.account_no = p.account_no
      where g.tenant_id = b.tenant_id and g.entra_object_id = b.people_id))
   and b.tenant_id = coalesce((select entra_sync.narrowed_to()), b.tenant_id))) m;
comment on view directory.managers is
  'Each account with an account that manages it, both live: via line, the manager '
  'in Entra ID where the settings in force say managers: true, or via group, by managedBy of the '
  'settings. Direct reports only.';

create or replace function entra_sync.manages(manager entra_sync.accounts, account entra_sync.accounts) returns text
language sql stable as $$
  select case
    when manager.tenant_id <> account.tenant_id or manager.account_id = account.account_id
      or manager.removed_at is not null or account.removed_at is not null then null
    when manager.entra_object_id = account.manager_object_id
      and exists (select from entra_sync.tenants_with_managers k where k.tenant_id = account.tenant_id) then 'line'
    when exists (
      select from entra_sync.managed_by b
       cross join lateral (
         select from entra_sync.groups h join entra_sync.effective_members e on e.group_no = h.group_no
          where h.tenant_id = b.tenant_id and h.entra_object_id = b.managers_id
            and e.account_no = manager.account_no offset 0) m
       where b.tenant_id = account.tenant_id
         and (b.people_id is null or exists (
           select from entra_sync.groups g join entra_sync.effective_members e on e.group_no = g.group_no
            where g.tenant_id = b.tenant_id and g.entra_object_id = b.people_id and e.account_no = account.account_no)))
      then 'group' end
$$;

create or replace function directory.managed(manager_account_id uuid, words text, after_name text,
  after_account_id uuid, max integer, order_by text, descending boolean)
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
  if not exists (select from entra_sync.tenants_with_managers k where k.tenant_id = manager.tenant_id) then
    -- By groups alone: no account names it as the manager.
    manager.entra_object_id := null;
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

-- A form tells the state that it shows by updated_at alone. A commit whose transaction began before the account's last
-- change, or in the same millisecond, would leave a time that tells nothing, and change rows that lie in the past.
create function entra_sync.later_than_before() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.updated_at := old.updated_at + interval '1 millisecond';
  return new;
end $$;
comment on function entra_sync.later_than_before is
  'Each transaction that changes an account leaves a later updated_at, by a millisecond or more.';
create trigger later_than_before before update of updated_at on entra_sync.accounts for each row
  when (new.updated_at <> old.updated_at and new.updated_at < old.updated_at + interval '1 millisecond')
  execute function entra_sync.later_than_before();

create function entra_sync.change_as_late() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  update entra_sync.changes c set at = new.updated_at
   where c.account_id = new.account_id and c.kind like 'account.%' and c.at = now();
  return null;
end $$;
comment on function entra_sync.change_as_late is
  'Where later_than_before moved an account''s time, the change rows of the transaction have it too. '
  'At its end, when they are written.';
create constraint trigger change_as_late after update of updated_at on entra_sync.accounts
  deferrable initially deferred for each row
  when (new.updated_at > now() and new.updated_at = old.updated_at + interval '1 millisecond')
  execute function entra_sync.change_as_late();

create or replace function entra_sync.changed_since(account entra_sync.accounts, fields text[],
  expected_updated_at timestamptz) returns text
language plpgsql stable as $$
declare
  expected constant timestamptz := date_trunc('milliseconds', expected_updated_at);
  known bigint;
  field text;
begin
  -- Drivers cut the rest off.
  if expected is null or expected = date_trunc('milliseconds', account.updated_at) then
    return null;
  end if;
  -- Before migration 0137 a cycle's change had the time of its begin, which may lie before the change that it followed.
  select max(c.change_id) into known from entra_sync.changes c
   where c.account_id = account.account_id and c.kind like 'account.%' and date_trunc('milliseconds', c.at) = expected;
  select f into field from entra_sync.changes c cross join lateral jsonb_object_keys(c.before -> 'profile') as f
   where c.account_id = account.account_id and c.kind like 'account.%' and f = any(fields)
     and (date_trunc('milliseconds', c.at) > expected or c.change_id > known)
   order by f limit 1;
  return field;
end $$;

comment on function directory.edit_as(uuid, uuid, jsonb, timestamptz) is
  'An edit by an account, of itself (role user) or of an account that it manages '
  '(role manager); returns the new profile. ES004, ES003, then ES001, ES002, ES005, then ES009 where a field of the patch '
  'has changed since expected_updated_at: DETAIL holds field, yours and theirs; then ES008. null is no check.';
comment on function entra_sync.edit_locked(entra_sync.accounts, jsonb, text, text, timestamptz) is
  'The edit of a locked account, of checked patch and role: ES001 to ES003, ES005, then ES009, then ES008.';
revoke execute on function entra_sync.later_than_before, entra_sync.change_as_late from public;
