-- A stream that keeps failing: how many cycles in a row failed at one place, and room for a later round beside a full one.
create table entra_sync.stream_failures (
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  stream text not null check (stream in ('users', 'groups')),
  kind text not null,
  mark text not null,
  failures integer not null,
  since timestamptz not null default clock_timestamp(),
  primary key (tenant_id, stream, kind)
);
comment on table entra_sync.stream_failures is 'Cycles in a row in which a stream failed at one place. A count holds only while its mark is that of the place; what moves on needs not reset it.';
comment on column entra_sync.stream_failures.kind is 'checkpoint: since the last commit of the stream; round: at the next page of the open full round.';
comment on column entra_sync.stream_failures.mark is 'Which checkpoint, or which round and page.';

-- A full round that cannot be finished waits, while the changes are read and committed beside it.
create unique index rounds_open_each on entra_sync.rounds (tenant_id, stream, dry_run, (kind = 'incremental')) where kind <> 'on_demand';
drop index entra_sync.rounds_open;
comment on index entra_sync.rounds_open_each is 'One open walk of everything a stream, and one of changes beside it. A read on demand stages beside both and is gone before another transaction can see it.';
