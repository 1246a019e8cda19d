-- The worker: whose turn it is, what was asked for by the application, and how often in a row a tenant has failed.
alter table entra_sync.tenants
  add column failures integer not null default 0,
  add column failing_credential text;
comment on column entra_sync.tenants.failures is 'Cycles that failed in a row for a cause of the tenant''s own; from the third on it is quarantined: tried less and less often.';
comment on column entra_sync.tenants.failing_credential is 'Keyed hash of the credential that the last failed cycle used: with another one the tenant is tried at once.';

create table entra_sync.scheduler (
  only_row boolean primary key default true check (only_row),
  planned_at timestamptz not null default '-infinity',
  salt text not null default gen_random_uuid()::text
);
comment on table entra_sync.scheduler is 'Locked by the worker that plans: of any number of replicas one at a time says who is due.';
comment on column entra_sync.scheduler.salt is 'Key of the hashes in tenants.failing_credential.';
insert into entra_sync.scheduler default values;

create table entra_sync.full_turns (
  tenant_id uuid primary key references entra_sync.tenants on delete cascade,
  given_at timestamptz not null default clock_timestamp()
);
comment on table entra_sync.full_turns is 'Tenants that may walk everything now because of a first start or changed settings: 20 at most, over all replicas.';

create table entra_sync.cycle_requests (
  request_id bigint generated always as identity primary key,
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  account_id uuid,
  actor text not null,
  requested_at timestamptz not null default clock_timestamp(),
  claimed_at timestamptz
);
comment on table entra_sync.cycle_requests is 'What applications asked the worker for: a cycle of a tenant (account_id null), or the reading of one person.';
create unique index cycle_requests_waiting on entra_sync.cycle_requests (tenant_id, account_id) nulls not distinct
  where claimed_at is null;

-- Whether Graph fails many tenants at once is judged by what ended lately.
create index cycles_by_end on entra_sync.cycles (finished_at);

create function directory.request_cycle(tenant_id uuid, account_id uuid, actor text) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  tenant uuid;
  tenant_status text;
begin
  perform entra_sync.require_actor(actor);
  select t.tenant_id, t.status into tenant, tenant_status from entra_sync.tenants t
   where t.tenant_id = request_cycle.tenant_id and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id);
  if tenant is null then
    raise exception using errcode = 'ES004', message = format('there is no tenant %s', coalesce(request_cycle.tenant_id::text, 'null')),
      hint = 'Take tenant_id from directory.tenants. Where directory.tenant is set, or required of the role, it must name this tenant.';
  end if;
  if tenant_status = 'disconnected' then
    raise exception using errcode = '55000', message = 'the tenant is disconnected: nothing is read from its directory',
      hint = 'Reconnect it (entra-sync tenant reconnect), then ask again.';
  end if;
  if account_id is not null and not exists (
    select from entra_sync.accounts a where a.tenant_id = tenant and a.account_id = request_cycle.account_id) then
    perform entra_sync.refuse_unknown_account(request_cycle.account_id);
  end if;
  insert into entra_sync.cycle_requests (tenant_id, account_id, actor)
  values (tenant, request_cycle.account_id, request_cycle.actor)
  on conflict do nothing;
end $$;
comment on function directory.request_cycle is 'Asks the worker for a cycle of the tenant now, or with account_id for one person. Asked again before it begins, it is one. ES004, 55000 (disconnected).';
revoke execute on function directory.request_cycle from public;
