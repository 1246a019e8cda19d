// Starts and ends of assignments, and slots of all tenants that changed, applied where no commit does it: by the worker's tick.
import { type Database, rows } from '../database/pool.ts';
import { closeFeedBatch, nextFeedBatch } from '../feed/batches.ts';
import { inReportedTransaction } from '../feed/receipts.ts';

/**
 * Returns the tenants for which something is due, disconnected and paused ones too: a start, an end, and `withSlots` a slot
 * that has other winners.
 */
export async function tenantsToAssign(database: Database, withSlots: boolean): Promise<string[]> {
  const found = await rows<{ tenant_id: string }>(
    database,
    `select t.tenant_id from entra_sync.tenants t
      where t.assigned_at is not null
        and (t.assigned_winners is null or t.assign_next_at <= clock_timestamp()
             or :withSlots and entra_sync.assigning_due(t.tenant_id))
      order by t.tenant_id`,
    { withSlots },
  );
  return found.map((row) => row.tenant_id);
}

/**
 * Applies what is due for one tenant, in a transaction of its own. Returns false where another writer has the tenant, which
 * applies it itself or leaves it to the next tick, or nothing is due any more.
 */
export async function applyDueAssignments(database: Database, tenantId: string): Promise<boolean> {
  return inReportedTransaction(database, async (transaction) => {
    const bind = { tenant: tenantId };
    const locked = await rows(
      transaction,
      'select from entra_sync.tenants where tenant_id = :tenant for no key update skip locked',
      bind,
    );
    if (locked.length === 0) return false;
    // A statement of its own: another worker may have had the lock.
    const [due] = await rows<{ due: boolean }>(transaction, 'select entra_sync.assigning_due(:tenant) as due', bind);
    if (!due?.due) return false;
    await closeFeedBatch(transaction, { ...bind, batch: await nextFeedBatch(transaction) });
    return true;
  });
}
