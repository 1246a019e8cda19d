-- Two words are looked up together in `words`, and only the accounts and groups that have both are read: before, 2,000 names were
-- taken apart for "ann holgar" among 300,000 accounts, and that is most of what a search costs.
drop function entra_sync.fit_of(text[], text[]);
create function entra_sync.fit_of(name text, wanted text[]) returns text
language plpgsql immutable parallel safe as $$
declare
  -- As entra_sync.words_of, whose arrays cost more than the search in them.
  words constant text := ' ' || case when octet_length(name) = char_length(name)
    then translate(lower(name collate "C"), E'.,-_()/&+:;|#@"[]\t\n\'', '                   ')
    else array_to_string(entra_sync.words_of(name), ' ') end || ' ';
  fit text := 'whole';
  one text;
  meant text;
  best text;
begin
  foreach one in array wanted loop
    best := null;
    foreach meant in array string_to_array(one, ' ') loop
      if strpos(words, ' ' || meant || ' ') > 0 then
        best := 'whole';
        exit;
      elsif strpos(words, ' ' || meant) > 0 then
        best := 'begins';
      elsif best is null and strpos(words, meant) > 0 then
        best := 'part';
      end if;
    end loop;
    if best is null then
      return null;
    end if;
    fit := case when 'part' in (fit, best) then 'part' when 'begins' in (fit, best) then 'begins' else 'whole' end;
  end loop;
  return fit;
end $$;
comment on function entra_sync.fit_of is 'How the name fits `wanted`: for each word asked the words that it may mean, parted by spaces. Null: the name lacks one of them.';

create or replace function entra_sync.judged(tenant uuid, accounts bigint[], groups bigint[], wanted text[], removed boolean)
returns setof directory.found_row
language sql stable as $$
  select 'account', a.tenant_id, a.account_id, null::uuid, a.entra_object_id,
         coalesce(a.profile ->> 'displayName', a.source ->> 'displayName'), a.user_principal_name, a.mail,
         case when a.removed_at is null then a.state else 'removed' end, f.fit
    from unnest(accounts) as n (no)
   cross join lateral (
     select a.* from entra_sync.accounts a where a.account_no = n.no::integer and a.tenant_id = tenant offset 0) a
   cross join lateral (select case when wanted is null then 'id' else entra_sync.fit_of(
     entra_sync.account_name(a.profile, a.source, a.user_principal_name, a.mail), wanted) end as fit offset 0) f
   where (removed or a.removed_at is null) and f.fit is not null
  union all
  select 'group', g.tenant_id, null, g.group_id, g.entra_object_id, g.display_name, null, g.mail,
         case when g.removed_at is null then g.state when g.copied then 'removed' else 'not_copied' end, f.fit
    from unnest(groups) as n (no)
   cross join lateral (select g.* from entra_sync.groups g where g.group_no = n.no and g.tenant_id = tenant offset 0) g
   cross join lateral (select case when wanted is null then 'id' else entra_sync.fit_of(
     entra_sync.group_name(g.display_name, g.mail), wanted) end as fit offset 0) f
   where (removed or g.removed_at is null) and f.fit is not null
$$;

create function entra_sync.many_holders() returns integer
language sql immutable as 'select 20000';
comment on function entra_sync.many_holders is 'A word of as many accounts and groups is not read to its end.';

create function entra_sync.holders_of_words(tenant uuid, list jsonb) returns table (kind "char", no bigint)
language sql stable as $$
  select x.kind, x.no from jsonb_array_elements_text(list) as u (word)
   cross join lateral (
     select x.kind, x.no from entra_sync.words x where x.tenant_id = tenant and x.word = u.word offset 0) x
$$;

-- The accounts and groups with a word of the two rarest lists. Their names are searched for the words of the other lists.
create or replace function entra_sync.holders_of_rarest(tenant uuid, lists jsonb, most integer) returns table (kind "char", no bigint)
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
#variable_conflict use_column
declare
  many constant integer := entra_sync.many_holders();
  rarest jsonb := lists -> 0;
  second jsonb;
begin
  if jsonb_array_length(lists) > 1 then
    select r.lists[1], case when r.holders[2] < many then r.lists[2] end into rarest, second
      from (select array_agg(c.list order by c.holders, c.place) as lists, array_agg(c.holders order by c.holders, c.place) as holders
              from (select l.list, l.place,
                           (select count(*) from (
                             select from entra_sync.holders_of_words(tenant, l.list) limit many) h) as holders
                      from jsonb_array_elements(lists) with ordinality as l (list, place)) c) r;
  end if;
  return query
    select h.kind, h.no from entra_sync.holders_of_words(tenant, rarest) h
     where case when second is null then true
                else (h.kind, h.no) in (select s.kind, s.no from entra_sync.holders_of_words(tenant, second) s) end
     limit most;
end $$;

-- One tenant: by beginnings, and by parts of words where these are fewer than `few`; `near`: by the nearest words. Each loop reads
-- more names where too few of them fit.
create or replace function entra_sync.find_in(tenant uuid, wanted text[], few integer, removed boolean, near boolean)
returns setof directory.found_row
language plpgsql stable set plan_cache_mode = force_custom_plan set jit = off as $$
declare
  last constant text := U&'\+10FFFF';
  many constant integer := entra_sync.many_holders();
  most integer := greatest(few * 5, 200);
  most_parts constant integer := greatest(few * 5, 2000);
  rarest text := wanted[1];
  second text;
  lists jsonb;
  meant text[] := wanted;
  accounts bigint[];
  groups bigint[];
  names integer;
  found directory.found_row[] := '{}';
begin
  if near then
    meant := array(
      select concat_ws(' ', w, (select string_agg(n, ' ') from entra_sync.nearest_words(tenant, w, 8) n))
        from unnest(wanted) with ordinality u (w, i) order by i);
    lists := (
      select jsonb_agg(to_jsonb(string_to_array(m, ' ') || case when cardinality(wanted) > 1
               then entra_sync.words_with_part(tenant, w) else '{}' end) order by i)
        from unnest(wanted, meant) with ordinality u (w, m, i));
  else
    if cardinality(wanted) > 1 then
      -- The two rarest words decide who is read; the names are searched for the others.
      select w[1], case when h[2] < many then w[2] end into rarest, second
        from (select array_agg(u.word order by u.holders) as w, array_agg(u.holders order by u.holders) as h
                from (select w as word, (select count(*) from (
                        select from entra_sync.words x
                         where x.tenant_id = tenant and x.word >= w and x.word < w || last limit many) c) as holders
                        from unnest(wanted) as w) u) r;
    end if;
    loop
      select coalesce(array_agg(distinct n.no) filter (where n.kind = 'a'), '{}'),
             coalesce(array_agg(distinct n.no) filter (where n.kind = 'g'), '{}'), count(*)
        into accounts, groups, names
        from (select x.kind, x.no from entra_sync.words x
               where x.tenant_id = tenant and x.word >= rarest and x.word < rarest || last
                 -- In a `case` the other word's holders are read once, into a hash.
                 and case when second is null then true else (x.kind, x.no) in (
                   select y.kind, y.no from entra_sync.words y
                    where y.tenant_id = tenant and y.word >= second and y.word < second || last) end
               order by x.word, x.kind, x.no limit most) n;
      found := array(select f from entra_sync.judged(tenant, accounts, groups, wanted, removed) f);
      exit when cardinality(found) >= few or names < most;
      most := most * 10;
    end loop;
    return query select f.* from unnest(found) f;
    if cardinality(found) >= few then
      return;
    end if;
    lists := (select jsonb_agg(to_jsonb(entra_sync.words_with_part(tenant, w)) order by i)
                from unnest(wanted) with ordinality u (w, i));
  end if;
  most := greatest(few * 5, 200);
  loop
    select coalesce(array_agg(distinct h.no) filter (where h.kind = 'a'), '{}'),
           coalesce(array_agg(distinct h.no) filter (where h.kind = 'g'), '{}'), count(*)
      into accounts, groups, names
      from entra_sync.holders_of_rarest(tenant, lists, most) h;
    found := array(select f from entra_sync.judged(tenant, accounts, groups, meant, removed) f);
    exit when cardinality(found) >= few or names < most or most >= most_parts;
    most := least(most * 10, most_parts);
  end loop;
  return query
    select f.kind, f.tenant_id, f.account_id, f.group_id, f.entra_object_id, f.display_name, f.user_principal_name, f.mail,
           f.state, case when near then 'near' else f.fit end
      from unnest(found) f;
end $$;
revoke execute on all functions in schema entra_sync, directory from public;
