-- Many people's values of one field give way to the directory's, each account by the rules of revert_account.
create function entra_sync.revert_many(wanted uuid[], field text, actor text, actor_role text)
returns table (account_id uuid, refused text)
language plpgsql as $$
begin
  -- In id order, as every writer locks accounts.
  for account_id in select w from unnest(wanted) as w order by w loop
    refused := null;
    begin
      perform directory.revert_account(account_id, array[revert_many.field], revert_many.actor, actor_role);
    exception when sqlstate 'ES001' or sqlstate 'ES003' or sqlstate 'ES004' or sqlstate 'ES008' then
      refused := sqlstate;
    end;
    return next;
  end loop;
end $$;
comment on function entra_sync.revert_many is
  'Reverts one field of these accounts. refused: the SQLSTATE for which an account was left as it is. The tenant''s row is locked in line.';
revoke execute on function entra_sync.revert_many from public;
