alter table entra_sync.tenants add column erase_at timestamptz;
comment on column entra_sync.tenants.erase_at is
  'When the worker erases the disconnected tenant (tenant disconnect --erase-after); null: a person does.';

-- The worker looks for removals by hand that are due in tenants without a cycle.
create index accounts_due_by_hand on entra_sync.accounts (purge_at) where removed_reason = 'by_hand';
