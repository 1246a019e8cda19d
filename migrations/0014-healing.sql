-- Groups that come back: which groups hold them is asked, as it is for persons.
create table entra_sync.stage_holders (
  round_id bigint not null references entra_sync.rounds on delete cascade,
  object_id uuid not null,
  primary key (round_id, object_id)
);
comment on table entra_sync.stage_holders is 'Nested groups whose memberOf was read whole in this round: what is stored and not staged of the groups that hold them has ended.';

-- Who is away is told by Graph's list of deleted items when a full groups round begins, and remembered until it is settled
-- which groups hold the one who came back.
alter table entra_sync.deleted_strangers add column is_back boolean not null default false;
alter table entra_sync.deleted_strangers add column noted_at timestamptz not null default now();
comment on column entra_sync.deleted_strangers.is_back is 'Persons only: live again, and still to be asked which groups hold the person, because a groups round is open that began before, or the groups could not be read.';
