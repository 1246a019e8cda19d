// The change rows of one transaction and tenant form a batch. After the commit it gets a number, its place in the feed.
import { type Database, rowCount, rows, type Transaction } from '../database/pool.ts';
import { afterCommit } from './receipts.ts';

/** Returns the id under which a transaction writes its changes; {@link closeFeedBatch} adds them to the feed. */
export async function nextFeedBatch(transaction: Transaction): Promise<string> {
  const [next] = await rows<{ batch: string }>(
    transaction,
    "select nextval(pg_get_serial_sequence('entra_sync.batches', 'batch_id')) as batch",
  );
  return next?.batch ?? '0';
}

/**
 * Adds the batch to the feed, unless it has no changes. The batch's row lets what depends on its changes follow, and applies
 * starts and ends of assignments that are due.
 */
export async function closeFeedBatch(transaction: Transaction, bind: { batch: string; tenant: string }): Promise<void> {
  const { batch, tenant } = bind;
  const written = await rows<{ changes: boolean }>(
    transaction,
    `insert into entra_sync.batches (batch_id, tenant_id)
     select :batch, :tenant where ${hasChanges} or entra_sync.assigning_due(:tenant)
     returning ${hasChanges} as changes`,
    { batch, tenant },
  );
  // What was due may have changed no account.
  const kept =
    written[0]?.changes === false ? (await rowCount(transaction, dropEmpty, { batch })) === 0 : written.length > 0;
  if (kept) noteFeedBatch(transaction);
}

const hasChanges = 'exists (select from entra_sync.changes where batch_id = :batch)';
const dropEmpty = `delete from entra_sync.batches where batch_id = :batch and not ${hasChanges}`;

/** Notes that the transaction writes to the feed, so that its batch is numbered after the commit. */
export function noteFeedBatch(transaction: Transaction): void {
  afterCommit(transaction, tryToNumber);
}

/** Numbers the committed batches, unless another transaction is doing so. Returns how many. */
export async function numberBatches(database: Database): Promise<number> {
  const [numbered] = await rows<{ count: number }>(database, 'select entra_sync.number_batches() as count');
  return numbered?.count ?? 0;
}

/** {@link numberBatches} after a commit. Ignores errors: readers work without numbers, and the worker numbers later. */
async function tryToNumber(database: Database): Promise<void> {
  await numberBatches(database).catch(() => {});
}
