-- An account that a person removed, by hand or by approving a list of held removals, is shown again by restore_account. It is
-- kept as a rejected removal is: manual, and managed again when Graph shows it live and in scope.
create function entra_sync.taken_key(account entra_sync.accounts) returns text
language sql stable as $$
  select case when entra_sync.folded(a.mail) = entra_sync.folded(account.mail) then 'mail' else 'userPrincipalName' end
    from entra_sync.accounts a
   where a.tenant_id = account.tenant_id and a.removed_at is null and a.account_id <> account.account_id
     and (entra_sync.folded(a.mail) = entra_sync.folded(account.mail) or entra_sync.folded(a.user_principal_name) = entra_sync.folded(account.user_principal_name))
   limit 1
$$;
comment on function entra_sync.taken_key is 'The key of this account that another live account of its tenant has, or null.';
revoke execute on function entra_sync.taken_key from public;

create or replace function entra_sync.require_free_keys(account entra_sync.accounts) returns void
language plpgsql as $$
declare
  taken constant text := entra_sync.taken_key(account);
begin
  if taken is not null then
    raise exception using errcode = 'ES008',
      message = format('a live account of this tenant already has this %s', taken),
      hint = 'Find it in directory.accounts: edit that one, or choose another value.',
      column = taken,
      detail = entra_sync.error_detail('ES008', taken);
  end if;
end $$;

create function entra_sync.show_again(old entra_sync.accounts, batch bigint, actor text) returns entra_sync.accounts
language plpgsql as $$
declare
  shown entra_sync.accounts;
begin
  update entra_sync.accounts a
     set state = 'manual', removed_at = null, removed_reason = null, purge_at = null, removal_approved = false, updated_at = now()
   where a.account_id = old.account_id
  returning a.* into shown;
  insert into entra_sync.changes (batch_id, tenant_id, actor, kind, account_id, before, after)
  values (batch, old.tenant_id, show_again.actor, 'account.restored', old.account_id,
          jsonb_build_object('removed', old.removed_reason, 'profile', '{}'::jsonb)
            || entra_sync.differing_facts(entra_sync.account_facts(old), entra_sync.account_facts(shown)),
          entra_sync.account_facts(shown));
  return shown;
end $$;
comment on function entra_sync.show_again is
  'Shows a removed account again as a manual one, with its change row. The caller holds the locks, and writes the memberships that appear.';
revoke execute on function entra_sync.show_again from public;

create function entra_sync.show_many_again(tenant uuid, wanted uuid[], batch bigint, actor text)
returns table (account_id uuid, taken text)
language plpgsql as $$
declare
  account entra_sync.accounts;
begin
  -- One after another: of two that share a key the first is shown.
  for account in
    select a.* from entra_sync.accounts a
     where a.tenant_id = tenant and a.account_id = any(wanted) and a.removed_at is not null order by a.account_id for update
  loop
    account_id := account.account_id;
    taken := entra_sync.taken_key(account);
    if taken is null then
      perform entra_sync.show_again(account, batch, show_many_again.actor);
    end if;
    return next;
  end loop;
end $$;
comment on function entra_sync.show_many_again is
  'Shows removed accounts again, in id order. taken: the key that another live account has by now, so that this one stays removed.';
revoke execute on function entra_sync.show_many_again from public;

create function entra_sync.lock_removed(wanted uuid) returns entra_sync.accounts
language plpgsql as $$
declare
  only_tenant constant uuid := entra_sync.narrowed_to();
  tenant uuid;
  account entra_sync.accounts;
  callers text;
begin
  select a.tenant_id into tenant from entra_sync.accounts a
   where a.account_id = wanted and a.tenant_id = coalesce(only_tenant, a.tenant_id);
  callers := entra_sync.limit_wait();
  perform from entra_sync.tenants t where t.tenant_id = tenant for no key update;
  select a.* into account from entra_sync.accounts a where a.account_id = wanted and a.tenant_id = tenant for update;
  perform set_config('lock_timeout', callers, true);
  if account.account_id is null then
    if exists (select from entra_sync.changes c
                where c.account_id = wanted and c.kind = 'account.purged' and c.tenant_id = coalesce(only_tenant, c.tenant_id)) then
      raise exception using errcode = 'ES004', message = format('account %s was purged: nothing of it is kept', wanted),
        hint = 'An account is restored until directory.removed_accounts.purge_at. Create a new one.';
    end if;
    perform entra_sync.refuse_unknown_account(wanted);
  end if;
  return account;
end $$;
comment on function entra_sync.lock_removed is 'An account that is to be restored, live or removed, locked after its tenant, in line with commits.';
revoke execute on function entra_sync.lock_removed from public;

create function entra_sync.restore_locked(account entra_sync.accounts, actor text) returns jsonb
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
  return shown.profile - shown.cleared;
end $$;
comment on function entra_sync.restore_locked is
  'Restores an account that a person removed, with the memberships that it still has. The roles that may are the caller''s affair.';
revoke execute on function entra_sync.restore_locked from public;

create function directory.restore_account(account_id uuid, actor text, actor_role text) returns jsonb
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  account entra_sync.accounts;
  roles text[];
begin
  perform entra_sync.require_actor(actor);
  perform entra_sync.require_latest_snapshot();
  account := entra_sync.lock_removed(restore_account.account_id);
  select t.manual_roles into roles from entra_sync.tenants t where t.tenant_id = account.tenant_id;
  if (actor_role = any(roles)) is not true then
    raise exception using errcode = 'ES003', message = format('the role %s may not restore accounts', entra_sync.quoted(actor_role)),
      hint = 'manual.editableBy in the settings says who may'
        || case when roles = '{}' then ': no role.' else ': ' || array_to_string(roles, ', ') || '.' end,
      detail = entra_sync.error_detail('ES003', null, jsonb_build_object('roles', roles));
  end if;
  return entra_sync.restore_locked(account, restore_account.actor);
end $$;
comment on function directory.restore_account is
  'Shows an account again that was removed by hand or by an approved list of held removals, as a manual one, and returns its profile. ES003, ES004 (purged too), ES007 (a cycle removed it), ES008; 55000 for a live one.';
revoke execute on function directory.restore_account from public;

-- removals undo reads these by cycle.
create index changes_of_removals on entra_sync.changes (tenant_id, cycle_id)
 where kind in ('account.removed', 'group.removed') and cycle_id is not null;
