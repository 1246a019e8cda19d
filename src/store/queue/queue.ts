// The queue that spreads due tenants over all replicas: the only file that knows pg-boss. One queue, one job a tenant.
import { Client } from 'pg';
import type { PgBoss } from 'pg-boss';
import bossPackage from 'pg-boss/package.json' with { type: 'json' };
import type { PlannedJob } from '../../rules/planning.ts';
import { watchConnection } from '../database/activity.ts';
import { askForReadableTimes, connectionTo } from '../database/address.ts';
import { type Database, rows } from '../database/pool.ts';

const schema = 'entra_sync_jobs';
const queueName = 'cycles';
const longJobs = 'long';

const heartbeatSeconds = 15;

const queueOptions = {
  // A tenant that fails is planned again by its own rule (rules/quarantine.ts), never by the queue.
  retryLimit: 0,
  // Above the longest cycle, and the most that pg-boss takes: a worker that died is found by its heart instead.
  expireInSeconds: 24 * 3_600,
  heartbeatSeconds,
  deleteAfterSeconds: 600,
};

/** The version of pg-boss's schema that this program needs, as `migrate` names it. */
const wanted = bossPackage.pgboss.schema;
const nameOf = (version: number) => `${schema} (pg-boss schema ${version})`;

/** What of the queue's schema this database lacks, or has beyond this program's knowledge. */
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

/** Whether tenants are in the queue that no worker has taken. */
export async function hasWaitingJobs(database: Database): Promise<boolean> {
  const [found] = await rows<{ waiting: boolean }>(
    database,
    `select exists (select from ${schema}.job where name = :queueName and state = 'created') as waiting`,
    { queueName },
  );
  return found?.waiting === true;
}

// A tenth of a second to load: not for commands that only read.
async function newBoss(options: ConstructorParameters<typeof PgBoss>[0] & object): Promise<PgBoss> {
  const { PgBoss: Boss } = await import('pg-boss');
  return new Boss({ ...common, ...options });
}

// pg-boss makes its connections itself. They are told of, and ended, as the pool's are.
class WatchedClient extends Client {
  constructor(settings: ConstructorParameters<typeof Client>[0]) {
    super(settings);
    askForReadableTimes(this);
    watchConnection(this, () => {});
  }
}

// The index that an upgrade builds beside running transactions waits until those have ended.
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
  // Any role that may connect can take an advisory lock. pg-boss needs none: one process migrates under our own lock, and the
  // queue is maintained by the replica that wins the row of its interval, each job by a statement that looks at it again.
  __test__noAdvisoryLocks: true,
} as const;

// pg's pool renews its connections, so that a cure is noticed soon: a role's or database's settings hold for new ones alone.
const shortLived = { maxLifetimeSeconds: 60 };

/** Makes the queue's schema and the queue, or brings them up to date. One process at a time: the caller holds a lock. */
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

// pg-boss builds the indexes of an upgrade in the background, and workers may not: it is this process or none.
async function indexesBuilt(boss: PgBoss, signal: AbortSignal | undefined): Promise<void> {
  for (;;) {
    signal?.throwIfAborted();
    const open = (await boss.getBamStatus()).filter(({ status }) => status === 'pending' || status === 'in_progress');
    if (open.length === 0) return;
    await new Promise((resolve) => setTimeout(resolve, 200));
  }
}

export type Queue = {
  /** Puts tenants into the queue; one that is in it, or being worked on, is passed over. */
  enqueue(jobs: readonly PlannedJob[]): Promise<void>;
  /**
   * Works on tenants, `concurrency` side by side, until `stop`. Tenants whose cycles take long get one slot less than
   * there are, where there are several. `work` must not throw.
   */
  start(concurrency: number, work: (tenantId: string) => Promise<void>): Promise<void>;
  /** From now on nothing is taken: what is queued is left to others, what is being worked on goes on. */
  takeNoMore(): void;
  /** The same, and waits for what is being worked on, `timeoutMs` at most. */
  stop(timeoutMs: number): Promise<void>;
};

// A slot that had a job asks for the next one at once, and waits again when there is none: else each would take two a second
// at most. pg-boss does not say whose job this is; another slot that works is only told the same early.
function skipNextWait(boss: PgBoss): void {
  for (const { id, count } of boss.getWipData()) if (count > 0) boss.notifyWorker(id);
}

/** Opens the queue. It needs no right but to read and write its tables. `onError` hears of what the queue could not do by itself. */
export async function openQueue(url: string, onError: (error: unknown) => void): Promise<Queue> {
  const boss = await newBoss({
    ...connectionTo(url),
    application_name: 'entra-sync worker queue',
    max: 3,
    ...{ Client: WatchedClient },
    ...shortLived,
    migrate: false,
    createSchema: false,
    // How soon the job of a worker that died is let go, beside the heartbeat itself.
    superviseIntervalSeconds: 5,
    monitorIntervalSeconds: 5,
    maintenanceIntervalSeconds: 60,
    flowIntervalSeconds: 3_600,
  });
  boss.on('error', onError);
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
      // A database that does not answer would keep it longer than it says.
      const late = new Promise<void>((resolve) => setTimeout(resolve, timeoutMs + 500).unref());
      await Promise.race([boss.stop({ graceful: true, timeout: timeoutMs }), late]);
    },
  };
}
