-- Photos of accounts. Delta tells nothing of them, so they are read in a lane of their own, beside the cycles.
create table entra_sync.photos (
  account_id uuid primary key references entra_sync.accounts on delete cascade,
  tenant_id uuid not null,
  read_at timestamptz not null,
  content bytea,
  content_type text check (content_type in ('image/jpeg', 'image/png')),
  sha256 text check (sha256 ~ '^[0-9a-f]{64}$'),
  width integer,
  height integer,
  updated_at timestamptz,
  check (num_nulls(content, content_type, sha256, width, height, updated_at) in (0, 6))
);
-- A picture is compressed already.
alter table entra_sync.photos alter column content set storage external;
comment on table entra_sync.photos is 'The photo of each account that was asked for one; without content: Entra ID has none. Written by the lane of photos under the tenant''s lock.';
comment on column entra_sync.photos.read_at is 'When Graph was last asked. The photo is due again after refreshEvery of the settings.';
create index photos_by_read on entra_sync.photos (tenant_id, read_at);
create index photos_there on entra_sync.photos (tenant_id) where content is not null;

create table entra_sync.photo_faults (
  account_id uuid primary key references entra_sync.accounts on delete cascade,
  tenant_id uuid not null,
  reason text not null check (length(reason) <= 200),
  first_seen_at timestamptz not null default now(),
  last_seen_at timestamptz not null default now()
);
comment on table entra_sync.photo_faults is 'Photos that are set aside, and why. What the account had before stays. A good answer takes the row away.';
create index photo_faults_by_tenant on entra_sync.photo_faults (tenant_id);

create table entra_sync.photo_lanes (
  tenant_id uuid primary key references entra_sync.tenants on delete cascade,
  size text not null,
  since timestamptz not null default clock_timestamp(),
  next_at timestamptz not null default clock_timestamp(),
  claim uuid,
  claimed_at timestamptz,
  claimed_until timestamptz,
  answered_at timestamptz,
  due integer,
  trouble text,
  trouble_message text,
  trouble_since timestamptz,
  check (num_nulls(trouble, trouble_message, trouble_since) in (0, 3))
);
comment on table entra_sync.photo_lanes is 'How the photos of a tenant stand; no row: none were ever read. One process at a time reads them, and the claim of a dead one ends by itself.';
comment on column entra_sync.photo_lanes.size is 'The size that was last asked for. Another one makes every photo due: what was read before since.';
comment on column entra_sync.photo_lanes.claimed_at is 'A photo is asked for at most once a claim: due is what was due then.';
comment on column entra_sync.photo_lanes.answered_at is 'When Graph last gave or denied that there is a photo, and so showed that the application may read them.';
comment on column entra_sync.photo_lanes.due is 'Photos that were due when the lane last counted, less those read since.';
comment on column entra_sync.photo_lanes.trouble is 'The error code for which no photo is read; what was read stays.';

create function entra_sync.photo_settings(tenant uuid) returns jsonb
language sql stable set search_path = pg_catalog, pg_temp as $$
  select '{"read": false, "size": "240x240", "refreshEvery": "24h"}'::jsonb
         || coalesce((select s.document -> 'photos' from entra_sync.settings s
                       where s.tenant_id is null order by s.version desc limit 1), '{}')
         || coalesce((select s.document -> 'photos' from entra_sync.settings s
                       where s.tenant_id = tenant order by s.version desc limit 1), '{}')
$$;
revoke execute on function entra_sync.photo_settings(uuid) from public;
comment on function entra_sync.photo_settings is 'The settings of photos in force for a tenant.';

-- Halves, of which one is begun: a role of one tenant finds by the index that the tenant has no photo.
create view directory.photos with (security_barrier) as
select tenant_id, account_id, content_type, sha256, content, size, width, height, updated_at
  from (
    select p.tenant_id, p.account_id, p.content_type, p.sha256, p.content, octet_length(p.content) as size, p.width, p.height,
           p.updated_at
      from entra_sync.photos p
      join entra_sync.accounts a on a.account_id = p.account_id
     where p.content is not null and a.removed_at is null and (select entra_sync.narrowed_to()) is null
    union all
    select p.tenant_id, p.account_id, p.content_type, p.sha256, p.content, octet_length(p.content) as size, p.width, p.height,
           p.updated_at
      from entra_sync.photos p
      join entra_sync.accounts a on a.account_id = p.account_id
     where p.content is not null and a.removed_at is null and (select entra_sync.narrowed_to()) is not null
       and p.tenant_id = (select entra_sync.narrowed_to())) photos;
comment on view directory.photos is 'The photo of each live account that has one, as Entra ID gives it in the size of the settings: a JPEG or a PNG of at most 2 MiB. sha256 is that of content, in hex, and size its bytes. A change of it is account.photo_changed.';
