// The worker: ticks that plan, slots that sync, until it is told to stop. Any number of replicas share one database.

import cron from 'node-cron';
import type { CycleParts } from '../engine/cycle.ts';
import { ExpectedError, errorCodeOf } from '../errors.ts';
import type { Log } from '../logger.ts';
import type { CredentialReference } from '../settings/settings.ts';
import { activities, giveUp } from '../store/database/activity.ts';
import { statementStates } from '../store/database/health.ts';
import { describeDatabaseError, sqlState } from '../store/database/pool.ts';
import { numberBatches } from '../store/feed/batches.ts';
import { hasWaitingJobs, type Queue } from '../store/queue/queue.ts';
import { schemaState } from '../store/schema/migrate.ts';
import { openCredentialWatch } from './credential-watch.ts';
import { openPlanner } from './planner.ts';
import { openWaitWatch, type WaitKind } from './report-waits.ts';
import { openStall } from './stall.ts';
import { type CycleReport, runTenantJob } from './tenant-job.ts';
import { openPersonRequests } from './user-requests.ts';

export type WorkerParts = Omit<CycleParts, 'leaseTimes'> & {
  readonly openQueue: (onError: (error: unknown) => void) => Promise<Queue>;
  /** A hash, keyed by `salt`, of a tenant's own credential, or of that of the environment, as it is now. */
  readonly credentialFingerprint: (own: CredentialReference | null, salt: string) => string;
};

export type WorkerOptions = {
  /** How many tenants are synced side by side. */
  readonly concurrency: number;
  readonly actor: string;
  /** Ends the worker: what is under way stops after its page, and `ended` resolves. */
  readonly signal: AbortSignal;
  /** Hears how each cycle ended. */
  readonly onCycle?: (report: CycleReport) => void;
};

export type Worker = {
  /** Whether it plans, or lets another replica plan: false once its ticks fail, and while it stops. */
  isReady(): boolean;
  /** For how long it has ended nothing and got nowhere although there was something to do; 0 while there is nothing. */
  stalledSeconds(): number;
  /** The longest wait for the database of each kind now, in seconds. */
  maxWaits(): Record<WaitKind, number>;
  /** Resolves when everything that the worker opened is closed; never rejects. */
  readonly ended: Promise<void>;
};

// So much sooner than a command's: a replica that died is missed by every tenant that it held.
const leaseTimes = { lastsMs: 20_000, beatMs: 4_000 };

const readyWithinMs = 15_000;
const slowPollMs = 15_000;
const waitsEveryMs = 1_000;

// A process gets eight seconds to stop; the rest of them is for closing the pool.
const stopTimeoutMs = 6_500;

/** Starts the worker. Throws what keeps it from starting: a queue whose schema does not fit, a database out of reach. */
export async function runWorker(parts: WorkerParts, options: WorkerOptions): Promise<Worker> {
  const { database, log } = parts;
  const { concurrency, signal } = options;
  const complain = openComplaints(log);
  const queue = await parts.openQueue((error) => complain('queue', error));
  const planner = openPlanner(database, parts.defaults);
  const credentials = await openCredentialWatch(database, parts.defaults, parts.credentialFingerprint);
  const cycleParts: CycleParts = { ...parts, leaseTimes };
  const stall = openStall();
  const waits = openWaitWatch({
    activities,
    ask: (pids) => statementStates(database, pids),
    tell: (wait) => log.warn(wait, 'waiting'),
    giveUp,
  });
  const job = {
    ...cycleParts,
    planner,
    credentials,
    actor: options.actor,
    onCycle: options.onCycle ?? (() => {}),
    resting: new Map<string, number>(),
    stall,
  };
  let tickedAt = performance.now();
  const persons = openPersonRequests(cycleParts, signal, (error) => complain('requests', error));
  let seldomAt = Number.NEGATIVE_INFINITY;
  const lookAtSchema = openSchemaWatch(parts);

  async function tick(): Promise<void> {
    try {
      if (performance.now() - seldomAt > slowPollMs) {
        seldomAt = performance.now();
        const tenants = await credentials.retryChanged();
        if (tenants > 0) log.info({ tenants }, 'the credential changed: tenants that failed are tried at once');
        await lookAtSchema();
        stall.queued(await hasWaitingJobs(database));
      }
      await queue.enqueue(await planner.plan());
      tickedAt = performance.now();
    } catch (error) {
      complain('tick', error);
    }
    // By itself: planning that fails leaves the feed in order, and the other way round.
    await numberBatches(database).catch((error: unknown) => complain('feed', error));
    persons.look();
  }

  await unlessAborted(
    signal,
    queue.start(concurrency, (tenantId) => runTenantJob(job, tenantId, signal)),
  );
  let ticking = tick();
  const ticks = cron.schedule(
    '* * * * * *',
    () => {
      ticking = tick();
      return ticking;
    },
    { name: 'plan', noOverlap: true, suppressMissedWarning: true, logger: quiet },
  );
  // Beside the ticks, which may be what waits.
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
    // At once: a slot whose cycle was broken off would go through the whole queue before everything else has stopped.
    queue.takeNoMore();
    await ticks.destroy();
    await Promise.all([ticking, persons.idle()]);
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

// A start on a database that does not answer is left to itself.
function unlessAborted<Answer>(signal: AbortSignal, work: Promise<Answer>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const leave = () => reject(signal.reason);
    if (signal.aborted) return leave();
    signal.addEventListener('abort', leave, { once: true });
    return work.then(resolve, reject).finally(() => signal.removeEventListener('abort', leave));
  });
}

const quiet = { info: () => {}, warn: () => {}, error: () => {}, debug: () => {} };

// Migrations leave the statements of the release before them working (CONTRIBUTING.md), so a worker outlives one.
function openSchemaWatch({ database, log }: WorkerParts): () => Promise<void> {
  let said = '';
  return async () => {
    const { unknown } = await schemaState(database);
    if (unknown.length > 0 && said !== unknown.join())
      log.warn({ unknown }, 'the schema is newer than this release: this worker goes on, and is to be replaced');
    said = unknown.join();
  };
}

// The same trouble is said every ten seconds, not by every slot twice a second.
function openComplaints(log: Log): (where: string, error: unknown) => void {
  const said = new Map<string, number>();
  return (where, error) => {
    const expected = describeDatabaseError(error);
    const code = errorCodeOf(expected);
    const key = `${where} ${code}`;
    if (performance.now() - (said.get(key) ?? Number.NEGATIVE_INFINITY) < 10_000) return;
    said.set(key, performance.now());
    if (expected instanceof ExpectedError)
      log.warn({ where, code, reason: expected.message, cure: expected.cure }, 'the worker could not do its work');
    else {
      log.error({ where, ...defectOf(error) }, 'a defect');
    }
  };
}

// pg-boss passes on copies of errors: no instances of Error, but with its own words on where they happened.
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
