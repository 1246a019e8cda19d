-- A field's rule says how a form shows it. Rules of the release before have no kind until `migrate`, or the next version of the
-- settings, writes them anew; the view answers for them meanwhile.
alter table entra_sync.field_rules
  add column label jsonb,
  add column help jsonb,
  add column kind text check (kind in ('text', 'tel', 'url', 'mail', 'list')),
  add column sort_order integer,
  add column private boolean not null default false,
  add column shown boolean not null default true;
comment on column entra_sync.field_rules.label is 'The name of the field by language; null: it has none.';
comment on column entra_sync.field_rules.help is 'A sentence on what belongs into the field, by language; null: there is none.';
comment on column entra_sync.field_rules.kind is 'The kind of input of a form; null: written by an earlier release.';
comment on column entra_sync.field_rules.sort_order is 'Fields are shown from the smallest on, those without a number last.';
comment on column entra_sync.field_rules.private is 'Earlier values are for the person alone.';

create or replace view directory.fields with (security_barrier) as
select r.tenant_id, r.field, r.owner, r.editable_by, r.mapped_from, r.max_length as max, r.pattern, r.label, r.help,
       coalesce(r.kind, case r.value_type when 'text[]' then 'list' else 'text' end) as kind, r.sort_order, r.private, r.shown
  from entra_sync.field_rules r
 where (select entra_sync.narrowed_to()) is null
union all
select r.tenant_id, r.field, r.owner, r.editable_by, r.mapped_from, r.max_length as max, r.pattern, r.label, r.help,
       coalesce(r.kind, case r.value_type when 'text[]' then 'list' else 'text' end) as kind, r.sort_order, r.private, r.shown
  from entra_sync.field_rules r
 where (select entra_sync.narrowed_to()) is not null and r.tenant_id = (select entra_sync.narrowed_to());
