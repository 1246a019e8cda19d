// A dry run of the users rests on the groups that the same dry run read: they become the truth for a moment and are rolled back.

import type { Lease } from '../cycle/lease.ts';
import type { Database, Transaction } from '../database/pool.ts';
import { nextFeedBatch } from '../feed/batches.ts';
import { inDryRun } from '../feed/receipts.ts';
import type { Round } from '../stage/rounds.ts';
import { lockTenant } from '../tenants/tenants.ts';
import { apply } from './apply.ts';
import { type CommitBindings, keepSetAside } from './bindings.ts';

/** Applies a round of groups that a dry run staged, under a batch of its own; the caller's transaction is rolled back. */
export async function applyDryRunGroups(
  transaction: Transaction,
  round: Round,
  bind: Omit<CommitBindings, 'stream' | 'round' | 'full' | 'batch'>,
): Promise<void> {
  const groups: CommitBindings = {
    ...bind,
    stream: 'groups',
    round: round.round_id,
    full: round.kind === 'full',
    batch: await nextFeedBatch(transaction),
  };
  await apply.groups(transaction, groups);
  await keepSetAside(transaction, groups);
}

/** Returns what `read` finds once the groups of `round` are applied. Nothing is kept, whatever `read` does. */
export async function onDryRunGroups<Found>(
  database: Database,
  lease: Lease,
  round: Round,
  options: Pick<CommitBindings, 'actor' | 'retentionMs'>,
  read: (transaction: Transaction) => Promise<Found>,
): Promise<Found> {
  return inDryRun(database, true, async (transaction) => {
    await lockTenant(transaction, lease.tenantId);
    await applyDryRunGroups(transaction, round, {
      ...options,
      tenant: lease.tenantId,
      cycle: null,
      // No removal is reported here: members of the rehearsed groups are judged as they are.
      removals: { max: Number.MAX_SAFE_INTEGER, percent: 100, floor: 0 },
      match: [],
      scopeGroups: [],
      groupsJudged: false,
      onDemand: false,
    });
    return read(transaction);
  });
}
