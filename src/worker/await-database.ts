// A service waits for its database when it starts, as it does later: a database may be away for a night.
import { setTimeout as delay } from 'node:timers/promises';
import { ExpectedError } from '../errors.ts';
import type { Log } from '../logger.ts';
import { describeDatabaseError, isWaitedOut } from '../store/database/errors.ts';

export type Patience = {
  readonly betweenMs: number;
  readonly tellAfterMs: number;
  readonly tellAgainMs: number;
};

const patience: Patience = { betweenMs: 2_000, tellAfterMs: 5_000, tellAgainMs: 60_000 };

/**
 * Runs `start`, and runs it again as long as the database is away or unwell, which a line at `warn` says after five seconds
 * and then once a minute. Throws every other error at once, and the reason of `signal` when it is aborted.
 */
export async function awaitDatabase<Answer>(
  start: () => Promise<Answer>,
  { log, signal, times = patience }: { log: Log; signal: AbortSignal; times?: Patience },
): Promise<Answer> {
  const began = performance.now();
  const waitedMs = () => performance.now() - began;
  let tellAtMs = times.tellAfterMs;
  for (;;) {
    try {
      signal.throwIfAborted();
      const answer = await unlessAborted(signal, start());
      if (tellAtMs > times.tellAfterMs) log.info({ seconds: seconds(waitedMs()) }, 'the database answers');
      return answer;
    } catch (error) {
      if (signal.aborted) throw signal.reason;
      if (!isWaitedOut(error)) throw error;
      if (waitedMs() >= tellAtMs) {
        tellAtMs = waitedMs() + times.tellAgainMs;
        log.warn({ seconds: seconds(waitedMs()), ...reasonOf(error) }, 'waiting for the database');
      }
    }
    await delay(times.betweenMs, undefined, { signal }).catch(() => {});
  }
}

const seconds = (ms: number) => Math.round(ms / 1_000);

function reasonOf(error: unknown) {
  const told = describeDatabaseError(error);
  return told instanceof ExpectedError ? { code: told.code, reason: told.message, cure: told.cure } : {};
}

/** Settles like `work`, or rejects with the reason of `signal` once it is aborted. */
export function unlessAborted<Answer>(signal: AbortSignal, work: Promise<Answer>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) return leave();
    signal.addEventListener('abort', leave, { once: true });
    return work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}
