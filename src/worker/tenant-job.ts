// A job of the queue: the cycle of one tenant, if it is still due.

import { type CycleParts, type CycleResult, runCycle } from '../engine/cycle.ts';
import { ExpectedError, errorCodeOf } from '../errors.ts';
import { isDatabasesFault } from '../rules/quarantine.ts';
import type { CycleKind } from '../store/cycle/cycles.ts';
import { recordFailedStart } from '../store/cycle/next-cycle.ts';
import { forTenant } from '../store/database/activity.ts';
import { describeDatabaseError, sqlState, tellDatabaseError } from '../store/database/pool.ts';
import { claimTenantRequests, endRequests } from '../store/queue/requests.ts';
import { releaseFullRoundSlot } from '../store/queue/schedule.ts';
import { settingsInForce } from '../store/settings/versions.ts';
import type { CredentialWatch } from './credential-watch.ts';
import type { DueNow, Planner } from './planner.ts';
import type { Rests } from './rests.ts';
import type { Stall } from './stall.ts';

/** The end of a cycle that the worker ran, for metrics. */
export type CycleReport = {
  readonly tenantId: string;
  /** Null if an error ended the cycle. */
  readonly kind: CycleKind | null;
  readonly outcome: CycleResult['outcome'] | 'failed' | 'cancelled';
  readonly seconds: number;
  readonly streams: CycleResult['streams'] | null;
  readonly firstLoad?: CycleResult['firstLoad'];
  /** The error code of the cycle, or of the first stream that failed. */
  readonly code: string | null;
};

export type JobParts = CycleParts & {
  readonly planner: Planner;
  readonly credentials: CredentialWatch;
  readonly actor: string;
  readonly onCycle: (report: CycleReport) => void;
  readonly stall: Stall;
  readonly rests: Rests;
};

// Another worker runs the tenant, or this run was interrupted: the tenant stays due.
const stillDueCodes = new Set(['cycle_running', 'lease_lost', 'interrupted']);

/** Runs the tenant's cycle if it is due and, for a full round, has a slot. Logs errors, and never throws. */
export async function runTenantJob(parts: JobParts, tenantId: string, signal: AbortSignal): Promise<void> {
  let began = false;
  try {
    signal.throwIfAborted();
    if (!parts.rests.isOver(tenantId)) return;
    const due = await parts.planner.dueNow(tenantId);
    // Settings that changed after planning may demand a full round without a slot. The next tick plans it.
    if (!due || (due.needsFullRound && !due.hasFullRoundSlot)) {
      parts.log.debug({ tenantId, due: due !== undefined }, 'no longer due, or without a full-round slot');
      return;
    }
    parts.rests.end(tenantId);
    began = true;
    const end = parts.stall.begin();
    await forTenant(tenantId, () => runDue(parts, due, signal)).finally(end);
    if (due.hasFullRoundSlot) await releaseFullRoundSlot(parts.database, tenantId);
  } catch (error) {
    if (signal.aborted) return;
    tell(parts, tenantId, await tellDatabaseError(parts.database, error), 'work for a tenant not completed');
    // The tenant is still due, and the queue would bring it back at once.
    parts.rests.begin(tenantId, began);
  }
}

async function runDue(parts: JobParts, due: DueNow, signal: AbortSignal): Promise<void> {
  const { database } = parts;
  const { tenantId } = due;
  const requests = await claimTenantRequests(database, tenantId);
  const end = await runToItsEnd(parts, due, requests[0]?.actor ?? parts.actor, signal);
  if (end === 'still due') return;
  if (end === 'closed') await parts.credentials.note(tenantId, false);
  await endRequests(
    database,
    requests.map((request) => request.request_id),
  );
}

async function runToItsEnd(
  parts: JobParts,
  due: DueNow,
  actor: string,
  signal: AbortSignal,
): Promise<'closed' | 'failed' | 'still due'> {
  const { tenantId } = due;
  const started = performance.now();
  const onProgress = parts.stall.progress;
  try {
    const result = await runCycle(parts, { tenantId, resync: false, dryRun: false, actor, signal, onProgress });
    const [failure] = result.failures;
    if (failure) tell(parts, tenantId, failure.error);
    const code = failure ? errorCodeOf(failure.error) : null;
    parts.onCycle({ ...result, streams: result.streams, code });
    return 'closed';
  } catch (thrown) {
    const error = signal.aborted ? signal.reason : await tellDatabaseError(parts.database, thrown);
    const code = errorCodeOf(error);
    const seconds = (performance.now() - started) / 1000;
    const outcome = code === 'interrupted' ? 'cancelled' : 'failed';
    if (code !== 'cycle_running') parts.onCycle({ tenantId, kind: null, outcome, seconds, streams: null, code });
    tell(parts, tenantId, error);
    if (stillDueCodes.has(code)) return 'still due';
    await keepFailure(parts, due, error, started);
    return 'failed';
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
    chance: (parts.random ?? Math.random)(),
  });
}

function lineOf({ message, cure }: ExpectedError): string {
  return cure ? `${message}; ${cure}` : message;
}

// Log only the stack frames of a defect: its message may quote tenant data (rule 18).
function tell({ log }: JobParts, tenantId: string, error: unknown, failed = 'cycle failed'): void {
  const expected = describeDatabaseError(error);
  if (expected instanceof ExpectedError) {
    const { code, message, cure } = expected;
    const level = stillDueCodes.has(code) ? 'info' : 'warn';
    log[level]({ tenantId, code, reason: message, cure }, stillDueCodes.has(code) ? 'cycle not completed' : failed);
    return;
  }
  const stack = error instanceof Error ? error.stack?.split('\n').filter((line) => /^\s+at /.test(line)) : [];
  const name = error instanceof Error ? error.name : typeof error;
  log.error({ tenantId, code: 'defect', name, sqlState: sqlState(error), stack }, `${failed} because of a defect`);
}
