// What a dry run of the users rests on: the groups that the same dry run read, made the truth for a moment and rolled back.
import { nextBatch } from './batches.ts';
import { applyRehearsal, type CommitOptions, type Rehearsal } from './commit.ts';
import type { Lease } from './lease.ts';
import type { Database, Transaction } from './pool.ts';
import { inRehearsal } from './receipts.ts';
import { lockTenant } from './tenants.ts';

/** What `read` finds once the groups of `rehearsal` are applied. Nothing is kept, whatever `read` does. */
export async function afterRehearsal<Found>(
  database: Database,
  lease: Lease,
  rehearsal: Rehearsal,
  options: Pick<CommitOptions, 'actor' | 'retentionMs'>,
  read: (transaction: Transaction) => Promise<Found>,
): Promise<Found> {
  return inRehearsal(database, true, async (transaction) => {
    await lockTenant(transaction, lease.tenantId);
    await applyRehearsal(transaction, rehearsal, {
      ...options,
      tenant: lease.tenantId,
      stream: 'groups',
      round: rehearsal.round.round_id,
      full: rehearsal.round.kind === 'full',
      batch: await nextBatch(transaction),
      cycle: null,
      // Nothing is said of removals here, and whoever the rehearsed groups hold is judged as they are.
      removals: { max: Number.MAX_SAFE_INTEGER, percent: 100, floor: 0 },
      match: [],
      scopeGroups: [],
      groupsJudged: false,
      onDemand: false,
    });
    return read(transaction);
  });
}
