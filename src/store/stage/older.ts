// The full round that is open while a later round is committed beside it: what it staged is older from then on (rule 24).
import type { Stream } from '../../rules/streams.ts';
import type { Transaction } from '../database/pool.ts';
import { objectOfKey } from '../database/vocabulary.ts';

/**
 * Part of the commit of a later round: what it brought is newer than what an open full round has staged of the same
 * objects, or will not meet any more. Those that it removed are removed there too, the others are read by GET before the
 * full round is committed. Binds `tenant`, `stream` and `round`.
 */
export async function doubtWhatIsOlder(
  transaction: Transaction,
  bind: { readonly tenant: string; readonly stream: Stream; readonly round: string },
): Promise<void> {
  const stage = `entra_sync.stage_${bind.stream}`;
  await transaction.raw(
    `update ${stage} old
        set removed = coalesce(new.removed, old.removed), doubt = case when new.removed is null then '${changed}' end
       from ${stage} new, ${openFull}
        and new.round_id = :round and old.round_id = r.round_id and old.entra_object_id = new.entra_object_id`,
    bind,
  );
  // An object that was created after the full round had read so far would be missing from it.
  await transaction.raw(
    `insert into ${stage}
     select (jsonb_populate_record(new, jsonb_build_object('round_id', r.round_id, 'doubt', '${changed}'))).*
       from ${stage} new, ${openFull}
        and new.round_id = :round and new.removed is null
     on conflict (round_id, entra_object_id) do nothing`,
    bind,
  );
  // An answer that GET gave before is older too. If it stayed, GET would not be asked again and the round would never be whole.
  await transaction.raw(
    `delete from entra_sync.stage_asked q
      using ${openFull}
        and q.round_id = r.round_id
        and (exists (select from ${stage} new where new.round_id = :round and new.entra_object_id = q.object_id)
             or exists (select from entra_sync.stage_set_aside p
                         where p.round_id = :round and ${objectOfKey('p.object_key')} = q.object_id))`,
    bind,
  );
}

const changed = 'changed since the full round met it';

const openFull = `entra_sync.rounds r
      where r.tenant_id = :tenant and r.stream = :stream and r.kind = 'full' and not r.dry_run and r.round_id <> :round`;
