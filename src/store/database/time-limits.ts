// The time that the statements of a piece of work may take, and how long it may wait for locks: a person waits for the answer.
import { AsyncLocalStorage } from 'node:async_hooks';
import type { LockPatience } from './lock-waits.ts';
import { TooSlow } from './too-slow.ts';

const limits = new AsyncLocalStorage<number>();

/** Returns the milliseconds of the limit in force; undefined for work without one. */
export const limitInForce = (): number | undefined => limits.getStore();

/** Runs work that has to come to its end whatever the limit, such as that which follows a commit. */
export const withoutLimit = <Answer>(work: () => Answer): Answer => limits.exit(work);

/** Returns the statements that begin a transaction within the limit in force. A shorter setting of the role stays. */
export function limitedStatements(): readonly string[] {
  const ms = limitInForce();
  return ms === undefined
    ? []
    : [
        `select set_config('statement_timeout', '${ms}', true)
          where current_setting('statement_timeout')::interval not between interval '1 ms' and interval '${ms} ms'`,
      ];
}

/** Returns a patience that ends with the limit in force. */
export function limited(patience: Partial<LockPatience> | undefined): Partial<LockPatience> | undefined {
  const ms = limitInForce();
  if (ms === undefined) return patience;
  const { eachMs = 5_000 } = patience ?? {};
  // A wait for a lock ends before the statement that waits, so that its end is told as one.
  return { ...patience, eachMs: Math.min(eachMs, Math.floor(ms / 2)), forMs: ms, forWorkMs: ms };
}

/**
 * Runs `work`, each statement of which may take `ms` milliseconds, and may wait as long for locks. Throws `TooSlow` when
 * one takes longer: its transaction is rolled back.
 */
export async function withinTime<Answer>(ms: number, work: () => Promise<Answer>): Promise<Answer> {
  try {
    return await limits.run(ms, work);
  } catch (error) {
    throw TooSlow.of(error) ?? error;
  }
}
