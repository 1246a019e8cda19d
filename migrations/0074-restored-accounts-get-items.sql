-- An account that a person restores gets its items in the same batch.
create or replace function entra_sync.restore_locked(account entra_sync.accounts, actor text) returns jsonb
language plpgsql as $$
declare
  shown entra_sync.accounts;
  batch bigint;
  removed_in bigint;
begin
  if account.removed_at is null then
    raise exception using errcode = '55000', message = format('account %s is live: there is nothing to restore', account.account_id),
      hint = 'directory.removed_accounts shows the accounts that can be restored.';
  end if;
  if account.removed_reason <> 'by_hand' and not account.removal_approved then
    select c.cycle_id into removed_in from entra_sync.changes c
     where c.account_id = account.account_id and c.kind = 'account.removed' order by c.change_id desc limit 1;
    raise exception using errcode = 'ES007',
      message = format('account %s was removed by a cycle: it is not restored by hand', account.account_id),
      hint = 'Restore the user in Entra ID, or take it into the scope of the settings.'
        || coalesce(format(' entra-sync removals undo TENANT --cycle %s shows again what that cycle removed.', removed_in), '');
  end if;
  perform entra_sync.require_free_keys(account);
  batch := entra_sync.own_batch(account.tenant_id);
  shown := entra_sync.show_again(account, batch, restore_locked.actor);
  insert into entra_sync.changes (batch_id, tenant_id, actor, kind, group_id, account_id)
  select batch, shown.tenant_id, restore_locked.actor, 'membership.added', g.group_id, shown.account_id
    from entra_sync.memberships m
    join entra_sync.groups g on g.group_no = m.group_no and g.removed_at is null
   where m.tenant_id = shown.tenant_id and m.member_object_id = shown.entra_object_id;
  -- The batch of a person's edits has its row before its changes.
  perform entra_sync.keep_effective(shown.tenant_id, array[shown.account_no]);
  if exists (select from entra_sync.tenants t where t.tenant_id = shown.tenant_id and t.assigned_at is not null) then
    perform entra_sync.follow_assignments(shown.tenant_id, array[shown.account_no], false, batch, null, restore_locked.actor);
  end if;
  return shown.profile - shown.cleared;
end $$;
