// A dry run of users applies the groups that it read, since they decide the scope and the memberships of new accounts, and
// rolls them back with it.

import type { Lease } from '../cycle/lease.ts';
import type { Database, Transaction } from '../database/pool.ts';
import { nextFeedBatch } from '../feed/batches.ts';
import { inDryRun } from '../feed/receipts.ts';
import type { Round } from '../stage/rounds.ts';
import { lockTenant } from '../tenants/tenants.ts';
import { apply } from './apply.ts';
import { type CommitBindings, keepSetAside } from './bindings.ts';

/** Applies a dry run's round of groups as a batch of its own. The caller rolls back. */
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

/** Returns what `read` finds once the groups of `round` are applied. Rolls back in any case. */
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
      // Removals of groups are not reported here, so none is held.
      removals: { max: Number.MAX_SAFE_INTEGER, percent: 100, floor: 0 },
      match: [],
      scopeGroups: [],
      groupsJudged: false,
      onDemand: false,
    });
    return read(transaction);
  });
}
