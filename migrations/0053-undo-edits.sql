-- An edit takes its time after the account's lock, and each a later one: a caller that read the account at updated_at can be told
-- what changed since. Row, edits and change row have the same time.
create or replace function entra_sync.store_edit(
  old entra_sync.accounts, overrides jsonb, edits jsonb, shelf jsonb, fields text[], actor text
) returns jsonb
language plpgsql as $$
declare
  moment constant timestamptz := greatest(clock_timestamp(), old.updated_at + interval '1 millisecond');
  changed entra_sync.accounts := old;
  touched text[] := array(
    select f from unnest(fields) as f
     where (old.overrides -> f) is distinct from (store_edit.overrides -> f) order by f);
  before jsonb;
  after jsonb;
begin
  if touched = '{}' then
    return old.profile - old.cleared;
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
    if entra_sync.folded(changed.mail) is distinct from entra_sync.folded(old.mail)
       or entra_sync.folded(changed.user_principal_name) is distinct from entra_sync.folded(old.user_principal_name) then
      perform entra_sync.require_free_keys(changed);
    end if;
  end if;
  update entra_sync.accounts a
     set overrides = store_edit.overrides, shelf = store_edit.shelf,
         edits = coalesce((
           select jsonb_object_agg(e.key, case when e.key = any(touched) then e.value || jsonb_build_object('at', moment) else e.value end)
             from jsonb_each(store_edit.edits) e), '{}'),
         mail = changed.mail, user_principal_name = changed.user_principal_name, updated_at = moment
   where a.account_id = old.account_id
  returning a.* into changed;
  -- A field that is edited to what it shows already is named too: from now on the value is the person's.
  before := entra_sync.differing_facts(entra_sync.account_facts(old), entra_sync.account_facts(changed))
    || jsonb_build_object('profile', (select jsonb_object_agg(f, old.profile -> f) from unnest(touched) as f));
  after := entra_sync.differing_facts(entra_sync.account_facts(changed), entra_sync.account_facts(old))
    || jsonb_build_object('profile', (select jsonb_object_agg(f, changed.profile -> f) from unnest(touched) as f));
  perform entra_sync.write_account_change(changed, actor, 'account.edited', before, after);
  return changed.profile - changed.cleared;
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
end $$;

create function entra_sync.refuse_changed_field(field text, message text) returns void
language plpgsql as $$
begin
  raise exception using errcode = 'ES009', message = message,
    hint = 'Look at it again: directory.account_history tells what it showed since, and who changed it.',
    column = field,
    detail = entra_sync.error_detail('ES009', field);
end $$;
revoke execute on function entra_sync.refuse_changed_field from public;

create function entra_sync.require_unchanged(account entra_sync.accounts, fields text[], expected_updated_at timestamptz) returns void
language plpgsql as $$
declare
  expected constant timestamptz := date_trunc('milliseconds', expected_updated_at);
  known bigint;
  field text;
begin
  -- Drivers cut the rest off.
  if expected is null or expected = date_trunc('milliseconds', account.updated_at) then
    return;
  end if;
  -- The ids of an account's changes are in the order of their commits; times of cycles are those of their begin.
  select max(c.change_id) into known from entra_sync.changes c
   where c.account_id = account.account_id and c.kind like 'account.%' and date_trunc('milliseconds', c.at) = expected;
  select f into field from entra_sync.changes c cross join lateral jsonb_object_keys(c.before -> 'profile') as f
   where c.account_id = account.account_id and c.kind like 'account.%' and f = any(fields)
     and case when known is null then date_trunc('milliseconds', c.at) > expected else c.change_id > known end
   order by f limit 1;
  if field is not null then
    perform entra_sync.refuse_changed_field(field, format('the field %s was changed since', entra_sync.quoted(field)));
  end if;
end $$;
comment on function entra_sync.require_unchanged is
  'ES009 where one of the fields has changed since the account was read at this updated_at, compared to the millisecond; null is no check.';
revoke execute on function entra_sync.require_unchanged from public;

create function entra_sync.directory_value_at(account entra_sync.accounts, field text, change bigint) returns jsonb
language sql stable as $$
  select coalesce((
      select jsonb_build_array(nullif(b.told -> field, 'null')) from entra_sync.changes c
       cross join lateral (
         select coalesce(c.before -> 'profile', '{}') || coalesce(c.before -> 'directory', '{}') as told) b
       where c.account_id = account.account_id and c.change_id > change
         and c.kind in ('account.updated', 'account.restored') and jsonb_exists(b.told, field)
       order by c.change_id limit 1),
    jsonb_build_array(nullif(account.mapped -> field, 'null'))) -> 0
$$;
comment on function entra_sync.directory_value_at is
  'The directory''s value of a field when the change was made: the first later change of it tells, under a person''s value or not.';
revoke execute on function entra_sync.directory_value_at from public;

create function directory.undo_account(
  account_id uuid, change_id bigint, actor text, actor_role text, expected_updated_at timestamptz default null
) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  undone entra_sync.changes;
  fields text[];
  account entra_sync.accounts;
  key text;
  type text;
  was jsonb;
  given jsonb := '{}';
  reverted text[] := '{}';
begin
  perform entra_sync.require_actor(actor);
  select c.* into undone from entra_sync.changes c
   where c.change_id = undo_account.change_id and c.account_id = undo_account.account_id and c.kind = 'account.edited'
     and c.tenant_id = coalesce(entra_sync.narrowed_to(), c.tenant_id);
  fields := array(select f from jsonb_object_keys(coalesce(undone.after -> 'profile', '{}')) as f order by f);
  account := entra_sync.lock_to_edit(undo_account.account_id, fields);
  if fields = '{}' then
    raise exception using errcode = '22023',
      message = format('change %s is no edit of account %s', coalesce(undo_account.change_id::text, 'null'), account.account_id),
      hint = 'directory.account_history shows its edits: the kind is account.edited.';
  end if;
  foreach key in array fields loop
    type := entra_sync.require_editable(account, key, actor_role);
    was := nullif(undone.before -> 'profile' -> key, 'null');
    -- A field that showed the directory's value before follows the directory again.
    if was is not distinct from nullif(entra_sync.directory_value_at(account, key, undone.change_id), 'null') then
      reverted := reverted || key;
    else
      perform entra_sync.require_fitting(key, coalesce(was, 'null'), type, account.state = 'manual' and key in ('mail', 'userPrincipalName'));
      given := given || jsonb_build_object(key, was);
    end if;
  end loop;
  foreach key in array fields loop
    if nullif(account.profile -> key, 'null') is distinct from nullif(undone.after -> 'profile' -> key, 'null') then
      perform entra_sync.refuse_changed_field(key, format('the field %s no longer shows what that edit gave', entra_sync.quoted(key)));
    end if;
  end loop;
  perform entra_sync.require_unchanged(account, fields, undo_account.expected_updated_at);
  return entra_sync.store_edit(account,
    (account.overrides - reverted) || given,
    (account.edits - reverted) || coalesce((
      select jsonb_object_agg(f, jsonb_build_object('by', undo_account.actor, 'at', now())) from jsonb_object_keys(given) as f
       where account.overrides -> f is distinct from given -> f), '{}'),
    account.shelf - array(select jsonb_object_keys(given)),
    fields, actor);
end $$;
comment on function directory.undo_account is
  'Takes one edit back: its fields show again what they showed before it, under the rules of an edit. Returns the new profile. ES001 to ES005, ES008; ES009 where a field no longer shows what the edit gave, or changed since expected_updated_at; 22023 for a change that is no edit of the account.';
revoke execute on function directory.undo_account from public;
