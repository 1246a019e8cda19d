-- Many accounts meet the same assignments: what wins, and what is told of it, is made once for all of them.
drop function entra_sync.assigned_by(uuid, integer[], entra_sync.assignments[], jsonb);
create function entra_sync.assigned_by(tenant uuid, accounts integer[], rules entra_sync.assignments[], winners jsonb)
returns table (account_no integer, alike integer, seq bigint, rank smallint, slot text, item text)
language sql stable
as $$
  with given as materialized (
    select r.seq, r.slot, r.item, r.target, r.is_exception, r.field, r.field_values, r.group_id, r.account_id,
           (winners ->> r.slot)::integer as winners,
           (dense_rank() over (order by r.slot))::integer as slot_no,
           (dense_rank() over (order by r.slot, r.item))::integer as item_no,
           -- The whole order of assignments. No two have the same age, so it leaves no choice.
           (row_number() over (
             order by case r.target when 'account' then 1 when 'group' then 2 when 'field' then 3 else 4 end,
                      r.priority desc, r.seq))::integer as place
      from unnest(rules) r
  ), by_group as materialized (
    -- Rows are looked up by number or id alone, and the tenant is compared afterwards. Where statistics take it for
    -- small, the server would read all of the tenant for each id, or compare each of its accounts with each number.
    select g.group_no::integer, r.place
      from given r
     cross join lateral (
       select g.group_no, g.tenant_id from entra_sync.groups g where g.group_id = r.group_id offset 0) g
     where g.tenant_id = tenant
  ), by_account as materialized (
    select a.account_no, r.place
      from given r
     cross join lateral (
       select a.account_no, a.tenant_id from entra_sync.accounts a where a.account_id = r.account_id offset 0) a
     where a.tenant_id = tenant
  ), for_everyone as materialized (
    -- All accounts meet the same ones, so the first of each item stands for the others.
    select min(r.place) as place, r.slot_no, r.item_no, bool_or(r.is_exception) as is_exception
      from given r where r.target = 'everyone' group by r.slot_no, r.item_no
  ), word as materialized (
    select r.place, r.field, entra_sync.folded(v) as word
      from given r cross join lateral unnest(r.field_values) v where r.target = 'field'
  ), person as materialized (
    select a.account_no
      from (select * from entra_sync.accounts a where a.account_no = any(accounts) offset 0) a
     where a.tenant_id = tenant and a.removed_at is null
  ), held as materialized (
    -- As text: 1 and 1.0 are equal as JSON, and are different words.
    select a.account_no, f.field, case when f.field <> all(a.cleared) then (a.profile -> f.field)::text end as value
      from (select distinct w.field from word w) f
     cross join (select * from entra_sync.accounts a where a.account_no = any(accounts) offset 0) a
     where a.tenant_id = tenant and a.removed_at is null
  ), matched as materialized (
    -- Most accounts share their values, so each is taken apart once.
    select distinct h.field, h.value, w.place
      from (select h.field, h.value, entra_sync.field_words(h.value::jsonb) as words
              from (select distinct h.field, h.value from held h where h.value is not null) h offset 0) h
     cross join lateral unnest(h.words) as v (word)
      join word w on w.field = h.field and w.word = v.word
  ), reached as (
    select e.account_no, r.place
      from (select * from entra_sync.effective_members e where e.account_no = any(accounts) offset 0) e
      join by_group r on r.group_no = e.group_no
    union all
    select r.account_no, r.place from by_account r
    union all
    select h.account_no, m.place from held h join matched m on m.field = h.field and m.value = h.value
  ), met as materialized (
    select p.account_no, coalesce(x.places, '{}') as places
      from person p
      left join (
        select r.account_no, array_agg(r.place order by r.place) as places from reached r group by r.account_no) x
        on x.account_no = p.account_no
  ), mix as materialized (
    -- Many accounts meet the same assignments, so each mix of them is judged once.
    select row_number() over ()::integer as alike, x.places from (select distinct m.places from met m) x
  ), candidate as (
    select x.alike, r.place, r.slot_no, r.item_no, r.is_exception
      from mix x cross join lateral unnest(x.places) as p (place) join given r on r.place = p.place
    union all
    select x.alike, r.place, r.slot_no, r.item_no, r.is_exception from mix x cross join for_everyone r
  ), won as (
    select c.alike, c.slot_no, min(c.place) as place
      from candidate c group by c.alike, c.slot_no, c.item_no
    having not bool_or(c.is_exception)
  ), ranked as (
    select w.alike, w.place, row_number() over (partition by w.alike, w.slot_no order by w.place) as rank
      from won w
  )
  select m.account_no, x.alike, r.seq, k.rank::smallint, r.slot, r.item
    from ranked k
    join given r on r.place = k.place and k.rank <= r.winners
    join mix x on x.alike = k.alike
    join met m on m.places = x.places
$$;
comment on function entra_sync.assigned_by is 'Which of these assignments win for these accounts: an exception takes its item away from each account that it reaches; of the others the first of each item counts, accounts before groups, fields and everyone, then by priority and age; a slot has as many winners as it says. Accounts with the same number in `alike` get the same.';
revoke all on function entra_sync.assigned_by(uuid, integer[], entra_sync.assignments[], jsonb) from public;

create or replace function entra_sync.keep_assigned(tenant uuid, accounts integer[], gone boolean, batch bigint,
  cycle bigint, actor text)
returns void language plpgsql
set enable_nestloop = off set enable_seqscan = off set jit = off set plan_cache_mode = force_generic_plan
set work_mem = '32MB'
as $$
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
    select s.ctid as place, s.account_no, s.seq, s.rank from entra_sync.assigned s where s.account_no = any(accounts)
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
  ), turn as materialized (
    -- Each account with the assignments that it had and gets. Many accounts share both, so the text of their change
    -- rows is made once.
    select m.account_no, coalesce(b.seqs, '{}') as seqs, coalesce(b.ranks, '{}') as ranks, coalesce(f.alike, 0) as alike
      from (select l.account_no from lost l union select c.account_no from come c) m
      left join (
        select k.account_no, array_agg(k.seq order by k.seq) as seqs, array_agg(k.rank order by k.seq) as ranks
          from kept k group by k.account_no) b on b.account_no = m.account_no
      left join (select distinct w.account_no, w.alike from want w) f on f.account_no = m.account_no
  ), same as materialized (
    select row_number() over ()::integer as no, x.seqs, x.ranks, x.alike
      from (select distinct t.seqs, t.ranks, t.alike from turn t) x
  ), before as (
    select s.no, r.slot, jsonb_agg(r.item order by k.rank) as items
      from same s cross join lateral unnest(s.seqs, s.ranks) as k (seq, rank)
      join entra_sync.assignments r on r.seq = k.seq and r.tenant_id = tenant
     group by s.no, r.slot
  ), after as (
    select s.no, w.slot, jsonb_agg(w.item order by w.rank) as items
      from same s join (select distinct w.alike, w.slot, w.item, w.rank from want w) w on w.alike = s.alike
     group by s.no, w.slot
  ), told as materialized (
    select coalesce(b.no, a.no) as no,
           jsonb_object_agg(coalesce(b.slot, a.slot), coalesce(b.items, '[]')) as before,
           jsonb_object_agg(coalesce(b.slot, a.slot), coalesce(a.items, '[]')) as after
      from before b full join after a on a.no = b.no and a.slot = b.slot
     where a.items is distinct from b.items
     group by 1
  )
  insert into entra_sync.changes (batch_id, tenant_id, cycle_id, actor, kind, account_id, before, after)
  select batch, tenant, cycle, actor, 'assigned.changed', a.account_id, x.before, x.after
    from told x
    join same s on s.no = x.no
    join turn t on t.seqs = s.seqs and t.ranks = s.ranks and t.alike = s.alike
    join entra_sync.accounts a on a.account_no = t.account_no
   where a.account_no = any(array(select t.account_no from turn t));
end $$;

-- Likewise: rows are looked up by id alone.
create or replace function entra_sync.reached_by(tenant uuid, rules entra_sync.assignments[])
returns integer[] language plpgsql stable
set enable_nestloop = off set enable_seqscan = off set jit = off
as $$
begin
  if exists (select from unnest(rules) r where r.target = 'everyone') then
    return array(select a.account_no from entra_sync.accounts a where a.tenant_id = tenant and a.removed_at is null
      order by 1);
  end if;
  return array(
    select e.account_no
      from unnest(rules) r
     cross join lateral (
       select g.group_no, g.tenant_id from entra_sync.groups g where g.group_id = r.group_id offset 0) g
     cross join lateral (
       select e.account_no from entra_sync.effective_members e where e.group_no = g.group_no offset 0) e
     where g.tenant_id = tenant
    union
    select a.account_no
      from unnest(rules) r
     cross join lateral (
       select a.account_no, a.tenant_id, a.removed_at from entra_sync.accounts a
        where a.account_id = r.account_id offset 0) a
     where a.tenant_id = tenant and a.removed_at is null
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
