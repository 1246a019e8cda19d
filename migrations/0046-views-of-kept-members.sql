-- The views read the kept effective memberships. Each has two halves, of which one is never begun: all tenants where the reader is not
-- narrowed to one, else the tenant by an index. As one condition of each row this was estimated at one row in 200, and joins walked
-- through a whole view for each row of another one. So was `removed_at is null` before the first ANALYZE; a `case` counts as a half.
alter table entra_sync.accounts alter column account_no set not null;
alter table entra_sync.accounts drop constraint accounts_numbered;

create or replace view directory.accounts with (security_barrier) as
select a.tenant_id, a.account_id, a.entra_object_id, a.state, a.enabled, a.user_principal_name, a.mail,
       coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name,
       a.profile - a.cleared as profile,
       array(select jsonb_object_keys(a.overrides)) as edited_fields, a.created_at, a.updated_at
  from entra_sync.accounts a
 where case when a.removed_at is null then true end and (select entra_sync.narrowed_to()) is null
union all
select a.tenant_id, a.account_id, a.entra_object_id, a.state, a.enabled, a.user_principal_name, a.mail,
       coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name,
       a.profile - a.cleared as profile,
       array(select jsonb_object_keys(a.overrides)) as edited_fields, a.created_at, a.updated_at
  from entra_sync.accounts a
 where case when a.removed_at is null then true end and (select entra_sync.narrowed_to()) is not null and a.tenant_id = (select entra_sync.narrowed_to());

create or replace view directory.removed_accounts with (security_barrier) as
select a.tenant_id, a.account_id, a.entra_object_id, a.removed_reason as reason, a.removed_at, a.purge_at,
       coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name
  from entra_sync.accounts a
 where a.removed_at is not null and (select entra_sync.narrowed_to()) is null
union all
select a.tenant_id, a.account_id, a.entra_object_id, a.removed_reason as reason, a.removed_at, a.purge_at,
       coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name
  from entra_sync.accounts a
 where a.removed_at is not null and (select entra_sync.narrowed_to()) is not null and a.tenant_id = (select entra_sync.narrowed_to());

create or replace view directory.groups with (security_barrier) as
select g.tenant_id, g.group_id, g.entra_object_id, g.state, g.display_name, g.description, g.mail, g.kind, g.is_dynamic,
       g.attributes, g.created_at, g.updated_at
  from entra_sync.groups g
 where case when g.removed_at is null then true end and (select entra_sync.narrowed_to()) is null
union all
select g.tenant_id, g.group_id, g.entra_object_id, g.state, g.display_name, g.description, g.mail, g.kind, g.is_dynamic,
       g.attributes, g.created_at, g.updated_at
  from entra_sync.groups g
 where case when g.removed_at is null then true end and (select entra_sync.narrowed_to()) is not null and g.tenant_id = (select entra_sync.narrowed_to());

create or replace view directory.removed_groups with (security_barrier) as
select g.tenant_id, g.group_id, g.entra_object_id, g.removed_reason as reason, g.removed_at, g.purge_at, g.display_name
  from entra_sync.groups g
 where g.removed_at is not null and (select entra_sync.narrowed_to()) is null
union all
select g.tenant_id, g.group_id, g.entra_object_id, g.removed_reason as reason, g.removed_at, g.purge_at, g.display_name
  from entra_sync.groups g
 where g.removed_at is not null and (select entra_sync.narrowed_to()) is not null and g.tenant_id = (select entra_sync.narrowed_to());

create or replace view directory.effective_memberships with (security_barrier) as
select g.tenant_id, g.group_id, a.account_id, e.is_direct
  from entra_sync.effective_members e
  join entra_sync.groups g on g.group_no = e.group_no
  join entra_sync.accounts a on a.account_no = e.account_no
 where (select entra_sync.narrowed_to()) is null
union all
select g.tenant_id, g.group_id, a.account_id, e.is_direct
  from entra_sync.effective_members e
  join entra_sync.groups g on g.group_no = e.group_no
  join entra_sync.accounts a on a.account_no = e.account_no
 where (select entra_sync.narrowed_to()) is not null and g.tenant_id = (select entra_sync.narrowed_to());

create or replace view directory.memberships with (security_barrier) as
select g.tenant_id, g.group_id, 'account' as member_kind, a.account_id, null::uuid as member_group_id
  from entra_sync.effective_members e
  join entra_sync.groups g on g.group_no = e.group_no
  join entra_sync.accounts a on a.account_no = e.account_no
 where e.is_direct and (select entra_sync.narrowed_to()) is null
union all
select g.tenant_id, g.group_id, 'account' as member_kind, a.account_id, null::uuid as member_group_id
  from entra_sync.effective_members e
  join entra_sync.groups g on g.group_no = e.group_no
  join entra_sync.accounts a on a.account_no = e.account_no
 where e.is_direct and (select entra_sync.narrowed_to()) is not null and g.tenant_id = (select entra_sync.narrowed_to())
union all
-- The closure finds the groups in a group, and the groups that hold one, by an index.
select g.tenant_id, g.group_id, 'group', null, n.group_id
  from entra_sync.group_closure c
  join entra_sync.groups g on g.group_no = c.ancestor_no
  join entra_sync.groups n on n.group_no = c.descendant_no
  join entra_sync.member_groups m
    on m.tenant_id = n.tenant_id and m.member_object_id = n.entra_object_id and g.group_no = any(m.group_nos)
 where (select entra_sync.narrowed_to()) is null
union all
select g.tenant_id, g.group_id, 'group', null, n.group_id
  from entra_sync.group_closure c
  join entra_sync.groups g on g.group_no = c.ancestor_no
  join entra_sync.groups n on n.group_no = c.descendant_no
  join entra_sync.member_groups m
    on m.tenant_id = n.tenant_id and m.member_object_id = n.entra_object_id and g.group_no = any(m.group_nos)
 where (select entra_sync.narrowed_to()) is not null and g.tenant_id = (select entra_sync.narrowed_to());

create or replace view directory.changes with (security_barrier) as
select c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id, c.group_id, c.member_group_id, c.before, c.after
  from entra_sync.change_rows c
 where (select entra_sync.narrowed_to()) is null
union all
select c.change_id, c.tenant_id, c.at, c.cycle_id, c.actor, c.kind, c.account_id, c.group_id, c.member_group_id, c.before, c.after
  from entra_sync.change_rows c
 where (select entra_sync.narrowed_to()) is not null and c.tenant_id = (select entra_sync.narrowed_to());

create or replace view directory.cycles with (security_barrier) as
select c.cycle_id, c.tenant_id, c.kind, c.started_at, c.finished_at, c.outcome, c.streams, c.settings_version, c.error_code,
       c.error_message
  from entra_sync.cycles c
 where (select entra_sync.narrowed_to()) is null
union all
select c.cycle_id, c.tenant_id, c.kind, c.started_at, c.finished_at, c.outcome, c.streams, c.settings_version, c.error_code,
       c.error_message
  from entra_sync.cycles c
 where (select entra_sync.narrowed_to()) is not null and c.tenant_id = (select entra_sync.narrowed_to());

create or replace view directory.fields with (security_barrier) as
select r.tenant_id, r.field, r.owner, r.editable_by, r.mapped_from
  from entra_sync.field_rules r
 where (select entra_sync.narrowed_to()) is null
union all
select r.tenant_id, r.field, r.owner, r.editable_by, r.mapped_from
  from entra_sync.field_rules r
 where (select entra_sync.narrowed_to()) is not null and r.tenant_id = (select entra_sync.narrowed_to());

create or replace view directory.set_aside with (security_barrier) as
select s.tenant_id, s.stream, s.object_key as entra_object_id, s.reason, s.first_seen_at, s.last_seen_at
  from entra_sync.set_aside s
 where (select entra_sync.narrowed_to()) is null
union all
select s.tenant_id, s.stream, s.object_key as entra_object_id, s.reason, s.first_seen_at, s.last_seen_at
  from entra_sync.set_aside s
 where (select entra_sync.narrowed_to()) is not null and s.tenant_id = (select entra_sync.narrowed_to());

create or replace view directory.held_removals with (security_barrier) as
select h.tenant_id, h.list_id, h.account_id, g.group_id, coalesce(a.profile ->> 'displayName', a.source ->> 'displayName', g.display_name) as display_name,
       h.reason, h.held_since, null::uuid as member_group_id
  from entra_sync.held_removals h
  left join entra_sync.accounts a on a.account_id = h.account_id
  left join entra_sync.groups g on g.group_no = h.group_no
 where (select entra_sync.narrowed_to()) is null
union all
select h.tenant_id, h.list_id, h.account_id, g.group_id, coalesce(a.profile ->> 'displayName', a.source ->> 'displayName', g.display_name) as display_name,
       h.reason, h.held_since, null::uuid as member_group_id
  from entra_sync.held_removals h
  left join entra_sync.accounts a on a.account_id = h.account_id
  left join entra_sync.groups g on g.group_no = h.group_no
 where (select entra_sync.narrowed_to()) is not null and h.tenant_id = (select entra_sync.narrowed_to())
union all
select h.tenant_id, h.list_id, a.account_id, g.group_id, coalesce(a.profile ->> 'displayName', a.source ->> 'displayName', n.display_name),
       'not_seen', h.held_since, n.group_id
  from entra_sync.held_memberships h
  join entra_sync.groups g on g.group_no = h.group_no
  left join entra_sync.accounts a on a.tenant_id = h.tenant_id and a.entra_object_id = h.member_object_id
  left join entra_sync.groups n on n.tenant_id = h.tenant_id and n.entra_object_id = h.member_object_id
 where (select entra_sync.narrowed_to()) is null
union all
select h.tenant_id, h.list_id, a.account_id, g.group_id, coalesce(a.profile ->> 'displayName', a.source ->> 'displayName', n.display_name),
       'not_seen', h.held_since, n.group_id
  from entra_sync.held_memberships h
  join entra_sync.groups g on g.group_no = h.group_no
  left join entra_sync.accounts a on a.tenant_id = h.tenant_id and a.entra_object_id = h.member_object_id
  left join entra_sync.groups n on n.tenant_id = h.tenant_id and n.entra_object_id = h.member_object_id
 where (select entra_sync.narrowed_to()) is not null and h.tenant_id = (select entra_sync.narrowed_to());

create or replace view directory.tenants with (security_barrier) as
select t.tenant_id, t.name, t.external_ref, t.status, t.paused, t.provisional,
       coalesce(
         (select s.document ->> 'sourceOfTruth' from entra_sync.settings s
           where s.tenant_id = t.tenant_id order by s.version desc limit 1),
         (select s.document ->> 'sourceOfTruth' from entra_sync.settings s
           where s.tenant_id is null order by s.version desc limit 1),
         'directory') as source_of_truth,
       ((select count(*) from entra_sync.held_removals h where h.tenant_id = t.tenant_id)
        + (select count(*) from entra_sync.held_memberships h where h.tenant_id = t.tenant_id))::integer as held_removals,
       (select count(*)::integer from entra_sync.set_aside a where a.tenant_id = t.tenant_id) as set_aside,
       t.last_success_at, t.next_cycle_at, t.last_error_code, t.last_error_message
  from entra_sync.tenants t
 where (select entra_sync.narrowed_to()) is null
union all
select t.tenant_id, t.name, t.external_ref, t.status, t.paused, t.provisional,
       coalesce(
         (select s.document ->> 'sourceOfTruth' from entra_sync.settings s
           where s.tenant_id = t.tenant_id order by s.version desc limit 1),
         (select s.document ->> 'sourceOfTruth' from entra_sync.settings s
           where s.tenant_id is null order by s.version desc limit 1),
         'directory') as source_of_truth,
       ((select count(*) from entra_sync.held_removals h where h.tenant_id = t.tenant_id)
        + (select count(*) from entra_sync.held_memberships h where h.tenant_id = t.tenant_id))::integer as held_removals,
       (select count(*)::integer from entra_sync.set_aside a where a.tenant_id = t.tenant_id) as set_aside,
       t.last_success_at, t.next_cycle_at, t.last_error_code, t.last_error_message
  from entra_sync.tenants t
 where (select entra_sync.narrowed_to()) is not null and t.tenant_id = (select entra_sync.narrowed_to());
