-- Accounts, the rounds that fill them, the stage where a round's rows wait for its commit, and the checkpoints.
create table entra_sync.accounts (
  account_id uuid primary key default gen_random_uuid(),
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  entra_object_id uuid,
  state text not null check (state in ('managed', 'manual')),
  enabled boolean not null default true,
  user_principal_name text,
  mail text,
  source jsonb not null default '{}',
  mapped jsonb not null default '{}',
  overrides jsonb not null default '{}',
  profile jsonb generated always as (mapped || overrides) stored,
  removed_at timestamptz,
  removed_reason text check (removed_reason in ('deleted_restorable', 'deleted', 'out_of_scope', 'disabled', 'not_seen', 'by_hand')),
  purge_at timestamptz,
  created_at timestamptz not null default now(),
  updated_at timestamptz not null default now(),
  check ((removed_at is null) = (removed_reason is null)),
  check ((removed_at is null) = (purge_at is null))
);
comment on column entra_sync.accounts.source is 'The user as Graph has it, selected properties with a value only: what "absent = unchanged" of later rounds is merged with (rule 3).';
comment on column entra_sync.accounts.mapped is 'What the field mapping makes of source.';
comment on column entra_sync.accounts.overrides is 'Values that people gave to fields, in force over the directory''s.';
create unique index accounts_by_object on entra_sync.accounts (tenant_id, entra_object_id);
create index accounts_to_purge on entra_sync.accounts (tenant_id, purge_at) where purge_at is not null;

create table entra_sync.rounds (
  round_id bigint generated always as identity primary key,
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  stream text not null check (stream in ('users', 'groups')),
  dry_run boolean not null,
  kind text not null check (kind in ('full', 'incremental')),
  reason text not null,
  settings_version integer not null,
  fingerprint text not null,
  started_at timestamptz not null default now(),
  pages integer not null default 0,
  barren_pages integer not null default 0,
  seen integer not null default 0,
  resume_link text,
  delta_link text,
  unique (tenant_id, stream, dry_run)
);
comment on table entra_sync.rounds is 'One open walk of a stream; it owns its stage. No row: no round is open.';
comment on column entra_sync.rounds.reason is 'Why the round is of this kind, e.g. first, resync, token_expired, mapping_changed.';
comment on column entra_sync.rounds.fingerprint is 'Of mapping and $select; a checkpoint or round with another one is not continued (rule 17).';
comment on column entra_sync.rounds.barren_pages is 'Pages in a row that staged nothing new, counted across resumes (rule 14).';
comment on column entra_sync.rounds.resume_link is 'Next link of the last staged page; null before the first page.';
comment on column entra_sync.rounds.delta_link is 'Set by the last page: the round waits for its commit.';

create table entra_sync.stage_pages (
  round_id bigint not null references entra_sync.rounds on delete cascade,
  page integer not null,
  link_hash text not null,
  primary key (round_id, page),
  unique (round_id, link_hash)
);
comment on table entra_sync.stage_pages is 'One row a staged page. Counted before the commit, so that a lost stage is noticed; a link that comes again is a loop (rule 14).';

create table entra_sync.stage_users (
  round_id bigint not null references entra_sync.rounds on delete cascade,
  entra_object_id uuid not null,
  removed text check (removed in ('deleted_restorable', 'deleted')),
  source jsonb not null,
  mapped jsonb not null,
  user_principal_name text,
  mail text,
  enabled boolean not null,
  doubt text,
  primary key (round_id, entra_object_id)
);
comment on column entra_sync.stage_users.doubt is 'Why the object is read by GET before the commit (rule 22); null: nothing to ask.';

create table entra_sync.stage_set_aside (
  round_id bigint not null references entra_sync.rounds on delete cascade,
  object_key text not null,
  reason text not null,
  primary key (round_id, object_key)
);

create table entra_sync.set_aside (
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  stream text not null check (stream in ('users', 'groups')),
  object_key text not null,
  reason text not null,
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now(),
  primary key (tenant_id, stream, object_key)
);
comment on table entra_sync.set_aside is 'Objects that could not be taken (rule 19). object_key: the object id as Graph sent it, cut and cleaned.';

create table entra_sync.checkpoints (
  tenant_id uuid not null references entra_sync.tenants on delete cascade,
  stream text not null check (stream in ('users', 'groups')),
  delta_link text not null,
  fingerprint text not null,
  settings_version integer not null,
  round_id bigint not null,
  committed_at timestamptz not null default now(),
  full_at timestamptz not null,
  primary key (tenant_id, stream)
);
comment on column entra_sync.checkpoints.round_id is 'The round whose commit moved it here: after a COMMIT whose answer was lost this tells whether it happened.';
comment on column entra_sync.checkpoints.full_at is 'When the last full round was committed.';

-- The two below are plain expressions without settings of their own, so that Postgres puts them into the statement that
-- calls them; as functions with a pinned search_path they cost a millisecond an account. They are not security definer.
create function entra_sync.account_facts(a entra_sync.accounts) returns jsonb
language sql stable as $$
  select jsonb_build_object('entra_object_id', a.entra_object_id, 'state', a.state, 'enabled', a.enabled,
    'user_principal_name', a.user_principal_name, 'mail', a.mail, 'profile', a.profile)
$$;
comment on function entra_sync.account_facts is 'What a change row can say of an account.';
revoke execute on function entra_sync.account_facts from public;

create function entra_sync.differing_facts(mine jsonb, other jsonb) returns jsonb
language sql immutable as $$
  select coalesce((
      select jsonb_object_agg(f.key, f.value)
        from (select key, m.value from jsonb_each(mine) m full join jsonb_each(other) o using (key)
               where key <> 'profile' and m.value is distinct from o.value) f), '{}')
    || coalesce((
      select jsonb_build_object('profile', jsonb_object_agg(f.key, f.value))
        from (select key, m.value from jsonb_each(mine -> 'profile') m full join jsonb_each(other -> 'profile') o using (key)
               where nullif(m.value, 'null') is distinct from nullif(o.value, 'null')) f
      having count(*) > 0), '{}')
$$;
comment on function entra_sync.differing_facts is 'What `mine` says where the two differ; a profile field that is not there is null.';
revoke execute on function entra_sync.differing_facts from public;
