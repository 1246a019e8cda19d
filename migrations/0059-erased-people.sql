-- An erased person does not come back: a commit looks the user up here, as it looks at the scope. Only a hash of the object id is kept.
create table entra_sync.erased_objects (
  tenant_id uuid not null references entra_sync.tenants (tenant_id) on delete cascade,
  object_hash bytea not null,
  erased_at timestamptz not null default now(),
  primary key (tenant_id, object_hash)
);
comment on table entra_sync.erased_objects is
  'Users who were erased on a person''s request: they get no account, whatever the scope of the settings says.';

create function entra_sync.object_hash(tenant uuid, object uuid) returns bytea
language sql immutable parallel safe as $$ select sha256(convert_to(tenant || ':' || object, 'UTF8')) $$;
comment on function entra_sync.object_hash is
  'What erased_objects knows of a user. It tells whether an id that Graph shows is that of an erased person, and no id.';
revoke execute on function entra_sync.object_hash from public;
