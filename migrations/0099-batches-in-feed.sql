-- The newest batches of a tenant in the order of the feed: a list of changes reads what it shows, whatever the size of the tenant.
create index batches_in_feed on entra_sync.batches (tenant_id, number);
