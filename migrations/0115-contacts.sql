-- Contacts of a tenant: mail addresses of the customer, told of lost consent and of removals that wait.
alter table entra_sync.webhooks
  drop constraint webhooks_form_check,
  add constraint webhooks_form_check check (form in ('changes', 'json', 'slack', 'teams', 'mail', 'contact')),
  add constraint webhooks_contact_check check (form <> 'contact' or tenant_id is not null);
comment on column entra_sync.webhooks.form is
  'changes: the change feed. contact: notices by mail to a contact of the tenant. Otherwise notices of troubles, in the form that the receiver reads.';

alter table entra_sync.invitations add column contacts text[] not null default '{}';
comment on column entra_sync.invitations.contacts is 'Mail addresses that become contacts of the tenant that the invitation connects.';
