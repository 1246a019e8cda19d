// A job of the queue: the cycle of one tenant, if it is still due.

import { type CycleParts, type CycleResult, runCycle } from '../engine/cycle.ts';
import { ExpectedError, errorCodeOf } from '../errors.ts';
import { isDatabasesFault, retrySoon } from '../rules/quarantine.ts';
import type { CycleKind } from '../store/cycle/cycles.ts';
import { recordFailedStart } from '../store/cycle/next-cycle.ts';
import { forTenant } from '../store/database/activity.ts';
import { describeDatabaseError, sqlState, tellDatabaseError } from '../store/database/pool.ts';
import { claimTenantRequests, endRequests } from '../store/queue/requests.ts';
import { releaseFullRoundSlot } from '../store/queue/schedule.ts';
import { settingsInForce } from '../store/settings/versions.ts';
import type { CredentialWatch } from './credential-watch.ts';
import type { DueNow, Planner } from './planner.ts';
import type { Stall } from './stall.ts';

/** The end of a cycle that the worker ran, for metrics. */
export type CycleReport = {
  readonly tenantId: string;
  /** Null if an error ended the cycle. */
  readonly kind: CycleKind | null;
  readonly outcome: CycleResult['outcome'] | 'failed' | 'cancelled';
  readonly seconds: number;
  readonly streams: CycleResult['streams'] | null;
  /** The error code of the cycle, or of the first stream that failed. */
  readonly code: string | null;
};

export type JobParts = CycleParts & {
  readonly planner: Planner;
  readonly credentials: CredentialWatch;
  readonly actor: string;
  readonly onCycle: (report: CycleReport) => void;
  readonly stall: Stall;
  /** Tenants that are not synced before a time of `performance.now()`. */
  readonly resting: Map<string, number>;
};

// Another worker runs the tenant, or this run was interrupted: the tenant stays due.
const stillDueCodes = new Set(['cycle_running', 'lease_lost', 'interrupted']);

/** Runs the tenant's cycle if it is due and, for a full round, has a slot. Logs errors, and never throws. */
export async function runTenantJob(parts: JobParts, tenantId: string, signal: AbortSignal): Promise<void> {
  const log = parts.log.child({ tenantId });
  try {
    signal.throwIfAborted();
    if ((parts.resting.get(tenantId) ?? 0) > performance.now()) return;
    parts.resting.delete(tenantId);
    const due = await parts.planner.dueNow(tenantId);
    // Settings that changed after planning may demand a full round without a slot. The next tick plans it.
    if (!due || (due.needsFullRound && !due.hasFullRoundSlot)) {
      log.debug({ due: due !== undefined }, 'no longer due, or without a full-round slot');
      return;
    }
    const end = parts.stall.begin();
    await forTenant(tenantId, () => runDue(parts, due, signal)).finally(end);
    if (due.hasFullRoundSlot) await releaseFullRoundSlot(parts.database, tenantId);
  } catch (error) {
    if (!signal.aborted) tell(parts, tenantId, error);
  }
}

async function runDue(parts: JobParts, due: DueNow, signal: AbortSignal): Promise<void> {
  const { database } = parts;
  const { tenantId } = due;
  const started = performance.now();
  const requests = await claimTenantRequests(database, tenantId);
  try {
    const result = await runCycle(parts, {
      tenantId,
      resync: false,
      dryRun: false,
      actor: requests[0]?.actor ?? parts.actor,
      signal,
      onProgress: parts.stall.progress,
    });
    const [failure] = result.failures;
    if (failure) tell(parts, tenantId, failure.error);
    await parts.credentials.note(tenantId, false);
    const code = failure ? errorCodeOf(failure.error) : null;
    parts.onCycle({ ...result, streams: result.streams, code });
  } catch (thrown) {
    const error = signal.aborted ? signal.reason : await tellDatabaseError(database, thrown);
    const code = errorCodeOf(error);
    const seconds = (performance.now() - started) / 1000;
    const outcome = code === 'interrupted' ? 'cancelled' : 'failed';
    if (code !== 'cycle_running') parts.onCycle({ tenantId, kind: null, outcome, seconds, streams: null, code });
    tell(parts, tenantId, error);
    if (stillDueCodes.has(code)) return;
    await keepOrRest(parts, due, error, started);
  }
  await endRequests(
    database,
    requests.map((request) => request.request_id),
  );
}

// If the database cannot store the failure, the tenant would be due again at once.
async function keepOrRest(parts: JobParts, due: DueNow, error: unknown, started: number): Promise<void> {
  try {
    await keepFailure(parts, due, error, started);
  } catch (thrown) {
    const { minSeconds, maxSeconds } = retrySoon;
    const seconds = minSeconds + Math.random() * (maxSeconds - minSeconds);
    parts.resting.set(due.tenantId, performance.now() + seconds * 1_000);
    throw thrown;
  }
}

// A cycle that never started, or could not record its failure, would leave the tenant due at once.
async function keepFailure(parts: JobParts, due: DueNow, error: unknown, started: number): Promise<void> {
  const { database, defaults } = parts;
  const { tenantId, dueAt } = due;
  if (!isDatabasesFault(errorCodeOf(error))) await parts.credentials.note(tenantId, true);
  const settings = await settingsInForce(database, tenantId, defaults).catch(() => undefined);
  const message = error instanceof ExpectedError ? lineOf(error) : 'a defect: see the log of the worker at that time';
  await recordFailedStart(database, tenantId, dueAt, {
    outcome: 'failed',
    error: { code: errorCodeOf(error), message },
    intervalMs: settings?.intervalMs ?? 40 * 60_000,
    sinceStartMs: performance.now() - started,
    jitter: 1,
  });
}

function lineOf({ message, cure }: ExpectedError): string {
  return cure ? `${message}; ${cure}` : message;
}

// Log only the stack frames of a defect: its message may quote tenant data (rule 18).
function tell({ log }: JobParts, tenantId: string, error: unknown): void {
  const expected = describeDatabaseError(error);
  if (expected instanceof ExpectedError) {
    const { code, message, cure } = expected;
    const level = stillDueCodes.has(code) ? 'info' : 'warn';
    log[level](
      { tenantId, code, reason: message, cure },
      stillDueCodes.has(code) ? 'cycle not completed' : 'cycle failed',
    );
    return;
  }
  const stack = error instanceof Error ? error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) : [];
  const name = error instanceof Error ? error.name : typeof error;
  log.error({ tenantId, code: 'defect', name, sqlState: sqlState(error), stack }, 'cycle failed because of a defect');
}
