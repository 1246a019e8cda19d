-- A page for people asks the contract alone, so the contract tells the tenant's settings of such pages.
do $$
declare
  known constant text := rtrim(pg_get_viewdef('directory.tenants'::regclass), ';');
begin
  execute format($view$
create or replace view directory.tenants with (security_barrier) as
select t.*,
       coalesce((select s.document ->> 'timeZone' from entra_sync.settings s
                  where s.tenant_id = t.tenant_id order by s.version desc limit 1),
                (select s.document ->> 'timeZone' from entra_sync.settings s
                  where s.tenant_id is null order by s.version desc limit 1), 'UTC') as time_zone,
       (select nullif(s.document -> 'help', 'null') from entra_sync.settings s
         where s.tenant_id = t.tenant_id order by s.version desc limit 1) as help,
       '{"people": true, "managers": false, "history": "90d"}'::jsonb
         || coalesce((select s.document -> 'portal' from entra_sync.settings s
                       where s.tenant_id is null order by s.version desc limit 1), '{}')
         || coalesce((select s.document -> 'portal' from entra_sync.settings s
                       where s.tenant_id = t.tenant_id order by s.version desc limit 1), '{}') as portal
  from (%s) t$view$, known);
end $$;
