-- The accounts of one group, joined with directory.accounts, read all accounts that the role sees: 3 s of 300,000. This reads the group's
-- members or, of a large group, the next accounts, and those of the page.
create function directory.accounts_of_group(group_id uuid, after uuid default null, max integer default 200)
returns setof directory.accounts
language plpgsql stable security definer
set search_path = pg_catalog, pg_temp
set plan_cache_mode = force_generic_plan as $$
#variable_conflict use_column
declare
  asked constant uuid := accounts_of_group.group_id;
  wanted constant integer := coalesce(accounts_of_group.max, 200);
  few constant integer := 10000;
  found entra_sync.groups;
  is_large boolean;
  ids uuid[];
begin
  select g.* into found from entra_sync.groups g
   where g.group_id = asked and g.tenant_id = coalesce(entra_sync.narrowed_to(), g.tenant_id);
  if found.group_no is null then
    perform entra_sync.refuse_unknown('group', asked);
  elsif wanted < 1 or wanted > 1000 then
    raise exception using errcode = '22023', message = 'max must be between 1 and 1000';
  end if;
  -- Few accounts, read in the order of their ids, fill a page of a large group. A small group has fewer members than that.
  is_large := few < (
    select count(*) from (
      select from entra_sync.effective_members e
       where e.group_no = found.group_no and found.removed_at is null limit few + 1) c);
  if is_large then
    -- Planned for this group: the plan of an average one would look up all members.
    execute $q$
      select array(
        select a.account_id from entra_sync.effective_members e join entra_sync.accounts a on a.account_no = e.account_no
         where e.group_no = $1 and a.removed_at is null and ($2 is null or a.account_id > $2)
         order by a.account_id limit $3)$q$
      into ids using found.group_no, accounts_of_group.after, wanted;
  else
    ids := array(
      select a.account_id from entra_sync.accounts a
       where a.account_no = any(array(
               select e.account_no from entra_sync.effective_members e
                where e.group_no = found.group_no and found.removed_at is null))
         and a.removed_at is null and (accounts_of_group.after is null or a.account_id > accounts_of_group.after)
       order by a.account_id limit wanted);
  end if;
  return query select a.* from directory.accounts a where a.account_id = any(ids) order by a.account_id;
end $$;
comment on function directory.accounts_of_group(uuid, uuid, integer) is
  'The next accounts of the group, nested members too, in the order of their ids, after this one or from the first. None of a removed group. 22023, ES004.';
revoke execute on function directory.accounts_of_group(uuid, uuid, integer) from public;
