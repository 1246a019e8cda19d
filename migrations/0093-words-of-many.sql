-- The words of a first load are kept beside the reading of its groups: they were a quarter of the time until a new tenant is shown.
create table entra_sync.words_due (
  due_no bigint generated always as identity primary key,
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  account_nos integer[] not null
);
create index words_due_by_tenant on entra_sync.words_due (tenant_id, due_no);
comment on table entra_sync.words_due is 'Accounts that came many at once and are found by their words once keep_words_due has kept these (rule 32).';

create function entra_sync.many_new_accounts() returns integer
language sql immutable as 'select 1000';
comment on function entra_sync.many_new_accounts is 'More new accounts in one statement get their words in lots of this size, each in a transaction of its own.';

-- A part that repeats another is left out: it brings no word, and each word costs.
create or replace function entra_sync.account_name(profile jsonb, source jsonb, principal text, mail text) returns text
language sql immutable parallel safe as $$
  select pg_catalog.left(pg_catalog.concat_ws(' ', n.display,
      case when pg_catalog.strpos(' ' || n.display || ' ', ' ' || n.given || ' ') > 0 then null else n.given end,
      case when pg_catalog.strpos(' ' || n.display || ' ', ' ' || n.surname || ' ') > 0 then null else n.surname end,
      n.principal, nullif(n.mail, n.principal)), 1000)
    from (select coalesce(profile ->> 'displayName', source ->> 'displayName') as display,
                 profile ->> 'givenName' as given, profile ->> 'surname' as surname,
                 -- A guest's user principal name is the address at home, #EXT# and the tenant.
                 pg_catalog.split_part(pg_catalog.split_part(principal, '#EXT#', 1), '@', 1) as principal,
                 pg_catalog.split_part(mail, '@', 1) as mail) n
$$;

create or replace function entra_sync.add_words(tenant uuid, of_kind "char", numbers bigint[], names text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  with come as (
    insert into entra_sync.words as x (tenant_id, word, kind, no)
    select distinct tenant, left(w, 64), of_kind, n.no
      from unnest(numbers, names) as n (no, name) cross join lateral unnest(entra_sync.words_of(n.name)) as w
     where w <> '' order by 2, 4
    on conflict do nothing
    returning x.word
  )
  select array(select distinct c.word from come c) into names;
  perform entra_sync.keep_vocabulary(tenant, names);
end $$;

-- Each word is looked up by itself: `= any` read the whole vocabulary, a lot after another.
create or replace function entra_sync.keep_vocabulary(tenant uuid, words text[]) returns void
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  held constant text[] := array(
    select v.word from unnest(words) as u (word)
     cross join lateral (
       select v.word from entra_sync.vocabulary v where v.tenant_id = tenant and v.word = u.word for key share skip locked) v);
begin
  insert into entra_sync.vocabulary (tenant_id, word)
  select tenant, w from (select w from unnest(words) as w except select h from unnest(held) as h) m order by w;
end $$;

create or replace function entra_sync.words_of_new_accounts() returns trigger
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
  end if;
  return null;
end $$;

create function entra_sync.keep_words_due(tenant uuid, after_no bigint) returns bigint
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
comment on function entra_sync.keep_words_due is
  'Keeps the words of the tenant''s next lot of new accounts after this number, and returns the lot''s number, null where none is left. What an open edit holds stays due';

revoke execute on all functions in schema entra_sync, directory from public;
