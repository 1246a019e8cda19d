-- A transaction that changes a membership, an account or the nesting also writes the items of the accounts, if the tenant has assignments.
create function entra_sync.assigned_anew() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.assigned_winners := null;
  return new;
end $$;
comment on function entra_sync.assigned_anew is 'The nested memberships of the whole tenant came or went.';
create trigger assigned_anew before update of nested_left_out on entra_sync.tenants
  for each row when (old.nested_left_out is distinct from new.nested_left_out and new.assigned_at is not null)
  execute function entra_sync.assigned_anew();

create function entra_sync.keep_assigned_of_batch(batch entra_sync.batches) returns void
language plpgsql as $$
declare
  by_field constant boolean := exists (
    select from entra_sync.assignments r where r.tenant_id = batch.tenant_id and r.field is not null);
  touched constant integer[] := array(
    select a.account_no
      from (select distinct c.account_id from entra_sync.changes c
             where c.batch_id = batch.batch_id and c.account_id is not null
               and (c.kind in ('membership.added', 'membership.removed', 'account.created', 'account.adopted', 'account.removed',
                               'account.restored')
                    or by_field and c.kind in ('account.updated', 'account.edited'))) c
     cross join lateral (select a.account_no from entra_sync.accounts a where a.account_id = c.account_id offset 0) a
    union
    select t.account_no from entra_sync.assigned_touched t where t.tenant_id = batch.tenant_id
    order by 1);
  told record;
begin
  delete from entra_sync.assigned_touched t where t.tenant_id = batch.tenant_id;
  select c.cycle_id, c.actor into told from entra_sync.changes c where c.batch_id = batch.batch_id order by c.change_id desc limit 1;
  perform entra_sync.follow_assignments(
    batch.tenant_id, touched, false, batch.batch_id, told.cycle_id, coalesce(told.actor, 'entra-sync'));
end $$;
comment on function entra_sync.keep_assigned_of_batch is 'The accounts that the batch touched: its change rows name those that came, went, joined or left a group, or have other values; the nesting left the others in assigned_touched.';

create or replace function entra_sync.keep_effective_of_batch() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  accounts constant integer[] := array(
    select distinct a.account_no
      from entra_sync.changes c
     cross join lateral (select a.account_no from entra_sync.accounts a where a.account_id = c.account_id offset 0) a
     where c.batch_id = new.batch_id and c.kind in ('membership.added', 'membership.removed') and c.account_id is not null
     order by 1);
begin
  if accounts <> '{}' or exists (
      select from entra_sync.tenants t where t.tenant_id = new.tenant_id and t.nested_left_out is not null) then
    perform entra_sync.keep_effective(new.tenant_id, accounts);
  end if;
  -- The batch of a person's edits has its row before its changes (entra_sync.write_account_change), and its tenant is not always locked.
  if new.opened_by is null and exists (
      select from entra_sync.tenants t where t.tenant_id = new.tenant_id and t.assigned_at is not null) then
    perform entra_sync.keep_assigned_of_batch(new);
  end if;
  return null;
end $$;

create or replace function entra_sync.keep_nested_members() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  most constant bigint := entra_sync.most_nested_members();
  one record;
begin
  for one in
    select t.tenant_id, t.nested_members, t.assigned_at is not null as assigns, sum(d.members)::bigint as paths
      from (select p.descendant_no as no, count(*) as pairs from pairs p where p.ancestor_no <> p.descendant_no group by 1) p
     cross join lateral (select g.tenant_id from entra_sync.groups g where g.group_no = p.no offset 0) g
     cross join lateral (
       select count(*) * p.pairs as members from entra_sync.effective_members e where e.group_no = p.no and e.is_direct offset 0) d
      join entra_sync.tenants t on t.tenant_id = g.tenant_id and t.nested_left_out is null
     where d.members > 0
     group by t.tenant_id
  loop
    if tg_op = 'INSERT' and one.nested_members + one.paths > most then
      perform entra_sync.leave_nested_out(one.tenant_id, one.nested_members + one.paths);
    elsif tg_op = 'INSERT' then
      with come as (
        insert into entra_sync.effective_members as e (account_no, group_no, is_direct)
        select distinct d.account_no, p.ancestor_no::integer, false
          from pairs p
         cross join lateral (
           select from entra_sync.groups g where g.group_no = p.descendant_no and g.tenant_id = one.tenant_id offset 0) g
         cross join lateral (
           select e.account_no from entra_sync.effective_members e where e.group_no = p.descendant_no and e.is_direct offset 0) d
         where p.ancestor_no <> p.descendant_no
         order by 1, 2
        on conflict do nothing returning e.account_no
      ), touched as (
        insert into entra_sync.assigned_touched (tenant_id, account_no)
        select distinct one.tenant_id, c.account_no from come c where one.assigns
      )
      update entra_sync.tenants t set nested_members = t.nested_members + (select count(*) from come)
       where t.tenant_id = one.tenant_id;
    else
      with gone as (
        delete from entra_sync.effective_members where ctid = any(array(
          select e.place
            from (select distinct d.account_no, p.ancestor_no
                    from pairs p
                   cross join lateral (
                     select from entra_sync.groups g where g.group_no = p.descendant_no and g.tenant_id = one.tenant_id offset 0) g
                   cross join lateral (
                     select e.account_no from entra_sync.effective_members e
                      where e.group_no = p.descendant_no and e.is_direct offset 0) d
                   where p.ancestor_no <> p.descendant_no) x
           cross join lateral (
             select e.ctid as place from entra_sync.effective_members e
              where e.account_no = x.account_no and e.group_no = x.ancestor_no and not e.is_direct
                and not exists (
                  select from entra_sync.effective_members o
                    join entra_sync.group_closure c on c.descendant_no = o.group_no and c.ancestor_no = x.ancestor_no
                   where o.account_no = x.account_no and o.is_direct)
             offset 0) e))
        returning account_no
      ), touched as (
        insert into entra_sync.assigned_touched (tenant_id, account_no)
        select distinct one.tenant_id, g.account_no from gone g where one.assigns
      )
      update entra_sync.tenants t set nested_members = t.nested_members - (select count(*) from gone)
       where t.tenant_id = one.tenant_id;
    end if;
  end loop;
  return null;
end $$;

create or replace function entra_sync.drop_effective() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from entra_sync.effective_members where ctid = any(array(
    select e.place from gone g cross join lateral (
      select e.ctid as place from entra_sync.effective_members e where e.account_no = g.account_no offset 0) e));
  delete from entra_sync.assigned where ctid = any(array(
    select s.place from gone g cross join lateral (
      select s.ctid as place from entra_sync.assigned s where s.account_no = g.account_no offset 0) s));
  return null;
end $$;

create function entra_sync.rules_name(tenant uuid, fields text[]) returns boolean
language sql stable as $$
  select exists (
    select from entra_sync.assignments r
     where r.tenant_id = tenant and r.field is not null and (fields is null or r.field = any(fields)))
$$;
comment on function entra_sync.rules_name is 'Whether an assignment of the tenant goes by one of these fields; null: by any field.';

create or replace function entra_sync.writes_keys(account_id uuid, fields text[]) returns boolean
language sql stable as $$
  select exists (
    select from entra_sync.accounts a
     where a.account_id = writes_keys.account_id
       and (a.state = 'manual' and fields && array['mail', 'userPrincipalName']
            -- These two stand for a revert of all fields (directory.revert_account).
            or entra_sync.rules_name(a.tenant_id, nullif(fields, array['mail', 'userPrincipalName']))))
$$;
comment on function entra_sync.writes_keys(uuid, text[]) is 'Whether an edit of these fields moves the columns by which accounts are recognised, or a value by which items are assigned.';

create or replace function entra_sync.lock_to_edit(wanted uuid, fields text[]) returns entra_sync.accounts
language plpgsql as $$
declare
  exclusive constant boolean := entra_sync.writes_keys(wanted, fields);
  account entra_sync.accounts;
begin
  perform entra_sync.require_few_fields(cardinality(fields), 'fields');
  if exclusive then
    perform entra_sync.require_latest_snapshot();
  end if;
  account := entra_sync.lock_account(wanted, exclusive);
  if not exclusive and entra_sync.writes_keys(wanted, fields) then
    raise exception using errcode = '40001', message = 'the account became manual, or an assignment by this field was made, meanwhile',
      hint = 'Try again.';
  end if;
  -- An older snapshot may show rules that a settings change has replaced: locking them tells.
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    perform from entra_sync.field_rules r where r.tenant_id = account.tenant_id for share;
  end if;
  return account;
end $$;

create or replace function entra_sync.write_account_change(
  account entra_sync.accounts, actor text, kind text, before jsonb, after jsonb
) returns void
language plpgsql as $$
declare
  batch constant bigint := entra_sync.own_batch(account.tenant_id);
begin
  if kind = 'account.removed' then
    insert into entra_sync.changes (batch_id, tenant_id, actor, kind, group_id, account_id)
    select batch, account.tenant_id, actor, 'membership.removed', g.group_id, account.account_id
      from entra_sync.memberships m
      join entra_sync.groups g on g.group_no = m.group_no and g.removed_at is null
     where m.tenant_id = account.tenant_id and m.member_object_id = account.entra_object_id;
  end if;
  insert into entra_sync.changes (batch_id, tenant_id, at, actor, kind, account_id, before, after)
  values (batch, account.tenant_id, case kind when 'account.edited' then account.updated_at else now() end,
          actor, kind, account.account_id, before, after);
  if exists (select from entra_sync.tenants t where t.tenant_id = account.tenant_id and t.assigned_at is not null) then
    if kind = 'account.removed' then
      perform entra_sync.keep_assigned(account.tenant_id, array[account.account_no], true, batch, null, actor);
    -- An edit of other fields holds no lock of the tenant that would let it follow.
    elsif kind <> 'account.edited' or entra_sync.rules_name(account.tenant_id, array(select jsonb_object_keys(after -> 'profile')))
    then
      perform entra_sync.follow_assignments(account.tenant_id, array[account.account_no], false, batch, null, actor);
    end if;
  end if;
end $$;
revoke execute on all functions in schema entra_sync from public;
