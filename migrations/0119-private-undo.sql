-- An earlier value of a private field is for the person alone, also where an application names the role of the actor.
create or replace function directory.undo_account(
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
  hidden text;
begin
  perform entra_sync.require_actor(actor);
  select c.* into undone from entra_sync.changes c
   where c.change_id = undo_account.change_id and c.account_id = undo_account.account_id and c.kind = 'account.edited'
     and c.tenant_id = coalesce(entra_sync.narrowed_to(), c.tenant_id);
  fields := array(select f from jsonb_object_keys(coalesce(undone.after -> 'profile', '{}')) as f order by f);
  account := entra_sync.lock_to_edit(undo_account.account_id, fields);
  if fields = '{}' then
    raise exception using errcode = '22023',
      message = format('change %s is no edit of account %s',
        coalesce(undo_account.change_id::text, 'null'), account.account_id),
      hint = 'directory.account_history shows its edits: the kind is account.edited.';
  end if;
  -- To take back an edit shows the value before it. A manager has seen the value that an edit of the manager replaced.
  if actor_role <> 'user' and undone.actor is distinct from undo_account.actor then
    select min(f) into hidden from unnest(fields) as f where f = any (entra_sync.private_fields(account.tenant_id));
    if hidden is not null then
      raise exception using errcode = 'ES003', column = hidden,
        message = format('an edit of %s by another is taken back by the person alone', entra_sync.quoted(hidden)),
        hint = 'The field is private in the settings: its earlier values are for the person. Edit it instead.',
        detail = entra_sync.error_detail('ES003', hidden, '{"roles": ["user"]}');
    end if;
  end if;
  foreach key in array fields loop
    type := entra_sync.require_editable(account, key, actor_role);
    was := nullif(undone.before -> 'profile' -> key, 'null');
    -- A field that showed the directory's value before follows the directory again.
    if was is not distinct from nullif(entra_sync.directory_value_at(account, key, undone.change_id), 'null') then
      reverted := reverted || key;
    else
      perform entra_sync.require_fitting(key, coalesce(was, 'null'), type,
        account.state = 'manual' and key in ('mail', 'userPrincipalName'));
      given := given || jsonb_build_object(key, was);
    end if;
  end loop;
  foreach key in array fields loop
    if nullif(account.profile -> key, 'null') is distinct from nullif(undone.after -> 'profile' -> key, 'null') then
      perform entra_sync.refuse_changed_field(key,
        format('the field %s no longer shows what that edit gave', entra_sync.quoted(key)));
    end if;
  end loop;
  perform entra_sync.require_unchanged(account, fields, undo_account.expected_updated_at);
  return entra_sync.store_edit(account,
    (account.overrides - reverted) || given,
    (account.edits - reverted) || coalesce((
      select jsonb_object_agg(f, jsonb_build_object('by', undo_account.actor, 'at', now()))
        from jsonb_object_keys(given) as f
       where account.overrides -> f is distinct from given -> f), '{}'),
    account.shelf - array(select jsonb_object_keys(given)),
    fields, actor);
end $$;
comment on function directory.undo_account is
  'Takes one edit back: its fields show again what they showed before it, under the rules of an edit. Returns the new profile. ES001 to ES005, ES008; ES003 for a manager where the edit is of a private field and not of the same actor; ES009 where a field no longer shows what the edit gave, or changed since expected_updated_at; 22023 for a change that is no edit of the account.';

create or replace function directory.undo_edit(account_id uuid, change_id bigint, actor_account_id uuid,
  expected_updated_at timestamptz default null) returns jsonb
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
