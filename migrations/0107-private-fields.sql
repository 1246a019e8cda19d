-- Earlier values of a private field are for the person alone. A reader of the past says who looks.

create function entra_sync.private_fields(tenant uuid) returns text[]
language sql stable parallel safe set search_path = pg_catalog, pg_temp as $$
  select coalesce(array_agg(r.field), '{}') from entra_sync.field_rules r where r.tenant_id = tenant and r.private
$$;
revoke execute on function entra_sync.private_fields(uuid) from public;
comment on function entra_sync.private_fields is 'The fields of a tenant whose earlier values are for the person alone.';

create function entra_sync.without_private(facts jsonb, fields text[]) returns jsonb
language sql immutable parallel safe set search_path = pg_catalog, pg_temp as $$
  select case when facts is null or fields = '{}' then facts else facts || coalesce((
    select jsonb_object_agg(p.part, (
             select coalesce(jsonb_object_agg(e.key, case when e.key = any (fields) then '{"private": true}' else e.value end), '{}')
               from jsonb_each(facts -> p.part) e))
      from (values ('profile'), ('directory')) as p (part) where jsonb_typeof(facts -> p.part) = 'object'), '{}') end
$$;
revoke execute on function entra_sync.without_private(jsonb, text[]) from public;
comment on function entra_sync.without_private is 'One side of a change row, with {"private": true} instead of each value of these fields.';

create function directory.account_history(account_id uuid, viewer_account_id uuid) returns setof directory.history_row
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
declare
  wanted constant uuid := account_history.account_id;
  only_tenant constant uuid := entra_sync.narrowed_to();
  hidden text[] := '{}';
begin
  if not exists (select from entra_sync.accounts a where a.account_id = wanted and a.tenant_id = coalesce(only_tenant, a.tenant_id))
     -- A purged account has its change rows alone.
     and not exists (select from entra_sync.changes c where c.account_id = wanted and c.tenant_id = coalesce(only_tenant, c.tenant_id)) then
    perform entra_sync.refuse_unknown_account(wanted);
  end if;
  if account_history.viewer_account_id is distinct from wanted then
    hidden := entra_sync.private_fields((select a.tenant_id from entra_sync.accounts a where a.account_id = wanted));
  end if;
  return query
    select c.change_id, c.at, c.actor, c.cycle_id, c.kind, f.field, f.before, f.after
      from entra_sync.change_rows c
      left join lateral (
        select x.field, x.before, x.after
          from entra_sync.change_fields(entra_sync.without_private(c.before, hidden), entra_sync.without_private(c.after, hidden)) x
         where c.kind like 'account.%'
        union all
        select 'group', case when c.kind = 'membership.removed' then to_jsonb(c.group_id) end,
               case when c.kind = 'membership.added' then to_jsonb(c.group_id) end
         where c.kind like 'membership.%'
        union all
        select 'assigned.' || k.slot, c.before -> k.slot, c.after -> k.slot
          from jsonb_object_keys(c.after) as k (slot) where c.kind = 'assigned.changed'
        union all
        select 'assignment', c.before, c.after where c.kind like 'assignment.%'
        union all
        select 'removal', null, c.after where c.kind like 'removal.%') f on true
     where c.account_id = wanted and c.tenant_id = coalesce(only_tenant, c.tenant_id)
     order by c.change_id desc, f.field;
end $$;
revoke execute on function directory.account_history(uuid, uuid) from public;
comment on function directory.account_history(uuid, uuid) is 'What happened to an account, one row a field, newest first; groups joined and left, items assigned (assigned.SLOT), assignments to it, and held removals too. A value of a private field is {"private": true}, unless the viewer is the account itself. A purged account has its rows without values. ES004.';

create or replace function directory.account_history(account_id uuid) returns setof directory.history_row
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select * from directory.account_history(account_history.account_id, null)
$$;
comment on function directory.account_history(uuid) is 'account_history for a viewer who is not the account: values of private fields are not told.';

create function entra_sync.accounts_then(tenant uuid, moment timestamptz, only_account uuid default null) returns setof directory.account_then
language plpgsql stable security definer set search_path = pg_catalog, pg_temp as $$
#variable_conflict use_column
begin
  perform entra_sync.require_time(tenant, moment);
  return query
    with later as materialized (
      -- The changes of one account have ids in the order of their commits: each is written under the account's lock.
      select c.account_id, c.change_id, c.kind, c.before
        from entra_sync.batches b join entra_sync.changes c on c.batch_id = b.batch_id
       where b.tenant_id = tenant and b.committed_at > moment and c.kind like 'account.%'
         and (only_account is null and c.account_id is not null or c.account_id = only_account)
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
        from (select * from entra_sync.accounts a
               where a.tenant_id = tenant and (only_account is null or a.account_id = only_account)) a
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
revoke execute on function entra_sync.accounts_then(uuid, timestamptz, uuid) from public;
comment on function entra_sync.accounts_then is 'accounts_at with every value; with only_account that account alone, by reading its change rows alone.';

create function directory.accounts_at(tenant_id uuid, at timestamptz, viewer_account_id uuid) returns setof directory.account_then
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select t.tenant_id, t.account_id, t.entra_object_id, t.state, t.enabled, t.user_principal_name, t.mail,
         case when t.account_id = accounts_at.viewer_account_id then t.profile
              else t.profile - entra_sync.private_fields(accounts_at.tenant_id) end,
         t.erased
    from entra_sync.accounts_then(accounts_at.tenant_id, accounts_at.at) t
$$;
revoke execute on function directory.accounts_at(uuid, timestamptz, uuid) from public;
comment on function directory.accounts_at(uuid, timestamptz, uuid) is 'The live accounts of a tenant as they were: batches with committed_at <= at. A profile is without its private fields, unless the viewer is the account itself. An account that was purged since is told as erased, without values. ES004; ES006 where at is older than what is kept.';

create or replace function directory.accounts_at(tenant_id uuid, at timestamptz) returns setof directory.account_then
language sql stable security definer set search_path = pg_catalog, pg_temp as $$
  select * from directory.accounts_at(accounts_at.tenant_id, accounts_at.at, null)
$$;
comment on function directory.accounts_at(uuid, timestamptz) is 'accounts_at for a viewer who is no account: profiles without their private fields.';
