-- People and groups are found by the beginnings of their words, by parts of words, and by the nearest words, without an extension.
-- `words` says which account or group has a word. `vocabulary` has each word once, so that parts of words are looked for in some
-- ten thousand words and not in a million rows. Triggers keep both, so that writers of an earlier release do too. Meanwhile writers wait.
lock table entra_sync.tenants in exclusive mode;

create table entra_sync.words (
  tenant_id uuid not null,
  word text collate "C" not null,
  kind "char" not null,
  no bigint not null,
  primary key (tenant_id, word, kind, no),
  check (kind in ('a', 'g'))
);
comment on table entra_sync.words is 'Each word of an account (kind a, account_no) or a group (g, group_no), removed ones included, once (rule 32). No foreign keys: triggers write it and take it back.';

create table entra_sync.vocabulary (
  tenant_id uuid not null,
  word text collate "C" not null,
  no bigint generated always as identity,
  primary key (tenant_id, word, no)
);
comment on table entra_sync.vocabulary is 'Each word of `words` once a tenant, and again where transactions beside each other brought it: none waits for another.';

create table entra_sync.words_left (
  tenant_id uuid not null,
  word text collate "C" not null,
  no bigint generated always as identity,
  primary key (tenant_id, word, no)
);
comment on table entra_sync.words_left is 'Words that an account or a group has lost. forget_words takes those that none has any more out of the vocabulary.';

-- Each word without case and accents, parted at punctuation, an apostrophe left out. Empty words are among them.
create function entra_sync.words_asked(name text) returns text[]
language plpgsql immutable parallel safe as $$
declare
  letters text := name;
begin
  if pg_catalog.octet_length(name) <> pg_catalog.char_length(name) then
    -- The accents of Latin letters first: what is ASCII then needs no table of all letters.
    letters := pg_catalog.translate(pg_catalog.normalize(name, 'NFKD'),
      U&'\0300\0301\0302\0303\0304\0306\0307\0308\030A\030B\030C\0323\0326\0327\0328\0331\2018\2019\00B4', '');
    letters := pg_catalog.translate(letters, 'øØłŁđĐðÐıħĦŧŦŋŊ', 'oOlLdDdDihHtTnN');
    letters := pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
      pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
        letters, 'ß', 'ss'), 'æ', 'ae'), 'œ', 'oe'), 'þ', 'th'), 'Æ', 'ae'), 'Œ', 'oe'), 'Þ', 'th');
    if pg_catalog.octet_length(letters) <> pg_catalog.char_length(letters) then
      letters := pg_catalog.regexp_replace(pg_catalog.normalize(entra_sync.folded(letters), 'NFKD'),
        '[\u0300-\u036f\u200b-\u200f\u202a-\u202e\u2060-\u206f]', '', 'g');
      letters := pg_catalog.translate(letters, U&'\00AB\00B7\00BB\2010\2011\2012\2013\2014\2015\201C\201D\201E', '            ');
    end if;
  end if;
  return pg_catalog.string_to_array(
    pg_catalog.translate(pg_catalog.lower(letters collate "C"), E'.,-_()/&+:;|#@"[]\t\n\'', '                   '), ' ');
end $$;

create function entra_sync.words_of(name text) returns text[]
language plpgsql immutable parallel safe as $$
declare
  spelt text;
begin
  if pg_catalog.octet_length(name) = pg_catalog.char_length(name) then
    return entra_sync.words_asked(name);
  end if;
  -- Müller is looked for as Muller and as Mueller.
  spelt := pg_catalog.normalize(name, 'NFC');
  if spelt ~ '[äöüøåÄÖÜØÅ]' then
    spelt := pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(pg_catalog.replace(
      pg_catalog.translate(spelt, 'ÄÖÜØÅ', 'äöüøå'), 'ä', 'ae'), 'ö', 'oe'), 'ü', 'ue'), 'ø', 'oe'), 'å', 'aa');
    return entra_sync.words_asked(name) || entra_sync.words_asked(spelt);
  end if;
  return entra_sync.words_asked(name);
end $$;
comment on function entra_sync.words_of is 'The words by which a name is found, empty ones among them.';

create function entra_sync.account_name(profile jsonb, source jsonb, principal text, mail text) returns text
language sql immutable parallel safe as $$
  select pg_catalog.left(pg_catalog.concat_ws(' ',
    coalesce(profile ->> 'displayName', source ->> 'displayName'), profile ->> 'givenName', profile ->> 'surname',
    -- A guest's user principal name is the address at home, #EXT# and the tenant.
    pg_catalog.split_part(pg_catalog.split_part(principal, '#EXT#', 1), '@', 1), pg_catalog.split_part(mail, '@', 1)), 1000)
$$;

create function entra_sync.group_name(display_name text, mail text) returns text
language sql immutable parallel safe as $$
  select pg_catalog.left(pg_catalog.concat_ws(' ', display_name, pg_catalog.split_part(mail, '@', 1)), 1000)
$$;

-- A word that is there is held until the end, so that forget_words leaves it. Neither waits for the other.
create function entra_sync.keep_vocabulary(tenant uuid, words text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  held constant text[] := array(
    select v.word from entra_sync.vocabulary v
     where v.tenant_id = tenant and v.word = any(words) order by v.word for key share skip locked);
begin
  insert into entra_sync.vocabulary (tenant_id, word)
  select tenant, w from (select w from unnest(words) as w except select h from unnest(held) as h) m order by w;
end $$;

create function entra_sync.forget_words(tenant uuid) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  asked constant text[] := array(select distinct l.word from entra_sync.words_left l where l.tenant_id = tenant);
  held tid[];
begin
  held := array(
    select v.ctid from entra_sync.vocabulary v
     where v.tenant_id = tenant and v.word = any(asked)
       and not exists (select from entra_sync.words x where x.tenant_id = tenant and x.word = v.word)
     for update skip locked);
  -- The next statement sees what those have written who held a word until now.
  delete from entra_sync.vocabulary v
   where v.ctid = any(held) and not exists (select from entra_sync.words x where x.tenant_id = tenant and x.word = v.word);
  held := array(
    select l.ctid from entra_sync.words_left l
     where l.tenant_id = tenant and l.word = any(asked)
       and (exists (select from entra_sync.words x where x.tenant_id = tenant and x.word = l.word)
            or not exists (select from entra_sync.vocabulary v where v.tenant_id = tenant and v.word = l.word))
     for update skip locked);
  delete from entra_sync.words_left l where l.ctid = any(held);
end $$;
comment on function entra_sync.forget_words is
  'Takes the words that no account and no group has any more out of the vocabulary. Words that another transaction holds are left for the next time.';

create function entra_sync.keep_words(tenant uuid, of_kind "char", number bigint, old_name text, new_name text) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  had constant text[] := array(select distinct left(w, 64) from unnest(entra_sync.words_of(old_name)) as w where w <> '');
  has constant text[] := array(select distinct left(w, 64) from unnest(entra_sync.words_of(new_name)) as w where w <> '');
  fresh constant text[] := array(select w from unnest(has) as w where w <> all(had) order by 1);
begin
  with gone as (
    delete from entra_sync.words x
     where x.tenant_id = tenant and x.kind = of_kind and x.no = number and x.word = any(had) and x.word <> all(has)
    returning x.word
  )
  insert into entra_sync.words_left (tenant_id, word) select tenant, g.word from gone g;
  insert into entra_sync.words (tenant_id, word, kind, no)
  select tenant, w, of_kind, number from unnest(fresh) as w on conflict do nothing;
  if fresh <> '{}' then
    perform entra_sync.keep_vocabulary(tenant, fresh);
  end if;
end $$;
comment on function entra_sync.keep_words is 'A word that is no longer used stays in the vocabulary until a purge, or a worker''s next look.';

create function entra_sync.keep_account_words() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform entra_sync.keep_words(new.tenant_id, 'a', new.account_no,
    entra_sync.account_name(old.profile, old.source, old.user_principal_name, old.mail),
    entra_sync.account_name(new.profile, new.source, new.user_principal_name, new.mail));
  return null;
end $$;

create function entra_sync.keep_group_words() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform entra_sync.keep_words(new.tenant_id, 'g', new.group_no,
    entra_sync.group_name(old.display_name, old.mail), entra_sync.group_name(new.display_name, new.mail));
  return null;
end $$;

create function entra_sync.add_words(tenant uuid, of_kind "char", numbers bigint[], names text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  with come as (
    insert into entra_sync.words as x (tenant_id, word, kind, no)
    select distinct tenant, left(w, 64), of_kind, n.no
      from unnest(numbers, names) as n (no, name) cross join lateral unnest(entra_sync.words_of(n.name)) as w
     where w <> '' order by 2, 4
    returning x.word
  )
  select array(select distinct c.word from come c) into names;
  perform entra_sync.keep_vocabulary(tenant, names);
end $$;

create function entra_sync.take_words(tenant uuid, of_kind "char", numbers bigint[], names text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  with gone as (
    delete from entra_sync.words x
     using (select n.no, left(w, 64) as word
              from unnest(numbers, names) as n (no, name) cross join lateral unnest(entra_sync.words_of(n.name)) as w
             where w <> '') g
     where x.tenant_id = tenant and x.word = g.word and x.kind = of_kind and x.no = g.no
    returning x.word
  )
  insert into entra_sync.words_left (tenant_id, word) select distinct tenant, g.word from gone g;
  perform entra_sync.forget_words(tenant);
end $$;
comment on function entra_sync.take_words is 'At a purge nothing of a name stays, in the vocabulary neither.';

create function entra_sync.words_of_new_accounts() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform entra_sync.add_words(c.tenant_id, 'a', array_agg(c.account_no),
            array_agg(entra_sync.account_name(c.mapped || c.overrides, c.source, c.user_principal_name, c.mail)))
     from come c group by c.tenant_id order by c.tenant_id;
  return null;
end $$;

create function entra_sync.words_of_gone_accounts() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform entra_sync.take_words(g.tenant_id, 'a', array_agg(g.account_no),
            array_agg(entra_sync.account_name(g.mapped || g.overrides, g.source, g.user_principal_name, g.mail)))
     from gone g group by g.tenant_id order by g.tenant_id;
  return null;
end $$;

create function entra_sync.words_of_new_groups() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform entra_sync.add_words(c.tenant_id, 'g', array_agg(c.group_no), array_agg(entra_sync.group_name(c.display_name, c.mail)))
     from come c group by c.tenant_id order by c.tenant_id;
  return null;
end $$;

create function entra_sync.words_of_gone_groups() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform entra_sync.take_words(g.tenant_id, 'g', array_agg(g.group_no), array_agg(entra_sync.group_name(g.display_name, g.mail)))
     from gone g group by g.tenant_id order by g.tenant_id;
  return null;
end $$;

create trigger words_of_new after insert on entra_sync.accounts
  referencing new table as come for each statement execute function entra_sync.words_of_new_accounts();
create trigger words_of_gone after delete on entra_sync.accounts
  referencing old table as gone for each statement execute function entra_sync.words_of_gone_accounts();
create trigger words_kept after update on entra_sync.accounts for each row
  when ((old.mapped is distinct from new.mapped or old.overrides is distinct from new.overrides
         or old.source is distinct from new.source or old.user_principal_name is distinct from new.user_principal_name
         or old.mail is distinct from new.mail)
        and entra_sync.account_name(old.profile, old.source, old.user_principal_name, old.mail)
        is distinct from entra_sync.account_name(new.profile, new.source, new.user_principal_name, new.mail))
  execute function entra_sync.keep_account_words();
create trigger words_of_new after insert on entra_sync.groups
  referencing new table as come for each statement execute function entra_sync.words_of_new_groups();
create trigger words_of_gone after delete on entra_sync.groups
  referencing old table as gone for each statement execute function entra_sync.words_of_gone_groups();
create trigger words_kept after update on entra_sync.groups for each row
  when (entra_sync.group_name(old.display_name, old.mail) is distinct from entra_sync.group_name(new.display_name, new.mail))
  execute function entra_sync.keep_group_words();

select entra_sync.add_words(a.tenant_id, 'a', array_agg(a.account_no),
         array_agg(entra_sync.account_name(a.profile, a.source, a.user_principal_name, a.mail)))
  from entra_sync.accounts a group by a.tenant_id;
select entra_sync.add_words(g.tenant_id, 'g', array_agg(g.group_no), array_agg(entra_sync.group_name(g.display_name, g.mail)))
  from entra_sync.groups g group by g.tenant_id;
analyze entra_sync.words, entra_sync.vocabulary;

create index vocabulary_of_letters on entra_sync.vocabulary (tenant_id, length(word), word) where word !~ '[0-9]';

create type directory.found_row as (
  kind text,
  tenant_id uuid,
  account_id uuid,
  group_id uuid,
  entra_object_id uuid,
  display_name text,
  user_principal_name text,
  mail text,
  state text,
  fit text
);
comment on type directory.found_row is 'kind: account, group, or user (an object that was never taken, known by its object id alone). state: managed, manual, removed, set_aside or out_of_scope. fit: id, whole (each word is one of the name), begins, part or near.';

create function entra_sync.nearest_words(tenant uuid, asked text, most integer) returns setof text
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
declare
  size constant integer := length(asked);
  third constant integer := greatest(size / 3, 1);
  -- A slip or two leave one of three parts whole.
  head constant text := substr(asked, 1, third);
  middle constant text := substr(asked, 1 + third, third);
  rest constant text := substr(asked, 1 + 2 * third);
  parts constant text[] := array(select substr('  ' || asked || ' ', i, 3) from generate_series(1, size + 1) as i);
begin
  return query
    select s.word from (
      select distinct v.word, 2.0 * (select count(*) from unnest(parts) as p where strpos('  ' || v.word || ' ', p) > 0)
                     / (size + 1 + length(v.word) + 1) as score
        from generate_series(size - 2, size + 2) as n
       cross join lateral (
         select v.word from entra_sync.vocabulary v
          where v.tenant_id = tenant and length(v.word) = n and v.word !~ '[0-9]'
            and (strpos(v.word, head) > 0 or strpos(v.word, middle) > 0 or strpos(v.word, rest) > 0) offset 0) v) s
     where s.score >= 0.3 order by s.score desc, s.word limit most;
end $$;

-- `wanted`: for each word asked the words that it may mean, parted by spaces. Null: the name lacks one of them.
create function entra_sync.fit_of(names text[], wanted text[]) returns text
language plpgsql immutable parallel safe as $$
declare
  name constant text := ' ' || array_to_string(names, ' ') || ' ';
  fit text := 'whole';
  one text;
  meant text;
  best text;
begin
  foreach one in array wanted loop
    best := null;
    foreach meant in array string_to_array(one, ' ') loop
      if strpos(name, ' ' || meant || ' ') > 0 then
        best := 'whole';
        exit;
      elsif strpos(name, ' ' || meant) > 0 then
        best := 'begins';
      elsif best is null and strpos(name, meant) > 0 then
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

create function entra_sync.judged(tenant uuid, accounts bigint[], groups bigint[], wanted text[], removed boolean)
returns setof directory.found_row
language sql stable as $$
  select 'account', a.tenant_id, a.account_id, null::uuid, a.entra_object_id,
         coalesce(a.profile ->> 'displayName', a.source ->> 'displayName'), a.user_principal_name, a.mail,
         case when a.removed_at is null then a.state else 'removed' end, f.fit
    from unnest(accounts) as n (no)
   cross join lateral (
     select a.* from entra_sync.accounts a where a.account_no = n.no::integer and a.tenant_id = tenant offset 0) a
   cross join lateral (select case when wanted is null then 'id' else entra_sync.fit_of(
     entra_sync.words_of(entra_sync.account_name(a.profile, a.source, a.user_principal_name, a.mail)), wanted) end as fit offset 0) f
   where (removed or a.removed_at is null) and f.fit is not null
  union all
  select 'group', g.tenant_id, null, g.group_id, g.entra_object_id, g.display_name, null, g.mail,
         case when g.removed_at is null then g.state else 'removed' end, f.fit
    from unnest(groups) as n (no)
   cross join lateral (select g.* from entra_sync.groups g where g.group_no = n.no and g.tenant_id = tenant offset 0) g
   cross join lateral (select case when wanted is null then 'id' else entra_sync.fit_of(
     entra_sync.words_of(entra_sync.group_name(g.display_name, g.mail)), wanted) end as fit offset 0) f
   where (removed or g.removed_at is null) and f.fit is not null
$$;
comment on function entra_sync.judged is 'These accounts and groups as found, those out that do not fit.';

create function entra_sync.found_by_id(tenant uuid, digits text, removed boolean) returns setof directory.found_row
language plpgsql stable as $$
declare
  first constant uuid := rpad(digits, 32, '0')::uuid;
  last constant uuid := rpad(digits, 32, 'f')::uuid;
begin
  return query
    select f.* from entra_sync.judged(tenant,
      array(select a.account_no from entra_sync.accounts a
             where a.tenant_id = tenant and a.entra_object_id between first and last
            union
            select a.account_no from entra_sync.accounts a where a.account_id between first and last and a.tenant_id = tenant),
      array(select g.group_no from entra_sync.groups g
             where g.tenant_id = tenant and g.entra_object_id between first and last
            union
            select g.group_no from entra_sync.groups g where g.group_id between first and last and g.tenant_id = tenant),
      null, removed) f;
  if removed then
    return query
      select 'user', tenant, null::uuid, null::uuid, x.id, null::text, null::text, null::text, x.why, 'id'
        from (select o.entra_object_id as id, 'out_of_scope' as why from entra_sync.outside_scope o
               where o.tenant_id = tenant and o.entra_object_id between first and last
              union all
              select left(s.object_key, 36)::uuid, 'set_aside' from entra_sync.set_aside s
               where s.tenant_id = tenant and s.stream = 'users'
                 and case when s.object_key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
                          then left(s.object_key, 36)::uuid between first and last end) x
       where not exists (select from entra_sync.accounts a where a.tenant_id = tenant and a.entra_object_id = x.id)
       group by x.id, x.why;
  end if;
end $$;

create function entra_sync.words_with_part(tenant uuid, part text) returns text[]
language sql stable as $$
  select array(select v.word from entra_sync.vocabulary v where v.tenant_id = tenant and strpos(v.word, part) > 0 limit 1000)
$$;

-- The accounts and groups with a word of the rarest list. Their names are searched for the words of the other lists.
create function entra_sync.holders_of_rarest(tenant uuid, lists jsonb, most integer) returns table (kind "char", no bigint)
language sql stable as $$
  with rarest as materialized (
    select l.list from jsonb_array_elements(lists) as l (list)
     order by (select count(*) from (
       select from jsonb_array_elements_text(l.list) as u (word)
        cross join lateral (
          select from entra_sync.words x where x.tenant_id = tenant and x.word = u.word offset 0) x limit most) c)
     limit 1)
  select x.kind, x.no from rarest r
   cross join lateral jsonb_array_elements_text(r.list) as u (word)
   cross join lateral (
     select x.kind, x.no from entra_sync.words x where x.tenant_id = tenant and x.word = u.word offset 0) x limit most
$$;

-- One tenant: by beginnings, and by parts of words where these are fewer than `few`; `near`: by the nearest words.
create function entra_sync.find_in(tenant uuid, wanted text[], few integer, removed boolean, near boolean)
returns setof directory.found_row
language plpgsql stable set plan_cache_mode = force_custom_plan as $$
declare
  last constant text := U&'\+10FFFF';
  most integer := case when cardinality(wanted) = 1 then greatest(few * 5, 200) else greatest(few * 5, 2000) end;
  holders integer;
  rarest text;
  lists jsonb;
  meant text[] := wanted;
  found directory.found_row[];
begin
  if near then
    meant := array(
      select concat_ws(' ', w, (select string_agg(n, ' ') from entra_sync.nearest_words(tenant, w, 8) n))
        from unnest(wanted) with ordinality u (w, i) order by i);
    lists := (select jsonb_agg(to_jsonb(string_to_array(m, ' ') || entra_sync.words_with_part(tenant, w)) order by i)
                from unnest(wanted, meant) with ordinality u (w, m, i));
  else
    -- The names with the rarest word are read, and searched for the other words. The loop reads more of them where too few fit.
    loop
      select w.word, w.holders into rarest, holders
        from (select w as word, (select count(*) from (
                select from entra_sync.words x
                 where x.tenant_id = tenant and x.word >= w and x.word < w || last limit most) c) as holders
                from unnest(wanted) as w) w
       order by w.holders limit 1;
      found := array(
        with names as materialized (
          select x.kind, x.no from entra_sync.words x
           where x.tenant_id = tenant and x.word >= rarest and x.word < rarest || last
           order by x.word, x.kind, x.no limit most
        )
        select f from entra_sync.judged(tenant,
          array(select distinct n.no from names n where n.kind = 'a'),
          array(select distinct n.no from names n where n.kind = 'g'), wanted, removed) f);
      exit when cardinality(found) >= few or holders < most;
      most := most * 10;
    end loop;
    return query select f.* from unnest(found) f;
    if cardinality(found) >= few then
      return;
    end if;
    lists := (select jsonb_agg(to_jsonb(entra_sync.words_with_part(tenant, w)) order by i)
                from unnest(wanted) with ordinality u (w, i));
  end if;
  return query
    with names as materialized (select h.kind, h.no from entra_sync.holders_of_rarest(tenant, lists, greatest(few * 5, 2000)) h)
    select f.kind, f.tenant_id, f.account_id, f.group_id, f.entra_object_id, f.display_name, f.user_principal_name, f.mail,
           f.state, case when near then 'near' else f.fit end
      from entra_sync.judged(tenant,
        array(select distinct n.no from names n where n.kind = 'a'),
        array(select distinct n.no from names n where n.kind = 'g'), meant, removed) f;
end $$;

create function entra_sync.find_ranked(tenants uuid[], asked text, most integer, removed boolean) returns setof directory.found_row
language plpgsql stable as $$
declare
  -- Some tools print an id in braces.
  name constant text := btrim(left(asked, 200), ' {}');
  digits constant text := replace(lower(name), '-', '');
  domain constant text := case when strpos(name, '@') > 0 then lower(split_part(name, '@', 2)) end;
  wanted constant text[] := array(
    select left(w, 64) from unnest(entra_sync.words_asked(split_part(name, '@', 1))) with ordinality u (w, i)
     -- A text of signs alone is no word.
     where w !~ '^[!-/:-@[-`{-~]*$' group by 1 order by min(i) limit 8);
  pass boolean;
begin
  if digits ~ '^[0-9a-f]{8,32}$' and lower(name) ~ '^[0-9a-f]{8}(-|$|[0-9a-f]{24}$)' then
    return query
      select f.* from unnest(tenants) as t (id) cross join lateral entra_sync.found_by_id(t.id, digits, removed) f limit most;
    if found then
      return;
    end if;
  end if;
  if wanted = '{}' then
    return;
  end if;
  foreach pass in array array[false, true] loop
    return query
      select r.kind, r.tenant_id, r.account_id, r.group_id, r.entra_object_id, r.display_name, r.user_principal_name, r.mail,
             r.state, r.fit
        from (
          select distinct on (f.kind, f.account_id, f.group_id) f.*, array_position(array['whole', 'begins', 'part', 'near'], f.fit) as place
            from unnest(tenants) as t (id)
           cross join lateral entra_sync.find_in(t.id, wanted, most, removed, pass) f
           where domain is null or starts_with(lower(split_part(f.mail, '@', 2)), domain)
              or starts_with(lower(split_part(f.user_principal_name, '@', 2)), domain)
           order by f.kind, f.account_id, f.group_id, place) r
       order by r.place, r.state = 'removed', lower(r.display_name), r.user_principal_name, r.account_id, r.group_id
       limit most;
    if found then
      return;
    end if;
  end loop;
end $$;

create function directory.find(tenant_id uuid, words text, max integer default 20, with_removed boolean default false)
returns setof directory.found_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  asked constant uuid := find.tenant_id;
  wanted constant integer := coalesce(find.max, 20);
begin
  if not exists (
    select from entra_sync.tenants t where t.tenant_id = asked and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id)) then
    perform entra_sync.refuse_unknown_tenant(asked);
  elsif wanted < 1 or wanted > 1000 then
    raise exception using errcode = '22023', message = 'max must be between 1 and 1000';
  end if;
  return query select f.* from entra_sync.find_ranked(array[asked], find.words, wanted, coalesce(find.with_removed, false)) f;
end $$;
comment on function directory.find is 'The accounts and groups that the words mean, best first: by object id or its beginning, by beginnings and parts of the words of name and address, without case and accents; the nearest where nothing fits. Removed ones where with_removed says so. ES004.';
revoke execute on all functions in schema entra_sync, directory from public;
