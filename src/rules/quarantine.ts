// Decides which failures count against a tenant, and how much less often it is tried if it keeps failing.
import type { CycleOutcome } from './outcome.ts';

/** Number of failures in a row that put a tenant into quarantine. */
export const quarantineAfter = 3;

const maxWaitMs = 24 * 3_600_000;

// The database does not report when its own fault is over, so each tenant is tried again soon.
const databases: ReadonlySet<string> = new Set([
  'database_unreachable',
  'database_refused',
  'database_locked',
  'database_unable',
  'schema_not_current',
  'schema_newer',
]);

// Failures that are not the tenant's: our own credential, proxy and database, another process that runs it, a Ctrl-C.
const notTheTenants: ReadonlySet<string> = new Set([
  'credential_refused',
  'proxy_refused',
  'usage',
  ...databases,
  'cycle_running',
  'lease_lost',
  'round_changed',
  'tenant_disconnected',
  'cut_off',
  'interrupted',
]);

/** Failures on Graph's side: if many tenants have one at the same time, no tenant is to blame. */
export const graphFailures: readonly string[] = ['graph_unavailable', 'graph_throttled', 'graph_answer_invalid'];

/** The number of tenants whose cycles ended recently, and how many of them failed on Graph's side. */
export type RecentFailures = { readonly tried: number; readonly failing: number };

/** Whether Graph fails many tenants at once: at least three, and half of those that were tried. */
export function isOutage({ tried, failing }: RecentFailures): boolean {
  return failing >= 3 && failing * 2 >= tried;
}

/** Whether the database stopped a cycle that ended with this code. The tenant's own last error is then kept. */
export function isDatabasesFault(code: string | null): boolean {
  return code !== null && databases.has(code);
}

/**
 * Returns the failures in a row after one more cycle. A success resets them; a failure that is not the tenant's changes
 * nothing.
 */
export function failuresAfter(
  failures: number,
  attempt: { readonly outcome: CycleOutcome; readonly code: string | null; readonly lately: RecentFailures },
): number {
  const { outcome, code, lately } = attempt;
  if (outcome === 'cancelled') return failures;
  if (outcome !== 'failed' && outcome !== 'partial') return 0;
  // A tenant that permits reading users only is synced at its interval.
  if (outcome === 'partial' && code === 'permission_missing') return 0;
  if (code !== null && notTheTenants.has(code)) return failures;
  if (code !== null && graphFailures.includes(code) && isOutage(lately)) return failures;
  return failures + 1;
}

/**
 * Returns the time from start to start: in quarantine it doubles per failure, up to a day if the interval is shorter.
 */
export function waitAfter(failures: number, intervalMs: number): number {
  if (failures < quarantineAfter) return intervalMs;
  // The shortest interval times 2 ** 30 is far beyond a day.
  const doubled = intervalMs * 2 ** Math.min(30, failures - quarantineAfter + 1);
  return Math.max(intervalMs, Math.min(maxWaitMs, doubled));
}
