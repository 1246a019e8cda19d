// One cycle of one tenant: lease, streams, close. What comes out is committed as a whole or not at all, stream by stream.

import { errorCodeOf, exitCodeOf } from '../errors.ts';
import type { GraphReader } from '../graph/reader.ts';
import type { Log } from '../logger.ts';
import { explainGaps } from '../rules/scope.ts';
import { type Stream, streams } from '../rules/streams.ts';
import type { Settings, SettingsDocument } from '../settings.ts';
import type { ChangeSample } from '../store/commit-sample.ts';
import { type CycleKind, type CycleOutcome, closeCycle, openCycle, type StreamReport } from '../store/cycles.ts';
import { acquireLease, type Lease, type LeaseTimes } from '../store/lease.ts';
import { type Database, tellDatabaseError } from '../store/pool.ts';
import { openLists, type RemovalList } from '../store/removal-lists.ts';
import { dropRehearsal } from '../store/rounds.ts';
import { readStanding, type Standing } from '../store/standing.ts';
import { tenantDisconnected } from '../store/tenants.ts';

import { inSpan } from '../tracing.ts';
import { runFirstLoad } from './first-load.ts';
import { groupsStream } from './groups.ts';
import { logProgress } from './progress-log.ts';
import {
  type CycleError,
  describeFailure,
  describeUnfinished,
  type FirstLoad,
  isInterruption,
  reportOfFailure,
  type StreamFailure,
} from './reports.ts';
import { runStream } from './run-stream.ts';
import type { Footing, Progress, RoundTold, StreamContext } from './stream.ts';
import { usersStream } from './users.ts';

export type CycleOptions = {
  readonly tenantId: string;
  readonly resync: boolean;
  readonly dryRun: boolean;
  /** What reconnecting would do is rehearsed while the tenant is still disconnected. */
  readonly evenDisconnected?: boolean;
  readonly actor: string;
  readonly signal: AbortSignal;
  readonly onProgress?: (progress: Progress) => void;
};

export type CycleParts = {
  readonly database: Database;
  readonly defaults: SettingsDocument;
  readonly log: Log;
  /** Opens the way to Graph for one tenant; `signal` ends whatever is under way, waits are told to `log`. */
  readonly openReader: (options: {
    tenantId: string;
    settings: Settings;
    signal: AbortSignal;
    log: Log;
  }) => GraphReader;
  readonly leaseTimes?: LeaseTimes;
  /** How often a line of the log says where a cycle stands; ten seconds. */
  readonly progressEveryMs?: number;
};

export type CycleResult = {
  readonly tenantId: string;
  readonly cycleId: string | null;
  readonly kind: CycleKind;
  readonly outcome: CycleOutcome | 'rehearsed';
  readonly seconds: number;
  readonly streams: Record<Stream, StreamReport>;
  /** Removals that wait for a person, those of earlier cycles too. */
  readonly lists: readonly RemovalList[];
  /** What stopped a stream while another one was committed. */
  readonly failures: readonly StreamFailure[];
  /** Failures that stopped a full round while the changes of its stream were committed. The next cycle goes on with the round. */
  readonly unfinished: readonly StreamFailure[];
  /** How old the checkpoints were that this cycle started from; undefined for the first. */
  readonly sinceMs: number | undefined;
  /** The changes of a dry run, the first thousand. */
  readonly sample: readonly ChangeSample[];
  /** What a quick listing showed before this cycle's rounds began. */
  readonly firstLoad: FirstLoad | undefined;
};

/**
 * Runs one cycle and returns what it did. Throws what stopped it (an ExpectedError, or a defect) after the cycle's row
 * was closed with the reason; what was staged until then is gone on with by the next cycle (rule 12).
 */
export async function runCycle(parts: CycleParts, options: CycleOptions): Promise<CycleResult> {
  const lease = await acquireLease(parts.database, options.tenantId, parts.leaseTimes);
  const log = parts.log.child({ tenantId: options.tenantId });
  const progress = logProgress(log, options.onProgress, parts.progressEveryMs);
  try {
    const standing = await readStanding(parts.database, options.tenantId);
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
  standing: Standing,
): Promise<CycleResult> {
  const { database, defaults } = parts;
  const { tenantId, resync, dryRun, actor } = options;
  const footingOf = ({ streams, settings }: Standing): Footing => ({ streams, settings: settings(defaults) });
  const newFooting = async () => footingOf(await readStanding(database, tenantId));
  const signal = AbortSignal.any([options.signal, lease.lost]);
  const onProgress = options.onProgress ?? (() => {});
  const before = footingOf(standing);
  const quick = before.settings.firstLoad === 'quick' && !resync && !dryRun;
  const firstLoad = quick
    ? await inSpan('first load', { 'entra_sync.tenant': tenantId }, () =>
        runFirstLoad({
          ...{ database, lease, signal, actor, onProgress },
          log: parts.log.child({ tenantId }),
          settings: async () => (await newFooting()).settings,
          openReader: (log) => parts.openReader({ tenantId, settings: before.settings, signal, log }),
        }),
      )
    : undefined;
  const footing = firstLoad ? await newFooting() : before;
  const { settings } = footing;
  const started = performance.now();
  const seconds = () => Math.round(performance.now() - started) / 1000;
  const kind: CycleKind = resync ? 'resync' : footing.streams.users.checkpoint ? 'incremental' : 'initial';
  const cycleId = dryRun ? null : await openCycle(database, lease, { kind, actor, settingsVersion: settings.version });
  const log = parts.log.child({ tenantId, cycleId });
  log.info({ kind, dryRun, settingsVersion: settings.version }, 'cycle started');
  const reader = parts.openReader({ tenantId, settings, signal, log: parts.log.child({ cycleId }) });
  const context: Omit<StreamContext, 'reader' | 'memberships' | 'trail'> = {
    database,
    lease,
    log,
    signal,
    actor,
    cycleId,
    dryRun,
    resync,
    footing,
    newFooting,
    onProgress,
  };
  // Side by side: each stream's round is committed on its own, so a tenant that may read only users gets its users.
  const readers = { users: reader.fork('users'), groups: reader.fork('groups') };
  const trails = { users: { now: begunBy(footing, 'users') }, groups: { now: begunBy(footing, 'groups') } };
  const groupsContext = { ...context, reader: readers.groups, trail: trails.groups };
  const memberships = Promise.allSettled([
    runStream({ ...groupsContext, memberships: Promise.resolve(undefined) }, groupsStream),
  ]);
  const rehearsal = memberships.then(([ended]) =>
    dryRun && ended.status === 'fulfilled' && ended.value.round ? ended.value.round : undefined,
  );
  const [[groups], [users]] = await Promise.all([
    memberships,
    Promise.allSettled([
      runStream({ ...context, reader: readers.users, trail: trails.users, memberships: rehearsal }, usersStream),
    ]),
  ]);
  // What stopped a dry run is what has to reach the caller; a stage that stays is dropped by the next cycle.
  if (dryRun) await dropRehearsal(database, lease).catch(() => {});
  const ended = { users, groups };
  const failures: StreamFailure[] = [];
  for (const stream of streams) {
    const one = ended[stream];
    if (one.status === 'fulfilled') continue;
    const error = await tellDatabaseError(database, one.reason);
    // A statement that was cancelled because this process ends is no state of the database.
    failures.push({ stream, error: options.signal.aborted && exitCodeOf(error) === 7 ? options.signal.reason : error });
  }
  const reportOf = (stream: Stream): StreamReport => {
    const one = ended[stream];
    const failed = failures.find((failure) => failure.stream === stream);
    return one.status === 'fulfilled'
      ? one.value.report
      : reportOfFailure(failed?.error, trails[stream].now, readers[stream].requestCount());
  };
  const reports = { users: reportOf('users'), groups: reportOf('groups') };
  const [failure] = failures;
  const unfinished = streams.flatMap((stream): StreamFailure[] => {
    const one = ended[stream];
    const isOpen = one.status === 'fulfilled' && one.value.unfinished !== undefined;
    return isOpen ? [{ stream, error: one.value.unfinished }] : [];
  });
  const cancelled = failures.some(({ error }) => isInterruption(error));
  // Without a round on either side nothing was held: that is what their commits made sure of.
  const idle = [users, groups].every((one) => one.status === 'fulfilled' && !one.value.round);
  const lists = dryRun || idle ? [] : await openLists(database, tenantId).catch(() => []);
  const held = reports.users.held + reports.groups.held + lists.length > 0;
  const outcome = !failure
    ? held
      ? 'held'
      : 'committed'
    : cancelled
      ? 'cancelled'
      : failures.length < streams.length
        ? 'partial'
        : 'failed';
  log.info({ seconds: seconds(), outcome, ...reports, code: failure && errorCodeOf(failure.error) }, 'cycle finished');
  const close = async () => {
    if (cycleId === null) return;
    await closeCycle(database, lease, cycleId, {
      outcome,
      streams: reports,
      error: failure
        ? describeFailure(failure)
        : (describeLists(lists) ?? describeUnfinished(unfinished) ?? describeGaps(reports.users)),
      intervalMs: settings.intervalMs,
      sinceStartMs: performance.now() - started,
      jitter: jitter(),
      retention: { changesMs: settings.changesRetentionMs, cyclesMs: settings.cyclesRetentionMs },
    });
  };
  if (failure && outcome !== 'partial') {
    // The cause is what has to reach the caller; a row that could not be closed is closed by the next takeover.
    await close().catch(() => {});
    throw failure.error;
  }
  await close();
  const ages = streams.flatMap((stream) => {
    const one = ended[stream];
    return one.status === 'fulfilled' && one.value.checkpointAgeMs !== undefined ? [one.value.checkpointAgeMs] : [];
  });
  return {
    tenantId,
    cycleId,
    kind,
    outcome: dryRun ? 'rehearsed' : outcome,
    seconds: seconds(),
    streams: reports,
    failures,
    unfinished,
    lists,
    sinceMs: ages.length > 0 ? Math.max(...ages) : undefined,
    firstLoad,
    sample: streams.flatMap((stream) => {
      const one = ended[stream];
      return one.status === 'fulfilled' ? one.value.sample : [];
    }),
  };
}

// The round that is told of a stream which fails before its round is chosen.
function begunBy({ streams }: Footing, stream: Stream): RoundTold {
  const { checkpoint, open } = streams[stream];
  const round = open?.kind ?? (checkpoint ? 'incremental' : 'full');
  return { round, reason: open?.reason ?? (checkpoint ? 'changes' : 'first'), pages: 0, seen: 0 };
}

function describeLists(lists: readonly RemovalList[]): CycleError | null {
  const [first] = lists;
  if (!first) return null;
  const held = lists.reduce((sum, list) => sum + list.held, 0);
  const which = lists.length === 1 ? `list ${first.list_id}` : `${lists.length} lists`;
  return {
    code: 'removals_held',
    message: `${held} removals wait for a person (${which}: ${first.why}); entra-sync removals list`,
  };
}

function describeGaps({ held, scope_gaps: gaps = [] }: StreamReport): CycleError | null {
  if (gaps.length === 0) return null;
  const { what, cure } = explainGaps(gaps);
  return held > 0
    ? { code: 'removals_held', message: `users: removals are held, because ${what}; ${cure}` }
    : { code: 'scope_group_missing', message: `users: ${what}; ${cure}` };
}

// Ten percent either way, so that tenants that were added together drift apart.
function jitter(): number {
  return 0.9 + Math.random() * 0.2;
}
