// Objects that a full round or a listing shows in part, judged over the whole stage: a document is the union of all
// occurrences (rules 3, 22).

import { doubts } from '../../rules/merge.ts';
import { type Stream, tableOf } from '../../rules/streams.ts';
import { type Lease, requireFence } from '../cycle/lease.ts';
import { type Database, inTransaction, rowCount, type Transaction } from '../database/pool.ts';
import type { Round } from './rounds.ts';
import { planForAll } from './statistics.ts';

/** The properties of a complete document. */
export type RequiredProperties = {
  /** Every object of the stream has these. */
  readonly required: readonly string[];
  /** `$select` names these. */
  readonly selected: readonly string[];
};

// An unknown or removed object without a required property, or a known one without a property of its stored document.
// Most documents are equal, so they are compared whole first. A manual account does not follow Entra ID.
const partial = (stream: Stream) => `
select s.entra_object_id as id,
       case when jsonb_exists_all(s.source, :required::text[]) then '${doubts.lacking}'
            else '${doubts.partial}' end as why
  from entra_sync.stage_${stream} s
  left join entra_sync.${tableOf[stream]} k
    on k.tenant_id = :tenantId and k.entra_object_id = s.entra_object_id and k.state = 'managed'
 where s.round_id = :roundId and s.removed is null and s.doubt is null
   and (k.source is null or k.removed_at is not null or k.source <> s.source)
   and ((k.source is null or k.removed_at is not null) and not jsonb_exists_all(s.source, :required::text[])
        or exists (select from jsonb_object_keys(k.source) as p (property)
                    where p.property = any(:selected::text[]) and not jsonb_exists(s.source, p.property)))`;

/**
 * Flags live objects that a full round shows in part, unless GET has answered for them. Returns how many. A removed
 * object that returns is both unknown and known.
 */
export async function doubtPartial(
  database: Database,
  lease: Lease,
  round: Round,
  stream: Stream,
  { required, selected }: RequiredProperties,
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
      { tenantId: lease.tenantId, roundId: round.round_id, required, selected },
    );
  });
}

/** Drops objects that a listing shows in part: the first round asks for them. Returns how many. */
export async function dropPartial(
  transaction: Transaction,
  bind: { readonly tenant: string; readonly round: string; readonly stream: Stream },
  { required, selected }: RequiredProperties,
): Promise<number> {
  return rowCount(
    transaction,
    `delete from entra_sync.stage_${bind.stream} t using (${partial(bind.stream)}) x
      where t.round_id = :roundId and t.entra_object_id = x.id`,
    { tenantId: bind.tenant, roundId: bind.round, required, selected },
  );
}
