-- The permissions of a tenant's last access token, and the end of the credential that it was got with.
alter table entra_sync.tenants
  add column permissions text[] check (cardinality(permissions) <= 40 and octet_length(array_to_string(permissions, '')) <= 3200),
  add column permissions_since timestamptz,
  add column credential_kind text check (credential_kind in ('secret', 'certificate', 'federated', 'managed_identity')),
  add column credential_ends_at timestamptz;
comment on column entra_sync.tenants.permissions is
  'The application permissions (claim roles) of the last access token, refused or not. Null: no cycle has noted one yet.';
comment on column entra_sync.tenants.permissions_since is 'When a cycle first got a token with exactly these permissions.';
comment on column entra_sync.tenants.credential_kind is 'The kind of credential that the token was got with.';
comment on column entra_sync.tenants.credential_ends_at is
  'When its certificate ends. Null for other kinds: a secret and a federated token do not show their end.';
