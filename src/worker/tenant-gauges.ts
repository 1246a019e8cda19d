// The state of tenants as gauges: one series per tenant, or one for all if there are too many.

import { Gauge, type Registry } from 'prom-client';
import { type Stream, streams } from '../rules/streams.ts';
import type { TenantHealth } from '../store/database/health.ts';

type Measure = {
  readonly name: string;
  readonly help: string;
  readonly stream?: Stream;
  /** Combines the values of all tenants: the worst age, the sum of a count, the oldest time. */
  readonly together: (values: readonly number[]) => number;
  /** Undefined or null: this tenant has no series. */
  readonly of: (tenant: TenantHealth) => number | null | undefined;
};

// Not Math.max(...values): a call accepts about a hundred thousand arguments.
const most = (values: readonly number[]) => values.reduce((one, other) => Math.max(one, other));
const least = (values: readonly number[]) => values.reduce((one, other) => Math.min(one, other));
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

// Other tenants are not meant to be fresh.
const runs = ({ status, paused }: TenantHealth) => !paused && (status === 'active' || status === 'quarantined');
const connected = ({ status }: TenantHealth) => status !== 'disconnected';
// A customer who has not consented is no trouble of ours, and has an error code of its own.
const waitsForFirst = (one: TenantHealth) =>
  !one.paused &&
  connected(one) &&
  (one.status === 'pending' || one.last_success_at === null) &&
  one.error_code !== 'consent_missing';

const measures: readonly Measure[] = [
  {
    name: 'last_success_timestamp_seconds',
    help: 'When the checkpoint of every stream last moved in one cycle.',
    together: least,
    of: (one) => (runs(one) && one.last_success_at ? one.last_success_at.getTime() / 1000 : undefined),
  },
  {
    name: 'staleness_seconds',
    help: 'Time since the last success (before the first one: since the registration).',
    together: most,
    of: (one) => (runs(one) ? one.stale_s : undefined),
  },
  {
    name: 'unsynced_seconds',
    help: 'How long a new tenant, or one that came back, has had no complete cycle. Absent after the first one.',
    together: most,
    of: (one) => (waitsForFirst(one) ? one.stale_s : undefined),
  },
  {
    name: 'cycle_late_seconds',
    help: 'How long a cycle has been due.',
    together: most,
    of: (one) => (runs(one) ? one.late_s : undefined),
  },
  {
    name: 'held_removals',
    help: 'Removals that wait for a person.',
    together: sum,
    of: (one) => (connected(one) ? one.held : undefined),
  },
  {
    name: 'set_aside_objects',
    help: 'Objects that are set aside.',
    together: sum,
    of: (one) => (connected(one) ? one.set_aside : undefined),
  },
  {
    name: 'noticed_changes',
    help: '1 while a change of very many profiles at once waits for tenant acknowledge.',
    together: sum,
    of: (one) => (connected(one) ? Number(one.noticed) : undefined),
  },
  ...streams.flatMap((stream): Measure[] => [
    {
      name: 'checkpoint_age_seconds',
      help: 'Age of the delta token of a stream; Graph accepts it for seven days.',
      stream,
      together: most,
      of: (one) => (connected(one) ? one[`${stream}_age_s`] : undefined),
    },
    {
      name: 'full_round_age_seconds',
      help: 'Time since the last full round of a stream.',
      stream,
      together: most,
      of: (one) => (connected(one) ? one[`${stream}_full_age_s`] : undefined),
    },
  ]),
];

const states = ['pending', 'active', 'quarantined', 'disconnected'];

/**
 * Registers the gauges. `set` replaces the series of all tenants. Undefined, for a database that did not answer, removes
 * them.
 */
export function openTenantGauges(
  registry: Registry,
  prefix: string,
  limit: number,
): { set(tenants: readonly TenantHealth[] | undefined): void } {
  const registers = [registry];
  const gauges = new Map<string, Gauge>();
  for (const { name, help, stream } of measures) {
    const labelNames = ['tenant', ...(stream ? ['stream'] : [])];
    if (!gauges.has(name)) gauges.set(name, new Gauge({ name: `${prefix}${name}`, help, labelNames, registers }));
  }
  const counts = new Gauge({
    name: `${prefix}tenants`,
    help: 'Tenants by status.',
    labelNames: ['status'],
    registers,
  });
  const failing = new Gauge({
    name: `${prefix}tenant_failing`,
    help: '1 for each tenant whose last cycle did not succeed, by its error code (as in entra-sync status).',
    labelNames: ['tenant', 'code'],
    registers,
  });
  const info = new Gauge({
    name: `${prefix}tenant_info`,
    help: 'Always 1; the name and the reference of each tenant, to join with the other series. Absent above the limit of tenants.',
    labelNames: ['tenant', 'name', 'ref'],
    registers,
  });
  const paused = new Gauge({ name: `${prefix}tenants_paused`, help: 'Tenants that are paused.', registers });
  const running = new Gauge({
    name: `${prefix}cycles_running`,
    help: 'Cycles that are running now, in all processes on this database.',
    registers,
  });
  paused.remove();
  running.remove();
  return {
    set: (tenants) => {
      for (const gauge of [...gauges.values(), failing, counts, info]) gauge.reset();
      paused.remove();
      running.remove();
      if (!tenants) return;
      for (const { name, stream, together, of } of measures) {
        const values = tenants.flatMap((one) => {
          const value = of(one);
          return value === null || value === undefined ? [] : [{ tenant: one.tenant_id, value }];
        });
        const series =
          tenants.length <= limit || values.length === 0
            ? values
            : [{ tenant: 'all', value: together(values.map(({ value }) => value)) }];
        for (const { tenant, value } of series) gauges.get(name)?.set({ tenant, ...(stream && { stream }) }, value);
      }
      for (const { tenant_id: id, error_code: code } of tenants.filter(connected))
        if (code !== null) failing.inc({ tenant: tenants.length <= limit ? id : 'all', code });
      if (tenants.length <= limit)
        for (const one of tenants.filter(connected))
          info.set({ tenant: one.tenant_id, name: one.name, ref: one.ref ?? '' }, 1);
      for (const status of states) counts.set({ status }, tenants.filter((one) => one.status === status).length);
      paused.set(tenants.filter((one) => one.paused).length);
      running.set(tenants.filter((one) => one.running).length);
    },
  };
}
