// How tenants are, as gauges: one series each, or all together where there are too many of them.

import { Gauge, type Registry } from 'prom-client';
import { type Stream, streams } from '../rules/streams.ts';
import type { TenantHealth } from '../store/database/health.ts';

type Measure = {
  readonly name: string;
  readonly help: string;
  readonly stream?: Stream;
  /** What many tenants come to together: the worst age, the sum of a count, the oldest time. */
  readonly together: (values: readonly number[]) => number;
  /** Undefined: nothing is told of this tenant. */
  readonly of: (tenant: TenantHealth) => number | null | undefined;
};

// Not Math.max(...values): a call takes about a hundred thousand arguments.
const most = (values: readonly number[]) => values.reduce((one, other) => Math.max(one, other));
const least = (values: readonly number[]) => values.reduce((one, other) => Math.min(one, other));
const sum = (values: readonly number[]) => values.reduce((total, value) => total + value, 0);

// Paused, pending and disconnected tenants are not meant to be fresh.
const runs = ({ status, paused }: TenantHealth) => !paused && (status === 'active' || status === 'quarantined');
const connected = ({ status }: TenantHealth) => status !== 'disconnected';

const measures: readonly Measure[] = [
  {
    name: 'last_success_timestamp_seconds',
    help: 'When last the checkpoint of every stream moved.',
    together: least,
    of: (one) => (runs(one) && one.last_success_at ? one.last_success_at.getTime() / 1000 : undefined),
  },
  {
    name: 'staleness_seconds',
    help: 'How long ago the last success is (or the registration, before the first one).',
    together: most,
    of: (one) => (runs(one) ? one.stale_s : undefined),
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
    help: 'Objects that could not be taken.',
    together: sum,
    of: (one) => (connected(one) ? one.set_aside : undefined),
  },
  ...streams.flatMap((stream): Measure[] => [
    {
      name: 'checkpoint_age_seconds',
      help: 'How old the delta token of a stream is; Graph takes them for seven days.',
      stream,
      together: most,
      of: (one) => (connected(one) ? one[`${stream}_age_s`] : undefined),
    },
    {
      name: 'full_round_age_seconds',
      help: 'How long ago a stream walked the whole directory.',
      stream,
      together: most,
      of: (one) => (connected(one) ? one[`${stream}_full_age_s`] : undefined),
    },
  ]),
];

const states = ['pending', 'active', 'quarantined', 'disconnected'];

/**
 * Registers the gauges; `set` gives them the tenants as they are now, and they forget all other tenants. Undefined: nothing
 * is known of the tenants, so the gauges tell nothing.
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
    help: '1 for each tenant whose last cycle was no success, by its code (status shows the same).',
    labelNames: ['tenant', 'code'],
    registers,
  });
  const paused = new Gauge({ name: `${prefix}tenants_paused`, help: 'Tenants that are paused.', registers });
  const running = new Gauge({
    name: `${prefix}cycles_running`,
    help: 'Cycles that run now, in all processes on this database.',
    registers,
  });
  paused.remove();
  running.remove();
  return {
    set: (tenants) => {
      for (const gauge of [...gauges.values(), failing, counts]) gauge.reset();
      paused.remove();
      running.remove();
      if (!tenants) return;
      for (const { name, stream, together, of } of measures) {
        const values = tenants.flatMap((one) => {
          const value = of(one);
          return value === null || value === undefined ? [] : [{ tenant: one.tenant_id, value }];
        });
        const told =
          tenants.length <= limit || values.length === 0
            ? values
            : [{ tenant: 'all', value: together(values.map(({ value }) => value)) }];
        for (const { tenant, value } of told) gauges.get(name)?.set({ tenant, ...(stream && { stream }) }, value);
      }
      for (const { tenant_id: id, error_code: code } of tenants.filter(connected))
        if (code !== null) failing.inc({ tenant: tenants.length <= limit ? id : 'all', code });
      for (const status of states) counts.set({ status }, tenants.filter((one) => one.status === status).length);
      paused.set(tenants.filter((one) => one.paused).length);
      running.set(tenants.filter((one) => one.running).length);
    },
  };
}
