// How many cycles in a row a stream has failed at one place: at its checkpoint, or at the next page of its open full round.
import { objectOfKey } from './doubts.ts';
import { type Lease, requireFence } from './lease.ts';
import { type Database, inTransaction, type Transaction } from './pool.ts';
import type { Stream } from './rounds.ts';

/** Cycles in a row that failed before this one; both are 0 once the stream has moved on. */
export type StreamFailures = {
  /** Since the last commit of the stream. */
  readonly checkpoint: number;
  /** At the page where the open full round stands. */
  readonly round: number;
};

// A count belongs to a place: a commit or a staged page gives the stream another mark, so neither has to reset a count.
const marks = (tenantId: string, stream: string) => `
  select 'checkpoint' as kind, c.round_id || ' ' || extract(epoch from c.committed_at) as mark
    from entra_sync.checkpoints c where c.tenant_id = ${tenantId} and c.stream = ${stream}
  union all
  select 'round', r.round_id || ' ' || r.pages
    from entra_sync.rounds r where r.tenant_id = ${tenantId} and r.stream = ${stream} and not r.dry_run and r.kind = 'full'`;

/** An expression over a tenant and a stream, themselves expressions: their {@link StreamFailures} as JSON. */
export const streamFailures = (tenantId: string, stream: string) => `(
  select jsonb_build_object('checkpoint', coalesce(max(f.failures) filter (where f.kind = 'checkpoint'), 0),
                            'round', coalesce(max(f.failures) filter (where f.kind = 'round'), 0))
    from entra_sync.stream_failures f
    join (${marks(tenantId, stream)}) m on m.kind = f.kind and m.mark = f.mark
   where f.tenant_id = ${tenantId} and f.stream = ${stream})`;

/** Counts a cycle in which the stream failed, at the places where it stands. Throws `lease_lost`. */
export async function countFailure(database: Database, lease: Lease, stream: Stream): Promise<void> {
  await inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await transaction.raw(count, { tenantId: lease.tenantId, stream });
  });
}

const count = `
insert into entra_sync.stream_failures as f (tenant_id, stream, kind, mark, failures)
select :tenantId, :stream, m.kind, m.mark, 1 from (${marks(':tenantId', ':stream')}) m
on conflict (tenant_id, stream, kind) do update
   set failures = case when f.mark = excluded.mark then f.failures + 1 else 1 end,
       since = case when f.mark = excluded.mark then f.since else excluded.since end, mark = excluded.mark`;

/**
 * Part of the commit of a later round: what it brought is newer than what an open full round has staged of the same
 * objects, or will not meet any more. Those that it removed are removed there too, the others are read by GET before the
 * full round is committed. Binds `tenant`, `stream` and `round`.
 */
export async function doubtWhatIsOlder(
  transaction: Transaction,
  scope: { readonly tenant: string; readonly stream: Stream; readonly round: string },
): Promise<void> {
  const stage = `entra_sync.stage_${scope.stream}`;
  await transaction.raw(
    `update ${stage} old
        set removed = coalesce(new.removed, old.removed), doubt = case when new.removed is null then '${changed}' end
       from ${stage} new, ${openFull}
        and new.round_id = :round and old.round_id = r.round_id and old.entra_object_id = new.entra_object_id`,
    scope,
  );
  // An object that was created after the full round had read so far would be missing from it.
  await transaction.raw(
    `insert into ${stage}
     select (jsonb_populate_record(new, jsonb_build_object('round_id', r.round_id, 'doubt', '${changed}'))).*
       from ${stage} new, ${openFull}
        and new.round_id = :round and new.removed is null
     on conflict (round_id, entra_object_id) do nothing`,
    scope,
  );
  // An answer that GET gave before is older too. If it stayed, GET would not be asked again and the round would never be whole.
  await transaction.raw(
    `delete from entra_sync.stage_asked q
      using ${openFull}
        and q.round_id = r.round_id
        and (exists (select from ${stage} new where new.round_id = :round and new.entra_object_id = q.object_id)
             or exists (select from entra_sync.stage_set_aside p
                         where p.round_id = :round and ${objectOfKey('p.object_key')} = q.object_id))`,
    scope,
  );
}

const changed = 'changed since the full round met it';

const openFull = `entra_sync.rounds r
      where r.tenant_id = :tenant and r.stream = :stream and r.kind = 'full' and not r.dry_run and r.round_id <> :round`;
