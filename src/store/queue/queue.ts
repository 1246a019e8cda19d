// The queue that spreads due tenants over all replicas, with one job per tenant. Only this file knows pg-boss.
import { Client } from 'pg';
import type { PgBoss } from 'pg-boss';
import bossPackage from 'pg-boss/package.json' with { type: 'json' };
import { workerConnections } from '../../rules/connections.ts';
import type { PlannedJob } from '../../rules/planning.ts';
import { watchConnection } from '../database/activity.ts';
import { askForReadableTimes, connectionTo } from '../database/address.ts';
import { type Database, rows } from '../database/pool.ts';
import { countPool } from '../database/pool-sizes.ts';

const schema = 'entra_sync_jobs';
const queueName = 'cycles';
const longJobs = 'long';

const heartbeatSeconds = 15;

const queueOptions = {
  // rules/quarantine.ts decides when a failed tenant runs again, not the queue.
  retryLimit: 0,
  // pg-boss's maximum. Heartbeats detect a dead worker.
  expireInSeconds: 24 * 3_600,
  heartbeatSeconds,
  deleteAfterSeconds: 600,
};

/** The version of pg-boss's schema that this program needs, as `migrate` names it. */
const wanted = bossPackage.pgboss.schema;
const nameOf = (version: number) => `${schema} (pg-boss schema ${version})`;

/** Returns whether the queue's schema is missing or older (`pending`), or newer than this program knows (`unknown`). */
export async function queueState(database: Database): Promise<{ pending: string[]; unknown: string[] }> {
  const [found] = await rows<{ there: boolean }>(
    database,
    `select to_regclass('${schema}.version') is not null and to_regclass('${schema}.queue') is not null as there`,
  );
  if (!found?.there) return { pending: [nameOf(wanted)], unknown: [] };
  const [state] = await rows<{ version: number; queue: boolean }>(
    database,
    `select version, exists (select from ${schema}.queue where name = :queueName) as queue from ${schema}.version`,
    { queueName },
  );
  const version = state?.version ?? 0;
  if (version > wanted) return { pending: [], unknown: [nameOf(version)] };
  return { pending: version < wanted || !state?.queue ? [nameOf(wanted)] : [], unknown: [] };
}

/** Returns whether the queue has jobs that no worker has taken. */
export async function hasWaitingJobs(database: Database): Promise<boolean> {
  const [found] = await rows<{ waiting: boolean }>(
    database,
    `select exists (select from ${schema}.job where name = :queueName and state = 'created') as waiting`,
    { queueName },
  );
  return found?.waiting === true;
}

// Loading pg-boss takes 0.1 s, which commands that only read do not need.
async function newBoss(options: ConstructorParameters<typeof PgBoss>[0] & object): Promise<PgBoss> {
  const { PgBoss: Boss } = await import('pg-boss');
  return new Boss({ ...common, ...options });
}

// pg-boss's own connections: listed and ended like those of the pool.
class WatchedClient extends Client {
  constructor(settings: ConstructorParameters<typeof Client>[0]) {
    super(settings);
    askForReadableTimes(this);
    watchConnection(this, () => {});
  }
}

// An upgrade builds indexes concurrently, which wait until older transactions have ended.
class EndlessClient extends Client {
  constructor(settings: ConstructorParameters<typeof Client>[0]) {
    super(settings);
    askForReadableTimes(this);
    watchConnection(this, () => {}, { endless: true });
  }
}

const common = {
  schema,
  schedule: false,
  registerInstance: false,
  monitorVacuum: false,
  reindex: false,
  // Any role that may connect could take an advisory lock and block pg-boss. It needs none: migrations run under our own
  // lock, one replica per interval wins the row that allows maintenance, and each job's statement checks it again.
  __test__noAdvisoryLocks: true,
} as const;

// Renews connections, so that a changed setting takes effect soon: those of a role or database apply to new ones only.
const shortLived = { maxLifetimeSeconds: 60 };

/** Creates or upgrades the queue and its schema. The caller holds a lock, so that one process at a time does so. */
export async function installQueue(url: string, signal?: AbortSignal): Promise<void> {
  const boss = await newBoss({
    ...connectionTo(url),
    application_name: 'entra-sync migrate',
    max: 2,
    ...{ Client: EndlessClient },
    supervise: false,
    bamIntervalSeconds: 10,
  });
  boss.on('error', () => {});
  try {
    await boss.start();
    if (await boss.getQueue(queueName)) await boss.updateQueue(queueName, queueOptions);
    else await boss.createQueue(queueName, { ...queueOptions, policy: 'exclusive' });
    await indexesBuilt(boss, signal);
  } finally {
    await boss.stop({ graceful: false });
  }
}

// pg-boss builds an upgrade's indexes in the background. Workers lack the rights, so this process waits for them.
async function indexesBuilt(boss: PgBoss, signal: AbortSignal | undefined): Promise<void> {
  for (;;) {
    signal?.throwIfAborted();
    const open = (await boss.getBamStatus()).filter(({ status }) => status === 'pending' || status === 'in_progress');
    if (open.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

export type Queue = {
  /** Adds tenants to the queue, except those that are queued or running. */
  enqueue(jobs: readonly PlannedJob[]): Promise<void>;
  /**
   * Works on up to `concurrency` tenants at the same time, until `stop`. If there are several slots, one is kept free of
   * tenants with long cycles. `work` must not throw.
   */
  start(concurrency: number, work: (tenantId: string) => Promise<void>): Promise<void>;
  /** Takes no more jobs and leaves them to other replicas. Running jobs continue. */
  takeNoMore(): void;
  /** Takes no more jobs, and waits at most `timeoutMs` for running ones. */
  stop(timeoutMs: number): Promise<void>;
};

// Lets a slot ask for the next job at once, instead of twice a second. pg-boss does not report the slot of a job, so this
// notifies all busy slots, which is harmless.
function skipNextWait(boss: PgBoss): void {
  for (const { id, count } of boss.getWipData()) if (count > 0) boss.notifyWorker(id);
}

/** Opens the queue, which needs only to read and write its tables. `onError` gets the errors of pg-boss's own work. */
export async function openQueue(url: string, onError: (error: unknown) => void): Promise<Queue> {
  const boss = await newBoss({
    ...connectionTo(url),
    application_name: 'entra-sync worker queue',
    max: workerConnections.queue,
    ...{ Client: WatchedClient },
    ...shortLived,
    migrate: false,
    createSchema: false,
    // Delay, after a missed heartbeat, until the job of a dead worker is released.
    superviseIntervalSeconds: 5,
    monitorIntervalSeconds: 5,
    maintenanceIntervalSeconds: 60,
    flowIntervalSeconds: 3_600,
  });
  boss.on('error', onError);
  const uncount = countPool(workerConnections.queue);
  return {
    enqueue: async (jobs) => {
      if (jobs.length === 0) return;
      await boss.insert(
        queueName,
        jobs.map(({ tenantId, priority, long }) => ({
          data: { tenantId },
          singletonKey: tenantId,
          priority,
          ...(long && { group: { id: longJobs } }),
        })),
      );
    },
    start: async (concurrency, work) => {
      await boss.start();
      await boss.work<{ tenantId: string }>(
        queueName,
        {
          localConcurrency: concurrency,
          localGroupConcurrency: Math.max(1, concurrency - 1),
          pollingIntervalSeconds: 0.5,
          heartbeatRefreshSeconds: heartbeatSeconds / 3,
        },
        async ([job]) => {
          if (job) await work(job.data.tenantId);
          skipNextWait(boss);
        },
      );
    },
    takeNoMore: () => void boss.offWork(queueName, { wait: false }).catch(onError),
    stop: async (timeoutMs) => {
      uncount();
      // If the database does not answer, pg-boss exceeds its timeout.
      const late = new Promise<void>((resolve) => setTimeout(resolve, timeoutMs + 500).unref());
      await Promise.race([boss.stop({ graceful: true, timeout: timeoutMs }), late]);
    },
  };
}
