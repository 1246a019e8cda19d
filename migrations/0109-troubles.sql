-- Troubles of tenants: told in the change feed when they begin, and by notices while they last.
create table entra_sync.troubles (
  trouble_id bigint generated always as identity primary key,
  tenant_id uuid,
  kind text not null check (kind in ('failing', 'noticed', 'removals_held', 'waiting', 'credential_expires')),
  key text not null default '',
  detail jsonb not null default '{}',
  since timestamptz not null default clock_timestamp(),
  ended_at timestamptz
);
comment on table entra_sync.troubles is 'What needs a person, as the worker found it last. Rows stay for a week after their end.';
comment on column entra_sync.troubles.tenant_id is 'No foreign key: a consent may wait for a tenant that is not registered. Null: of the installation.';
comment on column entra_sync.troubles.key is 'Tells troubles of one kind and tenant apart: the list of removals, the reference of the consent, the days that are left.';
create unique index troubles_open on entra_sync.troubles (kind, key, tenant_id) nulls not distinct where ended_at is null;
create index troubles_by_tenant on entra_sync.troubles (tenant_id);

create table entra_sync.trouble_watch (
  only_row boolean primary key default true check (only_row),
  looked_at timestamptz not null default '-infinity'
);
comment on table entra_sync.trouble_watch is 'One row: when a worker looked for troubles last. It is locked while one looks.';
insert into entra_sync.trouble_watch default values;

create function entra_sync.forget_troubles_of_tenant() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from entra_sync.troubles t where t.tenant_id = old.tenant_id;
  return null;
end $$;
revoke execute on function entra_sync.forget_troubles_of_tenant from public;
create trigger forget_troubles_at_purge after delete on entra_sync.tenants
  for each row execute function entra_sync.forget_troubles_of_tenant();

-- An address that is told of troubles is a webhook of another form: it is sent notices instead of changes.
alter table entra_sync.webhooks
  add column form text not null default 'changes' check (form in ('changes', 'json', 'slack', 'teams', 'mail')),
  add column lot_notice jsonb;
comment on column entra_sync.webhooks.form is 'changes: the change feed. Otherwise notices of troubles, in the form that the receiver reads.';
comment on column entra_sync.webhooks.lot_notice is 'The notice of the lot: its trouble and phase, with the facts as they were when it was fixed.';

create table entra_sync.told_troubles (
  webhook_id uuid not null references entra_sync.webhooks on delete cascade,
  trouble_id bigint not null references entra_sync.troubles on delete cascade,
  told_at timestamptz not null default clock_timestamp(),
  ended boolean not null default false,
  primary key (webhook_id, trouble_id)
);
comment on table entra_sync.told_troubles is 'When an address was told last that a trouble is there, and whether it was told of the end.';
create index told_troubles_by_trouble on entra_sync.told_troubles (trouble_id);
