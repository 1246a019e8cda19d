// How many cycles in a row a stream failed at one place: its checkpoint, or the next page of its full round.
import type { Stream } from '../../rules/streams.ts';
import { type Database, inTransaction } from '../database/pool.ts';
import { type Lease, requireFence } from './lease.ts';

/** Failed cycles in a row before this one; both are 0 once the stream has moved on. */
export type StreamFailures = {
  /** Since the last commit of the stream. */
  readonly checkpoint: number;
  /** At the next page of the open full round. */
  readonly round: number;
};

// A commit or a staged page changes the mark of a count, so counts need no reset.
const marks = (tenantId: string, stream: string) => `
  select 'checkpoint' as kind, c.round_id || ' ' || extract(epoch from c.committed_at) as mark
    from entra_sync.checkpoints c where c.tenant_id = ${tenantId} and c.stream = ${stream}
  union all
  select 'round', r.round_id || ' ' || r.pages
    from entra_sync.rounds r
   where r.tenant_id = ${tenantId} and r.stream = ${stream} and not r.dry_run and r.kind = 'full'`;

/** The expression of a stream's {@link StreamFailures} as JSON, over expressions of tenant and stream. */
export const streamFailures = (tenantId: string, stream: string) => `(
  select jsonb_build_object('checkpoint', coalesce(max(f.failures) filter (where f.kind = 'checkpoint'), 0),
                            'round', coalesce(max(f.failures) filter (where f.kind = 'round'), 0))
    from entra_sync.stream_failures f
    join (${marks(tenantId, stream)}) m on m.kind = f.kind and m.mark = f.mark
   where f.tenant_id = ${tenantId} and f.stream = ${stream})`;

/** Counts a failed cycle of the stream at its marks. Throws `lease_lost`. */
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
