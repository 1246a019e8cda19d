-- Tenants, their settings, leases and cycles. Schema directory is the public contract, entra_sync is private.
create schema directory;
comment on schema directory is 'Public contract of entra-sync: views and functions. See docs/contract.md.';
comment on schema entra_sync is 'Private to entra-sync: may be reshaped at any time.';

create table entra_sync.tenants (
  tenant_id uuid primary key,
  name text not null,
  external_ref text,
  status text not null default 'pending' check (status in ('pending', 'active', 'quarantined', 'disconnected')),
  paused boolean not null default false,
  provisional boolean not null default false,
  added_at timestamptz not null default now(),
  last_success_at timestamptz,
  next_cycle_at timestamptz,
  last_error_code text,
  last_error_message text
);
comment on table entra_sync.tenants is 'One row a customer''s Entra ID tenant. Every writing transaction locks this row first (design: who may write when).';
comment on column entra_sync.tenants.external_ref is 'What the vendor calls this customer.';
comment on column entra_sync.tenants.last_success_at is 'When last the checkpoint of every stream moved in one cycle (rule 21).';

create table entra_sync.settings (
  version integer generated always as identity primary key,
  tenant_id uuid references entra_sync.tenants on delete cascade,
  document jsonb not null,
  actor text not null,
  applied_at timestamptz not null default now()
);
comment on table entra_sync.settings is 'Settings as numbered versions: tenant_id null is the installation''s. The newest of each is in force; workers read nothing else.';
create index settings_by_tenant on entra_sync.settings (tenant_id, version desc);

create table entra_sync.leases (
  tenant_id uuid primary key references entra_sync.tenants on delete cascade,
  fence bigint not null default 0,
  holder text,
  acquired_at timestamptz
);
comment on table entra_sync.leases is 'One cycle per tenant at a time (rule 11): every writing transaction of a cycle share-locks the row with its fence; a takeover raises the fence.';

create table entra_sync.heartbeats (
  tenant_id uuid primary key references entra_sync.tenants on delete cascade,
  fence bigint not null,
  expires_at timestamptz not null
);
comment on table entra_sync.heartbeats is 'Apart from leases, so that a heartbeat never waits for a commit that holds the fence. Only the database''s clock counts.';

create table entra_sync.cycles (
  cycle_id bigint generated always as identity primary key,
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  kind text not null check (kind in ('first_load', 'initial', 'incremental', 'resync', 'on_demand', 'settings')),
  actor text not null,
  fence bigint not null,
  started_at timestamptz not null default now(),
  finished_at timestamptz,
  outcome text not null default 'running' check (outcome in ('running', 'committed', 'partial', 'held', 'failed', 'cancelled')),
  streams jsonb not null default '{}',
  settings_version integer not null,
  error_code text,
  error_message text
);
create index cycles_by_tenant on entra_sync.cycles (tenant_id, cycle_id desc);
