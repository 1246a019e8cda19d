// Whether the documents of a full round or a listing are whole, judged over the whole stage: a document is the union of all
// occurrences, so that nothing can be said of it before the last page (rules 3, 22).

import { doubts } from '../../rules/merge.ts';
import { type Stream, tableOf } from '../../rules/streams.ts';
import { type Lease, requireFence } from '../cycle/lease.ts';
import { type Database, inTransaction, rowCount, type Transaction } from '../database/pool.ts';
import type { Round } from './rounds.ts';
import { planForAll } from './statistics.ts';

/** The properties that a whole document of a stream holds. */
export type RequiredProperties = {
  /** Properties that every object of the stream has. */
  readonly marks: readonly string[];
  /** Properties that `$select` names. */
  readonly selected: readonly string[];
};

// Unknown (or removed until now) and without a mark, or known and without a property that the stored document has. Most
// documents are equal to the stored ones, and that is found out first. A manual account was not kept up with Graph.
const partial = (stream: Stream) => `
select s.entra_object_id as id,
       case when jsonb_exists_all(s.source, :marks::text[]) then '${doubts.lacking}' else '${doubts.partial}' end as why
  from entra_sync.stage_${stream} s
  left join entra_sync.${tableOf[stream]} k on k.tenant_id = :tenantId and k.entra_object_id = s.entra_object_id and k.state = 'managed'
 where s.round_id = :roundId and s.removed is null and s.doubt is null
   and (k.source is null or k.removed_at is not null or k.source <> s.source)
   and ((k.source is null or k.removed_at is not null) and not jsonb_exists_all(s.source, :marks::text[])
        or exists (select from jsonb_object_keys(k.source) as p (property)
                    where p.property = any(:selected::text[]) and not jsonb_exists(s.source, p.property)))`;

/**
 * Marks the live objects of a full round that were shown in part as doubtful, except those that GET has answered for. Returns
 * how many were marked now. An object that comes back after a removal counts as unknown, and as known.
 */
export async function doubtPartial(
  database: Database,
  lease: Lease,
  round: Round,
  stream: Stream,
  { marks, selected }: RequiredProperties,
): Promise<number> {
  return inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await transaction.raw(planForAll);
    return rowCount(
      transaction,
      `update entra_sync.stage_${stream} t set doubt = x.why
         from (${partial(stream)}) x
        where t.round_id = :roundId and t.entra_object_id = x.id
          and not exists (select from entra_sync.stage_asked q where q.round_id = :roundId and q.object_id = x.id)`,
      { tenantId: lease.tenantId, roundId: round.round_id, marks, selected },
    );
  });
}

/** Leaves out of a listing's stage what was shown in part: the first round asks for it. Returns how many that were. */
export async function dropPartial(
  transaction: Transaction,
  bind: { readonly tenant: string; readonly round: string; readonly stream: Stream },
  { marks, selected }: RequiredProperties,
): Promise<number> {
  return rowCount(
    transaction,
    `delete from entra_sync.stage_${bind.stream} t using (${partial(bind.stream)}) x
      where t.round_id = :roundId and t.entra_object_id = x.id`,
    { tenantId: bind.tenant, roundId: bind.round, marks, selected },
  );
}
