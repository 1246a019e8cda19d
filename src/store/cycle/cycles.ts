// The row of a cycle: opened, told of each commit, and closed.
import type { CommitCounts } from '../../rules/counts.ts';
import type { RoundKind } from '../../rules/merge.ts';
import type { CycleOutcome } from '../../rules/outcome.ts';
import type { Stream } from '../../rules/streams.ts';
import { type Database, inTransaction, rows, type Transaction, written } from '../database/pool.ts';
import { noteFeedBatch } from '../feed/batches.ts';
import { inReportedTransaction } from '../feed/receipts.ts';
import { shareTenant } from '../tenants/tenants.ts';
import { forgetExpiredConsents } from '../tenants/waiting-consents.ts';
import { type Lease, lockBoth, lockFenced, requireFence, whyLost } from './lease.ts';
import { recordAttempt } from './next-cycle.ts';

export type CycleKind = 'first_load' | 'initial' | 'incremental' | 'resync';

/** The report of one stream, as stored in `cycles.streams`. `seen` counts repeats. */
export type StreamReport = CommitCounts & {
  outcome: 'committed' | 'failed' | 'cancelled' | 'dry_run';
  round: RoundKind;
  reason: string;
  /** The reason for the round's kind; `reason` is then the code of the failure that stopped it. */
  begun_for?: string;
  /**
   * When an earlier cycle began the round and read pages of it. What changed since may be missing: Graph repeats it only
   * from the round's delta link on, which the next cycle asks.
   */
  begun_at?: string;
  requests: number;
  pages: number;
  seen: number;
};

/** The facts that the tenant's row keeps of the last access token and of the credential that it was got with. */
export type StoredAccess = {
  readonly roles: readonly string[];
  readonly credential: string;
  readonly endsAt: Date | null;
};

export type CycleEnd = {
  outcome: CycleOutcome;
  streams: { readonly [stream: string]: StreamReport };
  error: { code: string; message: string } | null;
  /** Time from start to start. */
  intervalMs: number;
  sinceStartMs: number;
  /** A random number from 0 to 1. */
  chance: number;
  /** Left out: the cycle got no token, and the tenant's row keeps the facts of an earlier one. */
  access?: StoredAccess | undefined;
  retention: { changesMs: number; cyclesMs: number };
};

/** Returns the report of a round that is committed. */
export function reportOfCommit(
  round: { readonly kind: RoundKind; readonly reason: string; readonly pages: number; readonly seen: number },
  counts: CommitCounts,
  requests: number,
): StreamReport {
  const { kind, reason, pages, seen } = round;
  return { ...counts, outcome: 'committed', round: kind, reason, requests, pages, seen };
}

/** The statement that notes the report of a committed stream in the cycle's open row; null: no row. */
export const noteReport = `
update entra_sync.cycles set streams = streams || jsonb_build_object(:stream::text, :report::jsonb)
 where cycle_id = :cycle::bigint and outcome = 'running'`;

/**
 * Notes a stream in the cycle's row, in the transaction that commits it: a process that cannot close the row any more
 * leaves the truth there (rule 21).
 */
export async function noteCommit(
  transaction: Transaction,
  cycleId: string | null,
  stream: Stream,
  report: StreamReport,
): Promise<void> {
  if (cycleId === null) return;
  await transaction.raw(noteReport, { cycle: cycleId, stream, report: JSON.stringify(report) });
}

/** Opens the cycle's row and returns its id. Throws like {@link requireFence}. */
export async function openCycle(
  database: Database,
  lease: Lease,
  cycle: { kind: CycleKind; actor: string; settingsVersion: number },
): Promise<string> {
  const { tenantId, fence } = lease;
  const [opened] = await written<{ cycle_id: string }>(database, openRow, { tenantId, fence, ...cycle });
  if (!opened) throw await whyLost(database, lease);
  return opened.cycle_id;
}

const openRow = `
insert into entra_sync.cycles (tenant_id, kind, actor, fence, settings_version)
select :tenantId, :kind, :actor, :fence, :settingsVersion from (${lockBoth('key share')}) as locked
returning cycle_id`;

/** Closes the cycle, records its outcome in the tenant's row, and deletes expired cycles and changes. */
export async function closeCycle(database: Database, lease: Lease, cycleId: string, end: CycleEnd): Promise<void> {
  const { tenantId } = lease;
  const { changesMs, cyclesMs } = end.retention;
  const old = await inReportedTransaction(database, async (transaction) => {
    const { failures } = await lockFenced(transaction, lease);
    const [found] = await rows<{ changes: boolean; unnumbered: boolean }>(transaction, closeAndDrop, {
      tenantId,
      cyclesMs,
      changesMs,
      ...closed(cycleId, end),
      ...accessValues(end.access),
    });
    // After the close: this cycle counts among the recent ones.
    await recordAttempt(transaction, tenantId, failures, end);
    // Without a worker, number the batches of applications' edits here.
    if (found?.unnumbered) noteFeedBatch(transaction);
    return found;
  });
  if (old?.changes) await pruneChanges(database, tenantId, changesMs);
}

const isOld = "committed_at < clock_timestamp() - :changesMs * interval '1 millisecond'";

const closeRow = `
update entra_sync.cycles set finished_at = clock_timestamp(), outcome = :outcome, streams = :streams::jsonb,
       error_code = :code, error_message = :message where cycle_id = :cycleId`;

// Only what changed is written.
const noteAccess = `
  update entra_sync.tenants
     set permissions = :permissions::text[], credential_kind = :credential, credential_ends_at = :endsAt::timestamptz,
         permissions_since = case when permissions is distinct from :permissions::text[] then clock_timestamp()
                                  else permissions_since end
   where tenant_id = :tenantId and :permissions::text[] is not null
     and (permissions, credential_kind, credential_ends_at)
         is distinct from (:permissions::text[], :credential::text, :endsAt::timestamptz)`;

function accessValues(access: StoredAccess | undefined) {
  return {
    permissions: access?.roles ?? null,
    credential: access?.credential ?? null,
    endsAt: access?.endsAt?.toISOString() ?? null,
  };
}

const closeAndDrop = `
with closed as (${closeRow}), old as (
  delete from entra_sync.cycles
   where tenant_id = :tenantId and finished_at < clock_timestamp() - :cyclesMs * interval '1 millisecond'
), expired as (
  ${forgetExpiredConsents}
), shown as (
  ${noteAccess}
)
select exists (select from entra_sync.batches where tenant_id = :tenantId and ${isOld}) as changes,
       exists (select from entra_sync.batches where number is null) as unnumbered`;

/** Closes the row of a first load. No checkpoint moved, so the tenant's row is left to the next cycle (rule 21). */
export async function closeFirstLoad(
  database: Database,
  lease: Lease,
  cycleId: string,
  end: Pick<CycleEnd, 'outcome' | 'streams' | 'error'>,
): Promise<void> {
  await inReportedTransaction(database, async (transaction) => {
    await shareTenant(transaction, lease.tenantId);
    await requireFence(transaction, lease);
    await transaction.raw(closeRow, closed(cycleId, end));
  });
}

function closed(cycleId: string, end: Pick<CycleEnd, 'outcome' | 'streams' | 'error'>) {
  return {
    cycleId,
    outcome: end.outcome,
    streams: JSON.stringify(end.streams),
    code: end.error?.code ?? null,
    message: end.error?.message ?? null,
  };
}

// Not in the closing transaction. Applications that have not read these changes get ES006 and read the views again.
async function pruneChanges(database: Database, tenantId: string, changesMs: number): Promise<void> {
  await inTransaction(database, async (transaction) => {
    await waitInLine(transaction, tenantId);
    await transaction.raw(prune, { tenantId, changesMs });
  });
}

const prune = `
with old as (
  delete from entra_sync.batches where tenant_id = :tenantId and number is not null and ${isOld}
  returning batch_id, number
), gone as (
  delete from entra_sync.changes c where batch_id in (select batch_id from old)
  returning batch_id, entra_sync.last_change(c) as change_id
), newest as (
  select o.number, max(g.change_id) as change from old o join gone g using (batch_id)
   group by o.number order by o.number desc limit 1
)
update entra_sync.feed f set pruned_number = n.number, pruned_change = n.change
  from newest n where f.pruned_number < n.number`;

// Like lockTenant, but without an error for an erased tenant.
async function waitInLine(transaction: Transaction, tenantId: string): Promise<void> {
  await transaction.raw('select from entra_sync.tenants where tenant_id = :tenantId for no key update', { tenantId });
}
