-- A form sends "" for an input that was emptied. It clears the field like null: stored as "" it would be shown in place of
-- the directory's value, although a field without a value is left out of the profile. A "" that was stored before stays.
create function entra_sync.empty_as_null(patch jsonb) returns jsonb
language sql immutable as $$
  select coalesce(jsonb_object_agg(e.key, case when e.value = '""' then 'null' else e.value end), '{}')
    from jsonb_each(patch) e
$$;
comment on function entra_sync.empty_as_null is 'The fields of a patch, with null for an empty text.';
revoke execute on function entra_sync.empty_as_null from public;

-- The settings may bound what an edit has. What is stored stays, so nothing else asks for it.
alter table entra_sync.field_rules add column max_length integer, add column pattern text;
comment on column entra_sync.field_rules.pattern is
  'A regular expression that a text matches as a whole: one that needs no backtracking (src/rules/patterns.ts).';

create function entra_sync.require_within(tenant uuid, field text, value jsonb) returns void
language plpgsql stable as $$
declare
  rule entra_sync.field_rules;
  texts text[];
begin
  select r.* into rule from entra_sync.field_rules r where r.tenant_id = tenant and r.field = require_within.field;
  if coalesce(rule.max_length::text, rule.pattern) is null then
    return;
  end if;
  texts := case jsonb_typeof(value) when 'string' then array[value #>> '{}']
                when 'array' then array(select jsonb_array_elements_text(value)) else '{}' end;
  if exists (select from unnest(texts) as t where length(t) > rule.max_length) then
    raise exception using errcode = 'ES005',
      message = format('the value does not fit the field %s', entra_sync.quoted(field)),
      hint = format('null clears it; else it takes at most %s characters.', to_char(rule.max_length, 'FM999,999')),
      column = field,
      detail = entra_sync.error_detail('ES005', field,
        jsonb_build_object('type', rule.value_type, 'max_length', rule.max_length));
  end if;
  if exists (select from unnest(texts) as t where t !~ ('^(?:' || rule.pattern || ')$')) then
    raise exception using errcode = 'ES005',
      message = format('the value does not fit the field %s', entra_sync.quoted(field)),
      hint = format('null clears it; else it takes what matches %s as a whole.', rule.pattern),
      column = field,
      detail = entra_sync.error_detail('ES005', field,
        jsonb_build_object('type', rule.value_type, 'pattern', rule.pattern));
  end if;
end $$;
comment on function entra_sync.require_within is
  'Refuses an edit beyond the bounds that the settings give its field: ES005.';
revoke execute on function entra_sync.require_within from public;

create or replace function directory.create_account(tenant_id uuid, profile jsonb, actor text) returns uuid
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  tenant uuid;
  account entra_sync.accounts;
  given jsonb;
  key text;
  new_value jsonb;
  type text;
  callers text;
begin
  perform entra_sync.require_actor(actor);
  perform entra_sync.require_object(profile, 'profile');
  profile := entra_sync.empty_as_null(profile);
  perform entra_sync.require_latest_snapshot();
  callers := entra_sync.limit_wait();
  select t.tenant_id into tenant from entra_sync.tenants t
   where t.tenant_id = create_account.tenant_id and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id)
   for no key update;
  perform set_config('lock_timeout', callers, true);
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
    perform entra_sync.require_within(tenant, key, new_value);
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

create or replace function directory.edit_account(account_id uuid, patch jsonb, actor text, actor_role text) returns jsonb
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
  patch := entra_sync.empty_as_null(patch);
  fields := array(select jsonb_object_keys(patch));
  account := entra_sync.lock_to_edit(edit_account.account_id, fields);
  for key, new_value in select e.key, e.value from jsonb_each(patch) e loop
    perform entra_sync.require_fitting(key, new_value, entra_sync.require_editable(account, key, actor_role),
      account.state = 'manual' and key in ('mail', 'userPrincipalName'));
    perform entra_sync.require_within(account.tenant_id, key, new_value);
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
comment on function directory.edit_account is
  'A person''s edit: sets fields of one account, all or nothing, and returns the new profile. null or "" clears. ES001 to ES005, ES008.';
