-- A group that was set aside and never taken is found by its id, as such a user is.
create or replace function entra_sync.found_by_id(tenant uuid, digits text, removed boolean)
returns setof directory.found_row
language plpgsql stable as $$
declare
  first constant uuid := rpad(digits, 32, '0')::uuid;
  last constant uuid := rpad(digits, 32, 'f')::uuid;
begin
  return query
    select f.* from entra_sync.judged(tenant,
      array(select a.account_no from entra_sync.accounts a
             where a.tenant_id = tenant and a.entra_object_id between first and last
            union
            select a.account_no from entra_sync.accounts a where a.account_id between first and last and a.tenant_id = tenant),
      array(select g.group_no from entra_sync.groups g
             where g.tenant_id = tenant and g.entra_object_id between first and last
            union
            select g.group_no from entra_sync.groups g where g.group_id between first and last and g.tenant_id = tenant),
      null, removed) f;
  if removed then
    return query
      select x.kind, tenant, null::uuid, null::uuid, x.id, null::text, null::text, null::text, x.why, 'id'
        from (select 'user' as kind, o.entra_object_id as id, 'out_of_scope' as why from entra_sync.outside_scope o
               where o.tenant_id = tenant and o.entra_object_id between first and last
              union all
              select case s.stream when 'users' then 'user' else 'group' end, left(s.object_key, 36)::uuid, 'set_aside'
                from entra_sync.set_aside s
               where s.tenant_id = tenant
                 and case when s.object_key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}'
                          then left(s.object_key, 36)::uuid between first and last end) x
       where case x.kind
               when 'user' then not exists (
                 select from entra_sync.accounts a where a.tenant_id = tenant and a.entra_object_id = x.id)
               else not exists (select from entra_sync.groups g where g.tenant_id = tenant and g.entra_object_id = x.id) end
       group by x.kind, x.id, x.why;
  end if;
end $$;
