-- When lists were read whole: of two that tell of one membership, the later one counts.
alter table entra_sync.stage_whole_lists add column read_at timestamptz not null default now();
comment on column entra_sync.stage_whole_lists.read_at is 'By the database''s clock, before Graph was asked for the list.';

alter table entra_sync.accounts add column memberships_read_at timestamptz;
comment on column entra_sync.accounts.memberships_read_at is 'When the person''s memberOf was last read whole, by the database''s clock before it was asked: member lists that are older end none of the person''s memberships.';
