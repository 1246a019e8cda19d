-- One person read on demand: a round that lives within one transaction, beside whatever round is open.
alter table entra_sync.rounds drop constraint rounds_kind_check;
alter table entra_sync.rounds add constraint rounds_kind_check check (kind in ('full', 'incremental', 'on_demand'));
alter table entra_sync.rounds drop constraint rounds_tenant_id_stream_dry_run_key;
create unique index rounds_open on entra_sync.rounds (tenant_id, stream, dry_run) where kind <> 'on_demand';
comment on index entra_sync.rounds_open is 'One open walk a stream. A read on demand stages beside it and is gone before anybody else can see it.';
