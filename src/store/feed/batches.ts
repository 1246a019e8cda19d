// The change rows of one transaction form a batch. Its number, the place in the feed, is given after the commit.
import { type Database, rowCount, rows, type Transaction } from '../database/pool.ts';
import { afterCommit } from './receipts.ts';

/** The id under which a transaction writes its changes; {@link closeFeedBatch} makes them part of the feed. */
export async function nextFeedBatch(transaction: Transaction): Promise<string> {
  const [next] = await rows<{ batch: string }>(
    transaction,
    "select nextval(pg_get_serial_sequence('entra_sync.batches', 'batch_id')) as batch",
  );
  return next?.batch ?? '0';
}

/** Makes the batch's changes part of the feed; without changes there is no batch. */
export async function closeFeedBatch(transaction: Transaction, bind: { batch: string; tenant: string }): Promise<void> {
  const written = await rowCount(
    transaction,
    `insert into entra_sync.batches (batch_id, tenant_id)
     select :batch, :tenant where exists (select from entra_sync.changes where batch_id = :batch)`,
    { batch: bind.batch, tenant: bind.tenant },
  );
  if (written > 0) noteFeedBatch(transaction);
}

/** Notes that the transaction writes to the feed: once it is committed, its batch is numbered. */
export function noteFeedBatch(transaction: Transaction): void {
  afterCommit(transaction, tryToNumber);
}

/** Numbers the batches that are committed, unless another transaction is at it; returns how many. */
export async function numberBatches(database: Database): Promise<number> {
  const [numbered] = await rows<{ count: number }>(database, 'select entra_sync.number_batches() as count');
  return numbered?.count ?? 0;
}

/** {@link numberBatches} after a commit. A failure is no failure of that: readers do without numbers, and the worker gives them later. */
async function tryToNumber(database: Database): Promise<void> {
  await numberBatches(database).catch(() => {});
}
