// The rows of a table that a transaction reads, as Postgres counts them.
import { rows, type Transaction } from '../../src/store/database/pool.ts';

/** Returns the rows read so far. The count begins before the transaction: compare it with an earlier one. */
export async function rowsRead(transaction: Transaction, table: 'accounts' | 'changes'): Promise<number> {
  const [counted] = await rows<{ read: number }>(
    transaction,
    `select (seq_tup_read + coalesce(idx_tup_fetch, 0))::int as read from pg_stat_xact_user_tables
      where schemaname = 'entra_sync' and relname = :table`,
    { table },
  );
  return counted?.read ?? 0;
}
