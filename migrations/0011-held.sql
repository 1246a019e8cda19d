-- Held removals: what a round would remove beyond the limit waits for a person (rule 10).
create table entra_sync.removal_lists (
  list_id bigint generated always as identity primary key,
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  stream text not null check (stream in ('users', 'groups')),
  why text not null,
  cycle_id bigint,
  opened_at timestamptz not null default now()
);
comment on table entra_sync.removal_lists is 'What one round wanted to remove at once. A list only ever shrinks, so that whoever decides decides about what was shown; what a later round wants to remove is another list.';
create index removal_lists_by_tenant on entra_sync.removal_lists (tenant_id);

create table entra_sync.held_removals (
  list_id bigint not null references entra_sync.removal_lists on delete cascade,
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  object_id uuid not null,
  account_id uuid references entra_sync.accounts on delete cascade,
  group_no bigint references entra_sync.groups on delete cascade,
  reason text not null check (reason in ('deleted_restorable', 'deleted', 'out_of_scope', 'disabled', 'not_seen', 'suspended')),
  by_groups boolean not null default false,
  missed integer not null default 0,
  held_since timestamptz not null default now(),
  primary key (tenant_id, object_id),
  check ((account_id is null) <> (group_no is null))
);
create index held_removals_by_list on entra_sync.held_removals (list_id);
create index held_removals_by_account on entra_sync.held_removals (account_id) where account_id is not null;
create index held_removals_by_group on entra_sync.held_removals (group_no) where group_no is not null;
comment on column entra_sync.held_removals.reason is 'What the removal would be given as its reason; suspended: no removal, the account was disabled in Entra ID.';
comment on column entra_sync.held_removals.by_groups is 'Outside because no scope group holds the person: judged anew by every users round.';
comment on column entra_sync.held_removals.missed is 'Full rounds that did not meet it. Absence alone can be approved only after the second.';

create table entra_sync.stage_removals (
  round_id bigint not null references entra_sync.rounds on delete cascade,
  object_id uuid not null,
  reason text not null,
  by_groups boolean not null default false,
  primary key (round_id, object_id)
);
comment on table entra_sync.stage_removals is 'What the commit of this round is about to remove or suspend, until the guard has judged it.';

-- Memberships that the sweep of a full groups round would end.
create table entra_sync.stage_endings (
  round_id bigint not null references entra_sync.rounds on delete cascade,
  group_no bigint not null,
  member_object_id uuid not null,
  primary key (round_id, group_no, member_object_id)
);
create table entra_sync.held_memberships (
  list_id bigint not null references entra_sync.removal_lists on delete cascade,
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  group_no bigint not null references entra_sync.groups on delete cascade,
  member_object_id uuid not null,
  missed integer not null default 1,
  held_since timestamptz not null default now(),
  primary key (group_no, member_object_id)
);
create index held_memberships_by_list on entra_sync.held_memberships (list_id);
create index held_memberships_by_tenant on entra_sync.held_memberships (tenant_id);

create table entra_sync.kept_memberships (
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  group_no bigint not null references entra_sync.groups on delete cascade,
  member_object_id uuid not null,
  primary key (group_no, member_object_id)
);
comment on table entra_sync.kept_memberships is 'A person decided that they stay although no list names them: forgotten when Graph names them again.';

alter table entra_sync.accounts add column suspended_at timestamptz;
alter table entra_sync.accounts add column removal_approved boolean not null default false;
alter table entra_sync.accounts add column suspension_rejected boolean not null default false;
alter table entra_sync.groups add column removal_approved boolean not null default false;
comment on column entra_sync.accounts.suspended_at is 'When a cycle suspended the account; null while it is enabled. Counts in the seven-day budget like a removal.';
comment on column entra_sync.accounts.suspension_rejected is 'A person decided against the suspension: not adopted again before Graph shows the person enabled.';
comment on column entra_sync.accounts.removal_approved is 'Approved by a person: not part of the seven-day budget.';

create view directory.held_removals with (security_barrier) as
select h.tenant_id, h.list_id, h.account_id, g.group_id,
       coalesce(a.profile ->> 'displayName', a.source ->> 'displayName', g.display_name) as display_name,
       h.reason, h.held_since, null::uuid as member_group_id
  from entra_sync.held_removals h
  left join entra_sync.accounts a on a.account_id = h.account_id
  left join entra_sync.groups g on g.group_no = h.group_no
 where h.tenant_id = coalesce((select entra_sync.narrowed_to()), h.tenant_id)
union all
select h.tenant_id, h.list_id, a.account_id, g.group_id,
       coalesce(a.profile ->> 'displayName', a.source ->> 'displayName', n.display_name), 'not_seen', h.held_since, n.group_id
  from entra_sync.held_memberships h
  join entra_sync.groups g on g.group_no = h.group_no
  left join entra_sync.accounts a on a.tenant_id = h.tenant_id and a.entra_object_id = h.member_object_id
  left join entra_sync.groups n on n.tenant_id = h.tenant_id and n.entra_object_id = h.member_object_id
 where h.tenant_id = coalesce((select entra_sync.narrowed_to()), h.tenant_id);
comment on view directory.held_removals is 'What waits for a person. With group_id and one of account_id and member_group_id it is a membership: of that member in the group.';

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
 where t.tenant_id = coalesce((select entra_sync.narrowed_to()), t.tenant_id);
