-- Items for people by way of their groups. These tables hold only what people gave: no cycle writes or deletes a row of them. What
-- an account gets from them is kept in `assigned` (0071).
create table entra_sync.slots (
  tenant_id uuid references entra_sync.tenants on delete cascade,
  slot text not null,
  winners integer not null check (winners between 1 and 100),
  title text,
  unique nulls not distinct (tenant_id, slot)
);
comment on table entra_sync.slots is 'Without a tenant: of all tenants. A tenant''s own slot of that name stands before it.';
comment on column entra_sync.slots.winners is 'How many items of it one account gets.';

create table entra_sync.items (
  tenant_id uuid references entra_sync.tenants on delete cascade,
  slot text not null,
  item text not null,
  title text,
  html text,
  updated_at timestamptz not null default now(),
  unique nulls not distinct (tenant_id, slot, item)
);
comment on column entra_sync.items.html is 'A template, {{field}} in it. Never where a browser would take a value for an address or code (entra_sync.html_problem).';

create table entra_sync.assignments (
  assignment_id uuid primary key default gen_random_uuid(),
  seq bigint not null generated always as identity unique,
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  slot text not null,
  item text not null,
  target text not null check (target in ('account', 'group', 'field', 'everyone')),
  group_id uuid,
  account_id uuid,
  field text,
  field_values text[],
  is_exception boolean not null,
  priority integer not null,
  starts_at timestamptz,
  ends_at timestamptz,
  created_by text not null,
  updated_at timestamptz not null default now(),
  check ((target = 'group') = (group_id is not null)),
  check ((target = 'account') = (account_id is not null)),
  check ((target = 'field') = (field is not null and field_values is not null))
);
comment on column entra_sync.assignments.seq is 'The age, which decides between two of the same target and priority. No two clocks agree, and a transaction has one time only.';
comment on column entra_sync.assignments.group_id is 'No foreign key: the assignment outlives its group, and says so (state).';
create index assignments_by_tenant on entra_sync.assignments (tenant_id, slot, item);
create index assignments_by_group on entra_sync.assignments (group_id) where group_id is not null;
create index assignments_by_account on entra_sync.assignments (account_id) where account_id is not null;
create index assignments_by_item on entra_sync.assignments (slot, item);

alter table entra_sync.tenants
  add column assigned_at timestamptz,
  add column assign_next_at timestamptz,
  add column assigned_winners jsonb;
comment on column entra_sync.tenants.assigned_at is 'Null: the tenant has no assignments, and pays nothing for them. Else the time up to which starts and ends are applied.';
comment on column entra_sync.tenants.assign_next_at is 'The first start or end after assigned_at.';
comment on column entra_sync.tenants.assigned_winners is 'The winners of each slot that `assigned` is made with. Null: all accounts are to be looked at again.';

create table entra_sync.assigned (
  seq bigint not null,
  account_no integer not null,
  rank smallint not null,
  primary key (account_no, seq, rank)
);
create index assigned_by_assignment on entra_sync.assigned (seq);
comment on table entra_sync.assigned is 'What each live account gets: the assignment that gives the item, and its rank in the slot (rule 37). Written by the transaction that changes a membership, an account, the nesting or an assignment. No foreign keys, as effective_members.';

create table entra_sync.assigned_touched (
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  account_no integer not null
);
create index assigned_touched_by_tenant on entra_sync.assigned_touched (tenant_id);
comment on table entra_sync.assigned_touched is 'Accounts whose groups were changed by the nesting in this transaction. Emptied when its batch is written.';

create function entra_sync.field_words(value jsonb) returns text[]
language sql immutable as $$
  select case jsonb_typeof(value)
    when 'array' then array(select entra_sync.folded(e #>> '{}') from jsonb_array_elements(value) e
      where jsonb_typeof(e) <> 'null')
    when 'string' then array[entra_sync.folded(value #>> '{}')]
    when 'number' then array[entra_sync.folded(value #>> '{}')]
    when 'boolean' then array[value #>> '{}']
    else '{}' end
$$;
comment on function entra_sync.field_words is 'The value of a profile field as an assignment compares it: each element of a list, without case.';

create function entra_sync.slot_winners(tenant uuid) returns jsonb
language sql stable as $$
  select coalesce(jsonb_object_agg(s.slot, s.winners), '{}')
    from (select distinct on (s.slot) s.slot, s.winners from entra_sync.slots s
           where s.tenant_id = tenant or s.tenant_id is null order by s.slot, s.tenant_id nulls last) s
$$;
comment on function entra_sync.slot_winners is 'How many items of each slot an account of the tenant gets.';

create function entra_sync.in_force(r entra_sync.assignments, moment timestamptz) returns boolean
language sql immutable as $$
  select (r.starts_at is null or r.starts_at <= moment) and (r.ends_at is null or r.ends_at > moment)
$$;
comment on function entra_sync.in_force is 'Whether the assignment counts at that time.';

create function entra_sync.reached_by(tenant uuid, rules entra_sync.assignments[]) returns integer[]
language plpgsql stable set enable_nestloop = off set enable_seqscan = off set jit = off as $$
begin
  if exists (select from unnest(rules) r where r.target = 'everyone') then
    return array(select a.account_no from entra_sync.accounts a where a.tenant_id = tenant and a.removed_at is null
      order by 1);
  end if;
  return array(
    select e.account_no
      from unnest(rules) r
     cross join lateral (
       select g.group_no from entra_sync.groups g where g.group_id = r.group_id and g.tenant_id = tenant offset 0) g
     cross join lateral (
       select e.account_no from entra_sync.effective_members e where e.group_no = g.group_no offset 0) e
    union
    select a.account_no
      from unnest(rules) r
     cross join lateral (
       select a.account_no from entra_sync.accounts a
        where a.account_id = r.account_id and a.tenant_id = tenant and a.removed_at is null offset 0) a
    union
    select a.account_no
      from (select r.field, array_agg(distinct entra_sync.folded(v)) as words
              from unnest(rules) r cross join lateral unnest(r.field_values) v where r.target = 'field'
                group by r.field) f
     cross join lateral (
       select a.account_no from entra_sync.accounts a
        where a.tenant_id = tenant and a.removed_at is null
          and entra_sync.field_words((a.profile - a.cleared) -> f.field) && f.words offset 0) a
    order by 1);
end $$;
comment on function entra_sync.reached_by is 'The live accounts that these assignments reach, in the order of their numbers. Times are not looked at.';

create function entra_sync.assigned_by(tenant uuid, accounts integer[], rules entra_sync.assignments[], winners jsonb)
returns table (account_no integer, seq bigint, rank smallint, slot text, item text)
language sql stable as $$
  with rule as materialized (
    select r.seq, r.slot, r.item, r.target, r.is_exception, r.field, r.field_values, g.group_no, a.account_no,
           (winners ->> r.slot)::integer as winners,
           dense_rank() over (order by r.slot) as slot_no,
           dense_rank() over (order by r.slot, r.item) as item_no,
           -- The whole order of assignments. No two have the same age, so it leaves no choice.
           row_number() over (order by case r.target when 'account' then 1 when 'group' then 2 when 'field' then 3
             else 4 end,
                                       r.priority desc, r.seq) as place
      from unnest(rules) r
      left join lateral (
        select g.group_no::integer from entra_sync.groups g where g.group_id = r.group_id
          and g.tenant_id = tenant offset 0) g on true
      left join lateral (
        select a.account_no from entra_sync.accounts a where a.account_id = r.account_id
          and a.tenant_id = tenant offset 0) a on true
  ), word as materialized (
    select r.place, r.field, entra_sync.folded(v) as word
      from rule r cross join lateral unnest(r.field_values) v where r.target = 'field'
  ), person as materialized (
    select t.no as account_no
      from unnest(accounts) as t (no)
     cross join lateral (
       select from entra_sync.accounts a where a.account_no = t.no and a.tenant_id = tenant
         and a.removed_at is null offset 0) a
  ), held as materialized (
    select p.account_no, f.field, a.value
      from (select distinct w.field from word w) f
     cross join person p
     cross join lateral (
       select case when f.field <> all(a.cleared) then a.profile -> f.field end as value from entra_sync.accounts a
        where a.account_no = p.account_no offset 0) a
     where a.value is not null
  ), matched as materialized (
    -- Most accounts share their values, so each is taken apart once.
    select distinct h.field, h.value, w.place
      from (select h.field, h.value, entra_sync.field_words(h.value) as words
              from (select distinct h.field, h.value from held h) h offset 0) h
     cross join lateral unnest(h.words) as v (word)
      join word w on w.field = h.field and w.word = v.word
  ), reached as (
    select e.account_no, r.place
      from person p
     cross join lateral (
       select e.account_no, e.group_no from entra_sync.effective_members e where e.account_no = p.account_no offset 0) e
      join rule r on r.group_no = e.group_no
    union all
    select p.account_no, r.place from person p join rule r on r.account_no = p.account_no
    union all
    select p.account_no, r.place from person p cross join rule r where r.target = 'everyone'
    union all
    select h.account_no, m.place from held h join matched m on m.field = h.field and m.value = h.value
  ), won as (
    select x.account_no, r.slot_no, min(r.place) as place
      from reached x join rule r on r.place = x.place
     group by x.account_no, r.slot_no, r.item_no
    having not bool_or(r.is_exception)
  ), ranked as (
    select w.account_no, w.place, row_number() over (partition by w.account_no, w.slot_no order by w.place) as rank
      from won w
  )
  select k.account_no, r.seq, k.rank::smallint, r.slot, r.item
    from ranked k join rule r on r.place = k.place where k.rank <= r.winners
$$;
comment on function entra_sync.assigned_by is 'Which of these assignments win for these accounts: an exception takes its item away from each account that it reaches; of the others the first of each item counts, accounts before groups, fields and everyone, then by priority and age; a slot has as many winners as it says.';

create function entra_sync.keep_assigned(tenant uuid, accounts integer[], gone boolean, batch bigint, cycle bigint,
  actor text) returns void
language plpgsql set enable_nestloop = off set jit = off set enable_seqscan = off
  set plan_cache_mode = force_generic_plan as $$
declare
  moment constant timestamptz := (select t.assigned_at from entra_sync.tenants t where t.tenant_id = tenant);
  few constant boolean := cardinality(accounts) <= 100;
  -- Most assignments do not reach a few accounts: they are left out before the rest is put in order.
  rules constant entra_sync.assignments[] := case when not gone then array(
    select r from entra_sync.assignments r
     where r.tenant_id = tenant and (r.starts_at is null or r.starts_at <= moment) and (r.ends_at is null
       or r.ends_at > moment)
       and (not few or r.target in ('everyone', 'field')
            or r.account_id in (
              select a.account_id from unnest(accounts) as t (no)
               cross join lateral (
                 select a.account_id from entra_sync.accounts a where a.account_no = t.no offset 0) a)
            or r.group_id in (
              select g.group_id from unnest(accounts) as t (no)
               cross join lateral (
                 select e.group_no from entra_sync.effective_members e where e.account_no = t.no offset 0) e
               cross join lateral (
                 select g.group_id from entra_sync.groups g where g.group_no = e.group_no offset 0) g))) end;
  winners constant jsonb := entra_sync.slot_winners(tenant);
begin
  with want as materialized (
    select w.* from entra_sync.assigned_by(tenant, accounts, rules, winners) w
  ), kept as materialized (
    select s.place, s.account_no, s.seq, s.rank
      from unnest(accounts) as t (no)
     cross join lateral (
       select s.ctid as place, s.account_no, s.seq, s.rank from entra_sync.assigned s
         where s.account_no = t.no offset 0) s
  ), lost as (
    delete from entra_sync.assigned where ctid = any(array(
      select k.place from kept k
        left join want w on w.account_no = k.account_no and w.seq = k.seq and w.rank = k.rank
          where w.account_no is null))
    returning account_no
  ), come as (
    insert into entra_sync.assigned as s (account_no, seq, rank)
    select w.account_no, w.seq, w.rank
      from want w left join kept k on k.account_no = w.account_no and k.seq = w.seq and k.rank = w.rank
     where k.account_no is null order by 1, 2
    returning s.account_no
  ), moved as materialized (
    select l.account_no from lost l union select c.account_no from come c
  ), before as (
    select k.account_no, r.slot, jsonb_agg(r.item order by k.rank) as items
      from moved m join kept k on k.account_no = m.account_no
      join entra_sync.assignments r on r.seq = k.seq and r.tenant_id = tenant
     group by k.account_no, r.slot
  ), after as (
    select w.account_no, w.slot, jsonb_agg(w.item order by w.rank) as items
      from moved m join want w on w.account_no = m.account_no group by w.account_no, w.slot
  ), told as (
    select coalesce(b.account_no, a.account_no) as account_no,
           jsonb_object_agg(coalesce(b.slot, a.slot), coalesce(b.items, '[]')) as before,
           jsonb_object_agg(coalesce(b.slot, a.slot), coalesce(a.items, '[]')) as after
      from before b full join after a on a.account_no = b.account_no and a.slot = b.slot
     where a.items is distinct from b.items
     group by 1
  )
  insert into entra_sync.changes (batch_id, tenant_id, cycle_id, actor, kind, account_id, before, after)
  select batch, tenant, cycle, actor, 'assigned.changed', a.account_id, x.before, x.after
    from told x
   cross join lateral (select a.account_id from entra_sync.accounts a where a.account_no = x.account_no offset 0) a;
end $$;
comment on function entra_sync.keep_assigned is 'Compares what these accounts get with what they should, writes the differences and a change row an account. `gone`: they are about to be removed, so they get nothing. The tenant''s row is locked. Without nested loops no wrong estimate makes it quadratic; of one account most of the time would be planning.';

create function entra_sync.assigning_due(tenant uuid) returns boolean
language sql stable as $$
  select exists (
    select from entra_sync.tenants t
     where t.tenant_id = tenant and t.assigned_at is not null
       and (t.assigned_winners is null or t.assign_next_at <= clock_timestamp()
            or exists (select from jsonb_each(entra_sync.slot_winners(tenant)) w
                        where jsonb_exists(t.assigned_winners, w.key) and t.assigned_winners -> w.key <> w.value)))
$$;
comment on function entra_sync.assigning_due is 'Whether a start, an end or a changed slot waits to be applied. One look for a tenant without assignments.';

create function entra_sync.follow_assignments(
  tenant uuid, touched integer[], anew boolean, batch bigint, cycle bigint, actor text
) returns void
language plpgsql as $$
declare
  was timestamptz;
  known jsonb;
  moment timestamptz;
  winners constant jsonb := entra_sync.slot_winners(tenant);
  due constant boolean := entra_sync.assigning_due(tenant);
begin
  select t.assigned_at, t.assigned_winners into was, known from entra_sync.tenants t where t.tenant_id = tenant;
  if was is null then
    known := winners;
  end if;
  if anew or due then
    -- Never back, also where the clock goes back.
    moment := greatest(was, clock_timestamp());
    update entra_sync.tenants t
       set assigned_at = moment, assigned_winners = winners,
           assign_next_at = (
             select min(x.at) from entra_sync.assignments r cross
               join lateral (values (r.starts_at), (r.ends_at)) x (at)
              where r.tenant_id = tenant and x.at > moment)
     where t.tenant_id = tenant;
    if known is null then
      touched := array(select a.account_no from entra_sync.accounts a where a.tenant_id = tenant order by 1);
    else
      touched := array(
        select x from unnest(touched) x
        union
        select x from unnest(entra_sync.reached_by(tenant, array(
          select r from entra_sync.assignments r
           where r.tenant_id = tenant
             and (r.starts_at > was and r.starts_at <= moment or r.ends_at > was and r.ends_at <= moment
                  or jsonb_exists(known, r.slot) and known -> r.slot <> winners -> r.slot)))) x
        order by 1);
    end if;
  end if;
  if touched <> '{}' then
    perform entra_sync.keep_assigned(tenant, touched, false, batch, cycle, actor);
  end if;
end $$;
comment on function entra_sync.follow_assignments is 'Writes the items of the touched accounts. It writes those of other accounts too, where an assignment has begun or ended or a slot has another number of winners. `anew`: assignments have changed.';
revoke execute on all functions in schema entra_sync from public;
