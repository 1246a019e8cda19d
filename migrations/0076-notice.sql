-- A round that changed very many profiles is committed, and noticed (src/store/commit/notice.ts).
alter table entra_sync.tenants add column notice text, add column notice_at timestamptz;
comment on column entra_sync.tenants.notice is 'The last mass change in words, without names of people; null once acknowledged.';
comment on column entra_sync.tenants.notice_at is 'When it was committed. It is shown for seven days.';

alter table entra_sync.checkpoints add column provisional boolean not null default false;
comment on column entra_sync.checkpoints.provisional is 'The tenant was provisional before the commit of this round.';

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
       t.last_success_at, t.next_cycle_at, t.last_error_code, t.last_error_message,
       case when t.notice_at > now() - interval '7 days' then t.notice end as notice
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
       t.last_success_at, t.next_cycle_at, t.last_error_code, t.last_error_message,
       case when t.notice_at > now() - interval '7 days' then t.notice end as notice
  from entra_sync.tenants t
 where (select entra_sync.narrowed_to()) is not null and t.tenant_id = (select entra_sync.narrowed_to());
