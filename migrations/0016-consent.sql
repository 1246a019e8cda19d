-- Consent: invitations to the consent page, the single-use steps of those who follow one, and the key that signs both.
create table entra_sync.signing_key (
  only_row boolean primary key default true check (only_row),
  key bytea not null check (octet_length(key) >= 32)
);
comment on table entra_sync.signing_key is 'Signs invitations and the state of sign-ins; made by the first program that needs it, the same for every replica. Deleted: all links that are under way are void, the next one makes a new key.';

create table entra_sync.invitations (
  invitation_id uuid primary key default gen_random_uuid(),
  external_ref text not null,
  name text,
  tenant_id uuid references entra_sync.tenants on delete cascade,
  actor text not null,
  created_at timestamptz not null default now(),
  expires_at timestamptz not null
);
comment on table entra_sync.invitations is 'Who may connect a tenant, and for which customer. The link holds the id and a signature; deleting the row withdraws it.';
comment on column entra_sync.invitations.tenant_id is 'The only tenant that it connects: said from the start, or the first that it connected.';
create index invitations_by_tenant on entra_sync.invitations (tenant_id);

create table entra_sync.consent_steps (
  step_id uuid primary key default gen_random_uuid(),
  invitation_id uuid not null references entra_sync.invitations on delete cascade,
  step text not null check (step in ('sign_in', 'offer', 'consent')),
  browser bytea not null,
  nonce text,
  code_verifier text,
  tenant_id uuid,
  admin_object_id uuid,
  domain text,
  expires_at timestamptz not null,
  check ((step = 'sign_in') = (nonce is not null and code_verifier is not null)),
  check ((step = 'sign_in') = (tenant_id is null))
);
comment on table entra_sync.consent_steps is 'What a browser on the consent page may do next, once: deleted by whoever does it. sign_in: waits for Entra''s answer to a sign-in; offer: signed in, may ask for consent; consent: waits for Entra''s answer to that.';
comment on column entra_sync.consent_steps.browser is 'SHA-256 of the cookie: a link that is taken to another browser is worth nothing there.';
comment on column entra_sync.consent_steps.tenant_id is 'From the verified sign-in, never from a redirect.';
create index consent_steps_by_invitation on entra_sync.consent_steps (invitation_id);
create index consent_steps_by_age on entra_sync.consent_steps (expires_at);
