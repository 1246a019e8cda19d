-- A role that was bound to a tenant could see rows of other tenants by a function of its own in a condition. Postgres takes a view that is
-- a `union all` apart and forgets its security_barrier, so that the function, if it claims to be cheap, was asked before the tenant was
-- compared. A select around the halves keeps the barrier: its conditions come first, whatever a function costs.
do $$
declare
  one record;
begin
  for one in
    select c.relname, rtrim(pg_get_viewdef(c.oid), ';') as halves
      from pg_class c
     where c.relnamespace = 'directory'::regnamespace and c.relkind = 'v' and pg_get_viewdef(c.oid) ~ '\nUNION ALL\n'
     order by c.relname
  loop
    execute format('create or replace view directory.%1$I with (security_barrier) as select * from (%2$s) as %1$I', one.relname, one.halves);
  end loop;
end $$;
