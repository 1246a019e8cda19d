-- People's edits: the functions that applications write through, who may see which tenant, and the roles that were granted.
create table entra_sync.grants (
  role_oid oid primary key,
  role_name text not null,
  tenant_bound boolean not null,
  granted_at timestamptz not null default now(),
  actor text not null
);
comment on table entra_sync.grants is 'Roles that entra-sync grant gave the contract to; migrate grants anew, because new views and functions belong to it. A tenant-bound role sees only the tenant that it names in directory.tenant.';
comment on column entra_sync.grants.role_oid is 'Stays when a role is renamed; a backup that is restored on another server has the name alone, so both bind.';

-- The nil uuid stands for "no tenant at all", so no tenant may have it.
alter table entra_sync.tenants add constraint tenants_not_nil check (tenant_id <> '00000000-0000-0000-0000-000000000000');

create function entra_sync.narrowed_to() returns uuid
language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
declare
  nobody constant uuid := '00000000-0000-0000-0000-000000000000';
  asked constant text := current_setting('directory.tenant', true);
  -- Not current_user: within a function of the contract that is the owner. Not session_user alone: SET ROLE counts.
  caller constant text := coalesce(nullif(current_setting('role'), 'none'), session_user);
begin
  -- Postgres 15 has no pg_input_is_valid, and a cast that fails would show an error instead of nothing.
  if asked ~* '^(([0-9a-f]{4}-?){7}[0-9a-f]{4}|\{([0-9a-f]{4}-?){7}[0-9a-f]{4}\})$' then
    return asked::uuid;
  elsif asked <> '' then
    return nobody;
  elsif exists (
    select from entra_sync.grants g
      join pg_roles bound on bound.oid = g.role_oid or bound.rolname = g.role_name
      left join pg_roles c on c.rolname = caller
      join pg_namespace n on n.nspname = 'directory'
     where g.tenant_bound
       and (c.oid is null
            -- Who has the owner's rights (superusers too) reads the tables anyway, and entra-sync itself must not be bound.
            or pg_has_role(c.oid, bound.oid, 'usage') and not pg_has_role(c.oid, n.nspowner, 'usage'))) then
    return nobody;
  end if;
  return null;
end $$;
comment on function entra_sync.narrowed_to is 'The tenant that the caller sees: null for all, the nil uuid for none. A pooled connection reads the unset setting as empty, not null.';
revoke execute on function entra_sync.narrowed_to from public;

create or replace view directory.tenants with (security_barrier) as
select t.tenant_id, t.name, t.external_ref, t.status, t.paused, t.provisional,
       coalesce(
         (select s.document ->> 'sourceOfTruth' from entra_sync.settings s
           where s.tenant_id = t.tenant_id order by s.version desc limit 1),
         (select s.document ->> 'sourceOfTruth' from entra_sync.settings s
           where s.tenant_id is null order by s.version desc limit 1),
         'directory') as source_of_truth,
       0 as held_removals,
       (select count(*)::integer from entra_sync.set_aside a where a.tenant_id = t.tenant_id) as set_aside,
       t.last_success_at, t.next_cycle_at, t.last_error_code, t.last_error_message
  from entra_sync.tenants t
 where t.tenant_id = coalesce((select entra_sync.narrowed_to()), t.tenant_id);

create or replace view directory.accounts with (security_barrier) as
select a.tenant_id, a.account_id, a.entra_object_id, a.state, a.enabled, a.user_principal_name, a.mail,
       coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name,
       a.profile, array(select jsonb_object_keys(a.overrides)) as edited_fields, a.created_at, a.updated_at
  from entra_sync.accounts a
 where a.removed_at is null
   and a.tenant_id = coalesce((select entra_sync.narrowed_to()), a.tenant_id);

create or replace view directory.removed_accounts with (security_barrier) as
select a.tenant_id, a.account_id, a.entra_object_id, a.removed_reason as reason, a.removed_at, a.purge_at,
       coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name
  from entra_sync.accounts a
 where a.removed_at is not null
   and a.tenant_id = coalesce((select entra_sync.narrowed_to()), a.tenant_id);

create or replace view directory.set_aside with (security_barrier) as
select s.tenant_id, s.stream, s.object_key as entra_object_id, s.reason, s.first_seen_at, s.last_seen_at
  from entra_sync.set_aside s
 where s.tenant_id = coalesce((select entra_sync.narrowed_to()), s.tenant_id);

create or replace view directory.cycles with (security_barrier) as
select c.cycle_id, c.tenant_id, c.kind, c.started_at, c.finished_at, c.outcome, c.streams, c.settings_version,
       c.error_code, c.error_message
  from entra_sync.cycles c
 where c.tenant_id = coalesce((select entra_sync.narrowed_to()), c.tenant_id);

create or replace view directory.changes with (security_barrier) as
select c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id, c.group_id, c.member_group_id,
       c.before, c.after
  from entra_sync.changes c
 where c.tenant_id = coalesce((select entra_sync.narrowed_to()), c.tenant_id);

create or replace view directory.groups with (security_barrier) as
select g.tenant_id, g.group_id, g.entra_object_id, g.state, g.display_name, g.description, g.mail, g.kind, g.is_dynamic,
       g.attributes, g.created_at, g.updated_at
  from entra_sync.groups g
 where g.removed_at is null
   and g.tenant_id = coalesce((select entra_sync.narrowed_to()), g.tenant_id);

create or replace view directory.removed_groups with (security_barrier) as
select g.tenant_id, g.group_id, g.entra_object_id, g.removed_reason as reason, g.removed_at, g.purge_at, g.display_name
  from entra_sync.groups g
 where g.removed_at is not null
   and g.tenant_id = coalesce((select entra_sync.narrowed_to()), g.tenant_id);

create or replace view directory.memberships with (security_barrier) as
select g.tenant_id, g.group_id, 'account' as member_kind, a.account_id, null::uuid as member_group_id
  from entra_sync.groups g
  join entra_sync.memberships m on m.group_no = g.group_no
  join entra_sync.accounts a on a.tenant_id = g.tenant_id and a.entra_object_id = m.member_object_id
 where g.removed_at is null and a.removed_at is null
   and g.tenant_id = coalesce((select entra_sync.narrowed_to()), g.tenant_id)
union all
select g.tenant_id, g.group_id, 'group', null, n.group_id
  from entra_sync.groups g
  join entra_sync.memberships m on m.group_no = g.group_no
  join entra_sync.groups n on n.tenant_id = g.tenant_id and n.entra_object_id = m.member_object_id
 where g.removed_at is null and n.removed_at is null
   and g.tenant_id = coalesce((select entra_sync.narrowed_to()), g.tenant_id);

create or replace view directory.effective_memberships with (security_barrier) as
select g.tenant_id, g.group_id, a.account_id, bool_or(c.descendant_no = c.ancestor_no) as is_direct
  from entra_sync.groups g
  join entra_sync.group_closure c on c.ancestor_no = g.group_no
  join entra_sync.memberships m on m.group_no = c.descendant_no
  join entra_sync.accounts a on a.tenant_id = g.tenant_id and a.entra_object_id = m.member_object_id
 where g.removed_at is null and a.removed_at is null
   and g.tenant_id = coalesce((select entra_sync.narrowed_to()), g.tenant_id)
 group by g.tenant_id, g.group_id, a.account_id;

create or replace view directory.fields with (security_barrier) as
select r.tenant_id, r.field, r.owner, r.editable_by, r.mapped_from
  from entra_sync.field_rules r
 where r.tenant_id = coalesce((select entra_sync.narrowed_to()), r.tenant_id);

create or replace function directory.feed_position() returns text
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select f.epoch || ':' || last.number || ':' || last.change
    from entra_sync.feed f
    cross join lateral (
      select f.pruned_number as number, f.pruned_change as change
      union all
      -- A batch whose change rows were erased still has its number.
      (select b.number, coalesce((select max(c.change_id) from entra_sync.changes c where c.batch_id = b.batch_id), 0)
         from entra_sync.batches b where b.number > f.pruned_number order by b.number desc limit 1)
      order by number desc limit 1
    ) last
$$;

create or replace function directory.read_changes(after text, max integer default 1000) returns setof directory.feed_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  parts text[] := string_to_array(after, ':');
  feed entra_sync.feed;
  from_number bigint;
  from_change bigint;
  only_tenant constant uuid := entra_sync.narrowed_to();
begin
  select * into strict feed from entra_sync.feed;
  -- From null too, nothing before what was pruned: its positions would be refused at the next call.
  from_number := feed.pruned_number;
  from_change := feed.pruned_change;
  if after is not null then
    if after !~ '^[0-9a-f]{8}:[0-9]{1,18}:[0-9]{1,18}$' or parts[1] <> feed.epoch
       or (parts[2]::bigint, parts[3]::bigint) < (feed.pruned_number, feed.pruned_change)
       or parts[2]::bigint > greatest(feed.pruned_number,
            coalesce((select b.number from entra_sync.batches b where b.number is not null order by b.number desc limit 1), 0)) then
      raise exception using errcode = 'ES006',
        message = format('the feed position %s is too old or not of this database', left(quote_literal(after), 60)),
        hint = 'Read the views again, take directory.feed_position() and follow from there.';
    end if;
    from_number := parts[2];
    from_change := parts[3];
  end if;
  if coalesce(max, 1000) < 1 then
    raise exception using errcode = '22023', message = 'max must be at least 1';
  end if;
  return query
    select feed.epoch || ':' || b.number || ':' || c.change_id, c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor,
           c.kind, c.account_id, c.group_id, c.member_group_id, c.before, c.after
      from entra_sync.batches b
      join entra_sync.changes c on c.batch_id = b.batch_id
     where b.number >= from_number
       and (b.number > from_number or c.change_id > from_change)
       and c.tenant_id = coalesce(only_tenant, c.tenant_id)
     order by b.number, c.change_id
     limit coalesce(max, 1000);
end $$;

-- What the functions below share. None is security definer: they run within one that is, with its rights and search_path.
create function entra_sync.quoted(word text) returns text
language sql immutable as $$ select coalesce(to_json(left(word, 80))::text, 'null') $$;
comment on function entra_sync.quoted is 'A word of the caller as an error message may show it: one line, cut. Values are never shown.';
revoke execute on function entra_sync.quoted from public;

create function entra_sync.trimmed(word text) returns text
language sql immutable as $$ select nullif(btrim(word, E' \t\n\r'), '') $$;
comment on function entra_sync.trimmed is 'A mail address or user principal name as accounts are recognised by it: blank is none.';
revoke execute on function entra_sync.trimmed from public;

create function entra_sync.refuse_unknown_account(wanted uuid) returns void
language plpgsql as $$
begin
  raise exception using errcode = 'ES004', message = format('there is no account %s', coalesce(wanted::text, 'null')),
    hint = 'Take account_id from directory.accounts. Where directory.tenant is set, or required of the role, it must name the account''s tenant.';
end $$;
revoke execute on function entra_sync.refuse_unknown_account from public;

create function entra_sync.require_actor(actor text) returns void
language plpgsql as $$
begin
  if coalesce(actor, '') !~ '\S' or length(actor) > 1000 then
    raise exception using errcode = '22023', message = 'actor must name who does this, in at most 1,000 characters';
  end if;
end $$;
revoke execute on function entra_sync.require_actor from public;

create function entra_sync.require_latest_snapshot() returns void
language plpgsql as $$
begin
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    raise exception using errcode = '25001',
      message = 'manual accounts are created, removed and given another mail or userPrincipalName in read committed transactions only',
      hint = 'An older snapshot does not show what was committed meanwhile: begin isolation level read committed.';
  end if;
end $$;
revoke execute on function entra_sync.require_latest_snapshot from public;

create function entra_sync.lock_account(wanted uuid, exclusive boolean) returns entra_sync.accounts
language plpgsql as $$
declare
  tenant uuid;
  account entra_sync.accounts;
begin
  -- The tenant first, then the account: every writer's order, so that none waits for another in a circle.
  select a.tenant_id into tenant from entra_sync.accounts a
   where a.account_id = wanted and a.tenant_id = coalesce(entra_sync.narrowed_to(), a.tenant_id);
  if exclusive then
    perform from entra_sync.tenants t where t.tenant_id = tenant for no key update;
  else
    perform from entra_sync.tenants t where t.tenant_id = tenant for key share;
  end if;
  select a.* into account from entra_sync.accounts a
   where a.account_id = wanted and a.tenant_id = tenant and a.removed_at is null for update;
  if account.account_id is null then
    perform entra_sync.refuse_unknown_account(wanted);
  end if;
  return account;
end $$;
comment on function entra_sync.lock_account is 'The live account, locked after its tenant. Exclusive: in line with commits; else beside them.';
revoke execute on function entra_sync.lock_account from public;

create function entra_sync.writes_keys(account_id uuid, fields text[]) returns boolean
language sql stable as $$
  select fields && array['mail', 'userPrincipalName']
     and exists (select from entra_sync.accounts a where a.account_id = writes_keys.account_id and a.state = 'manual')
$$;
comment on function entra_sync.writes_keys is 'Whether an edit of these fields moves the columns by which accounts are recognised.';
revoke execute on function entra_sync.writes_keys from public;

create function entra_sync.lock_to_edit(wanted uuid, fields text[]) returns entra_sync.accounts
language plpgsql as $$
declare
  exclusive constant boolean := entra_sync.writes_keys(wanted, fields);
  account entra_sync.accounts;
begin
  if exclusive then
    perform entra_sync.require_latest_snapshot();
  end if;
  account := entra_sync.lock_account(wanted, exclusive);
  if not exclusive and entra_sync.writes_keys(wanted, fields) then
    raise exception using errcode = '40001', message = 'the account became manual meanwhile', hint = 'Try again.';
  end if;
  -- An older snapshot may show rules that a settings change has replaced: locking them tells.
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    perform from entra_sync.field_rules r where r.tenant_id = account.tenant_id for share;
  end if;
  return account;
end $$;
revoke execute on function entra_sync.lock_to_edit from public;

create function entra_sync.refuse_unknown_field(tenant uuid, field text, beside text[] default '{}') returns void
language plpgsql as $$
begin
  raise exception using errcode = 'ES002', message = format('there is no field %s', entra_sync.quoted(field)),
    hint = 'The fields are: ' || coalesce(
      (select string_agg(known.field, ', ' order by known.field)
         from (select r.field from entra_sync.field_rules r where r.tenant_id = tenant
               union select unnest(beside)) as known), 'none') || '.';
end $$;
revoke execute on function entra_sync.refuse_unknown_field from public;

create function entra_sync.require_editable(account entra_sync.accounts, field text, actor_role text) returns text
language plpgsql as $$
declare
  rule entra_sync.field_rules;
  roles text[];
begin
  select r.* into rule from entra_sync.field_rules r
   where r.tenant_id = account.tenant_id and r.field = require_editable.field;
  if rule.field is null then
    perform entra_sync.refuse_unknown_field(account.tenant_id, field);
  end if;
  if account.state = 'managed' and rule.owner = 'directory' then
    raise exception using errcode = 'ES001',
      message = format('the field %s is read-only: its owner is the directory', entra_sync.quoted(field)),
      hint = 'Change it in Entra ID, or give the field to the user in the settings.';
  end if;
  roles := case account.state when 'managed' then rule.editable_by else rule.manual_editable_by end;
  if (actor_role = any(roles)) is not true then
    raise exception using errcode = 'ES003',
      message = format('the role %s may not edit the field %s', entra_sync.quoted(actor_role), entra_sync.quoted(field)),
      hint = case when roles = '{}' then 'Nobody may: name the field in manual.editable in the settings.'
                  else 'These may: ' || array_to_string(roles, ', ') || '. The settings say who.' end;
  end if;
  return rule.value_type;
end $$;
comment on function entra_sync.require_editable is 'The type of the field''s values, once it is there and the role may edit it.';
revoke execute on function entra_sync.require_editable from public;

create function entra_sync.fits(value jsonb, value_type text) returns boolean
language sql immutable as $$
  select case jsonb_typeof(value)
    when 'null' then true
    when 'string' then value_type in ('text', 'any') and length(value #>> '{}') <= 32768
    -- What a program that reads the profile can hold in a double.
    when 'number' then value_type in ('number', 'any') and abs(value::numeric) <= 1e308 and length(value::text) <= 400
    when 'boolean' then value_type in ('boolean', 'any')
    when 'array' then value_type in ('text[]', 'any') and jsonb_array_length(value) <= 100
      and not exists (
        select from jsonb_array_elements(value) as e(entry)
         where not case jsonb_typeof(e.entry)
           when 'string' then length(e.entry #>> '{}') <= 32768
           when 'number' then value_type = 'any' and abs(e.entry::numeric) <= 1e308 and length(e.entry::text) <= 400
           when 'boolean' then value_type = 'any'
           else false end)
    else false end
$$;
revoke execute on function entra_sync.fits from public;

create function entra_sync.require_fitting(field text, value jsonb, value_type text, is_key boolean) returns void
language plpgsql as $$
begin
  -- A key goes into a column with an index, and an index entry has at most about 2,700 bytes.
  if entra_sync.fits(value, value_type)
     and (not is_key or jsonb_typeof(value) = 'null' or jsonb_typeof(value) = 'string' and length(value #>> '{}') <= 320) then
    return;
  end if;
  raise exception using errcode = 'ES005', message = format('the value does not fit the field %s', entra_sync.quoted(field)),
    hint = 'null clears it; else it takes ' || case
      when is_key then 'a string of at most 320 characters.'
      else case value_type
        when 'text' then 'a string of at most 32,768 characters.'
        when 'text[]' then 'a list of at most 100 strings.'
        when 'number' then 'a number.'
        when 'boolean' then 'true or false.'
        else 'a string, number, boolean or a list of at most 100 of them.' end end;
end $$;
revoke execute on function entra_sync.require_fitting from public;

create function entra_sync.require_object(value jsonb, called text) returns void
language plpgsql as $$
begin
  if jsonb_typeof(value) is distinct from 'object' then
    raise exception using errcode = 'ES005', message = format('%s must be an object', called),
      hint = 'Give the fields by name: {"jobTitle": "Clerk"}.';
  end if;
end $$;
revoke execute on function entra_sync.require_object from public;

create function entra_sync.require_free_keys(account entra_sync.accounts) returns void
language plpgsql as $$
declare
  taken text;
begin
  select case when lower(a.mail) = lower(account.mail) then 'mail' else 'userPrincipalName' end into taken
    from entra_sync.accounts a
   where a.tenant_id = account.tenant_id and a.removed_at is null and a.account_id <> account.account_id
     and (lower(a.mail) = lower(account.mail) or lower(a.user_principal_name) = lower(account.user_principal_name))
   limit 1;
  if taken is not null then
    raise exception using errcode = 'ES008',
      message = format('a live account of this tenant already has this %s', taken),
      hint = 'Find it in directory.accounts: edit that one, or choose another value.';
  end if;
end $$;
comment on function entra_sync.require_free_keys is 'No other live account of the tenant has mail or user_principal_name of this one; null is nobody''s.';
revoke execute on function entra_sync.require_free_keys from public;

create function entra_sync.write_account_change(
  account entra_sync.accounts, actor text, kind text, before jsonb, after jsonb
) returns void
language plpgsql as $$
declare
  batch constant bigint := nextval(pg_get_serial_sequence('entra_sync.batches', 'batch_id'));
begin
  if kind = 'account.removed' then
    insert into entra_sync.changes (batch_id, tenant_id, actor, kind, group_id, account_id)
    select batch, account.tenant_id, actor, 'membership.removed', g.group_id, account.account_id
      from entra_sync.memberships m
      join entra_sync.groups g on g.group_no = m.group_no and g.tenant_id = account.tenant_id and g.removed_at is null
     where m.member_object_id = account.entra_object_id;
  end if;
  insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, before, after)
  values (batch, account.tenant_id, actor, kind, account.account_id, before, after);
  insert into entra_sync.batches (batch_id, tenant_id) values (batch, account.tenant_id);
end $$;
comment on function entra_sync.write_account_change is 'One batch of the feed: the change, and before a removal the visible memberships that vanish with the account.';
revoke execute on function entra_sync.write_account_change from public;

create function entra_sync.store_edit(
  old entra_sync.accounts, overrides jsonb, edits jsonb, shelf jsonb, fields text[], actor text
) returns jsonb
language plpgsql as $$
declare
  changed entra_sync.accounts := old;
  touched text[] := array(
    select f from unnest(fields) as f
     where (old.overrides -> f) is distinct from (store_edit.overrides -> f) order by f);
  before jsonb;
  after jsonb;
begin
  if touched = '{}' then
    return old.profile;
  end if;
  if old.state = 'manual' then
    -- Without an edit in force the columns say what the directory said last.
    if 'mail' = any(touched) then
      changed.mail := entra_sync.trimmed(case when jsonb_exists(overrides, 'mail') then overrides ->> 'mail' else old.source ->> 'mail' end);
    end if;
    if 'userPrincipalName' = any(touched) then
      changed.user_principal_name := entra_sync.trimmed(case when jsonb_exists(overrides, 'userPrincipalName')
        then overrides ->> 'userPrincipalName' else old.source ->> 'userPrincipalName' end);
    end if;
    if lower(changed.mail) is distinct from lower(old.mail)
       or lower(changed.user_principal_name) is distinct from lower(old.user_principal_name) then
      perform entra_sync.require_free_keys(changed);
    end if;
  end if;
  update entra_sync.accounts a
     set overrides = store_edit.overrides, edits = store_edit.edits, shelf = store_edit.shelf,
         mail = changed.mail, user_principal_name = changed.user_principal_name, updated_at = now()
   where a.account_id = old.account_id
  returning a.* into changed;
  -- A field that is edited to what it shows already is named too: from now on the value is the person's.
  before := entra_sync.differing_facts(entra_sync.account_facts(old), entra_sync.account_facts(changed))
    || jsonb_build_object('profile', (select jsonb_object_agg(f, old.profile -> f) from unnest(touched) as f));
  after := entra_sync.differing_facts(entra_sync.account_facts(changed), entra_sync.account_facts(old))
    || jsonb_build_object('profile', (select jsonb_object_agg(f, changed.profile -> f) from unnest(touched) as f));
  perform entra_sync.write_account_change(changed, actor, 'account.edited', before, after);
  return changed.profile;
end $$;
comment on function entra_sync.store_edit is 'Puts new overrides into force, with one change row; nothing is written where none of the fields changes. Returns the profile.';
revoke execute on function entra_sync.store_edit from public;

create function directory.edit_account(account_id uuid, patch jsonb, actor text, actor_role text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  account entra_sync.accounts;
  fields text[];
  new_values jsonb;
  key text;
  new_value jsonb;
begin
  perform entra_sync.require_actor(actor);
  perform entra_sync.require_object(patch, 'patch');
  fields := array(select jsonb_object_keys(patch));
  account := entra_sync.lock_to_edit(edit_account.account_id, fields);
  for key, new_value in select e.key, e.value from jsonb_each(patch) e loop
    perform entra_sync.require_fitting(key, new_value, entra_sync.require_editable(account, key, actor_role),
      account.state = 'manual' and key in ('mail', 'userPrincipalName'));
  end loop;
  new_values := coalesce((
    select jsonb_object_agg(e.key, e.value) from jsonb_each(patch) e
     where account.overrides -> e.key is distinct from e.value), '{}');
  return entra_sync.store_edit(account,
    account.overrides || new_values,
    account.edits || coalesce((
      select jsonb_object_agg(f, jsonb_build_object('by', actor, 'at', now())) from jsonb_object_keys(new_values) as f), '{}'),
    -- One value of a person a field: the new one takes the place of one that was kept.
    account.shelf - array(select jsonb_object_keys(new_values)),
    fields, actor);
end $$;
comment on function directory.edit_account is 'A person''s edit: sets fields of one account, all or nothing, and returns the new profile. null clears. ES001 to ES005, ES008.';
revoke execute on function directory.edit_account from public;

create function directory.revert_account(account_id uuid, fields text[], actor text, actor_role text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  account entra_sync.accounts;
  reverted text[];
  leftovers text[] := '{}';
  key text;
begin
  perform entra_sync.require_actor(actor);
  if fields is null and (actor_role in ('user', 'manager')) is not true then
    raise exception using errcode = 'ES003', message = format('the role %s may edit no field', entra_sync.quoted(actor_role)),
      hint = 'The roles are user and manager.';
  end if;
  account := entra_sync.lock_to_edit(revert_account.account_id, coalesce(fields, array['mail', 'userPrincipalName']));
  -- A field that was taken out of the settings has no rule any more; on a manual account its value can be let go of.
  if account.state = 'manual' then
    leftovers := array(
      select f from jsonb_object_keys(account.overrides) as f
       where not exists (select from entra_sync.field_rules r where r.tenant_id = account.tenant_id and r.field = f)
         and exists (select from entra_sync.tenants t where t.tenant_id = account.tenant_id and actor_role = any(t.manual_roles)));
  end if;
  if fields is null then
    reverted := array(
      select r.field from entra_sync.field_rules r
       where r.tenant_id = account.tenant_id
         and actor_role = any(case account.state when 'managed' then r.editable_by else r.manual_editable_by end)) || leftovers;
  else
    reverted := fields;
    foreach key in array reverted loop
      if (key = any(leftovers)) is not true then
        perform entra_sync.require_editable(account, key, actor_role);
      end if;
    end loop;
  end if;
  -- Only of what is in force: of a value on the shelf the edit is kept with it.
  reverted := array(select f from unnest(reverted) as f where jsonb_exists(account.overrides, f));
  return entra_sync.store_edit(account, account.overrides - reverted, account.edits - reverted, account.shelf, reverted, actor);
end $$;
comment on function directory.revert_account is 'Gives fields back to the directory''s value, null for all that the role may edit, and returns the new profile. ES001 to ES004, ES008.';
revoke execute on function directory.revert_account from public;

create function directory.create_account(tenant_id uuid, profile jsonb, actor text) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  tenant uuid;
  account entra_sync.accounts;
  given jsonb;
  key text;
  new_value jsonb;
  type text;
begin
  perform entra_sync.require_actor(actor);
  perform entra_sync.require_object(profile, 'profile');
  perform entra_sync.require_latest_snapshot();
  select t.tenant_id into tenant from entra_sync.tenants t
   where t.tenant_id = create_account.tenant_id and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id)
   for no key update;
  if tenant is null then
    raise exception using errcode = 'ES004', message = format('there is no tenant %s', coalesce(create_account.tenant_id::text, 'null')),
      hint = 'Take tenant_id from directory.tenants. Where directory.tenant is set, or required of the role, it must name this tenant.';
  end if;
  for key, new_value in select e.key, e.value from jsonb_each(profile) e loop
    select r.value_type into type from entra_sync.field_rules r where r.tenant_id = tenant and r.field = key;
    if type is null and key <> 'userPrincipalName' then
      perform entra_sync.refuse_unknown_field(tenant, key, array['userPrincipalName']);
    end if;
    perform entra_sync.require_fitting(key, new_value, coalesce(type, 'text'), key in ('mail', 'userPrincipalName'));
  end loop;
  given := coalesce((
    select jsonb_object_agg(e.key, e.value) from jsonb_each(profile) e
      join entra_sync.field_rules r on r.tenant_id = tenant and r.field = e.key
     where e.value <> 'null'), '{}');
  insert into entra_sync.accounts (tenant_id, state, user_principal_name, mail, overrides, edits)
  values (tenant, 'manual', entra_sync.trimmed(profile ->> 'userPrincipalName'), entra_sync.trimmed(profile ->> 'mail'), given,
          coalesce((select jsonb_object_agg(f, jsonb_build_object('by', actor, 'at', now())) from jsonb_object_keys(given) as f), '{}'))
  returning * into account;
  perform entra_sync.require_free_keys(account);
  perform entra_sync.write_account_change(account, actor, 'account.created', null, entra_sync.account_facts(account));
  return account.account_id;
end $$;
comment on function directory.create_account is 'A new manual account; its fields, and userPrincipalName. ES002, ES004 (no such tenant), ES005, ES008.';
revoke execute on function directory.create_account from public;

create function directory.remove_account(account_id uuid, actor text, actor_role text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  account entra_sync.accounts;
  roles text[];
  kept_for interval;
begin
  perform entra_sync.require_actor(actor);
  perform entra_sync.require_latest_snapshot();
  account := entra_sync.lock_account(remove_account.account_id, true);
  select t.manual_roles, t.retention into roles, kept_for from entra_sync.tenants t where t.tenant_id = account.tenant_id;
  if account.state = 'managed' then
    raise exception using errcode = 'ES007', message = format('account %s is managed by the directory: it is not removed by hand', account.account_id),
      hint = 'Delete the user in Entra ID, or take it out of the scope of the settings.';
  end if;
  if (actor_role = any(roles)) is not true then
    raise exception using errcode = 'ES003', message = format('the role %s may not remove accounts', entra_sync.quoted(actor_role)),
      hint = 'manual.editableBy in the settings says who may'
        || case when roles = '{}' then ': nobody.' else ': ' || array_to_string(roles, ', ') || '.' end;
  end if;
  -- Before the account goes: its memberships are those that show now.
  perform entra_sync.write_account_change(account, actor, 'account.removed', null, jsonb_build_object('removed', 'by_hand'));
  update entra_sync.accounts a
     set removed_at = now(), removed_reason = 'by_hand', purge_at = now() + kept_for, updated_at = now()
   where a.account_id = account.account_id;
end $$;
comment on function directory.remove_account is 'Removes a manual account; it can be restored until the retention has passed. ES003, ES004, ES007.';
revoke execute on function directory.remove_account from public;

create function directory.explain_account(account_id uuid) returns table (
  field text, value jsonb, origin text, owner text, editable_by text[], mapped_from text,
  directory_value jsonb, user_value jsonb, since timestamptz, changed_by text
)
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
declare
  account entra_sync.accounts;
begin
  select a.* into account from entra_sync.accounts a
   where a.account_id = explain_account.account_id and a.tenant_id = coalesce(entra_sync.narrowed_to(), a.tenant_id);
  if account.account_id is null then
    perform entra_sync.refuse_unknown_account(explain_account.account_id);
  end if;
  return query
    with touched as (
      select distinct on (k.name, e.edited) k.name, e.edited, c.change_id, c.at, c.actor
        from entra_sync.changes c
        cross join lateral (select c.kind = 'account.edited' as edited) e
        cross join lateral (
          select jsonb_object_keys(coalesce(c.before -> 'profile', '{}') || coalesce(c.after -> 'profile', '{}')
            || coalesce(c.before -> 'directory', '{}') || coalesce(c.after -> 'directory', '{}')) as name) k
       where c.account_id = account.account_id
       order by k.name, e.edited, c.change_id desc
    ), known as (
      select r.field as name from entra_sync.field_rules r where r.tenant_id = account.tenant_id
      union
      select jsonb_object_keys(account.profile || account.shelf)
    )
    select n.name, nullif(account.profile -> n.name, 'null'),
           e.origin,
           r.owner,
           coalesce(case account.state when 'managed' then r.editable_by else r.manual_editable_by end, '{}'),
           r.mapped_from, nullif(account.mapped -> n.name, 'null'),
           coalesce(account.overrides -> n.name, account.shelf -> n.name),
           coalesce(case e.origin when 'user' then (account.edits -> n.name ->> 'at')::timestamptz end, t.at, account.created_at),
           coalesce(case e.origin when 'user' then account.edits -> n.name ->> 'by' end, t.actor)
      from known n
      cross join lateral (
        select case when jsonb_exists(account.overrides, n.name) then 'user'
                    when nullif(account.mapped -> n.name, 'null') is not null then 'directory' else 'none' end as origin) e
      left join entra_sync.field_rules r on r.tenant_id = account.tenant_id and r.field = n.name
      -- What a person wrote once does not tell since when the directory says the same.
      left join lateral (
        select o.at, o.actor from touched o
         where o.name = n.name and not (o.edited and e.origin = 'directory')
         order by o.change_id desc limit 1) t on true
     order by n.name;
end $$;
comment on function directory.explain_account is 'Why each field of an account, live or removed, shows what it shows. A value of a person that is kept and not in force is in user_value, too. ES004.';
revoke execute on function directory.explain_account from public;

-- A view's functions are called with the rights of who reads it. Whoever was given the views by hand keeps them.
do $$
declare
  reader oid;
begin
  for reader in
    select distinct acl.grantee from pg_class c cross join lateral aclexplode(c.relacl) acl
     where c.relnamespace = 'directory'::regnamespace and acl.privilege_type = 'SELECT'
       and acl.grantee <> 0 and acl.grantee <> c.relowner
  loop
    execute format('grant execute on function entra_sync.narrowed_to() to %s', reader::regrole);
  end loop;
end $$;
