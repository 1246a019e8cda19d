-- Numbers for several batches at once without setval: a role that runs workers needs USAGE on sequences and nothing more.
create or replace function entra_sync.number_batches() returns integer
language plpgsql set search_path = pg_catalog, pg_temp set lock_timeout = '2s' as $$
declare
  first_number bigint;
  latest timestamptz;
  numbered integer;
begin
  -- The look costs no lock and no transaction id.
  if not exists (select from entra_sync.batches b where b.number is null) then
    return 0;
  end if;
  perform from entra_sync.feed_order for update skip locked;
  if not found then
    return 0;
  end if;
  -- From here on each statement sees everything that was committed before this transaction held the lock.
  select b.committed_at into latest from entra_sync.batches b where b.number is not null order by b.number desc limit 1;
  first_number := nextval('entra_sync.batch_numbers');
  with placed as materialized (
    select u.batch_id, row_number() over line as place, max(greatest(u.committed_at, u.last_change_at)) over line as committed_at
      from entra_sync.unnumbered_batches u window line as (order by u.last_change, u.batch_id)
  ), written as (
    update entra_sync.batches b
       set number = first_number + p.place - 1, committed_at = greatest(latest, p.committed_at), opened_by = null, opened_at = null
      from placed p where b.batch_id = p.batch_id
    returning b.number
  )
  select count(*) into numbered from written w;
  -- The lock keeps other transactions from taking numbers in between.
  perform nextval('entra_sync.batch_numbers') from generate_series(2, numbered);
  return numbered;
end $$;
