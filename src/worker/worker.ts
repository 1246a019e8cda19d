// The worker: ticks plan jobs, and slots sync tenants. Any number of replicas share one database.

import cron from 'node-cron';
import type { CycleParts } from '../engine/cycle.ts';
import type { PhotosReport } from '../engine/photos.ts';
import { ExpectedError, errorCodeOf } from '../errors.ts';
import type { Log } from '../logger.ts';
import type { CredentialReference } from '../settings/settings.ts';
import { activities, giveUp } from '../store/database/activity.ts';
import { statementStates } from '../store/database/health.ts';
import { describeDatabaseError, sqlState } from '../store/database/pool.ts';
import { hasWaitingJobs, type Queue } from '../store/queue/queue.ts';
import { schemaState } from '../store/schema/migrate.ts';
import { openAssignmentKeeper } from './assignment-keeper.ts';
import { unlessAborted } from './await-database.ts';
import { openBeat } from './beat.ts';
import { openCredentialWatch } from './credential-watch.ts';
import { openFeedKeeper } from './feed-keeper.ts';
import { openHousekeeper } from './housekeeper.ts';
import { openPhotoReader } from './photo-reader.ts';
import { openPlanner } from './planner.ts';
import { openWaitWatch, type WaitKind } from './report-waits.ts';
import { openRests, type Rests } from './rests.ts';
import { openStall } from './stall.ts';
import { openSummary } from './summary.ts';
import { type CycleReport, runTenantJob } from './tenant-job.ts';
import { openTroubleKeeper } from './trouble-keeper.ts';
import { openPersonRequests } from './user-requests.ts';
import { openWebhookSender, type SenderOptions } from './webhook-sender.ts';

export type WorkerParts = Omit<CycleParts, 'leaseTimes'> & {
  readonly openQueue: (onError: (error: unknown) => void) => Promise<Queue>;
  /** Returns a hash, keyed by `salt`, of the tenant's own credential, or of the environment's if it has none. */
  readonly credentialFingerprint: (own: CredentialReference | null, salt: string) => string;
};

export type WorkerOptions = {
  /** The number of tenants that are synced at the same time. */
  readonly concurrency: number;
  readonly actor: string;
  /** Stops the worker: cycles under way stop after their page, then `ended` resolves. */
  readonly signal: AbortSignal;
  /** Called at the end of each cycle. */
  readonly onCycle?: (report: CycleReport) => void;
  readonly rests?: Rests;
  /** Called at the end of each attempt to send a webhook its changes. */
  readonly onWebhook?: (outcome: 'taken' | 'again' | 'paused') => void;
  /** Called at the end of each pass through the photos of a tenant. */
  readonly onPhotos?: (report: PhotosReport) => void;
  /** What sending to webhooks needs of the environment. */
  readonly sending?: Pick<SenderOptions, 'proxiedHosts' | 'publicUrl' | 'mail'>;
  /** Returns when the certificate of the environment, or of a tenant's own credential, ends; undefined: it shows no end. */
  readonly credentialEnd?: (own?: CredentialReference) => Date | undefined;
};

export type Worker = {
  /** Returns whether its ticks succeed, also while another replica plans; false while it stops. */
  isReady(): boolean;
  /** Returns for how many seconds it has made no progress; 0 without work. */
  stalledSeconds(): number;
  /** Returns the longest current wait of each kind for the database, in seconds. */
  maxWaits(): Record<WaitKind, number>;
  /** Resolves when the worker has closed its queue and timers; never rejects. */
  readonly ended: Promise<void>;
};

// Shorter than the lease of a command: all tenants of a dead replica wait until its leases expire.
const leaseTimes = { lastsMs: 20_000, beatMs: 4_000 };

const readyWithinMs = 15_000;
const slowPollMs = 15_000;
const waitsEveryMs = 1_000;

// A process has eight seconds to stop; the rest is for closing the pool.
const stopTimeoutMs = 6_500;

/** Starts the worker. Throws if the database cannot be reached, or the schema of the queue does not fit. */
export async function runWorker(parts: WorkerParts, options: WorkerOptions): Promise<Worker> {
  const { database, log } = parts;
  const { concurrency, signal } = options;
  const complain = openComplaints(log);
  const planner = openPlanner(database, parts.defaults);
  const credentials = await openCredentialWatch(database, parts.defaults, parts.credentialFingerprint);
  const queue = await parts.openQueue((error) => complain('queue', error));
  const cycleParts: CycleParts = { ...parts, leaseTimes };
  const stall = openStall();
  const waits = openWaitWatch({
    activities,
    ask: (pids) => statementStates(database, pids),
    tell: (wait) => log.warn(wait, 'waiting'),
    giveUp,
  });
  const summary = openSummary(parts);
  const rests = options.rests ?? openRests(parts.random);
  const job = {
    ...cycleParts,
    planner,
    credentials,
    actor: options.actor,
    onCycle: (report: CycleReport) => {
      summary.count(report);
      options.onCycle?.(report);
    },
    rests,
    stall,
  };
  let tickedAt = performance.now();
  const persons = openPersonRequests(cycleParts, signal, (error) => complain('requests', error));
  let seldomAt = Number.NEGATIVE_INFINITY;
  const lookAtSchema = openSchemaWatch(parts);
  const tendFeed = openFeedKeeper(database, log);
  const keepHouse = openHousekeeper(database, log);
  const findTroubles = openTroubleKeeper(database, options.credentialEnd ?? (() => undefined));
  const beat = openBeat(database);
  const assignments = openAssignmentKeeper(database, signal, (error) => complain('assignments', error));
  const webhooks = openWebhookSender({
    ...{ database, log, signal, ...options.sending, onAttempt: options.onWebhook },
    onError: (error) => complain('webhooks', error),
  });
  const photos = openPhotoReader(cycleParts, {
    signal,
    onPhotos: options.onPhotos,
    onError: (error) => complain('photos', error),
  });

  async function tick(): Promise<void> {
    try {
      if (performance.now() - seldomAt > slowPollMs) {
        seldomAt = performance.now();
        const tenants = await credentials.retryChanged();
        if (tenants > 0) log.info({ tenants }, 'the credential changed: tenants that failed are due now');
        await lookAtSchema();
        stall.queued(await hasWaitingJobs(database));
        await summary.look();
      }
      const planned = await planner.plan();
      await queue.enqueue(planned.filter(({ tenantId }) => rests.isOver(tenantId)));
      tickedAt = performance.now();
    } catch (error) {
      complain('tick', error);
    }
    // Separate: a failure of planning does not stop the feed, and vice versa.
    await tendFeed().catch((error: unknown) => complain('feed', error));
    await beat.tell().catch((error: unknown) => complain('beat', error));
    await keepHouse().catch((error: unknown) => complain('purge', error));
    await findTroubles().catch((error: unknown) => complain('troubles', error));
    persons.look();
    assignments.look();
    webhooks.look();
    photos.look();
  }

  await unlessAborted(
    signal,
    queue.start(concurrency, (tenantId) => runTenantJob(job, tenantId, signal)),
  ).catch(async (error: unknown) => {
    if (!signal.aborted) await queue.stop(1_000).catch(() => {});
    throw error;
  });
  let ticking = tick();
  const ticks = cron.schedule(
    '* * * * * *',
    () => {
      ticking = tick();
      return ticking;
    },
    { name: 'plan', noOverlap: true, suppressMissedWarning: true, logger: quiet },
  );
  // Not in the ticks, which may wait themselves.
  const watching = setInterval(lookAtWaits, waitsEveryMs).unref();
  let looking = false;
  function lookAtWaits(): void {
    if (looking) return;
    looking = true;
    void waits.look().finally(() => {
      looking = false;
    });
  }
  log.info({ concurrency }, 'worker started');

  async function stop(): Promise<void> {
    const started = performance.now();
    log.info({}, 'worker stopping');
    clearInterval(watching);
    // First, or slots would run through the whole queue while the rest stops.
    queue.takeNoMore();
    await ticks.destroy();
    const endBeat = () => beat.stop().catch((error: unknown) => complain('beat', error));
    await Promise.all([ticking.then(endBeat), persons.idle(), assignments.idle(), webhooks.idle(), photos.idle()]);
    await queue
      .stop(Math.max(1_000, started + stopTimeoutMs - performance.now()))
      .catch((error: unknown) => complain('queue', error));
  }

  return {
    isReady: () => !signal.aborted && performance.now() - tickedAt < readyWithinMs,
    stalledSeconds: stall.seconds,
    maxWaits: waits.longest,
    ended: new Promise<void>((resolve) => {
      const end = () => void stop().finally(resolve);
      if (signal.aborted) end();
      else signal.addEventListener('abort', end, { once: true });
    }),
  };
}

const quiet = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };

// A migration keeps the previous release working (CONTRIBUTING.md), so a worker outlives it.
function openSchemaWatch({ database, log }: WorkerParts): () => Promise<void> {
  let lastReported = '';
  return async () => {
    const { unknown } = await schemaState(database);
    if (unknown.length > 0 && lastReported !== unknown.join())
      log.warn(
        { unknown },
        'the schema is newer than this release: this worker keeps working; replace it by the newer release',
      );
    lastReported = unknown.join();
  };
}

// Each slot would repeat an error twice a second, so log it every ten seconds.
function openComplaints(log: Log): (where: string, error: unknown) => void {
  const reported = new Map<string, number>();
  return (where, error) => {
    const expected = describeDatabaseError(error);
    const code = errorCodeOf(expected);
    const key = `${where} ${code}`;
    if (performance.now() - (reported.get(key) ?? Number.NEGATIVE_INFINITY) < 10_000) return;
    reported.set(key, performance.now());
    if (expected instanceof ExpectedError)
      log.warn({ where, code, reason: expected.message, cure: expected.cure }, 'the worker could not do its work');
    else {
      log.error({ where, ...defectOf(error) }, 'a defect');
    }
  };
}

// pg-boss passes on copies of errors: no instances of Error, with the queue as a field.
function defectOf(error: unknown) {
  const { name, stack, queue } = (typeof error === 'object' && error !== null ? error : {}) as Record<string, unknown>;
  const frames = typeof stack === 'string' ? stack.split('\n').filter((line) => /^\s+at /.test(line)) : [];
  return {
    code: 'defect',
    name: typeof name === 'string' ? name : typeof error,
    sqlState: sqlState(error),
    ...(typeof queue === 'string' && { queue }),
    stack: frames,
  };
}
