// Metrics for Prometheus. What this process did is counted here; how tenants are is read from the database at each scrape.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { CycleResult } from '../engine/cycle.ts';
import type { RequestEvent, WaitEvent } from '../graph/reader.ts';
import { packageVersion } from '../package-files.ts';
import { effects } from '../rules/counts.ts';
import { readHealth, type TenantHealth } from '../store/database/health.ts';
import type { Database } from '../store/database/pool.ts';
import { openTenantGauges } from './tenant-gauges.ts';
import type { Worker } from './worker.ts';

/** One cycle that has ended; `kind` and `streams` are null where an error ended it. */
export type CycleEvent = {
  readonly kind: string | null;
  readonly outcome: string;
  readonly seconds: number;
  readonly streams: CycleResult['streams'] | null;
};

export type WorkerMetrics = {
  onCycle(event: CycleEvent): void;
  onRequest(event: RequestEvent): void;
  onWait(event: WaitEvent): void;
  /** Everything in the text format of Prometheus. Never throws: without the database the rest is told. */
  text(): Promise<string>;
  readonly contentType: string;
};

const prefix = 'entra_sync_';
// Seconds: a page of a busy tenant, a quiet cycle, a first walk of half a million people.
const cycleBuckets = [0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800, 3600, 10_800];
const requestBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * Opens the metrics of one process. `tenantLimit`: with more tenants than that no series is labelled by tenant, they are
 * told together as `all` (the worst age, the sum of a count). `credentialEnd` is asked at each scrape.
 */
export function openMetrics(options: {
  database: Database;
  tenantLimit: number;
  credentialEnd: () => Date | undefined;
  /** Asks the worker; undefined before it has started. */
  worker?: () => Pick<Worker, 'stalledSeconds' | 'maxWaits'> | undefined;
}): WorkerMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const cycles = new Counter({
    name: `${prefix}cycles_total`,
    help: 'Cycles that ended, by kind and outcome.',
    labelNames: ['kind', 'outcome'],
    registers,
  });
  const duration = new Histogram({
    name: `${prefix}cycle_duration_seconds`,
    help: 'How long cycles took.',
    labelNames: ['kind'],
    buckets: cycleBuckets,
    registers,
  });
  const seen = new Counter({
    name: `${prefix}objects_seen_total`,
    help: 'Objects that Graph showed, repetitions included.',
    labelNames: ['stream'],
    registers,
  });
  const distinct = new Counter({
    name: `${prefix}objects_distinct_total`,
    help: 'Objects that Graph showed, each once a round.',
    labelNames: ['stream'],
    registers,
  });
  const changes = new Counter({
    name: `${prefix}changes_total`,
    help: 'Changes that cycles committed.',
    labelNames: ['stream', 'change'],
    registers,
  });
  const requests = new Counter({
    name: `${prefix}graph_requests_total`,
    help: 'Requests to Graph, retries included, by endpoint and status (or network code).',
    labelNames: ['method', 'endpoint', 'status'],
    registers,
  });
  const requestDuration = new Histogram({
    name: `${prefix}graph_request_duration_seconds`,
    help: 'How long requests to Graph took.',
    labelNames: ['endpoint'],
    buckets: requestBuckets,
    registers,
  });
  const waits = new Counter({
    name: `${prefix}graph_waits_total`,
    help: 'Waits before a request was tried again, because Graph throttled it or for another fault.',
    labelNames: ['why'],
    registers,
  });
  const waited = new Counter({
    name: `${prefix}graph_wait_seconds_total`,
    help: 'How long those waits were.',
    labelNames: ['why'],
    registers,
  });
  const databaseUp = new Gauge({
    name: `${prefix}database_up`,
    help: '1 when the database answered this scrape; without it no tenant is told of.',
    registers,
  });
  const expiry = new Gauge({
    name: `${prefix}credential_expiry_timestamp_seconds`,
    help: 'When the certificate of the environment ends. Client secrets and tokens do not tell.',
    registers,
  });
  expiry.remove();
  const stalled = new Gauge({
    name: `${prefix}stalled_seconds`,
    help: 'For how long this worker has ended no cycle and got nowhere although a tenant was due; 0 while none is.',
    registers,
  });
  const waiting = new Gauge({
    name: `${prefix}waiting_seconds`,
    help: 'The longest wait of this process now: for a lock, for a connection, for a database that does not answer.',
    labelNames: ['kind'],
    registers,
  });
  stalled.remove();
  new Gauge({
    name: `${prefix}build_info`,
    help: 'Always 1; the version of this program and of Node.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version: packageVersion(), node: process.versions.node }, 1);
  const tenants = openTenantGauges(registry, prefix, options.tenantLimit);

  async function refresh(): Promise<void> {
    const end = attempt(options.credentialEnd);
    if (end) expiry.set(end.getTime() / 1000);
    else expiry.remove();
    const worker = options.worker?.();
    if (worker) {
      stalled.set(worker.stalledSeconds());
      for (const [kind, seconds] of Object.entries(worker.maxWaits())) waiting.set({ kind }, seconds);
    }
    const health = await withinTime(readHealth(options.database)).catch((): TenantHealth[] | undefined => undefined);
    databaseUp.set(health ? 1 : 0);
    tenants.set(health);
  }

  // Two scrapes at once share one look at the database.
  let refreshing: Promise<void> | undefined;
  return {
    contentType: registry.contentType,
    onCycle: ({ kind, outcome, seconds, streams }) => {
      cycles.inc({ kind: kind ?? 'unknown', outcome });
      duration.observe({ kind: kind ?? 'unknown' }, seconds);
      for (const [stream, report] of Object.entries(streams ?? {})) {
        seen.inc({ stream }, report.seen);
        distinct.inc({ stream }, report.distinct);
        for (const change of effects) if (report[change] > 0) changes.inc({ stream, change }, report[change]);
      }
    },
    onRequest: ({ method, endpoint, outcome, seconds }) => {
      requests.inc({ method, endpoint, status: String(outcome) });
      requestDuration.observe({ endpoint }, seconds);
    },
    onWait: ({ throttled, waitMs }) => {
      const why = throttled ? 'throttled' : 'fault';
      waits.inc({ why });
      waited.inc({ why }, waitMs / 1000);
    },
    text: async () => {
      refreshing ??= refresh().finally(() => {
        refreshing = undefined;
      });
      await refreshing;
      return registry.metrics();
    },
  };
}

const scrapeTimeoutMs = 5_000;

// A database that hangs must not cost the metrics that do not need it; Prometheus waits ten seconds by default.
function withinTime<Answer>(work: Promise<Answer>): Promise<Answer> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => reject(new Error('timeout')), scrapeTimeoutMs);
    work.then(resolve, reject).finally(() => clearTimeout(timer));
  });
}

function attempt<Answer>(work: () => Answer): Answer | undefined {
  try {
    return work();
  } catch {
    return undefined;
  }
}
