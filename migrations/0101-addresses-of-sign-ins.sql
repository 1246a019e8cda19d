-- Entra-sync may not read its own registration. A sign-in that comes back shows that the redirect address is there, and a
-- refusal for lack of consent shows what an organization has to allow. No row tells who it was.
create table entra_sync.sign_in_addresses (
  client_id text not null,
  redirect_uri text not null,
  worked_at timestamptz,
  consent_wanted_at timestamptz,
  consent_code text,
  primary key (client_id, redirect_uri),
  constraint sign_in_addresses_consent check ((consent_wanted_at is null) = (consent_code is null))
);
comment on table entra_sync.sign_in_addresses is 'What sign-ins have shown of an application''s redirect address: when one last came back, and when and with which code of Microsoft one was last refused for lack of an administrator''s consent. doctor tells it.';
