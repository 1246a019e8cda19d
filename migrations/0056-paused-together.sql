-- `tenant resume --all` takes back `tenant pause --all`, and leaves tenants paused that were paused one by one. Tenants that
-- are paused today count as paused one by one, and so do those that a release before this one pauses.
alter table entra_sync.tenants add column paused_together boolean not null default false;
comment on column entra_sync.tenants.paused_together is
  'Paused with all others, and not on its own. Means nothing while the tenant is not paused.';
