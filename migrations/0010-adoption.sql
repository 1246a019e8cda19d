-- Accounts and groups that become managed, or stop being so; and why somebody is outside.
alter table entra_sync.stage_users add column outside text check (outside in ('out_of_scope', 'disabled'));
comment on column entra_sync.stage_users.outside is 'Where in_scope is false: the reason that the removal is given.';

-- Evaluated once an account, only where something moves between overrides and shelf.
create function entra_sync.user_owned(tenant uuid, given jsonb) returns jsonb
language sql stable as $$
  select coalesce(jsonb_object_agg(v.key, v.value), '{}')
    from jsonb_each(given) v
    join entra_sync.field_rules r on r.tenant_id = tenant and r.field = v.key and r.owner = 'user'
     and entra_sync.fits(v.value, r.value_type)
$$;
comment on function entra_sync.user_owned is 'Of the values that people gave, those of fields that the user owns and whose type they have: what may be in the overrides of a managed account.';
revoke execute on function entra_sync.user_owned from public;

create function entra_sync.without_keys(given jsonb, others jsonb) returns jsonb
language sql immutable as $$
  select given - coalesce((select array_agg(k) from jsonb_object_keys(others) k), '{}')
$$;
comment on function entra_sync.without_keys is 'An object without the keys of another one.';
revoke execute on function entra_sync.without_keys from public;

create function entra_sync.under_overrides(mine jsonb, other jsonb, overrides jsonb) returns jsonb
language sql immutable as $$
  select case when count(*) = 0 then '{}'::jsonb else jsonb_build_object('directory', jsonb_object_agg(o.key, mine -> o.key)) end
    from jsonb_object_keys(overrides) as o (key)
   where (mine -> o.key) is distinct from (other -> o.key)
$$;
comment on function entra_sync.under_overrides is 'What `mine` says of the fields whose values people gave, where the two differ: the directory''s change under a person''s value.';
revoke execute on function entra_sync.under_overrides from public;
