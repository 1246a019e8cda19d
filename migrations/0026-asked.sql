-- The objects of a round that GET has answered for: a cycle that was cut off goes on without asking for them again (rules 12, 22).
create table entra_sync.stage_asked (
  round_id bigint not null references entra_sync.rounds on delete cascade,
  object_id uuid not null,
  primary key (round_id, object_id)
);
comment on table entra_sync.stage_asked is 'Objects of a round that were asked for by GET: answered, whatever the answer was.';

comment on table entra_sync.set_aside is 'Objects that could not be taken, and properties of objects that were taken without them (rule 19). object_key: the object id as Graph sent it, cut and cleaned; after a slash the property, the member, or the list.';
comment on column directory.set_aside.entra_object_id is 'As Graph sent it (text): an id that is no GUID is one of the reasons to be here. ID/property: the object was taken, but for this property.';
