// The change rows of one transaction form a batch, and batches are numbered as they commit: the feed's order.
import { rows, type Transaction } from './pool.ts';

/** The number under which a transaction writes its changes; {@link closeBatch} makes them part of the feed. */
export async function nextBatch(transaction: Transaction): Promise<string> {
  const [next] = await rows<{ batch: string }>(
    transaction,
    "select nextval(pg_get_serial_sequence('entra_sync.batches', 'batch_id')) as batch",
  );
  return next?.batch ?? '0';
}

/** Makes the batch's changes part of the feed; without changes there is no batch. */
export async function closeBatch(transaction: Transaction, scope: { batch: string; tenant: string }): Promise<void> {
  await transaction.raw(
    `insert into entra_sync.batches (batch_id, tenant_id)
     select :batch, :tenant where exists (select from entra_sync.changes where batch_id = :batch)`,
    { batch: scope.batch, tenant: scope.tenant },
  );
}
