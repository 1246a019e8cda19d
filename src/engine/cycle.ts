// One cycle of one tenant: lease, streams, close. Each stream is committed as a whole or not at all.

import { ExpectedError, errorCodeOf, exitCodeOf } from '../errors.ts';
import type { GraphReader } from '../graph/reader.ts';
import { type Log, nameTenantInLog } from '../logger.ts';
import { type CycleOutcome, outcomeOf } from '../rules/outcome.ts';
import { keptRoles } from '../rules/roles.ts';
import { type Stream, streams } from '../rules/streams.ts';
import type { Settings, SettingsDocument } from '../settings/settings.ts';
import type { ChangeSample } from '../store/commit/change-sample.ts';
import { openLists, type RemovalList } from '../store/commit/removal-lists.ts';
import { type CycleKind, closeCycle, openCycle, type StoredAccess, type StreamReport } from '../store/cycle/cycles.ts';
import { acquireLease, type Lease, type LeaseTimes } from '../store/cycle/lease.ts';
import { type Database, tellDatabaseError } from '../store/database/pool.ts';
import { readTenantState, type TenantState } from '../store/stage/tenant-state.ts';
import { tenantDisconnected } from '../store/tenants/tenants.ts';
import { inSpan } from '../tracing.ts';
import { runFirstLoad } from './first-load.ts';
import { narrowingOf } from './narrowing.ts';
import { logProgress } from './progress-log.ts';
import { describeCycle, type FirstLoad, isInterruption, type StreamFailure } from './reports.ts';
import { type CycleContext, runStreams, type StreamsRun } from './run-streams.ts';
import type { CycleInputs, Progress } from './stream.ts';

export type CycleOptions = {
  readonly tenantId: string;
  readonly resync: boolean;
  readonly dryRun: boolean;
  /** Accepts a disconnected tenant, for the dry run of a reconnect. */
  readonly evenDisconnected?: boolean;
  readonly actor: string;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
};

export type CycleParts = {
  readonly database: Database;
  readonly defaults: SettingsDocument;
  readonly log: Log;
  /** `signal` ends running requests; `log` reports waits. */
  readonly openReader: (options: {
    tenantId: string;
    settings: Settings;
    signal: AbortSignal;
    log: Log;
  }) => GraphReader;
  readonly leaseTimes?: LeaseTimes;
  /** Milliseconds between two log lines about progress; 10,000 by default. */
  readonly progressEveryMs?: number;
  /** Returns a random number from 0 to 1. */
  readonly random?: () => number;
};

export type CycleResult = {
  readonly tenantId: string;
  readonly cycleId: string | null;
  readonly kind: CycleKind;
  readonly outcome: CycleOutcome | 'dry_run';
  readonly seconds: number;
  readonly streams: Record<Stream, StreamReport>;
  /** Removals that wait for a person, also from earlier cycles. */
  readonly lists: readonly RemovalList[];
  /** Failures of a stream while the other one was committed. */
  readonly failures: readonly StreamFailure[];
  /** Failures of a full round beside which changes were committed. The next cycle resumes it. */
  readonly unfinished: readonly StreamFailure[];
  /** Age of the oldest checkpoint at the start of this cycle; undefined for the first cycle. */
  readonly sinceMs: number | undefined;
  /** The first thousand changes of a dry run. */
  readonly sample: readonly ChangeSample[];
  /** The first load that ran before this cycle's rounds. */
  readonly firstLoad: FirstLoad | undefined;
};

/**
 * Runs one cycle. Throws the error that stopped it, an ExpectedError or a defect, after closing the cycle's row with
 * the reason. The next cycle resumes from the stage (rule 12).
 */
export async function runCycle(parts: CycleParts, options: CycleOptions): Promise<CycleResult> {
  const lease = await acquireLease(parts.database, options.tenantId, parts.leaseTimes);
  const log = parts.log.child({ tenantId: options.tenantId });
  const progress = logProgress(log, options.onProgress, parts.progressEveryMs);
  try {
    const standing = await readTenantState(parts.database, options.tenantId);
    nameTenantInLog(options.tenantId, standing.name);
    if (standing.status === 'disconnected' && !options.evenDisconnected) throw tenantDisconnected(standing.name);
    const span = { 'entra_sync.tenant': options.tenantId, 'entra_sync.dry_run': options.dryRun };
    return await inSpan('cycle', span, async (own) => {
      const result = await runLeased(parts, { ...options, onProgress: progress.update }, lease, standing);
      own.setAttributes({ 'entra_sync.kind': result.kind, 'entra_sync.outcome': result.outcome });
      return result;
    });
  } finally {
    progress.end();
    await lease.release();
  }
}

async function runLeased(
  parts: CycleParts,
  options: CycleOptions,
  lease: Lease,
  standing: TenantState,
): Promise<CycleResult> {
  const cycle = await begin(parts, options, lease, standing);
  const ended = await runStreams(cycle.context, cycle.reader, options.signal);
  const judged = await judge(cycle.context, ended);
  return close(cycle, ended, judged);
}

type Cycle = {
  readonly kind: CycleKind;
  readonly context: CycleContext;
  readonly reader: GraphReader;
  readonly firstLoad: FirstLoad | undefined;
  /** By `performance.now()`. */
  readonly startedAt: number;
  readonly random: () => number;
};

async function begin(parts: CycleParts, options: CycleOptions, lease: Lease, standing: TenantState): Promise<Cycle> {
  const { database, defaults } = parts;
  const { tenantId, resync, dryRun, actor } = options;
  const inputsOf = async ({ streams, settings: resolve }: TenantState): Promise<CycleInputs> => {
    const settings = resolve(defaults);
    return { streams, settings, narrowing: await narrowingOf(database, tenantId, defaults, streams, settings) };
  };
  const rereadInputs = async () => inputsOf(await readTenantState(database, tenantId));
  const signal = AbortSignal.any([options.signal, lease.lost]);
  const onProgress = options.onProgress ?? (() => {});
  const before = await inputsOf(standing);
  const quick = before.settings.firstLoad === 'quick' && !resync && !dryRun;
  const firstLoad = quick
    ? await inSpan('first load', { 'entra_sync.tenant': tenantId }, () =>
        runFirstLoad({
          ...{ database, lease, signal, actor, onProgress },
          log: parts.log.child({ tenantId, tenant: standing.name }),
          settings: async () => (await rereadInputs()).settings,
          openReader: (log) => parts.openReader({ tenantId, settings: before.settings, signal, log }),
        }),
      )
    : undefined;
  const inputs = firstLoad ? await rereadInputs() : before;
  const { settings } = inputs;
  const startedAt = performance.now();
  const kind: CycleKind = resync ? 'resync' : inputs.streams.users.checkpoint ? 'incremental' : 'initial';
  const cycleId = dryRun ? null : await openCycle(database, lease, { kind, actor, settingsVersion: settings.version });
  const log = parts.log.child({ tenantId, cycleId });
  log.info({ kind, dryRun, settingsVersion: settings.version }, 'cycle started');
  return {
    ...{ kind, firstLoad, startedAt, random: parts.random ?? Math.random },
    reader: parts.openReader({ tenantId, settings, signal, log: parts.log.child({ cycleId }) }),
    context: {
      ...{ database, lease, log, signal, actor, cycleId, dryRun, resync, inputs, rereadInputs, onProgress },
    },
  };
}

type Judged = { readonly outcome: CycleOutcome; readonly lists: readonly RemovalList[] };

async function judge({ database, lease, dryRun }: CycleContext, ended: StreamsRun): Promise<Judged> {
  const { reports, failures, idle } = ended;
  // Without a round, the commits have checked that nothing is held.
  const lists = dryRun || idle ? [] : await openLists(database, lease.tenantId).catch(() => []);
  const outcome = outcomeOf({
    ran: streams.length,
    failed: failures.length,
    cancelled: failures.some(({ error }) => isInterruption(error)),
    held: reports.users.held + reports.groups.held + lists.length > 0,
  });
  return { outcome, lists };
}

async function close(cycle: Cycle, ended: StreamsRun, { outcome, lists }: Judged): Promise<CycleResult> {
  const { kind, context, firstLoad, startedAt, random } = cycle;
  const { database, lease, cycleId, dryRun, inputs, log } = context;
  const { reports, failures, unfinished, sinceMs, sample } = ended;
  const [failure] = failures;
  const sinceStartMs = () => performance.now() - startedAt;
  const seconds = () => Math.round(sinceStartMs()) / 1000;
  log.info({ seconds: seconds(), outcome, ...reports, code: failure && errorCodeOf(failure.error) }, 'cycle finished');
  const closeRow = async () => {
    if (cycleId === null) return;
    const { intervalMs, changesRetentionMs: changesMs, cyclesRetentionMs: cyclesMs } = inputs.settings;
    await closeCycle(database, lease, cycleId, {
      outcome,
      streams: reports,
      error: describeCycle(ended, lists),
      intervalMs,
      sinceStartMs: sinceStartMs(),
      chance: random(),
      access: accessOf(cycle.reader),
      retention: { changesMs, cyclesMs },
    });
  };
  if (failure && outcome !== 'partial') {
    // The caller needs the cause. The next cycle closes a row that could not be closed.
    await closeRow().catch(() => {});
    throw failure.error;
  }
  await closeRow().catch(async (error: unknown) => Promise.reject(await notClosed(database, error)));
  return {
    ...{ tenantId: lease.tenantId, cycleId, kind },
    outcome: dryRun ? 'dry_run' : outcome,
    seconds: seconds(),
    ...{ streams: reports, failures, unfinished, lists, sinceMs, firstLoad, sample },
  };
}

/** Returns the facts of the token as they are stored: a token may name anything, so its roles are bounded. */
function accessOf(reader: GraphReader): StoredAccess | undefined {
  const access = reader.access();
  return access && { ...access, roles: keptRoles(access.roles) };
}

// The reason says that nothing was changed, which is true of the row alone.
async function notClosed(database: Database, thrown: unknown): Promise<unknown> {
  const error = await tellDatabaseError(database, thrown);
  if (!(error instanceof ExpectedError) || exitCodeOf(error) !== 7) return error;
  return new ExpectedError(
    error.code,
    'the cycle has committed its changes, and the database failed before its end was noted',
    { cure: 'nothing to do: the next cycle notes it', detail: error.message, cause: thrown },
  );
}
