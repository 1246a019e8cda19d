-- Assignments for everyone are put in order once, not once an account: with 200 assignments all accounts of a tenant are compared in half
-- the time.
create or replace function entra_sync.assigned_by(tenant uuid, accounts integer[], rules entra_sync.assignments[], winners jsonb)
returns table (account_no integer, seq bigint, rank smallint, slot text, item text)
language sql stable as $$
  with given as materialized (
    select r.seq, r.slot, r.item, r.target, r.is_exception, r.field, r.field_values, r.group_id, r.account_id,
           (winners ->> r.slot)::integer as winners,
           (dense_rank() over (order by r.slot))::integer as slot_no,
           (dense_rank() over (order by r.slot, r.item))::integer as item_no,
           -- The whole order of assignments. No two have the same age, so it leaves no choice.
           (row_number() over (order by case r.target when 'account' then 1 when 'group' then 2 when 'field' then 3 else 4 end,
                                        r.priority desc, r.seq))::integer as place
      from unnest(rules) r
  ), by_group as materialized (
    select g.group_no::integer, r.place, r.slot_no, r.item_no, r.is_exception
      from given r
     cross join lateral (
       select g.group_no from entra_sync.groups g where g.group_id = r.group_id and g.tenant_id = tenant offset 0) g
  ), by_account as materialized (
    select a.account_no, r.place, r.slot_no, r.item_no, r.is_exception
      from given r
     cross join lateral (
       select a.account_no from entra_sync.accounts a where a.account_id = r.account_id and a.tenant_id = tenant offset 0) a
  ), for_everyone as materialized (
    -- All accounts meet the same ones, so the first of each item stands for the others.
    select min(r.place) as place, r.slot_no, r.item_no, bool_or(r.is_exception) as is_exception
      from given r where r.target = 'everyone' group by r.slot_no, r.item_no
  ), word as materialized (
    select r.place, r.field, entra_sync.folded(v) as word
      from given r cross join lateral unnest(r.field_values) v where r.target = 'field'
  ), person as materialized (
    select t.no as account_no
      from unnest(accounts) as t (no)
     cross join lateral (
       select from entra_sync.accounts a where a.account_no = t.no and a.tenant_id = tenant and a.removed_at is null offset 0) a
  ), field as materialized (
    select distinct w.field from word w
  ), held as materialized (
    select p.account_no, f.field, a.value
      from field f
     cross join person p
     cross join lateral (
       select case when f.field <> all(a.cleared) then a.profile -> f.field end as value from entra_sync.accounts a
        where a.account_no = p.account_no offset 0) a
     where a.value is not null
  ), matched as materialized (
    -- Most accounts share their values, so each is taken apart once.
    select distinct h.field, h.value, r.place, r.slot_no, r.item_no, r.is_exception
      from (select h.field, h.value, entra_sync.field_words(h.value) as words
              from (select distinct h.field, h.value from held h) h offset 0) h
     cross join lateral unnest(h.words) as v (word)
      join word w on w.field = h.field and w.word = v.word
      join given r on r.place = w.place
  ), reached as (
    select e.account_no, r.place, r.slot_no, r.item_no, r.is_exception
      from person p
     cross join lateral (
       select e.account_no, e.group_no from entra_sync.effective_members e where e.account_no = p.account_no offset 0) e
      join by_group r on r.group_no = e.group_no
    union all
    select p.account_no, r.place, r.slot_no, r.item_no, r.is_exception
      from person p join by_account r on r.account_no = p.account_no
    union all
    select p.account_no, r.place, r.slot_no, r.item_no, r.is_exception from person p cross join for_everyone r
    union all
    select h.account_no, m.place, m.slot_no, m.item_no, m.is_exception
      from held h join matched m on m.field = h.field and m.value = h.value
  ), won as (
    select x.account_no, x.slot_no, min(x.place) as place
      from reached x group by x.account_no, x.slot_no, x.item_no
    having not bool_or(x.is_exception)
  ), ranked as (
    select w.account_no, w.place, row_number() over (partition by w.account_no, w.slot_no order by w.place) as rank
      from won w
  )
  select k.account_no, r.seq, k.rank::smallint, r.slot, r.item
    from ranked k join given r on r.place = k.place where k.rank <= r.winners
$$;

-- The rows that are sorted for 100,000 accounts fit into this memory.
alter function entra_sync.keep_assigned(uuid, integer[], boolean, bigint, bigint, text) set work_mem = '32MB';
