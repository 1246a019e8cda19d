-- Who owns a field: the rules that the settings come to, tenant by tenant, and what people gave to accounts.
create table entra_sync.field_rules (
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  field text not null,
  owner text not null check (owner in ('directory', 'user')),
  editable_by text[] not null check (editable_by <@ array['user', 'manager']),
  manual_editable_by text[] not null check (manual_editable_by <@ array['user', 'manager']),
  value_type text not null check (value_type in ('text', 'text[]', 'number', 'boolean', 'any')),
  mapped_from text,
  primary key (tenant_id, field)
);
comment on table entra_sync.field_rules is 'The profile fields of a tenant as its settings in force make them; written by the transaction of a settings change, read by the functions that people edit through.';
comment on column entra_sync.field_rules.editable_by is 'Which roles may edit the field of a managed account: none where the directory owns it.';
comment on column entra_sync.field_rules.manual_editable_by is 'Which roles may edit the field of a manual account.';
comment on column entra_sync.field_rules.mapped_from is 'The mapping as the settings write it; null: the field is not in the directory at all.';

alter table entra_sync.tenants add column retention interval not null default '30 days';
alter table entra_sync.tenants add column manual_roles text[] not null default '{user,manager}' check (manual_roles <@ array['user', 'manager']);
comment on column entra_sync.tenants.retention is 'From the settings in force: how long a removed account can be restored.';
comment on column entra_sync.tenants.manual_roles is 'From the settings in force (manual.editableBy): which roles may remove manual accounts.';

alter table entra_sync.accounts add column shelf jsonb not null default '{}';
alter table entra_sync.accounts add column edits jsonb not null default '{}';
comment on column entra_sync.accounts.shelf is 'Values of people that are kept and not in force: of fields that the directory owns now, or that are not in the settings.';
comment on column entra_sync.accounts.edits is 'Who gave the values in overrides and shelf, and when: {"field": {"by": actor, "at": time}}.';

-- Match keys: how manual accounts are recognised, how people are found, and what no two live accounts share.
create index accounts_by_principal on entra_sync.accounts (tenant_id, lower(user_principal_name));
create index accounts_by_mail on entra_sync.accounts (tenant_id, lower(mail));

create view directory.fields with (security_barrier) as
select r.tenant_id, r.field, r.owner, r.editable_by, r.mapped_from
  from entra_sync.field_rules r
 where r.tenant_id = coalesce(nullif(current_setting('directory.tenant', true), '')::uuid, r.tenant_id);
