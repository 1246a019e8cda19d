-- Limits of what an application may hand over at once: the fields and the size of a patch or profile, the fields of a revert.
create function entra_sync.require_few_fields(number bigint, called text) returns void
language plpgsql as $$
begin
  if number > 500 then
    raise exception using errcode = 'ES005', message = format('%s names %s fields', called, number),
      hint = 'It takes at most 500 fields.';
  end if;
end $$;
comment on function entra_sync.require_few_fields is 'At most as many fields as the settings may have.';
revoke execute on function entra_sync.require_few_fields from public;

create or replace function entra_sync.require_object(value jsonb, called text) returns void
language plpgsql as $$
begin
  if jsonb_typeof(value) is distinct from 'object' then
    raise exception using errcode = 'ES005', message = format('%s must be an object', called),
      hint = 'Give the fields by name: {"jobTitle": "Clerk"}.';
  end if;
  perform entra_sync.require_few_fields((select count(*) from jsonb_object_keys(value)), called);
  -- pg_column_size would not do: a value that comes from a table may be compressed.
  if octet_length(value::text) > 1048576 then
    raise exception using errcode = 'ES005', message = format('%s is too large', called),
      hint = 'It takes at most 1,048,576 bytes of JSON. Give the fields one after another.';
  end if;
end $$;
comment on function entra_sync.require_object is 'A patch or profile of a caller: an object of a bounded size.';

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
    raise exception using errcode = '40001', message = 'the account became manual meanwhile', hint = 'Try again.';
  end if;
  -- An older snapshot may show rules that a settings change has replaced: locking them tells.
  if current_setting('transaction_isolation') in ('repeatable read', 'serializable') then
    perform from entra_sync.field_rules r where r.tenant_id = account.tenant_id for share;
  end if;
  return account;
end $$;
