// Transactions whose outcome is reported. When the answer to COMMIT is lost, a receipt shows whether it happened. Nothing
// is reported before that is known (rule 12).
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
import { withoutLimit } from '../database/time-limits.ts';

const defaultPatienceMs = 10_000;

export type ReportedOptions = {
  /** How long to keep asking an unreachable database whether the commit happened. */
  readonly patienceMs?: number;
  /** How long to wait for locks. */
  readonly locks?: Partial<LockPatience> | undefined;
};

/**
 * {@link inTransaction} for work whose outcome is reported. If the connection breaks after BEGIN, returns normally when the
 * transaction was committed. Otherwise throws `database_unreachable`, which says that nothing was changed or that the
 * outcome is unknown. Runs the work noted by {@link afterCommit} then.
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
    // COMMIT is sent only after the last statement's answer.
    if (!done || !(await withoutLimit(() => wasCommitted(database, receipt, patienceMs)))) throw nothingChanged(error);
  }
  if (!done) throw new Error('the transaction returned nothing');
  const { next, answer } = done;
  await withoutLimit(async () => next?.(database));
  return answer;
}

type AfterCommit = (database: Database) => Promise<void>;

const afterCommits = new WeakMap<Transaction, AfterCommit>();

/** Notes work for after the commit of a transaction of {@link inReportedTransaction}. It must not fail. */
export function afterCommit(transaction: Transaction, work: AfterCommit): void {
  afterCommits.set(transaction, work);
}

class DryRunDone extends Error {}

/** {@link inReportedTransaction}; a dry run (`dryRun`) is rolled back at its end and returns the same answer. */
export async function inDryRun<Answer>(
  database: Database,
  dryRun: boolean,
  work: (transaction: Transaction) => Promise<Answer>,
  locks?: Partial<LockPatience>,
): Promise<Answer> {
  if (!dryRun) return inReportedTransaction(database, work, { locks });
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
  if (!done) throw new Error('the transaction returned nothing');
  return done.answer;
}

// Deletes some old receipts too. Skips locked ones, so that no transaction waits for another's cleanup.
const writeReceipt = `
with old as (
  delete from entra_sync.receipts where receipt in (
    select receipt from entra_sync.receipts where written_at < clock_timestamp() - interval '1 hour'
     order by written_at limit 100 for update skip locked)
)
insert into entra_sync.receipts (receipt, happened) values (:receipt, true)`;

// Uses the lost transaction's key: waits while that commit is under way on the server. Once this row is written, the lost
// transaction has ended and can no longer commit. Repeating it returns the same answer.
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
