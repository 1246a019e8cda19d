// Metrics of the web for Prometheus: requests by route and status, sign-ins and their refusals, open sessions.
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from 'prom-client';
import type { Database } from '../store/database/pool.ts';
import { countSessions } from '../store/web/sessions.ts';

export type WebMetrics = {
  /** Counts an answered request. `route`: its pattern, never its address. */
  onRequest(event: { method: string; route: string; status: number; seconds: number }): void;
  /** Counts a sign-in: `signed_in`, or the reason of a refusal. */
  onSignIn(outcome: string): void;
  /** Returns the metrics in the text format of Prometheus, without the sessions if the database fails. */
  text(): Promise<string>;
  readonly contentType: string;
};

const prefix = 'entra_sync_web_';

/** Opens the metrics of one process of the web. */
export function openWebMetrics(database: Database): WebMetrics {
  const registry = new Registry();
  const registers = [registry];
  collectDefaultMetrics({ register: registry });
  const requests = new Counter({
    name: `${prefix}requests_total`,
    help: 'Requests of browsers, by pattern of the route and status.',
    labelNames: ['method', 'route', 'status'],
    registers,
  });
  const duration = new Histogram({
    name: `${prefix}request_duration_seconds`,
    help: 'How long requests of browsers took.',
    labelNames: ['route'],
    buckets: [0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 3, 10],
    registers,
  });
  const signIns = new Counter({
    name: `${prefix}sign_ins_total`,
    help: 'Sign-ins by their outcome: signed_in, or the reason of a refusal.',
    labelNames: ['outcome'],
    registers,
  });
  const sessions = new Gauge({
    name: `${prefix}sessions`,
    help: 'Open sessions, of all replicas. Absent while the database does not answer.',
    registers,
  });
  sessions.remove();
  return {
    contentType: registry.contentType,
    onRequest: ({ method, route, status, seconds }) => {
      requests.inc({ method, route, status: String(status) });
      duration.observe({ route }, seconds);
    },
    onSignIn: (outcome) => signIns.inc({ outcome }),
    text: async () => {
      const open = await countSessions(database).catch(() => undefined);
      if (open === undefined) sessions.remove();
      else sessions.set(open);
      return registry.metrics();
    },
  };
}
