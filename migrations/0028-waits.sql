-- The functions that applications call wait for a lock ten seconds at most. A shorter lock_timeout of the caller's is obeyed, and
-- after the call the caller's own is in force again: an error takes the setting back with what it rolls back.
create function entra_sync.longest_wait() returns interval
language sql immutable as $$ select interval '10 s' $$;
revoke execute on function entra_sync.longest_wait from public;

create function entra_sync.limit_wait() returns text
language plpgsql as $$
declare
  callers constant text := current_setting('lock_timeout');
  longest constant interval := entra_sync.longest_wait();
begin
  if callers::interval not between interval '1 ms' and longest then
    perform set_config('lock_timeout', (extract(epoch from longest) * 1000)::int::text, true);
  end if;
  return callers;
end $$;
comment on function entra_sync.limit_wait is 'Limits waits for locks from here on, and returns the lock_timeout of before, to be set again after the lock.';
revoke execute on function entra_sync.limit_wait from public;

create or replace function entra_sync.lock_account(wanted uuid, exclusive boolean) returns entra_sync.accounts
language plpgsql as $$
declare
  tenant uuid;
  account entra_sync.accounts;
  callers text;
begin
  -- The tenant first, then the account: every writer's order, so that none waits for another in a circle.
  select a.tenant_id into tenant from entra_sync.accounts a
   where a.account_id = wanted and a.tenant_id = coalesce(entra_sync.narrowed_to(), a.tenant_id);
  callers := entra_sync.limit_wait();
  if exclusive then
    perform from entra_sync.tenants t where t.tenant_id = tenant for no key update;
  else
    perform from entra_sync.tenants t where t.tenant_id = tenant for key share;
  end if;
  select a.* into account from entra_sync.accounts a
   where a.account_id = wanted and a.tenant_id = tenant and a.removed_at is null for update;
  perform set_config('lock_timeout', callers, true);
  if account.account_id is null then
    perform entra_sync.refuse_unknown_account(wanted);
  end if;
  return account;
end $$;

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

create or replace function directory.request_cycle(tenant_id uuid, account_id uuid, actor text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  tenant uuid;
  tenant_status text;
  callers text;
begin
  perform entra_sync.require_actor(actor);
  select t.tenant_id, t.status into tenant, tenant_status from entra_sync.tenants t
   where t.tenant_id = request_cycle.tenant_id and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id);
  if tenant is null then
    raise exception using errcode = 'ES004', message = format('there is no tenant %s', coalesce(request_cycle.tenant_id::text, 'null')),
      hint = 'Take tenant_id from directory.tenants. Where directory.tenant is set, or required of the role, it must name this tenant.';
  end if;
  if tenant_status = 'disconnected' then
    raise exception using errcode = '55000', message = 'the tenant is disconnected: nothing is read from its directory',
      hint = 'Reconnect it (entra-sync tenant reconnect), then ask again.';
  end if;
  if account_id is not null and not exists (
    select from entra_sync.accounts a where a.tenant_id = tenant and a.account_id = request_cycle.account_id) then
    perform entra_sync.refuse_unknown_account(request_cycle.account_id);
  end if;
  callers := entra_sync.limit_wait();
  insert into entra_sync.cycle_requests (tenant_id, account_id, actor)
  values (tenant, request_cycle.account_id, request_cycle.actor)
  on conflict do nothing;
  perform set_config('lock_timeout', callers, true);
end $$;
