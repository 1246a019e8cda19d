-- Receipts of transactions whose outcome somebody is told: when the answer to COMMIT is lost, they tell whether it happened.
create table entra_sync.receipts (
  receipt uuid primary key,
  happened boolean not null,
  written_at timestamptz not null default clock_timestamp()
);
create index receipts_by_age on entra_sync.receipts (written_at);
comment on table entra_sync.receipts is 'The last statement of a transaction that is told of writes its receipt. Whoever lost the answer to COMMIT writes the same one with happened = false: that waits for the first to end, and whichever row is there then tells. Kept for an hour. Not the transaction''s number: after a crash of the server that may be given again.';
