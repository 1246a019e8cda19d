// One cycle of one tenant: lease, streams, close. What comes out is committed as a whole or not at all, stream by stream.
import { ExpectedError, errorCodeOf } from '../errors.ts';
import type { GraphReader } from '../graph/reader.ts';
import type { Log } from '../logger.ts';
import type { Settings, SettingsDocument } from '../settings.ts';
import type { ChangeSample } from '../store/commit-users.ts';
import { type CycleKind, type CycleOutcome, closeCycle, openCycle, type StreamReport } from '../store/cycles.ts';
import { acquireLease, type Lease, type LeaseTimes } from '../store/lease.ts';
import type { Database } from '../store/pool.ts';
import { readCheckpoint } from '../store/rounds.ts';
import { settingsInForce } from '../store/settings.ts';
import { type Progress, runUsersStream } from './users-stream.ts';

export type CycleOptions = {
  readonly tenantId: string;
  readonly resync: boolean;
  readonly dryRun: boolean;
  readonly actor: string;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
};

export type CycleParts = {
  readonly database: Database;
  readonly defaults: SettingsDocument;
  readonly log: Log;
  /** Opens the way to Graph for one tenant; `signal` ends whatever is under way. */
  readonly openReader: (options: { tenantId: string; settings: Settings; signal: AbortSignal }) => GraphReader;
  readonly leaseTimes?: LeaseTimes;
};

export type CycleResult = {
  readonly tenantId: string;
  readonly cycleId: string | null;
  readonly kind: CycleKind;
  readonly outcome: CycleOutcome | 'rehearsed';
  readonly seconds: number;
  readonly streams: { users: StreamReport };
  /** How old the checkpoint was that this cycle started from; undefined for the first. */
  readonly sinceMs: number | undefined;
  /** The changes of a dry run, the first thousand. */
  readonly sample: readonly ChangeSample[];
};

/**
 * Runs one cycle and returns what it did. Throws what stopped it (an ExpectedError, or a defect) after the cycle's row
 * was closed with the reason; what was staged until then is gone on with by the next cycle (rule 12).
 */
export async function runCycle(parts: CycleParts, options: CycleOptions): Promise<CycleResult> {
  const lease = await acquireLease(parts.database, options.tenantId, parts.leaseTimes);
  try {
    return await runLeased(parts, options, lease);
  } finally {
    await lease.release();
  }
}

async function runLeased(parts: CycleParts, options: CycleOptions, lease: Lease): Promise<CycleResult> {
  const { database, defaults } = parts;
  const { tenantId, resync, dryRun, actor } = options;
  const started = performance.now();
  const seconds = () => Math.round(performance.now() - started) / 1000;
  const loadSettings = () => settingsInForce(database, tenantId, defaults);
  const settings = await loadSettings();
  const signal = AbortSignal.any([options.signal, lease.lost]);
  const kind: CycleKind = resync
    ? 'resync'
    : (await readCheckpoint(database, tenantId, 'users'))
      ? 'incremental'
      : 'initial';
  const cycleId = dryRun ? null : await openCycle(database, lease, { kind, actor, settingsVersion: settings.version });
  const log = parts.log.child({ tenantId, cycleId });
  log.info({ kind, dryRun, settingsVersion: settings.version }, 'cycle started');
  const close = async (outcome: CycleOutcome, streams: Record<string, StreamReport>, error: CycleError | null) => {
    if (cycleId === null) return;
    await closeCycle(database, lease, cycleId, {
      outcome,
      streams,
      error,
      nextInMs: Math.max(0, jittered(settings.intervalMs) - seconds() * 1000),
      retention: { changesMs: settings.changesRetentionMs, cyclesMs: settings.cyclesRetentionMs },
    });
  };
  try {
    const users = await runUsersStream({
      database,
      lease,
      reader: parts.openReader({ tenantId, settings, signal }),
      log,
      signal,
      actor,
      cycleId,
      dryRun,
      resync,
      settings: loadSettings,
      onProgress: options.onProgress ?? (() => {}),
    });
    await close('committed', { users: users.report }, null);
    log.info({ seconds: seconds(), users: users.report }, 'cycle finished');
    const outcome = dryRun ? 'rehearsed' : 'committed';
    return {
      tenantId,
      cycleId,
      kind,
      outcome,
      seconds: seconds(),
      streams: { users: users.report },
      sinceMs: users.checkpointAgeMs,
      sample: users.sample,
    };
  } catch (error) {
    const cancelled = error instanceof ExpectedError && error.code === 'interrupted';
    log.info({ seconds: seconds(), code: errorCodeOf(error) }, 'cycle stopped');
    // The cause is what has to reach the caller; a row that could not be closed is closed by the next takeover.
    await close(cancelled ? 'cancelled' : 'failed', {}, describe(error)).catch(() => {});
    throw error;
  }
}

type CycleError = { code: string; message: string };

// Kept in the cycle's row and shown by status: an expected error is free of personal values, a defect's message may not be.
function describe(error: unknown): CycleError {
  if (error instanceof ExpectedError)
    return { code: error.code, message: error.cure ? `${error.message}; ${error.cure}` : error.message };
  const name = error instanceof Error ? error.name : typeof error;
  const state = (error as { code?: unknown } | null)?.code;
  return {
    code: errorCodeOf(error),
    message: `a defect (${name}${typeof state === 'string' ? ` ${state}` : ''}): see the log of that cycle`,
  };
}

// Ten percent either way, so that tenants that were added together drift apart.
function jittered(intervalMs: number): number {
  return intervalMs * (0.9 + Math.random() * 0.2);
}
