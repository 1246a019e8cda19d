-- What was: the history of an account or a group, and a tenant as it was, from the change rows alone.

-- An account's changes have their index already. A packed row of memberships names many groups.
create index changes_by_group on entra_sync.changes (group_id, change_id) where group_id is not null;
create index changes_by_member_group on entra_sync.changes (member_group_id, change_id) where member_group_id is not null;
create index changes_by_groups on entra_sync.changes using gin (group_ids) where group_ids is not null;
-- Few rows: who decided what about held removals.
create index changes_of_decisions on entra_sync.changes (tenant_id, change_id) where kind in ('removal.approved', 'removal.rejected');

create function entra_sync.change_fields(before jsonb, after jsonb) returns table (field text, before jsonb, after jsonb)
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  with sides as (
    select s.is_after, e.key as field, e.value
      from (values (false, before), (true, after)) as s (is_after, facts)
     cross join lateral jsonb_each(coalesce(s.facts, '{}') - array['profile', 'directory']) e
    union all
    select s.is_after, p.part || '.' || e.key, e.value
      from (values (false, before), (true, after)) as s (is_after, facts)
     cross join (values ('profile'), ('directory')) as p (part)
     cross join lateral jsonb_each(coalesce(s.facts -> p.part, '{}')) e
  )
  select s.field, nullif((jsonb_agg(s.value) filter (where not s.is_after)) -> 0, 'null'),
         nullif((jsonb_agg(s.value) filter (where s.is_after)) -> 0, 'null')
    from sides s group by s.field
$$;
revoke execute on function entra_sync.change_fields(jsonb, jsonb) from public;
comment on function entra_sync.change_fields is 'A change row field by field: facts by their name, fields of the profile as profile.NAME, a change under a person''s edit as directory.NAME.';

create function entra_sync.refuse_unknown_tenant(wanted uuid) returns void
language plpgsql as $$
begin
  raise exception using errcode = 'ES004', message = format('there is no tenant %s', coalesce(wanted::text, 'null')),
    hint = 'Take tenant_id from directory.tenants. Where directory.tenant is set, or required of the role, it must name this tenant.';
end $$;
revoke execute on function entra_sync.refuse_unknown_tenant(uuid) from public;

create type directory.history_row as (
  change_id bigint,
  at timestamptz,
  actor text,
  cycle_id bigint,
  kind text,
  field text,
  before jsonb,
  after jsonb
);

create function directory.account_history(account_id uuid) returns setof directory.history_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  wanted constant uuid := account_history.account_id;
  only_tenant constant uuid := entra_sync.narrowed_to();
begin
  if not exists (select from entra_sync.accounts a where a.account_id = wanted and a.tenant_id = coalesce(only_tenant, a.tenant_id))
     -- A purged account has its change rows alone.
     and not exists (select from entra_sync.changes c where c.account_id = wanted and c.tenant_id = coalesce(only_tenant, c.tenant_id)) then
    perform entra_sync.refuse_unknown_account(wanted);
  end if;
  return query
    select c.change_id, c.at, c.actor, c.cycle_id, c.kind, f.field, f.before, f.after
      from entra_sync.change_rows c
      left join lateral (
        select x.field, x.before, x.after from entra_sync.change_fields(c.before, c.after) x where c.kind like 'account.%'
        union all
        select 'group', case when c.kind = 'membership.removed' then to_jsonb(c.group_id) end,
               case when c.kind = 'membership.added' then to_jsonb(c.group_id) end
         where c.kind like 'membership.%'
        union all
        select 'removal', null, c.after where c.kind like 'removal.%') f on true
     where c.account_id = wanted and c.tenant_id = coalesce(only_tenant, c.tenant_id)
     order by c.change_id desc, f.field;
end $$;
revoke execute on function directory.account_history(uuid) from public;
comment on function directory.account_history is 'What happened to an account, one row a field, newest first; groups joined and left, and held removals too. A purged account has its rows without values. ES004.';

create function directory.group_history(group_id uuid) returns setof directory.history_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  wanted constant uuid := group_history.group_id;
  only_tenant constant uuid := entra_sync.narrowed_to();
begin
  if not exists (select from entra_sync.groups g where g.group_id = wanted and g.tenant_id = coalesce(only_tenant, g.tenant_id))
     and not exists (select from entra_sync.changes c where c.group_id = wanted and c.tenant_id = coalesce(only_tenant, c.tenant_id)) then
    raise exception using errcode = 'ES004', message = format('there is no group %s', coalesce(wanted::text, 'null')),
      hint = 'Take group_id from directory.groups. Where directory.tenant is set, or required of the role, it must name the group''s tenant.';
  end if;
  return query
    with mine as (
      select c.change_id, c.at, c.actor, c.cycle_id, c.kind, c.account_id, c.group_id, c.member_group_id, c.before, c.after, c.tenant_id
        from entra_sync.changes c where c.group_id = wanted
      union all
      select m.change_id, c.at, c.actor, c.cycle_id, c.kind, c.account_id, m.group_id, c.member_group_id, c.before, c.after, c.tenant_id
        from entra_sync.changes c cross join lateral unnest(c.change_ids, c.group_ids) as m (change_id, group_id)
       where c.group_ids @> array[wanted] and m.group_id = wanted
      union all
      select coalesce(m.change_id, c.change_id), c.at, c.actor, c.cycle_id, c.kind, c.account_id, coalesce(m.group_id, c.group_id),
             c.member_group_id, c.before, c.after, c.tenant_id
        from entra_sync.changes c left join lateral unnest(c.change_ids, c.group_ids) as m (change_id, group_id) on true
       where c.member_group_id = wanted
    )
    select c.change_id, c.at, c.actor, c.cycle_id, c.kind, f.field, f.before, f.after
      from mine c
      left join lateral (
        select x.field, x.before, x.after from entra_sync.change_fields(c.before, c.after) x where c.kind like 'group.%'
        union all
        -- Of a nested group's own history the group that holds it, else the member.
        select s.field, case when c.kind = 'membership.removed' then s.value end, case when c.kind = 'membership.added' then s.value end
          from (select case when c.member_group_id = wanted then 'group' else 'member' end as field,
                       to_jsonb(case when c.member_group_id = wanted then c.group_id else coalesce(c.account_id, c.member_group_id) end) as value) s
         where c.kind like 'membership.%'
        union all
        select 'removal', null, c.after where c.kind like 'removal.%') f on true
     where c.tenant_id = coalesce(only_tenant, c.tenant_id)
     order by c.change_id desc, f.field;
end $$;
revoke execute on function directory.group_history(uuid) from public;
comment on function directory.group_history is 'What happened to a group, one row a field, newest first: its members (member), and the groups that hold it (group), too. ES004.';

create function entra_sync.require_time(tenant uuid, at timestamptz) returns void
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
  oldest timestamptz;
begin
  if not exists (select from entra_sync.tenants t where t.tenant_id = tenant and t.tenant_id = coalesce(entra_sync.narrowed_to(), t.tenant_id)) then
    perform entra_sync.refuse_unknown_tenant(tenant);
  end if;
  select min(b.committed_at) into oldest from entra_sync.batches b where b.tenant_id = tenant;
  if (at >= oldest) is not true then
    raise exception using errcode = 'ES006', message = 'the tenant''s changes are not kept as far back as that',
      hint = coalesce(format('The oldest that is kept is of %s.', to_char(oldest at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS"Z"')), 'Nothing of this tenant was stored yet.');
  end if;
end $$;
revoke execute on function entra_sync.require_time(uuid, timestamptz) from public;

create type directory.account_then as (
  tenant_id uuid,
  account_id uuid,
  entra_object_id uuid,
  state text,
  enabled boolean,
  user_principal_name text,
  mail text,
  profile jsonb,
  erased boolean
);

create function directory.accounts_at(tenant_id uuid, at timestamptz) returns setof directory.account_then
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  tenant constant uuid := accounts_at.tenant_id;
  moment constant timestamptz := accounts_at.at;
begin
  perform entra_sync.require_time(tenant, moment);
  return query
    with later as materialized (
      -- The changes of one account have ids in the order of their commits: each is written under the account's lock.
      select c.account_id, c.change_id, c.kind, c.before
        from entra_sync.batches b join entra_sync.changes c on c.batch_id = b.batch_id
       where b.tenant_id = tenant and b.committed_at > moment and c.account_id is not null and c.kind like 'account.%'
    ), life as (
      select distinct on (l.account_id) l.account_id, l.kind from later l
       where l.kind in ('account.created', 'account.restored', 'account.removed', 'account.purged')
       order by l.account_id, l.change_id
    ), blind as (
      -- A restore of an older release does not say what it changed: what was known before it is in the rows before it.
      select l.account_id, min(l.change_id) as change_id from later l
       where l.kind = 'account.restored' and not jsonb_exists(coalesce(l.before, '{}'), 'profile') group by l.account_id
    ), undone as (
      select distinct on (l.account_id, f.field) l.account_id, f.field, f.before as value
        from later l left join blind using (account_id)
       cross join lateral entra_sync.change_fields(l.before, null) f
       where l.change_id < blind.change_id or blind.change_id is null
       order by l.account_id, f.field, l.change_id
    ), remembered as (
      select distinct on (x.account_id, f.field) x.account_id, f.field, f.after as value
        from blind x join entra_sync.changes c on c.account_id = x.account_id and c.change_id < x.change_id and c.kind like 'account.%'
       cross join lateral entra_sync.change_fields(null, c.after) f
       order by x.account_id, f.field, c.change_id desc
    ), other as (
      select v.account_id,
             jsonb_object_agg(v.field, v.value) filter (where v.field not like '%.%') as facts,
             jsonb_object_agg(substr(v.field, 9), v.value) filter (where v.field like 'profile.%') as profile
        from (select coalesce(u.account_id, r.account_id) as account_id, coalesce(u.field, r.field) as field,
                     case when u.field is null then r.value else u.value end as value
                from undone u full join remembered r on r.account_id = u.account_id and r.field = u.field) v
       group by v.account_id
    ), there as (
      select coalesce(a.account_id, l.account_id) as account_id, a.account_id is null as erased,
             jsonb_build_object('entra_object_id', a.entra_object_id, 'state', a.state, 'enabled', a.enabled,
               'user_principal_name', a.user_principal_name, 'mail', a.mail) || coalesce(o.facts, '{}') as facts,
             jsonb_strip_nulls(coalesce(a.profile, '{}') || coalesce(o.profile, '{}')) as profile
        from (select * from entra_sync.accounts a where a.tenant_id = tenant) a
        full join life l on l.account_id = a.account_id
        left join other o on o.account_id = a.account_id
       where case when l.kind is null then a.removed_at is null else l.kind = 'account.removed' end
    )
    select tenant, t.account_id,
           case when not t.erased then (t.facts ->> 'entra_object_id')::uuid end,
           case when not t.erased then t.facts ->> 'state' end,
           case when not t.erased then (t.facts ->> 'enabled')::boolean end,
           case when not t.erased then t.facts ->> 'user_principal_name' end,
           case when not t.erased then t.facts ->> 'mail' end,
           case when not t.erased then t.profile end,
           t.erased
      from there t;
end $$;
revoke execute on function directory.accounts_at(uuid, timestamptz) from public;
comment on function directory.accounts_at is 'The live accounts of a tenant as they were: batches with committed_at <= at. An account that was purged since is told as erased, without values. ES004; ES006 where at is older than what is kept.';

create type directory.membership_then as (
  tenant_id uuid,
  group_id uuid,
  member_kind text,
  account_id uuid,
  member_group_id uuid
);

create function directory.memberships_at(tenant_id uuid, at timestamptz) returns setof directory.membership_then
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  tenant constant uuid := memberships_at.tenant_id;
  moment constant timestamptz := memberships_at.at;
begin
  perform entra_sync.require_time(tenant, moment);
  return query
    with first as materialized (
      select distinct on (c.group_id, c.account_id, c.member_group_id) c.group_id, c.account_id, c.member_group_id, c.kind
        from entra_sync.batches b join entra_sync.change_rows c on c.batch_id = b.batch_id
       where b.tenant_id = tenant and b.committed_at > moment and c.kind in ('membership.added', 'membership.removed')
       order by c.group_id, c.account_id, c.member_group_id, c.change_id
    )
    select tenant, m.group_id, m.member_kind, m.account_id, m.member_group_id from directory.memberships m
     where m.tenant_id = tenant
       and not exists (select from first f where f.group_id = m.group_id
                        and f.account_id is not distinct from m.account_id and f.member_group_id is not distinct from m.member_group_id)
    union all
    select tenant, f.group_id, case when f.account_id is null then 'group' else 'account' end, f.account_id, f.member_group_id
      from first f where f.kind = 'membership.removed';
end $$;
revoke execute on function directory.memberships_at(uuid, timestamptz) from public;
comment on function directory.memberships_at is 'directory.memberships of a tenant as it was. ES004, ES006.';
