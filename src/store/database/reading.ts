// Reads for a page: one read-only transaction whose statements end after a while, so that no page holds the database.
import { type Database, inTransaction, rows, sqlState, type Transaction } from './pool.ts';
import { TooSlow } from './too-slow.ts';

export { TooSlow } from './too-slow.ts';

// A shorter setting of the role stays.
const begin = `
select clock_timestamp() as now, set_config('transaction_read_only', 'on', true), (
  select set_config('statement_timeout', (:ms::int)::text, true)
   where current_setting('statement_timeout')::interval not between interval '1 ms' and :ms::int * interval '1 ms')`;

/**
 * Runs `work` in a read-only transaction and tells it the database's time. Throws `TooSlow` if one of its statements
 * takes longer than `statementMs` milliseconds.
 */
export async function readWithin<Answer>(
  database: Database,
  statementMs: number,
  work: (read: Transaction, now: Date) => Promise<Answer>,
): Promise<Answer> {
  try {
    return await inTransaction(database, async (read) => {
      const [begun] = await rows<{ now: Date }>(read, begin, { ms: statementMs });
      if (!begun) throw new Error('the database returned no time');
      return work(read, begun.now);
    });
  } catch (error) {
    if (sqlState(error) === '57014') throw new TooSlow(error);
    throw error;
  }
}
