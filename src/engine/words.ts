// The words of new accounts are kept beside a cycle, not by it.
import type { Log } from '../logger.ts';
import { keepNewWords } from '../store/accounts/words.ts';
import type { Lease } from '../store/cycle/lease.ts';
import { type Database, sqlState } from '../store/database/pool.ts';

/** Keeps the words of accounts that a commit brought many at once. A failure is logged: the housekeeper goes on with them. */
export async function keepWordsOfNew(context: {
  readonly database: Database;
  readonly lease: Lease;
  readonly log: Log;
  readonly signal: AbortSignal;
}): Promise<void> {
  const { database, lease, log, signal } = context;
  try {
    await keepNewWords(database, lease.tenantId, signal);
  } catch (error) {
    log.warn({ code: sqlState(error) }, 'words of new accounts are kept later: find does not know them yet');
  }
}
