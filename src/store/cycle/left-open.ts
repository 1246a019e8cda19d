// Closes the cycles that their process did not close, as what they were: by the commits that are noted in their rows.
import { outcomeOfLeftOpen } from '../../rules/outcome.ts';
import { streams } from '../../rules/streams.ts';
import { rows, type Transaction } from '../database/pool.ts';
import { recordLateSuccess } from './next-cycle.ts';

type Reports = Readonly<Record<string, { readonly outcome?: string; readonly round?: string; readonly held?: number }>>;

type OpenRow = {
  readonly cycle_id: string;
  readonly kind: string;
  /** Reports of the streams that this cycle committed. */
  readonly streams: Reports;
  /** Reports of the rounds that are open. */
  readonly rounds: Reports;
  /** Removals of the tenant that wait for a person. */
  readonly held: number;
};

/**
 * Closes the tenant's open cycles. The caller holds the tenant's row and the fence. A cycle whose streams are all committed
 * is a success of the tenant, at the time of its last commit (rule 21).
 */
export async function closeLeftOpen(transaction: Transaction, tenantId: string): Promise<void> {
  for (const row of await rows<OpenRow>(transaction, readOpen, { tenantId })) {
    const { outcome, error, isSuccess } = judge(row);
    await transaction.raw(closeRow, {
      tenantId,
      cycleId: row.cycle_id,
      outcome,
      isSuccess,
      // A round that was committed beside a full one leaves that open.
      streams: JSON.stringify({ ...row.rounds, ...row.streams }),
      code: error?.code ?? null,
      message: error?.message ?? null,
    });
    if (isSuccess && row.kind !== 'first_load') await recordLateSuccess(transaction, tenantId, error);
  }
}

function judge({ kind, streams: committed, rounds, held }: OpenRow) {
  const done = streams.filter((stream) => committed[stream]?.outcome === 'committed');
  const missing = streams.filter(
    // A first load lists only the streams that no earlier one has listed.
    (stream) => !done.includes(stream) && (kind !== 'first_load' || rounds[stream]?.round === 'listing'),
  );
  const reported = done.reduce((sum, stream) => sum + (committed[stream]?.held ?? 0), 0);
  const all = Math.max(held, reported);
  const outcome = outcomeOfLeftOpen({
    committed: done.length,
    missing: missing.length,
    held: kind !== 'first_load' && all > 0,
  });
  const isSuccess = outcome === 'committed' || outcome === 'held';
  if (outcome === 'held') return { outcome, isSuccess, error: removalsHeld(all) };
  return { outcome, isSuccess, error: isSuccess ? null : cutOff(done) };
}

const removalsHeld = (held: number) => ({
  code: 'removals_held',
  message: `${held} removals wait for a person; entra-sync removals list`,
});

const cutOff = (done: readonly string[]) => ({
  code: 'cut_off',
  message: `the process of this cycle ended, or lost the database, before it could close the cycle${done.length > 0 ? `; ${done.join(' and ')} had been committed` : ''}; the next cycle resumes at its last staged page`,
});

// Of two open rounds in one stream the full one is reported: the last of duplicate keys wins.
const readOpen = `
select c.cycle_id, c.kind, c.streams,
       (select coalesce(jsonb_object_agg(r.stream, jsonb_build_object(
                 'outcome', 'failed', 'round', r.kind, 'reason', 'cut_off', 'begun_for', r.reason,
                 'pages', r.pages, 'seen', r.seen)
                 order by r.kind desc), '{}')
          from entra_sync.rounds r
         where r.tenant_id = :tenantId and not r.dry_run and r.kind <> 'on_demand') as rounds,
       ((select count(*) from entra_sync.held_removals where tenant_id = :tenantId)
        + (select count(*) from entra_sync.held_memberships where tenant_id = :tenantId))::int as held
  from entra_sync.cycles c
 where c.tenant_id = :tenantId and c.outcome = 'running'
 order by c.cycle_id`;

const closeRow = `
update entra_sync.cycles
   set outcome = :outcome, streams = :streams::jsonb, error_code = :code, error_message = :message,
       finished_at = case when :isSuccess::boolean
                          then coalesce((select max(p.committed_at) from entra_sync.checkpoints p
                                          where p.tenant_id = :tenantId), now())
                          else now() end
 where cycle_id = :cycleId`;
