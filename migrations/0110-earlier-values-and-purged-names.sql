-- To take back an edit shows the value before it. Of a private field that is an earlier value, which is for the person alone.
create or replace function directory.undo_edit(account_id uuid, change_id bigint, actor_account_id uuid,
  expected_updated_at timestamptz default null) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  account entra_sync.accounts;
  role text;
  hidden text;
begin
  -- The lock that undo_account needs: a stronger one would be too late.
  account := entra_sync.lock_to_edit(undo_edit.account_id, array(
    select jsonb_object_keys(coalesce(c.after -> 'profile', '{}')) from entra_sync.changes c
     where c.change_id = undo_edit.change_id and c.account_id = undo_edit.account_id and c.kind = 'account.edited'));
  role := entra_sync.role_over(actor_account_id, account);
  if role <> 'user' then
    -- A manager has seen the value that an edit of the manager replaced.
    select min(k.field) into hidden
      from entra_sync.changes c cross join lateral jsonb_object_keys(c.after -> 'profile') as k (field)
     where c.change_id = undo_edit.change_id and c.account_id = undo_edit.account_id and c.kind = 'account.edited'
       and c.actor <> 'account:' || actor_account_id and k.field = any (entra_sync.private_fields(account.tenant_id));
    if hidden is not null then
      raise exception using errcode = 'ES003', column = hidden,
        message = format('an edit of %s by another is taken back by the person alone', entra_sync.quoted(hidden)),
        hint = 'The field is private in the settings: its earlier values are for the person. Edit it instead.',
        detail = entra_sync.error_detail('ES003', hidden, '{"roles": ["user"]}');
    end if;
  end if;
  return directory.undo_account(undo_edit.account_id, undo_edit.change_id, 'account:' || actor_account_id,
    role, undo_edit.expected_updated_at);
end $$;
comment on function directory.undo_edit is
  'undo_account by an account, of itself or of an account that it manages. ES003 for a manager where the edit is of a private field and not the manager''s own.';

-- A notice that an address has not taken yet names its tenant, and goes with it.
create or replace function entra_sync.forget_troubles_of_tenant() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from entra_sync.troubles t where t.tenant_id = old.tenant_id;
  update entra_sync.webhooks w
     set lot_id = null, lot_at = null, lot_changes = null, lot_to = null, lot_notice = null, failures = 0,
         failing_since = null, next_at = clock_timestamp()
   where w.lot_notice ->> 'tenant_id' = old.tenant_id::text;
  return null;
end $$;
