-- Whether a worker runs. A dead worker serves no metrics and writes no log, so the database keeps when it was last seen.
create table entra_sync.worker_beats (
  worker_id uuid primary key,
  started_at timestamptz not null default clock_timestamp(),
  seen_at timestamptz not null default clock_timestamp(),
  stopped_at timestamptz
);
comment on table entra_sync.worker_beats is 'One row for each process of entra-sync worker. seen_at: its last beat, one every 15 s. stopped_at: it was stopped in order, so that it works no more. Rows of a day ago are deleted, the newest excepted.';
