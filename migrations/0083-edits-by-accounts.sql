-- An account edits itself as user, and the accounts that it manages as manager. The functions decide the role, so
-- an application hands over the signed-in account and nothing else. An edit says which state it was made from, and is refused where another edit of its fields came between.
create function entra_sync.changed_since(account entra_sync.accounts, fields text[], expected_updated_at timestamptz) returns text
language plpgsql stable as $$
declare
  expected constant timestamptz := date_trunc('milliseconds', expected_updated_at);
  known bigint;
  field text;
begin
  -- Drivers cut the rest off.
  if expected is null or expected = date_trunc('milliseconds', account.updated_at) then
    return null;
  end if;
  -- The ids of an account's changes are in the order of their commits; times of cycles are those of their begin.
  select max(c.change_id) into known from entra_sync.changes c
   where c.account_id = account.account_id and c.kind like 'account.%' and date_trunc('milliseconds', c.at) = expected;
  select f into field from entra_sync.changes c cross join lateral jsonb_object_keys(c.before -> 'profile') as f
   where c.account_id = account.account_id and c.kind like 'account.%' and f = any(fields)
     and case when known is null then date_trunc('milliseconds', c.at) > expected else c.change_id > known end
   order by f limit 1;
  return field;
end $$;
comment on function entra_sync.changed_since is
  'The first of the fields that has changed since the account was read at this updated_at, compared to the millisecond; null: none, or no check.';

create or replace function entra_sync.require_unchanged(account entra_sync.accounts, fields text[], expected_updated_at timestamptz) returns void
language plpgsql as $$
declare
  field constant text := entra_sync.changed_since(account, fields, expected_updated_at);
begin
  if field is not null then
    perform entra_sync.refuse_changed_field(field, format('the field %s was changed since', entra_sync.quoted(field)));
  end if;
end $$;

create function entra_sync.refuse_conflict(account entra_sync.accounts, field text, yours jsonb) returns void
language plpgsql as $$
begin
  raise exception using errcode = 'ES009', message = format('the field %s was changed since', entra_sync.quoted(field)),
    hint = 'Nothing was written. DETAIL holds both values: show them, and send the edit again with the updated_at of now.',
    column = field,
    detail = entra_sync.error_detail('ES009', field, jsonb_build_object('yours', yours,
      'theirs', case when field = any(account.cleared) then null else account.profile -> field end));
end $$;
comment on function entra_sync.refuse_conflict is 'ES009 with the value of the edit and the one that came between. The caller may see both: it edits this field.';

create function entra_sync.role_over(actor uuid, account entra_sync.accounts) returns text
language plpgsql stable as $$
declare
  acting entra_sync.accounts;
  via text;
begin
  if actor = account.account_id then
    return 'user';
  end if;
  select a.* into acting from entra_sync.accounts a
   where a.account_id = actor and a.tenant_id = account.tenant_id and a.removed_at is null;
  if acting.account_id is null then
    perform entra_sync.refuse_unknown_account(actor);
  end if;
  via := entra_sync.manages(acting, account);
  if via is null then
    raise exception using errcode = 'ES003', message = format('account %s does not manage account %s', actor, account.account_id),
      hint = 'An account edits itself and the accounts that it manages: directory.managers shows these.',
      detail = entra_sync.error_detail('ES003', null, '{"roles": ["user", "manager"]}');
  end if;
  return 'manager';
end $$;
comment on function entra_sync.role_over is 'The role by which one account edits another: user for itself, manager for an account that it manages. ES004, ES003.';

create function entra_sync.edit_locked(account entra_sync.accounts, patch jsonb, actor text, actor_role text, expected_updated_at timestamptz) returns jsonb
language plpgsql as $$
declare
  fields constant text[] := array(select jsonb_object_keys(patch));
  new_values jsonb;
  key text;
  new_value jsonb;
begin
  for key, new_value in select e.key, e.value from jsonb_each(patch) e loop
    perform entra_sync.require_fitting(key, new_value, entra_sync.require_editable(account, key, actor_role),
      account.state = 'manual' and key in ('mail', 'userPrincipalName'));
    perform entra_sync.require_within(account.tenant_id, key, new_value);
  end loop;
  key := entra_sync.changed_since(account, fields, expected_updated_at);
  if key is not null then
    perform entra_sync.refuse_conflict(account, key, patch -> key);
  end if;
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
comment on function entra_sync.edit_locked is 'The edit of a locked account, of checked patch and role: ES001 to ES003, ES005, ES008, then ES009.';

create or replace function directory.edit_account(account_id uuid, patch jsonb, actor text, actor_role text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform entra_sync.require_actor(actor);
  perform entra_sync.require_object(patch, 'patch');
  patch := entra_sync.empty_as_null(patch);
  return entra_sync.edit_locked(
    entra_sync.lock_to_edit(edit_account.account_id, array(select jsonb_object_keys(patch))), patch, actor, actor_role, null);
end $$;

create function directory.edit_as(actor_account_id uuid, account_id uuid, patch jsonb, expected_updated_at timestamptz default null) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  account entra_sync.accounts;
  role text;
begin
  -- An unknown account is told before anything of the patch, which is cut here and refused below.
  account := entra_sync.lock_to_edit(edit_as.account_id, case jsonb_typeof(patch) when 'object' then
    array(select k from jsonb_object_keys(patch) as k limit 500) else '{}' end);
  role := entra_sync.role_over(actor_account_id, account);
  perform entra_sync.require_object(patch, 'patch');
  return entra_sync.edit_locked(account, entra_sync.empty_as_null(patch), 'account:' || actor_account_id, role, expected_updated_at);
end $$;
comment on function directory.edit_as is
  'An edit by an account, of itself (role user) or of an account that it manages (role manager); returns the new profile. ES004, ES003, then ES001, ES002, ES005, ES008, then ES009 where a field of the patch has changed since expected_updated_at: DETAIL holds field, yours and theirs. null is no check.';

create function directory.undo_edit(account_id uuid, change_id bigint, actor_account_id uuid, expected_updated_at timestamptz default null) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  account entra_sync.accounts;
begin
  -- The lock that undo_account needs: a stronger one would be too late.
  account := entra_sync.lock_to_edit(undo_edit.account_id, array(
    select jsonb_object_keys(coalesce(c.after -> 'profile', '{}')) from entra_sync.changes c
     where c.change_id = undo_edit.change_id and c.account_id = undo_edit.account_id and c.kind = 'account.edited'));
  return directory.undo_account(undo_edit.account_id, undo_edit.change_id, 'account:' || actor_account_id,
    entra_sync.role_over(actor_account_id, account), undo_edit.expected_updated_at);
end $$;
comment on function directory.undo_edit is 'undo_account by an account, of itself or of an account that it manages.';

create function directory.revert_as(actor_account_id uuid, account_id uuid, fields text[], expected_updated_at timestamptz default null) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  account entra_sync.accounts;
  role text;
  changed text;
  profile jsonb;
begin
  account := entra_sync.lock_to_edit(revert_as.account_id, coalesce(fields[1:500], array['mail', 'userPrincipalName']));
  role := entra_sync.role_over(actor_account_id, account);
  changed := entra_sync.changed_since(account, coalesce(fields, array(select jsonb_object_keys(account.overrides))), expected_updated_at);
  profile := directory.revert_account(revert_as.account_id, revert_as.fields, 'account:' || actor_account_id, role);
  -- The other errors come first. This one takes back what was written.
  if changed is not null then
    perform entra_sync.refuse_conflict(account, changed, account.mapped -> changed);
  end if;
  return profile;
end $$;
comment on function directory.revert_as is
  'revert_account by an account, of itself or of an account that it manages; ES009 where a field has changed since expected_updated_at, as in edit_as.';
revoke execute on all functions in schema entra_sync from public;
revoke execute on function directory.edit_as, directory.undo_edit, directory.revert_as from public;
