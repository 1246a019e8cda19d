-- Sessions of the web, and the audit of acts and looks there and by the command line.
create table entra_sync.sessions (
  session_hash bytea primary key check (octet_length(session_hash) = 32),
  actor text not null,
  tenant_id uuid,
  entra_object_id uuid,
  ops text check (ops in ('read', 'act')),
  directory_role text check (directory_role in ('admin', 'reader')),
  reasons jsonb not null default '{}',
  created_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp(),
  ends_at timestamptz not null
);
comment on table entra_sync.sessions is 'One row a signed-in browser. Its cookie holds a random value, of which only the hash is here.';
comment on column entra_sync.sessions.actor is 'entra:TENANT/ID of the sign-in, or the name that web --local was given.';
comment on column entra_sync.sessions.tenant_id is 'No foreign key: the vendor''s own tenant need not be registered. Null for web --local.';
comment on column entra_sync.sessions.directory_role is 'By the directory roles of the sign-in, which count for an hour: ends_at says until when.';
comment on column entra_sync.sessions.reasons is 'By tenant: why the vendor''s person looks at people there.';
comment on column entra_sync.sessions.seen_at is 'The last request, give or take a minute.';
create index sessions_by_tenant on entra_sync.sessions (tenant_id);
create index sessions_by_end on entra_sync.sessions (ends_at);

-- In the transaction of the disconnect or the purge, also that of an earlier release.
create function entra_sync.end_sessions_of_tenant() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  delete from entra_sync.sessions s where s.tenant_id = old.tenant_id;
  return null;
end $$;
revoke execute on function entra_sync.end_sessions_of_tenant from public;
create trigger end_sessions_at_disconnect after update of status on entra_sync.tenants
  for each row when (old.status is distinct from new.status and new.status = 'disconnected')
  execute function entra_sync.end_sessions_of_tenant();
create trigger end_sessions_at_purge after delete on entra_sync.tenants
  for each row execute function entra_sync.end_sessions_of_tenant();

create table entra_sync.audit (
  audit_id bigint generated always as identity primary key,
  at timestamptz not null default clock_timestamp(),
  actor text not null,
  role text not null,
  via text not null check (via in ('web', 'cli')),
  act text not null check (act ~ '^[a-z_]+(\.[a-z_]+)*$'),
  tenant_id uuid,
  account_id uuid,
  detail jsonb not null default '{}',
  reference text
);
comment on table entra_sync.audit is 'Insert only: entra_sync.audit_only_grows. Rows are kept for 400 days; entra_sync.expire_audit deletes older ones.';
comment on column entra_sync.audit.actor is 'account:ID or entra:TENANT/ID of a sign-in, never a name; of the command line and web --local the name that was given.';
comment on column entra_sync.audit.tenant_id is 'No foreign key: what is left of an erased tenant is one row.';
comment on column entra_sync.audit.reference is 'The request of the web, which the log and the page of a defect name too.';
create index audit_by_tenant on entra_sync.audit (tenant_id, audit_id);
create index audit_by_account on entra_sync.audit (account_id, audit_id) where account_id is not null;
create index audit_by_time on entra_sync.audit (at);

-- Upkeep and erasure say so for their transaction; a slip of anything else is refused.
create function entra_sync.audit_only_grows() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
begin
  if current_setting('entra_sync.audit_upkeep', true) = 'on' then
    return coalesce(new, old);
  end if;
  raise exception using errcode = '55000', message = 'the audit only grows: its rows are neither changed nor deleted',
    hint = 'The worker deletes rows after 400 days, and an erased person is taken out of them.';
end $$;
revoke execute on function entra_sync.audit_only_grows from public;
create trigger audit_only_grows before update or delete on entra_sync.audit
  for each row execute function entra_sync.audit_only_grows();

create function entra_sync.write_audit(
  actor text, role text, via text, act text, tenant_id uuid, account_id uuid, detail jsonb, reference text
) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  insert into entra_sync.audit (actor, role, via, act, tenant_id, account_id, detail, reference)
  values (write_audit.actor, write_audit.role, write_audit.via, write_audit.act, write_audit.tenant_id,
          write_audit.account_id, coalesce(write_audit.detail, '{}'), write_audit.reference);
end $$;
comment on function entra_sync.write_audit is 'Adds a row to the audit. No grant gives it: the web and the command line call it, applications do not.';
revoke execute on function entra_sync.write_audit from public;

create function entra_sync.expire_audit() returns integer
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
declare
  expired integer;
begin
  perform set_config('entra_sync.audit_upkeep', 'on', true);
  delete from entra_sync.audit where audit_id in (
    select a.audit_id from entra_sync.audit a where a.at < now() - interval '400 days' order by a.at limit 10000);
  get diagnostics expired = row_count;
  perform set_config('entra_sync.audit_upkeep', '', true);
  return expired;
end $$;
comment on function entra_sync.expire_audit is 'Deletes rows older than 400 days, at most 10,000 at a time; returns how many.';
revoke execute on function entra_sync.expire_audit from public;

create function entra_sync.forget_in_audit(tenant uuid, names text[], accounts uuid[]) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('entra_sync.audit_upkeep', 'on', true);
  update entra_sync.audit a
     set actor = case when entra_sync.folded(a.actor) = any(array(select entra_sync.folded(n) from unnest(names) n))
                      then 'purged' else a.actor end,
         account_id = case when a.account_id = any(accounts) then null else a.account_id end,
         detail = case when a.account_id = any(accounts) then '{}' else a.detail end
   where (a.tenant_id = tenant or a.tenant_id is null)
     and (a.account_id = any(accounts)
          or entra_sync.folded(a.actor) = any(array(select entra_sync.folded(n) from unnest(names) n)));
  perform set_config('entra_sync.audit_upkeep', '', true);
end $$;
comment on function entra_sync.forget_in_audit is 'Takes purged people out of the audit, as actors and as those who were looked at. That something was done stays.';
revoke execute on function entra_sync.forget_in_audit from public;

create function entra_sync.purge_audit(tenant uuid, actor text, role text, via text, counts jsonb) returns void
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  perform set_config('entra_sync.audit_upkeep', 'on', true);
  delete from entra_sync.audit a where a.tenant_id = purge_audit.tenant;
  perform set_config('entra_sync.audit_upkeep', '', true);
  perform entra_sync.write_audit(purge_audit.actor, purge_audit.role, purge_audit.via, 'tenant.purged', purge_audit.tenant,
                                 null, purge_audit.counts, null);
end $$;
comment on function entra_sync.purge_audit is 'One row of an erased tenant stays in the audit: its id, the numbers of what was erased, and the actor.';
revoke execute on function entra_sync.purge_audit from public;

create view directory.audit with (security_barrier) as
select a.* from (
select a.audit_id, a.at, a.actor, a.role, a.via, a.act, a.tenant_id, a.account_id, a.detail, a.reference
  from entra_sync.audit a
 where (select entra_sync.narrowed_to()) is null
union all
select a.audit_id, a.at, a.actor, a.role, a.via, a.act, a.tenant_id, a.account_id, a.detail, a.reference
  from entra_sync.audit a
 where (select entra_sync.narrowed_to()) is not null and a.tenant_id = (select entra_sync.narrowed_to())) a;
comment on view directory.audit is 'Each act and each look at a person, with its actor, by the web and by the command line. No grant gives it.';
