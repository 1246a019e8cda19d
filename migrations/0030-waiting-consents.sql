-- Consents that wait for the vendor. A tenant is connected at once only where the vendor named it, or where the sign-in
-- showed an administrator of it; any other consent waits in a row of its own.
create table entra_sync.waiting_consents (
  invitation_id uuid primary key references entra_sync.invitations on delete cascade,
  tenant_id uuid not null,
  admin_object_id uuid not null,
  asked_at timestamptz not null default clock_timestamp(),
  expires_at timestamptz not null
);
comment on table entra_sync.waiting_consents is 'Consents that have given a good token and wait for tenant approve. Nothing is read of the tenant for such a row. One invitation has one row, for the tenant that it asked for last; the customer is that of the invitation.';
comment on column entra_sync.waiting_consents.tenant_id is 'From the verified sign-in. The tenant need not be registered, so this is no foreign key.';
comment on column entra_sync.waiting_consents.admin_object_id is 'Who signed in: the object id in that tenant. It goes with the row.';
comment on column entra_sync.waiting_consents.expires_at is 'The vendor can approve until then; later the row is deleted.';
create index waiting_consents_by_tenant on entra_sync.waiting_consents (tenant_id);
create index waiting_consents_by_age on entra_sync.waiting_consents (expires_at);

alter table entra_sync.consent_steps
  add column administrator boolean not null default false,
  add column tries smallint not null default 0;
comment on column entra_sync.consent_steps.administrator is 'The verified sign-in showed a role that may consent for the tenant.';
comment on column entra_sync.consent_steps.tries is 'How many times a token was asked for since the sign-in.';
comment on column entra_sync.consent_steps.expires_at is 'From the sign-in on: when that sign-in ends, the same for all steps that follow it.';

-- Whether id tokens of an application tell the directory roles of who signs in, as last seen.
create table entra_sync.registrations (
  client_id text primary key,
  tells_roles boolean not null,
  seen_at timestamptz not null default clock_timestamp()
);
comment on table entra_sync.registrations is 'What the consent page saw of an application: whether its last id token had the claim wids. connect and doctor tell it.';
