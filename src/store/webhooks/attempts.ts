// The answers to a lot, and what follows from them (rule 52).
import type { Outcome } from '../../rules/webhooks.ts';
import { type Database, inTransaction, rowCount, rows } from '../database/pool.ts';
import type { ClaimedWebhook, Lot } from './lots.ts';
import { noteTold } from './notices.ts';

/** The answer to a lot, for the log. */
export type LotAttempt = {
  readonly messageId: string;
  readonly changes: number;
  readonly status: number | null;
  readonly problem: string | null;
  readonly answer: string | null;
  readonly ms: number;
};

/**
 * Notes an attempt and what follows from it: a lot that was taken moves the position. Returns false if the claim was lost
 * meanwhile; then another worker sends the lot again.
 */
export async function endAttempt(
  database: Database,
  { webhook_id: id, claim }: ClaimedWebhook,
  { id: lotId, changes }: Lot,
  attempt: LotAttempt,
  outcome: Outcome,
): Promise<boolean> {
  const bindings = { id, claim, lotId };
  return inTransaction(database, async (transaction) => {
    const noted = await rowCount(
      transaction,
      outcome.kind === 'taken' ? taken : outcome.kind === 'again' ? again : paused,
      {
        ...bindings,
        ...(outcome.kind === 'again' && { inMs: outcome.inMs }),
        ...(outcome.kind === 'paused' && { because: outcome.because }),
      },
    );
    if (noted > 0 && outcome.kind === 'taken' && typeof changes === 'object' && 'notice' in changes)
      await noteTold(transaction, id, changes.notice);
    await rows(
      transaction,
      `insert into entra_sync.webhook_attempts (webhook_id, message_id, changes, status, problem, answer, ms)
       select webhook_id, :messageId, :changes, :status, :problem, :answer, :ms
         from entra_sync.webhooks where webhook_id = :id`,
      { ...attempt, id },
    );
    return noted > 0;
  });
}

const own = 'where webhook_id = :id and claim = :claim and lot_id = :lotId';
const noLot = 'lot_id = null, lot_at = null, lot_changes = null, lot_to = null, lot_notice = null';
const taken = `
update entra_sync.webhooks
   set position = lot_to, ${noLot}, failures = 0, failing_since = null,
       taken_at = clock_timestamp(), next_at = clock_timestamp() ${own}`;
const failed = 'failures = failures + 1, failing_since = coalesce(failing_since, clock_timestamp())';
const released = 'claim = null, claimed_until = null';
const again = `
update entra_sync.webhooks
   set ${failed}, ${released}, next_at = clock_timestamp() + make_interval(secs => :inMs / 1000.0) ${own}`;
const paused = `
update entra_sync.webhooks set ${failed}, ${released}, state = 'paused', paused_because = :because ${own}`;
