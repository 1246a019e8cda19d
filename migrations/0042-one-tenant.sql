-- A role may be bound to one tenant for good (`entra-sync grant ROLE --tenant TENANT`): whatever its session sets, it sees
-- no other. Nothing changes for the roles that are granted already.
alter table entra_sync.grants add column only_tenant uuid;
alter table entra_sync.grants add constraint grants_only_tenant
  check (only_tenant is null or tenant_bound and only_tenant <> '00000000-0000-0000-0000-000000000000') not valid;
comment on column entra_sync.grants.only_tenant is 'The one tenant that the role sees, whatever its session sets. No foreign key: when the tenant is erased the role sees nothing, not everything.';
create index grants_by_name on entra_sync.grants (role_name);

create or replace function entra_sync.narrowed_to() returns uuid
language plpgsql stable parallel safe security definer set search_path = pg_catalog, pg_temp as $$
declare
  no_tenant constant uuid := '00000000-0000-0000-0000-000000000000';
  asked constant text := current_setting('directory.tenant', true);
  -- Within a function of the contract current_user is the owner. SET ROLE counts, so session_user alone is not enough.
  caller constant text := coalesce(nullif(current_setting('role'), 'none'), session_user);
  named uuid;
  must_name boolean;
  only_tenants uuid[];
begin
  -- Postgres 15 has no pg_input_is_valid, and a cast that fails would show an error instead of nothing.
  if asked ~* '^(([0-9a-f]{4}-?){7}[0-9a-f]{4}|\{([0-9a-f]{4}-?){7}[0-9a-f]{4}\})$' then
    named := asked;
  elsif asked <> '' then
    named := no_tenant;
  end if;
  -- Most installations bind no role, and a role that only has to name a tenant has done so by naming it.
  if not exists (select from entra_sync.grants g where g.only_tenant is not null or named is null and g.tenant_bound) then
    return named;
  end if;
  if not exists (select from pg_roles r where r.rolname = caller) then
    return no_tenant;
  end if;
  -- From the roles of the session up, so that it costs the same however many roles were granted.
  with recursive above (starts, at) as (
    select r.oid, r.oid from pg_roles r where r.rolname in (caller, session_user)
    union
    select a.starts, m.roleid from above a join pg_auth_members m on m.member = a.at
  )
  select bool_or(g.only_tenant is null), array_agg(distinct g.only_tenant) filter (where g.only_tenant is not null)
    into must_name, only_tenants
    from above a
    join pg_roles s on s.oid = a.starts
    join pg_roles r on r.oid = a.at
    join pg_namespace n on n.nspname = 'directory'
    join entra_sync.grants g on g.role_oid = r.oid or g.role_name = r.rolname
   where g.tenant_bound
     -- SET ROLE leads out of a role that has to name a tenant, as it may name any, and never out of one with a tenant.
     and (s.rolname = caller or g.only_tenant is not null)
     -- Roles with the owner's rights (superusers too) read the tables anyway, and entra-sync itself must not be bound.
     and pg_has_role(s.oid, r.oid, 'usage') and not pg_has_role(s.oid, n.nspowner, 'usage');
  if cardinality(only_tenants) > 1 or named is null and must_name then
    return no_tenant;
  elsif only_tenants is null or named is null then
    return coalesce(only_tenants[1], named);
  end if;
  return case when named = only_tenants[1] then named else no_tenant end;
end $$;
