// When a tenant is tried again: its interval, and less and less often when it keeps failing for a cause of its own.
import type { CycleOutcome } from './outcome.ts';

/** So many failures in a row put a tenant into quarantine. */
export const quarantineAfter = 3;

const longestWaitMs = 24 * 3_600_000;

// The database does not tell us when a fault of its own is over, so each tenant is tried again soon.
const databases: ReadonlySet<string> = new Set([
  'database_unreachable',
  'database_refused',
  'database_locked',
  'database_unable',
  'schema_not_current',
  'schema_newer',
]);

// None of these says anything about the tenant: our own credential and database, another process that runs it, a Ctrl-C.
const notTheTenants: ReadonlySet<string> = new Set([
  'credential_refused',
  'usage',
  ...databases,
  'cycle_running',
  'lease_lost',
  'round_changed',
  'tenant_disconnected',
  'cut_off',
  'interrupted',
]);

/** Failures of Graph's side: when many tenants have one at the same time, none of them is to blame. */
export const graphFailures: readonly string[] = ['graph_unavailable', 'graph_throttled', 'graph_answer_invalid'];

/** Of the tenants whose cycles ended lately: how many there are, and how many failed on Graph's side. */
export type Lately = { readonly tried: number; readonly failing: number };

/** Whether Graph fails many tenants at once: three at least, and half of those that were tried. */
export function isOutage({ tried, failing }: Lately): boolean {
  return failing >= 3 && failing * 2 >= tried;
}

/** Whether a cycle that ended with this code was stopped by the database. The tenant's own last error stays as it was. */
export function isDatabasesFault(code: string | null): boolean {
  return code !== null && databases.has(code);
}

/** After the database stopped a cycle, its tenant is tried again so many seconds later: a random number between the two. */
export const soonAgain = { leastSeconds: 60, mostSeconds: 120 };

/**
 * Failures in a row after one more cycle: one success ends them, and what is not the tenant's fault changes nothing. A
 * stream that failed beside one that was committed is a failure like others.
 */
export function failuresAfter(
  failures: number,
  attempt: { readonly outcome: CycleOutcome; readonly code: string | null; readonly lately: Lately },
): number {
  const { outcome, code, lately } = attempt;
  if (outcome === 'cancelled') return failures;
  if (outcome !== 'failed' && outcome !== 'partial') return 0;
  // A tenant that lets us read its people alone gets them at its interval.
  if (outcome === 'partial' && code === 'permission_missing') return 0;
  if (code !== null && notTheTenants.has(code)) return failures;
  if (code !== null && graphFailures.includes(code) && isOutage(lately)) return failures;
  return failures + 1;
}

/** From start to start: the interval, in quarantine doubled by each failure up to a day (or the interval, if that is longer). */
export function waitAfter(failures: number, intervalMs: number): number {
  if (failures < quarantineAfter) return intervalMs;
  // 2 ** 30 of the shortest interval is far beyond a day.
  const doubled = intervalMs * 2 ** Math.min(30, failures - quarantineAfter + 1);
  return Math.max(intervalMs, Math.min(longestWaitMs, doubled));
}
