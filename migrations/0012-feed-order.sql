-- The order of the feed hangs on a private row: an advisory lock can be taken by anybody who may connect, and would stop
-- every writer.
create table entra_sync.feed_order (
  only_row boolean primary key default true check (only_row)
);
comment on table entra_sync.feed_order is 'Locked by each transaction that writes changes, from its numbering to its end. Never updated, so that the lock fails no transaction for its isolation level.';
insert into entra_sync.feed_order default values;

-- Whoever took a number under the old lock has committed before the first one is given under the new.
lock table entra_sync.batches in share row exclusive mode;

create or replace function entra_sync.number_batch() returns trigger
language plpgsql security definer set search_path = pg_catalog, pg_temp as $$
begin
  -- Held until the commit is visible to others: Postgres releases locks after that.
  perform from entra_sync.feed_order for update;
  update entra_sync.batches
     set number = nextval('entra_sync.batch_numbers'), committed_at = clock_timestamp()
   where batch_id = new.batch_id;
  perform pg_notify('directory_changes', '');
  return null;
end $$;
revoke execute on function entra_sync.number_batch() from public;
