// Transactions of the portal, which has nothing but the contract: one tenant, one granted role, statements that end (rule 44).
import { type Database, inTransaction, rows, sqlState, type Transaction } from '../database/pool.ts';
import { TooSlow } from '../database/reading.ts';

/** The bounds of a transaction: the tenant that it sees, and the role that it is. */
export type ContractBounds = {
  readonly role: string;
  readonly tenantId: string;
  readonly statementMs: number;
  /** Writes are refused. */
  readonly readOnly: boolean;
};

// All of it ends with the transaction, so the next user of the connection finds nothing of it. A shorter time of the role
// stays. The role is taken last: the rest needs no right of it.
const begin = `
select clock_timestamp() as now, set_config('directory.tenant', :tenantId, true),
       set_config('transaction_read_only', :readOnly, true), (
         select set_config('statement_timeout', (:statementMs::int)::text, true)
          where current_setting('statement_timeout')::interval
                not between interval '1 ms' and :statementMs::int * interval '1 ms'),
       set_config('role', :role, true)`;

/**
 * Runs `work` in one transaction as the role, in the tenant. It is told the database's time. Throws `TooSlow` if a
 * statement takes longer than `statementMs`.
 */
export async function withinContract<Answer>(
  database: Database,
  { readOnly, ...bounds }: ContractBounds,
  work: (transaction: Transaction, now: Date) => Promise<Answer>,
): Promise<Answer> {
  try {
    return await inTransaction(database, async (transaction) => {
      const values = { ...bounds, readOnly: readOnly ? 'on' : 'off' };
      const [begun] = await rows<{ now: Date }>(transaction, begin, values);
      if (!begun) throw new Error('the database returned no time');
      return work(transaction, begun.now);
    });
  } catch (error) {
    if (sqlState(error) === '57014') throw new TooSlow(error);
    throw error;
  }
}
