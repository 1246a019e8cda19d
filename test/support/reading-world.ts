// A tenant of any size, stored by SQL, to read from: accounts in groups, some groups in others, and some accounts in none.

/** Binds `tenant`, `people`, `groups` and `each`, the number of groups of an account. */
export const readingWorld: readonly string[] = [
  'insert into entra_sync.tenants (tenant_id, name) values (:tenant, :tenant::text)',
  `insert into entra_sync.accounts (tenant_id, entra_object_id, state, user_principal_name, mail, source, mapped)
   select :tenant, gen_random_uuid(), 'managed', p.name || '@example.test', p.name || '@example.test', p.fields, p.fields
     from generate_series(1, :people::int) n
    cross join lateral (
      select lower(x.given) || '.' || x.family || n as name,
             jsonb_build_object('displayName', x.given || ' ' || initcap(x.family), 'jobTitle', 'Clerk', 'department', 'Department ' || n % 20,
               'officeLocation', 'B' || n % 7, 'mail', lower(x.given) || '.' || x.family || n || '@example.test') as fields
        from (select ('{Ann,Bjorn,Carla,David,Elena,Farid,Grete,Hugo,Irene,Jose,Karin,Liam,Maria,Nils,Olga,Paul,Rosa,Sven,Tina,Uwe}'::text[])[1 + n % 20]
                       || case when n % 3 = 0 then '' else chr(97 + n % 26) end as given,
                     (select string_agg(('{ber,gar,hol,kov,lan,mer,nor,ric,sen,str,tal,wei}'::text[])[1 + (n / 20 * 7919 / (12 ^ i)::int) % 12], '' order by i)
                        from generate_series(0, 2) i) as family) x) p`,
  `insert into entra_sync.groups (tenant_id, entra_object_id, state, display_name, kind, is_dynamic, source)
   select :tenant, gen_random_uuid(), 'managed', 'Group ' || n, 'security', false, '{}' from generate_series(1, :groups::int) n`,
  // Every twentieth account is in no group.
  `insert into entra_sync.member_groups (tenant_id, member_object_id, member_type, group_nos)
   with g as (select array_agg(group_no order by group_no) as nos from entra_sync.groups where tenant_id = :tenant)
   select :tenant, a.entra_object_id, 'u',
          array(select distinct g.nos[1 + ((a.n * 7919 + k * 104729 + (a.n / :groups::int) * k) % :groups::int)]
                  from generate_series(1, :each::int) k)
     from (select entra_object_id, row_number() over () as n from entra_sync.accounts where tenant_id = :tenant) a, g
    where a.n % 20 <> 0`,
  // Every fifth group is in the one before it.
  `insert into entra_sync.member_groups (tenant_id, member_object_id, member_type, group_nos)
   select :tenant, x.entra_object_id, 'g', array[x.before]
     from (select entra_object_id, row_number() over (order by group_no) as n, lag(group_no) over (order by group_no) as before
             from entra_sync.groups where tenant_id = :tenant) x where x.before is not null and x.n % 5 = 0`,
  `insert into entra_sync.group_closure (ancestor_no, descendant_no)
   select group_no, group_no from entra_sync.groups where tenant_id = :tenant
   union
   select m.group_no, g.group_no from entra_sync.groups g
     join entra_sync.memberships m on m.tenant_id = g.tenant_id and m.member_object_id = g.entra_object_id
    where g.tenant_id = :tenant`,
  `select entra_sync.keep_effective(:tenant, array(
     select account_no from entra_sync.accounts where tenant_id = :tenant order by 1))`,
];

/** Binds `others`, the ids of small tenants: each gets ten accounts, of which each is in one of five groups. */
export const smallTenants: readonly string[] = [
  'insert into entra_sync.tenants (tenant_id, name) select t, t::text from unnest(:others::uuid[]) t',
  `insert into entra_sync.accounts (tenant_id, entra_object_id, state)
   select t, gen_random_uuid(), 'managed' from unnest(:others::uuid[]) t, generate_series(1, 10)`,
  `insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source)
   select t, gen_random_uuid(), 'managed', 'security', false, '{}' from unnest(:others::uuid[]) t, generate_series(1, 5) order by t`,
  `insert into entra_sync.effective_members (account_no, group_no, is_direct)
   select a.account_no, (select min(g.group_no) from entra_sync.groups g where g.tenant_id = a.tenant_id) + a.account_no % 5, true
     from entra_sync.accounts a where a.tenant_id = any(:others)`,
];
