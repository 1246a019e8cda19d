-- A form places an error at its field: COLUMN names the field, and DETAIL holds the facts of the hint as JSON. Messages and
-- hints stay as they are. Neither holds a value of a profile. A name that no settings know is cut as in the message.
create function entra_sync.error_detail(code text, field text, facts jsonb default '{}') returns text
language sql immutable as $$
  select (jsonb_build_object('code', code) || facts
    || case when field is null then '{}' else jsonb_build_object('field', left(field, 80)) end)::text
$$;
comment on function entra_sync.error_detail is
  'The DETAIL of an error: a JSON object with the code, the field where one is meant, and facts that are no values.';
revoke execute on function entra_sync.error_detail from public;

create or replace function entra_sync.refuse_unknown_field(tenant uuid, field text, beside text[] default '{}'::text[]) returns void
language plpgsql as $$
declare
  known constant text[] := array(
    select k.field from (select r.field from entra_sync.field_rules r where r.tenant_id = tenant
                         union select unnest(beside)) as k order by k.field);
begin
  raise exception using errcode = 'ES002', message = format('there is no field %s', entra_sync.quoted(field)),
    hint = 'The fields are: ' || coalesce(nullif(array_to_string(known, ', '), ''), 'none') || '.',
    column = left(coalesce(field, ''), 80),
    detail = entra_sync.error_detail('ES002', field, jsonb_build_object('fields', known));
end $$;

create or replace function entra_sync.require_editable(account entra_sync.accounts, field text, actor_role text) returns text
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
      hint = entra_sync.cure_of_directory_field(rule.mapped_from),
      column = field,
      detail = entra_sync.error_detail('ES001', field, jsonb_build_object('owner', rule.owner));
  end if;
  roles := case account.state when 'managed' then rule.editable_by else rule.manual_editable_by end;
  if (actor_role = any(roles)) is not true then
    raise exception using errcode = 'ES003',
      message = format('the role %s may not edit the field %s', entra_sync.quoted(actor_role), entra_sync.quoted(field)),
      hint = case when roles = '{}' then 'No role may: name the field in manual.editable in the settings.'
                  else 'These may: ' || array_to_string(roles, ', ') || '. The settings say who.' end,
      column = field,
      detail = entra_sync.error_detail('ES003', field, jsonb_build_object('roles', roles));
  end if;
  return rule.value_type;
end $$;

create or replace function entra_sync.require_few_fields(number bigint, called text) returns void
language plpgsql as $$
begin
  if number > 500 then
    raise exception using errcode = 'ES005', message = format('%s names %s fields', called, number),
      hint = 'It takes at most 500 fields.',
      detail = entra_sync.error_detail('ES005', null, jsonb_build_object('max_fields', 500));
  end if;
end $$;

create or replace function entra_sync.require_fitting(field text, value jsonb, value_type text, is_key boolean) returns void
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
        else 'a string, number, boolean or a list of at most 100 of them.' end end,
    column = field,
    detail = entra_sync.error_detail('ES005', field, jsonb_build_object('type', case when is_key then 'text' else value_type end)
      || case when is_key then '{"max_length": 320}'
              when value_type = 'text' then '{"max_length": 32768}'
              when value_type in ('text[]', 'any') then '{"max_items": 100}'
              else '{}' end::jsonb);
end $$;

create or replace function entra_sync.require_free_keys(account entra_sync.accounts) returns void
language plpgsql as $$
declare
  taken text;
begin
  select case when entra_sync.folded(a.mail) = entra_sync.folded(account.mail) then 'mail' else 'userPrincipalName' end into taken
    from entra_sync.accounts a
   where a.tenant_id = account.tenant_id and a.removed_at is null and a.account_id <> account.account_id
     and (entra_sync.folded(a.mail) = entra_sync.folded(account.mail) or entra_sync.folded(a.user_principal_name) = entra_sync.folded(account.user_principal_name))
   limit 1;
  if taken is not null then
    raise exception using errcode = 'ES008',
      message = format('a live account of this tenant already has this %s', taken),
      hint = 'Find it in directory.accounts: edit that one, or choose another value.',
      column = taken,
      detail = entra_sync.error_detail('ES008', taken);
  end if;
end $$;

create or replace function entra_sync.require_object(value jsonb, called text) returns void
language plpgsql as $$
begin
  if jsonb_typeof(value) is distinct from 'object' then
    raise exception using errcode = 'ES005', message = format('%s must be an object', called),
      hint = 'Give the fields by name: {"jobTitle": "Clerk"}.',
      detail = entra_sync.error_detail('ES005', null, '{"type": "object"}');
  end if;
  perform entra_sync.require_few_fields((select count(*) from jsonb_object_keys(value)), called);
  -- pg_column_size would not do: a value that comes from a table may be compressed.
  if octet_length(value::text) > 1048576 then
    raise exception using errcode = 'ES005', message = format('%s is too large', called),
      hint = 'It takes at most 1,048,576 bytes of JSON. Give the fields one after another.',
      detail = entra_sync.error_detail('ES005', null, jsonb_build_object('max_bytes', 1048576));
  end if;
end $$;

create or replace function directory.remove_account(account_id uuid, actor text, actor_role text) returns void
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
        || case when roles = '{}' then ': no role.' else ': ' || array_to_string(roles, ', ') || '.' end,
      detail = entra_sync.error_detail('ES003', null, jsonb_build_object('roles', roles));
  end if;
  -- Before the account goes: its memberships are those that show now.
  perform entra_sync.write_account_change(account, actor, 'account.removed', null, jsonb_build_object('removed', 'by_hand'));
  update entra_sync.accounts a
     set removed_at = now(), removed_reason = 'by_hand', purge_at = now() + kept_for, updated_at = now()
   where a.account_id = account.account_id;
  -- The batch of a person's edits has its row before its changes.
  perform entra_sync.keep_effective(account.tenant_id, array[account.account_no]);
end $$;

create or replace function directory.revert_account(account_id uuid, fields text[], actor text, actor_role text) returns jsonb
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
      hint = 'The roles are user and manager.',
      detail = entra_sync.error_detail('ES003', null, '{"roles": ["user", "manager"]}');
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
