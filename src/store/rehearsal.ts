// What a dry run of the users rests on: the groups that the same dry run read, made the truth for a moment and rolled back.
import { applyRehearsal, type CommitOptions, nextBatch, type Rehearsal } from './commit.ts';
import type { Lease } from './lease.ts';
import { type Database, inTransaction, type Transaction } from './pool.ts';
import { lockTenant } from './tenants.ts';

class RolledBack extends Error {}

/** What `read` finds once the groups of `rehearsal` are applied. Nothing is kept, whatever `read` does. */
export async function afterRehearsal<Found>(
  database: Database,
  lease: Lease,
  rehearsal: Rehearsal,
  options: Pick<CommitOptions, 'actor' | 'retentionMs'>,
  read: (transaction: Transaction) => Promise<Found>,
): Promise<Found> {
  let found: { value: Found } | undefined;
  try {
    await inTransaction(database, async (transaction) => {
      await lockTenant(transaction, lease.tenantId);
      await applyRehearsal(transaction, rehearsal, {
        ...options,
        tenant: lease.tenantId,
        stream: 'groups',
        round: rehearsal.round.round_id,
        full: rehearsal.round.kind === 'full',
        batch: await nextBatch(transaction),
        cycle: null,
        scopeGroups: [],
        groupsJudged: false,
        onDemand: false,
      });
      found = { value: await read(transaction) };
      throw new RolledBack();
    });
  } catch (error) {
    if (!(error instanceof RolledBack)) throw error;
  }
  if (!found) throw new Error('the rehearsal found nothing');
  return found.value;
}
