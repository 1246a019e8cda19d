// The connections that all pools of this process may open, and the limits of the database if they are known.
import type { ConnectionLimits } from '../../rules/connections.ts';

const pools = new Set<{ readonly max: number }>();

/** Counts a pool of `max` connections. Returns the function that ends this. */
export function countPool(max: number): () => void {
  const pool = { max };
  pools.add(pool);
  return () => void pools.delete(pool);
}

/** Counts a pool of `max` connections until it is destroyed. */
export function countWhileOpen(max: number, pool: { destroy(...given: unknown[]): Promise<unknown> }): void {
  const end = countPool(max);
  const { destroy } = pool;
  pool.destroy = (...given) => {
    end();
    return destroy.apply(pool, given);
  };
}

/** Returns how many connections the pools of this process may open. */
export function maxConnections(): number {
  return [...pools].reduce((sum, { max }) => sum + max, 0);
}

let known: ConnectionLimits | undefined;

/** Keeps the limits for messages (undefined: none): a database without a free connection cannot be asked. */
export function rememberLimits(limits: ConnectionLimits | undefined): void {
  known = limits;
}

/** Returns the limits that were read last, if any. */
export function knownLimits(): ConnectionLimits | undefined {
  return known;
}
