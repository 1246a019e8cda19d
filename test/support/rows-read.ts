// The rows of a table that a transaction reads, as Postgres counts them.
import { rows, type Transaction } from '../../src/store/database/pool.ts';

type Table = 'accounts' | 'assigned' | 'changes';

/** Returns the rows read so far. The count begins before the transaction: compare it with an earlier one. */
export async function rowsRead(transaction: Transaction, table: Table): Promise<number> {
  const { whole, by_index } = await readOf(transaction, table);
  return whole + by_index;
}

/** Returns likewise the rows that were looked up by an index. */
export async function rowsByIndex(transaction: Transaction, table: Table): Promise<number> {
  return (await readOf(transaction, table)).by_index;
}

async function readOf(transaction: Transaction, table: Table): Promise<{ whole: number; by_index: number }> {
  const [counted] = await rows<{ whole: number; by_index: number }>(
    transaction,
    `select seq_tup_read::int as whole, coalesce(idx_tup_fetch, 0)::int as by_index from pg_stat_xact_user_tables
      where schemaname = 'entra_sync' and relname = :table`,
    { table },
  );
  return counted ?? { whole: 0, by_index: 0 };
}
