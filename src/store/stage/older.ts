// A full round that is open while a later round is committed beside it: its stage is older from then on (rule 24).
import type { Stream } from '../../rules/streams.ts';
import type { Transaction } from '../database/pool.ts';
import { objectOfKey } from '../database/vocabulary.ts';

/**
 * Brings an open full round up to date with the later round of this commit (rule 24): what that removed is removed, and
 * what it showed live is flagged, met or not, for GET before the full round is committed. Binds `tenant`, `stream` and
 * `round`.
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
  // An object created after the full round passed its place would be missing.
  await transaction.raw(
    `insert into ${stage}
     select (jsonb_populate_record(new, jsonb_build_object('round_id', r.round_id, 'doubt', '${changed}'))).*
       from ${stage} new, ${openFull}
        and new.round_id = :round and new.removed is null
     on conflict (round_id, entra_object_id) do nothing`,
    bind,
  );
  // Earlier answers of GET are older too: while one stands, GET is not asked again, and the doubt has no end.
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
      where r.tenant_id = :tenant and r.stream = :stream and r.kind = 'full' and not r.dry_run
        and r.round_id <> :round`;
