// Metrics for Prometheus: counters of this process, and the state of tenants from the database at each scrape.

import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { CycleResult } from '../engine/cycle.ts';
import type { PhotosReport } from '../engine/photos.ts';
import { isOrdinaryRefusal } from '../graph/endpoints.ts';
import type { RequestEvent, WaitEvent } from '../graph/reader.ts';
import { packageVersion } from '../package-files.ts';
import { effects } from '../rules/counts.ts';
import { readHealth, type TenantHealth } from '../store/database/health.ts';
import type { Database } from '../store/database/pool.ts';
import { workerSeenSeconds } from '../store/queue/worker-beats.ts';
import { openPhotoGauges } from './photo-gauges.ts';
import { openTenantGauges } from './tenant-gauges.ts';
import { openWebhookGauges } from './webhook-gauges.ts';
import type { Worker } from './worker.ts';

/** A cycle that has ended. `kind` and `streams` are null if an error ended it. */
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
  /** Counts an attempt to send a webhook its changes. */
  onWebhook(outcome: 'taken' | 'again' | 'paused'): void;
  /** Counts what a pass through the photos of a tenant has read. */
  onPhotos(report: PhotosReport): void;
  /** Returns the metrics in the text format of Prometheus, without those of tenants if the database fails. */
  text(): Promise<string>;
  readonly contentType: string;
};

const prefix = 'entra_sync_';
// Seconds: from a quiet cycle to the first full round of half a million users.
const cycleBuckets = [0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, 1800, 3600, 10_800];
const requestBuckets = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60];

/**
 * Opens the metrics of one process. With more than `tenantLimit` tenants, one series labelled `all` replaces theirs.
 * Calls `credentialEnd` at each scrape.
 */
export function openMetrics(options: {
  database: Database;
  tenantLimit: number;
  credentialEnd: () => Date | undefined;
  /** Returns the worker; undefined before its start. */
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
    help: 'Objects that Graph returned, repetitions included.',
    labelNames: ['stream'],
    registers,
  });
  const distinct = new Counter({
    name: `${prefix}objects_distinct_total`,
    help: 'Objects that Graph returned, each counted once per round.',
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
    help: 'Requests to Graph, retries included, by endpoint and status (or network code; not_granted: an ordinary 403).',
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
    help: 'Waits before a request was retried, after throttling by Graph or another fault.',
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
    help: '1 if the database answered this scrape; if it did not, the series of tenants are absent.',
    registers,
  });
  const expiry = new Gauge({
    name: `${prefix}credential_expiry_timestamp_seconds`,
    help: 'When the certificate of the environment expires. Absent for client secrets and tokens: they do not show their expiry.',
    registers,
  });
  expiry.remove();
  const stalled = new Gauge({
    name: `${prefix}stalled_seconds`,
    help: 'How long this worker has ended no cycle and made no progress although a tenant was due; 0 while none is.',
    registers,
  });
  const waiting = new Gauge({
    name: `${prefix}waiting_seconds`,
    help: 'The longest wait of this process now: for a lock, for a connection, for a database that does not answer.',
    labelNames: ['kind'],
    registers,
  });
  stalled.remove();
  const seenAgo = new Gauge({
    name: `${prefix}worker_seen_seconds`,
    help: 'Time since the database last saw a beat of any worker. Absent where none was ever seen.',
    registers,
  });
  seenAgo.remove();
  new Gauge({
    name: `${prefix}build_info`,
    help: 'Always 1; the version of this program and of Node.',
    labelNames: ['version', 'node'],
    registers,
  }).set({ version: packageVersion(), node: process.versions.node }, 1);
  const tenants = openTenantGauges(registry, prefix, options.tenantLimit);
  const webhooks = openWebhookGauges(registry, prefix);
  const photos = openPhotoGauges(registry, prefix);

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
    const ago = health && (await withinTime(workerSeenSeconds(options.database)).catch(() => null));
    if (typeof ago === 'number') seenAgo.set(ago);
    else seenAgo.remove();
    tenants.set(health);
    photos.set(health && (await withinTime(photos.read(options.database)).catch(() => undefined)));
    webhooks.set(health && (await withinTime(webhooks.read(options.database)).catch(() => undefined)));
  }

  // Scrapes at the same time share one read of the database.
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
      // An alert on 4xx must not wake a person for it.
      const status = isOrdinaryRefusal(endpoint, outcome) ? 'not_granted' : String(outcome);
      requests.inc({ method, endpoint, status });
      requestDuration.observe({ endpoint }, seconds);
    },
    onWait: ({ throttled, waitMs }) => {
      const why = throttled ? 'throttled' : 'fault';
      waits.inc({ why });
      waited.inc({ why }, waitMs / 1000);
    },
    onWebhook: webhooks.onAttempt,
    onPhotos: photos.onPhotos,
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

// A hanging database must not cost the other metrics. Prometheus waits ten seconds by default.
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
