// How a pool gets a connection while the server grants no more.
import { setTimeout as delay } from 'node:timers/promises';
import { sqlState } from './errors.ts';

const betweenMs = 100;

/**
 * Acquires a connection. Where the server has none left, waits for one of the pool's own until `timeoutMs` have passed, as a
 * full pool does: work becomes slower, and does not fail. A pool without a connection in use fails at once.
 */
export async function acquireOrWait<Connection>(
  { pool }: { readonly pool: { numUsed(): number } },
  acquire: () => Promise<Connection>,
  timeoutMs: number,
): Promise<Connection> {
  const giveUp = performance.now() + timeoutMs;
  for (;;) {
    try {
      return await acquire();
    } catch (error) {
      if (sqlState(error) !== '53300' || pool.numUsed() === 0 || performance.now() > giveUp) throw error;
      await delay(betweenMs);
    }
  }
}
