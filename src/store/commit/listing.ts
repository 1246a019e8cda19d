// The commit of a listing, which shows accounts before the first round is done. It creates, adopts and updates; all
// else is left to that round (rule 6).
import { ExpectedError } from '../../errors.ts';
import type { CommitCounts } from '../../rules/counts.ts';
import { noteCommit, reportOfCommit } from '../cycle/cycles.ts';
import { type Lease, requireFence } from '../cycle/lease.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';
import { closeFeedBatch, nextFeedBatch } from '../feed/batches.ts';
import { inDryRun } from '../feed/receipts.ts';
import { type SetAsideReasons, setAsideStaged, unitsOfCommit, withoutCulprits } from '../stage/culprits.ts';
import { dropPartial, type RequiredProperties } from '../stage/partial-objects.ts';
import type { Round } from '../stage/rounds.ts';
import { analyzeStage, analyzeTables } from '../stage/statistics.ts';
import { lockTenant, tenantDisconnected } from '../tenants/tenants.ts';
import { apply } from './apply.ts';
import { type CommitBindings, requireSettings } from './bindings.ts';

export type ListingOptions = Pick<CommitBindings, 'stream' | 'actor' | 'removals' | 'match' | 'scopeGroups'> & {
  readonly round: Round;
  readonly cycleId: string;
  /** How many requests the stream has sent, for the cycle's row. */
  readonly requests: number;
  readonly wholeness: RequiredProperties;
};

/**
 * Applies a listing and marks the tenant provisional, in one transaction. Unreadable and partial objects are left to
 * the first round. Throws `round_changed` if the settings have changed.
 */
export async function commitListing(database: Database, lease: Lease, options: ListingOptions): Promise<CommitCounts> {
  await analyzeStage(database, options.round);
  const { round, stream } = options;
  const counts = await withoutCulprits(database, lease, round.round_id, {
    units: () => unitsOfCommit(database, { tenant: lease.tenantId, round: round.round_id, stream, full: false }),
    attempt: (aside, trial) =>
      inDryRun(database, trial, (transaction) => applyListing(transaction, lease, options, aside)),
  });
  await analyzeTables(database, options.stream, counts);
  return counts;
}

async function applyListing(
  transaction: Transaction,
  lease: Lease,
  options: ListingOptions,
  aside: SetAsideReasons,
): Promise<CommitCounts> {
  const { round } = options;
  if ((await lockTenant(transaction, lease.tenantId)) === 'disconnected') throw tenantDisconnected();
  await requireFence(transaction, lease);
  const there = await rows(transaction, 'select from entra_sync.rounds where round_id = :round_id', round);
  if (there.length === 0) {
    throw new ExpectedError('round_changed', 'the stage of this listing is gone', { cure: 'run the command again' });
  }
  await requireSettings(transaction, lease.tenantId, round);
  const bind: CommitBindings = {
    tenant: lease.tenantId,
    stream: options.stream,
    round: round.round_id,
    full: false,
    batch: await nextFeedBatch(transaction),
    cycle: options.cycleId,
    actor: options.actor,
    // Nothing is removed.
    retentionMs: 0,
    removals: options.removals,
    match: options.match,
    scopeGroups: options.scopeGroups,
    groupsJudged: false,
    onDemand: true,
    listing: true,
  };
  await setAsideStaged(transaction, bind, aside);
  await transaction.raw(dropOlder, bind);
  await dropPartial(transaction, bind, options.wholeness);
  const counts = await apply[options.stream](transaction, bind);
  const [left] = await rows<{ count: number }>(
    transaction,
    'select count(*)::int as count from entra_sync.stage_set_aside where round_id = :round',
    bind,
  );
  // Graph answered, so the connection works.
  await transaction.raw(
    `update entra_sync.tenants
        set provisional = true, status = case when status = 'pending' then 'active' else status end
      where tenant_id = :tenant`,
    bind,
  );
  await closeFeedBatch(transaction, bind);
  await transaction.raw('delete from entra_sync.rounds where round_id = :round', bind);
  const all = { ...counts, set_aside: left?.count ?? 0 };
  await noteCommit(transaction, options.cycleId, options.stream, reportOfCommit(round, all, options.requests));
  return all;
}

// An on-demand read since the listing began is newer.
const dropOlder = `
delete from entra_sync.stage_users s using entra_sync.rounds r, entra_sync.accounts a
 where s.round_id = :round and r.round_id = s.round_id
   and a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id
   and a.read_live_at >= r.started_at`;
