-- Applications read slots, items and assignments by these views. Their halves are those of 0046. A reader of any tenant sees the rows
-- of all tenants.
create view directory.slots with (security_barrier) as
select s.tenant_id, s.slot, s.winners, s.title
  from entra_sync.slots s
 where (select entra_sync.narrowed_to()) is null
union all
select s.tenant_id, s.slot, s.winners, s.title
  from entra_sync.slots s
 where (select entra_sync.narrowed_to()) is not null
   and (s.tenant_id = (select entra_sync.narrowed_to())
        or s.tenant_id is null and exists (select from entra_sync.tenants t where t.tenant_id = (select entra_sync.narrowed_to())));

create view directory.items with (security_barrier) as
select i.tenant_id, i.slot, i.item, i.title, i.html, i.updated_at
  from entra_sync.items i
 where (select entra_sync.narrowed_to()) is null
union all
select i.tenant_id, i.slot, i.item, i.title, i.html, i.updated_at
  from entra_sync.items i
 where (select entra_sync.narrowed_to()) is not null
   and (i.tenant_id = (select entra_sync.narrowed_to())
        or i.tenant_id is null and exists (select from entra_sync.tenants t where t.tenant_id = (select entra_sync.narrowed_to())));

create view directory.assignments with (security_barrier) as
select r.assignment_id, r.tenant_id, r.slot, r.item, r.target, r.group_id, r.account_id, r.field, r.field_values,
       r.is_exception as "except", r.priority, r.starts_at, r.ends_at,
       case when r.ends_at <= now() then 'ended'
            when r.target = 'group' and g.group_no is null or r.target = 'account' and a.account_no is null then 'orphaned'
            when g.removed_at is not null or a.removed_at is not null then 'dormant'
            when r.starts_at > now() then 'scheduled'
            else 'active' end as state,
       g.display_name as group_name, r.created_by, r.updated_at
  from entra_sync.assignments r
  left join entra_sync.groups g on g.group_id = r.group_id and g.tenant_id = r.tenant_id
  left join entra_sync.accounts a on a.account_id = r.account_id and a.tenant_id = r.tenant_id
 where (select entra_sync.narrowed_to()) is null
union all
select r.assignment_id, r.tenant_id, r.slot, r.item, r.target, r.group_id, r.account_id, r.field, r.field_values,
       r.is_exception as "except", r.priority, r.starts_at, r.ends_at,
       case when r.ends_at <= now() then 'ended'
            when r.target = 'group' and g.group_no is null or r.target = 'account' and a.account_no is null then 'orphaned'
            when g.removed_at is not null or a.removed_at is not null then 'dormant'
            when r.starts_at > now() then 'scheduled'
            else 'active' end as state,
       g.display_name as group_name, r.created_by, r.updated_at
  from entra_sync.assignments r
  left join entra_sync.groups g on g.group_id = r.group_id and g.tenant_id = r.tenant_id
  left join entra_sync.accounts a on a.account_id = r.account_id and a.tenant_id = r.tenant_id
 where (select entra_sync.narrowed_to()) is not null and r.tenant_id = (select entra_sync.narrowed_to());

create view directory.assigned with (security_barrier) as
select r.tenant_id, a.account_id, r.slot, s.rank::integer as rank, r.item, r.assignment_id, r.group_id as via_group_id
  from entra_sync.assigned s
  join entra_sync.assignments r on r.seq = s.seq
  join entra_sync.accounts a on a.account_no = s.account_no
 where (select entra_sync.narrowed_to()) is null
union all
select r.tenant_id, a.account_id, r.slot, s.rank::integer as rank, r.item, r.assignment_id, r.group_id as via_group_id
  from entra_sync.assigned s
  join entra_sync.assignments r on r.seq = s.seq
  join entra_sync.accounts a on a.account_no = s.account_no
 where (select entra_sync.narrowed_to()) is not null and r.tenant_id = (select entra_sync.narrowed_to());

create or replace function directory.account_history(account_id uuid) returns setof directory.history_row
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
        select 'assigned.' || k.slot, c.before -> k.slot, c.after -> k.slot
          from jsonb_object_keys(c.after) as k (slot) where c.kind = 'assigned.changed'
        union all
        select 'assignment', c.before, c.after where c.kind like 'assignment.%'
        union all
        select 'removal', null, c.after where c.kind like 'removal.%') f on true
     where c.account_id = wanted and c.tenant_id = coalesce(only_tenant, c.tenant_id)
     order by c.change_id desc, f.field;
end $$;

create or replace function directory.group_history(group_id uuid) returns setof directory.history_row
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
        -- The history of a nested group names the group that holds it. Every other history names the member.
        select s.field, case when c.kind = 'membership.removed' then s.value end, case when c.kind = 'membership.added' then s.value end
          from (select case when c.member_group_id = wanted then 'group' else 'member' end as field,
                       to_jsonb(case when c.member_group_id = wanted then c.group_id else coalesce(c.account_id, c.member_group_id) end) as value) s
         where c.kind like 'membership.%'
        union all
        select 'assignment', c.before, c.after where c.kind like 'assignment.%'
        union all
        select 'removal', null, c.after where c.kind like 'removal.%') f on true
     where c.tenant_id = coalesce(only_tenant, c.tenant_id)
     order by c.change_id desc, f.field;
end $$;
comment on function directory.account_history is 'What happened to an account, one row a field, newest first; groups joined and left, items assigned (assigned.SLOT), assignments to it, and held removals too. A purged account has its rows without values. ES004.';
comment on function directory.group_history is 'What happened to a group, one row a field, newest first: its members (member), the groups that hold it (group), and the assignments to it, too. ES004.';
