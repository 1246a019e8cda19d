-- The quick first load: a listing is a round of its own kind, and knows which member lists it has read so far.
alter table entra_sync.rounds drop constraint rounds_kind_check;
alter table entra_sync.rounds add constraint rounds_kind_check check (kind in ('full', 'incremental', 'on_demand', 'listing'));
comment on column entra_sync.rounds.delta_link is 'Set by the last page: the round waits for its commit. Of a listing it says no more than that.';

create table entra_sync.stage_lists (
  round_id bigint not null references entra_sync.rounds on delete cascade,
  group_object_id uuid not null,
  next_link text,
  primary key (round_id, group_object_id)
);
comment on table entra_sync.stage_lists is 'How far a listing has read the members of its groups: it goes on here after a crash. No row: not asked yet.';
comment on column entra_sync.stage_lists.next_link is 'Where the list goes on; null: read to its end, as far as it can be.';

comment on column entra_sync.tenants.provisional is 'Filled by a quick listing; the first round of a stream that was listed is not done yet.';
