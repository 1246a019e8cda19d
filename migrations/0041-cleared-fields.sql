-- The profile leaves out a field that a person cleared, like every other field without a value. The null stays in overrides, where
-- it hides the directory's value; the column `cleared` names the field, and the view takes it out. So the upgrade writes no change row,
-- and readers do not wait for it. The hint of ES001 fits fields that no property of Entra ID fills.
alter table entra_sync.accounts add column cleared text[] not null default '{}';
comment on column entra_sync.accounts.cleared is 'The fields of overrides whose value is null, kept by a trigger: what is shown is profile - cleared. No generated column, because that would write every account anew.';

create function entra_sync.note_cleared() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  new.cleared := array(select o.key from jsonb_each(new.overrides) o where o.value = 'null' order by o.key);
  return new;
end $$;
revoke execute on function entra_sync.note_cleared from public;
-- A cycle writes a hundred thousand accounts without overrides: for those the trigger costs its condition alone.
create trigger note_cleared before insert or update of overrides on entra_sync.accounts
  for each row when (new.overrides <> '{}' or new.cleared <> '{}') execute function entra_sync.note_cleared();

update entra_sync.accounts set overrides = overrides
 where overrides <> '{}' and jsonb_path_exists(overrides, 'strict $.* ? (@ == null)');

create or replace view directory.accounts with (security_barrier) as
select a.tenant_id, a.account_id, a.entra_object_id, a.state, a.enabled, a.user_principal_name, a.mail,
       coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name,
       a.profile - a.cleared as profile,
       array(select jsonb_object_keys(a.overrides)) as edited_fields, a.created_at, a.updated_at
  from entra_sync.accounts a
 where a.removed_at is null
   and a.tenant_id = coalesce((select entra_sync.narrowed_to()), a.tenant_id);

create or replace function entra_sync.account_facts(a entra_sync.accounts) returns jsonb
language sql stable as $$
  select jsonb_build_object('entra_object_id', a.entra_object_id, 'state', a.state, 'enabled', a.enabled,
    'user_principal_name', a.user_principal_name, 'mail', a.mail, 'profile', a.profile - a.cleared)
$$;

create or replace function entra_sync.store_edit(
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
  return changed.profile - changed.cleared;
end $$;

create function entra_sync.cure_of_directory_field(mapped_from text) returns text
language sql immutable as $$
  select case
    when mapped_from is null then 'It is not in Entra ID: say in the settings where it comes from (from), or give it to the user'
    -- A constant is written as JSON.
    when mapped_from ~ '^("([^"\\]|\\.)*"|\[("([^"\\]|\\.)*"(,"([^"\\]|\\.)*")*)?\]|-?[0-9][0-9.e+-]*|true|false)$'
      then 'Its value is a constant of the settings: change it there, or give it to the user'
    else format('Change it in Entra ID (%s), or give it to the user in the settings', left(mapped_from, 200)) end
    || ' (sourceOfTruth: hybrid, owner: user).'
$$;
comment on function entra_sync.cure_of_directory_field is 'The hint of ES001, by what the field is made of.';
revoke execute on function entra_sync.cure_of_directory_field from public;

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
      hint = entra_sync.cure_of_directory_field(rule.mapped_from);
  end if;
  roles := case account.state when 'managed' then rule.editable_by else rule.manual_editable_by end;
  if (actor_role = any(roles)) is not true then
    raise exception using errcode = 'ES003',
      message = format('the role %s may not edit the field %s', entra_sync.quoted(actor_role), entra_sync.quoted(field)),
      hint = case when roles = '{}' then 'No role may: name the field in manual.editable in the settings.'
                  else 'These may: ' || array_to_string(roles, ', ') || '. The settings say who.' end;
  end if;
  return rule.value_type;
end $$;
