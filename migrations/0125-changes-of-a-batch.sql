-- The planner knows nothing of the batch that a transaction is writing, and takes it for a few changes. It then looked through the
-- whole batch once an account: a commit that changed 6,000 profiles with fields of the manager took minutes.
create or replace function entra_sync.note_managers_values(tenant uuid, batch bigint, account uuid) returns void
language plpgsql as $$
declare
  fields constant text[] := entra_sync.manager_fields(tenant);
begin
  if fields = '{}' then
    return;
  end if;
  with told as materialized (
    -- Each change of the batch is read once, or those of one account by its index, for a batch may hold very many accounts.
    select c.change_id, c.account_id, c.before, c.after, c.kind, c.after_manager from entra_sync.changes c
     where account is null and c.batch_id = batch
    union all
    select c.change_id, c.account_id, c.before, c.after, c.kind, c.after_manager from entra_sync.changes c
     where c.account_id = account and c.batch_id + 0 = batch
  ), held as materialized (
    select t.change_id, a.told_manager, bool_or(t.before -> p.part -> f = a.mapped -> f) as is_before,
           bool_or(t.after -> p.part -> f = a.mapped -> f) as is_after
      from told t
     cross join lateral (
       select a.told_manager, a.mapped from entra_sync.accounts a
        where a.account_id = t.account_id and a.tenant_id = tenant and a.told_manager is not null offset 0) a
     cross join unnest(fields) as f
     cross join (values ('profile'), ('directory')) as p (part)
     where t.kind like 'account.%' and t.after_manager is null
     group by t.change_id, a.told_manager
  )
  update entra_sync.changes c
     set before_manager = case when h.is_before then h.told_manager else c.before_manager end,
         after_manager = case when h.is_after then h.told_manager else c.after_manager end,
         manager_fields = fields
    from held h
   where c.change_id = h.change_id and (h.is_before or h.is_after);
end $$;
