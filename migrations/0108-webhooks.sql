-- Webhooks: addresses that are sent the change feed, each by a position of its own.
create table entra_sync.webhooks (
  webhook_id uuid primary key default gen_random_uuid(),
  tenant_id uuid references entra_sync.tenants on delete cascade,
  url text not null check (length(url) <= 2048),
  kinds text[] not null default '{}',
  told text not null default 'names' check (told in ('none', 'names', 'all')),
  insecure_local boolean not null default false,
  secret bytea not null check (octet_length(secret) = 32),
  old_secret bytea,
  old_secret_until timestamptz,
  position text not null,
  state text not null default 'active' check (state in ('active', 'paused')),
  paused_because text check (paused_because in ('by_hand', 'gone', 'failing')),
  failures integer not null default 0,
  failing_since timestamptz,
  next_at timestamptz not null default clock_timestamp(),
  behind_since timestamptz,
  taken_at timestamptz,
  lot_id uuid,
  lot_at timestamptz,
  lot_changes bigint[],
  lot_to text,
  claim uuid,
  claimed_until timestamptz,
  created_by text not null,
  created_at timestamptz not null default clock_timestamp(),
  check ((state = 'paused') = (paused_because is not null)),
  check ((lot_id is null) = (lot_to is null) and (lot_id is null) = (lot_at is null))
);
comment on table entra_sync.webhooks is 'One row an address. Each change is sent at least once, in the order of the feed; the position moves when the address has taken a lot.';
comment on column entra_sync.webhooks.tenant_id is 'Null: the changes of all tenants.';
comment on column entra_sync.webhooks.kinds is 'Kinds of changes as globs; empty: all. account.purged is always sent.';
comment on column entra_sync.webhooks.told is 'Of a change its ids alone, the names of its fields too, or its values too.';
comment on column entra_sync.webhooks.insecure_local is 'The address is on loopback, and may be plain http.';
comment on column entra_sync.webhooks.secret is 'The key of the signature (Standard Webhooks). Both sides need it, so it is no hash.';
comment on column entra_sync.webhooks.position is 'As directory.read_changes takes it: what lies before is sent, or not wanted.';
comment on column entra_sync.webhooks.behind_since is 'When the oldest change was made that is not taken yet; null: none is left.';
comment on column entra_sync.webhooks.lot_id is 'A lot is fixed before it is sent first, and is sent again under the same id.';
comment on column entra_sync.webhooks.lot_changes is 'The changes of the lot; null: it says that the feed was reset.';
comment on column entra_sync.webhooks.claim is 'One worker at a time sends to an address. The claim of a dead worker ends by itself.';
create index webhooks_by_tenant on entra_sync.webhooks (tenant_id);

create table entra_sync.webhook_attempts (
  attempt_id bigint generated always as identity primary key,
  webhook_id uuid not null references entra_sync.webhooks on delete cascade,
  at timestamptz not null default clock_timestamp(),
  message_id text not null,
  changes integer not null,
  status integer,
  problem text,
  answer text check (length(answer) <= 200),
  ms integer not null
);
comment on table entra_sync.webhook_attempts is 'What was sent when, and what came back: no bodies. Rows are kept for 30 days.';
comment on column entra_sync.webhook_attempts.status is 'The HTTP status; null: no answer came, and problem says why.';
create index webhook_attempts_by_webhook on entra_sync.webhook_attempts (webhook_id, attempt_id desc);
create index webhook_attempts_by_time on entra_sync.webhook_attempts (at);
