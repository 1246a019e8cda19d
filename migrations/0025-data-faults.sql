-- Which streams failed by their data: the next cycle looks for the objects at fault instead of failing again.
create table entra_sync.data_faults (
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  stream text not null check (stream in ('users', 'groups')),
  failures integer not null default 1,
  state text not null,
  noted_at timestamptz not null default now(),
  primary key (tenant_id, stream)
);
comment on table entra_sync.data_faults is 'A row while the last round of the stream was dropped because the database did not take its data, or an object is set aside for that.';
comment on column entra_sync.data_faults.state is 'The SQLSTATE of the last failure.';
