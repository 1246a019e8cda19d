-- Groups that come back: which groups hold them is asked, as it is for persons.
create table entra_sync.stage_holders (
  round_id bigint not null references entra_sync.rounds on delete cascade,
  object_id uuid not null,
  primary key (round_id, object_id)
);
comment on table entra_sync.stage_holders is 'Nested groups whose memberOf was read whole in this round: what is stored and not staged of the groups that hold them has ended.';
