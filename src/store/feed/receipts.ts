// Transactions whose outcome somebody is told. When the answer to COMMIT is lost, a receipt tells whether it happened, and
// nothing is said before that is known (rule 12).
import { randomUUID } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { ExpectedError } from '../../errors.ts';
import type { LockPatience } from '../database/lock-waits.ts';
import {
  type Database,
  inTransaction,
  isConnectionLost,
  serverStateOf,
  type Transaction,
  written,
} from '../database/pool.ts';

/** For how long a database that does not answer is asked what became of a commit. */
const defaultPatienceMs = 10_000;

export type ReportedOptions = {
  /** For how long a database that does not answer is asked what became of the commit. */
  readonly patienceMs?: number;
  /** How long it waits for locks. */
  readonly locks?: Partial<LockPatience> | undefined;
};

/**
 * {@link inTransaction} for what somebody is told of. Throws `database_unreachable` for a connection that broke once the
 * transaction had begun, and says whether it changed nothing or nobody can know; where it was committed all the same, the
 * answer is given as if nothing had happened. Work noted by {@link afterCommit} is done then.
 */
export async function inReportedTransaction<Answer>(
  database: Database,
  work: (transaction: Transaction) => Promise<Answer>,
  { patienceMs = defaultPatienceMs, locks }: ReportedOptions = {},
): Promise<Answer> {
  const receipt = randomUUID();
  let begun = false;
  let done: { answer: Answer; next: AfterCommit | undefined } | undefined;
  try {
    await inTransaction(
      database,
      async (transaction) => {
        begun = true;
        done = undefined;
        const answer = await work(transaction);
        await transaction.raw(writeReceipt, { receipt });
        done = { answer, next: afterCommits.get(transaction) };
      },
      { patience: locks },
    );
  } catch (error) {
    if (!begun || !isConnectionLost(error)) throw error;
    // Before its last statement was answered, no COMMIT was sent.
    if (!done || !(await wasCommitted(database, receipt, patienceMs))) throw nothingChanged(error);
  }
  if (!done) throw new Error('the transaction gave no answer');
  await done.next?.(database);
  return done.answer;
}

type AfterCommit = (database: Database) => Promise<void>;

const afterCommits = new WeakMap<Transaction, AfterCommit>();

/** Notes the work that follows the commit of a transaction of {@link inReportedTransaction}. It must not fail. */
export function afterCommit(transaction: Transaction, work: AfterCommit): void {
  afterCommits.set(transaction, work);
}

class DryRunDone extends Error {}

/** {@link inReportedTransaction}, rolled back at its end when `rehearse` is true: what it returns is what it would have done. */
export async function inDryRun<Answer>(
  database: Database,
  rehearse: boolean,
  work: (transaction: Transaction) => Promise<Answer>,
  locks?: Partial<LockPatience>,
): Promise<Answer> {
  if (!rehearse) return inReportedTransaction(database, work, { locks });
  let done: { answer: Answer } | undefined;
  try {
    await inTransaction(
      database,
      async (transaction) => {
        done = { answer: await work(transaction) };
        throw new DryRunDone();
      },
      { patience: locks },
    );
  } catch (error) {
    if (!(error instanceof DryRunDone)) throw error;
  }
  if (!done) throw new Error('the transaction gave no answer');
  return done.answer;
}

// Old ones go with the new: skipping what another transaction is letting go of, so that nobody waits for it.
const writeReceipt = `
with old as (
  delete from entra_sync.receipts where receipt in (
    select receipt from entra_sync.receipts where written_at < clock_timestamp() - interval '1 hour'
     order by written_at limit 100 for update skip locked)
)
insert into entra_sync.receipts (receipt, happened) values (:receipt, true)`;

// On the same key as the lost transaction: it waits while that one's commit is still under way on the server, and once it
// is written, a commit that never reached the server can no longer happen. Asked twice, it gives the same answer.
const claimReceipt = `
insert into entra_sync.receipts as r (receipt, happened) values (:receipt, false)
on conflict (receipt) do update set happened = r.happened returning r.happened`;

async function wasCommitted(database: Database, receipt: string, patienceMs: number): Promise<boolean> {
  const giveUp = performance.now() + patienceMs;
  const once = { eachMs: Math.ceil(patienceMs), forMs: 0, forWorkMs: 0 };
  for (;;) {
    try {
      const [claimed] = await written<{ happened: boolean }>(database, claimReceipt, { receipt }, once);
      return claimed?.happened === true;
    } catch (error) {
      if (!isConnectionLost(error) || performance.now() > giveUp) throw outcomeUnknown(error);
      await delay(Math.min(200, patienceMs));
    }
  }
}

function nothingChanged(cause: unknown): ExpectedError {
  const { says = 'the connection to the database broke before the commit', cure = 'run the command again' } =
    serverStateOf(cause) ?? {};
  return new ExpectedError('database_unreachable', `${says}, nothing was changed`, { cure, cause });
}

function outcomeUnknown(cause: unknown): ExpectedError {
  return new ExpectedError(
    'database_unreachable',
    'the connection to the database broke in the commit, and the database cannot be asked whether it was done',
    { cure: 'run the command again when the database answers: what was done is not done twice', cause },
  );
}
