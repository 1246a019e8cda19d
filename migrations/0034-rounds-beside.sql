-- Replicas of the previous release know of one open round a stream. What they commit leaves no round behind that is older.
create function entra_sync.end_older_rounds() returns trigger
language plpgsql set search_path = pg_catalog, pg_temp as $$
declare
  ended text;
begin
  select case r.kind when 'full' then 'incremental' when 'incremental' then 'full' end into ended
    from entra_sync.rounds r where r.round_id = new.round_id and not r.dry_run;
  if ended = 'incremental' or ended = 'full' and coalesce(current_setting('entra_sync.keeps_full_round', true), '') <> 'on' then
    delete from entra_sync.rounds r
     where r.tenant_id = new.tenant_id and r.stream = new.stream and r.kind = ended and not r.dry_run;
  end if;
  return null;
end $$;
revoke execute on function entra_sync.end_older_rounds() from public;
comment on function entra_sync.end_older_rounds is 'A full round that is committed ends the later round beside it. A later round that is committed ends the full round beside it, unless the commit says (entra_sync.keeps_full_round) that it marks there what it brought: else the full round would take those changes back.';
create trigger end_older_rounds after insert or update of round_id on entra_sync.checkpoints
  for each row execute function entra_sync.end_older_rounds();
