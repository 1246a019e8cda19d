// Many tenants on one simulator, and worker processes that share a database.
import { createHash } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { expect, onTestFinished } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { createTenant, type Simulator, startSimulator, type Tenant } from '../../src/simulator/index.ts';
import { type Database, openDatabase, rows } from '../../src/store/database/pool.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { type Running, startCli } from './cli.ts';
import type { Ended } from './in-process.ts';
import { freshDatabase } from './postgres.ts';
import { takeEverybody } from './system.ts';

export type Fleet = {
  readonly tenants: readonly Tenant[];
  readonly simulator: Simulator;
  readonly database: Database;
  readonly url: string;
  readonly environment: Record<string, string>;
  /** Starts a worker process; the end of the test kills it. */
  worker(args?: readonly string[], variables?: Record<string, string>): Running;
  /** Returns the cycles of one tenant or all, in order of their start, without on-demand reads. */
  cycles(tenant?: Tenant): Promise<FleetCycle[]>;
  /** Makes tenants due, by default all. */
  makeDue(tenants?: readonly Tenant[]): Promise<void>;
};

export type FleetCycle = {
  cycle_id: string;
  tenant_id: string;
  kind: string;
  outcome: string;
  actor: string;
  error_code: string | null;
  started_at: Date;
};

/** Opens `count` registered tenants of `users` users each, until the test ends. */
export async function openFleet(options: { count: number; users: number; registered?: boolean }): Promise<Fleet> {
  const tenants = Array.from({ length: options.count }, (_, n) =>
    createTenant({ seed: n + 1, users: options.users, name: `Tenant ${n + 1}`, tenantId: idOf(n) }),
  );
  const simulator = await startSimulator({ tenants });
  const fresh = await freshDatabase();
  const database = openDatabase(fresh.url);
  onTestFinished(async () => {
    await database.destroy();
    await fresh.drop();
    await simulator.close();
  });
  await takeEverybody(database);
  if (options.registered !== false) await register(database, tenants);
  // Any free port, for several workers on one machine.
  const environment = { ...simulator.environment(), DATABASE_URL: fresh.url, PORT: '0' };
  return {
    tenants,
    simulator,
    database,
    url: fresh.url,
    environment,
    worker: (args = [], variables = {}) => {
      const running = startCli(['worker', ...args], { ...environment, ...variables });
      onTestFinished(() => void running.child.kill('SIGKILL'));
      return running;
    },
    cycles: (tenant) =>
      rows<FleetCycle>(
        database,
        `select cycle_id, tenant_id, kind, outcome, actor, error_code, started_at from entra_sync.cycles
          where kind <> 'on_demand' and (:tenant::uuid is null or tenant_id = :tenant) order by cycle_id`,
        { tenant: tenant?.tenantId ?? null },
      ),
    makeDue: async (some = tenants) => {
      await database.raw(
        "update entra_sync.tenants set next_cycle_at = clock_timestamp() - interval '1 second' where tenant_id = any(?::uuid[])",
        [some.map((tenant) => tenant.tenantId)],
      );
    },
  };
}

export async function register(database: Database, tenants: readonly Tenant[]): Promise<void> {
  for (const { tenantId, name } of tenants) await addTenant(database, { tenantId, name, ref: null }, loadDefaults());
}

function idOf(n: number): string {
  return `00000000-0000-4000-8000-${(n + 1).toString(16).padStart(12, '0')}`;
}

/** Stops a worker as a container engine does, and measures the seconds. */
export async function stopWorker(
  running: Running,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<Ended & { seconds: number }> {
  const started = performance.now();
  running.child.kill(signal);
  const ended = await running.ended;
  return { ...ended, seconds: (performance.now() - started) / 1000 };
}

/** Waits until `met` returns true; a minute by default, since processes start slowly on a busy machine. */
export async function until(what: string, met: () => Promise<boolean> | boolean, seconds = 240): Promise<void> {
  const giveUp = performance.now() + seconds * 1_000;
  while (!(await met())) {
    if (performance.now() > giveUp) throw new Error(`gave up waiting: ${what}`);
    await delay(25);
  }
}

export async function untilCycles(fleet: Fleet, count: number, tenant?: Tenant): Promise<FleetCycle[]> {
  let found: FleetCycle[] = [];
  await until(`${count} cycles${tenant ? ` of ${tenant.name}` : ''}`, async () => {
    found = (await fleet.cycles(tenant)).filter((cycle) => cycle.outcome !== 'running');
    return found.length >= count;
  });
  return found;
}

/** Puts back the times of all cycles: a request waits for ten seconds after one. */
export async function endRests(database: Database): Promise<void> {
  await database.raw("update entra_sync.leases set acquired_at = acquired_at - interval '10 s'");
  await database.raw("update entra_sync.cycles set finished_at = finished_at - interval '10 s'");
}

export type Gate = {
  /** Tenants whose requests wait. */
  readonly waiting: ReadonlySet<string>;
  /** Lets every request through, now and later. */
  open(): void;
};

/** Makes requests wait for which `holds` returns true, until the gate opens. */
export function closeGate(simulator: Simulator, holds: (request: { url: string; tenantId?: string }) => boolean): Gate {
  const waiting = new Set<string>();
  const opened = Promise.withResolvers<undefined>();
  simulator.intercept((request) => {
    if (!holds(request)) return undefined;
    waiting.add(request.tenantId ?? '');
    return opened.promise;
  });
  return { waiting, open: () => opened.resolve(undefined) };
}

/** Waits until workers have planned `times` more; a tenant without a cycle by then was passed over. */
export async function untilPlanned({ database }: Pick<Fleet, 'database'>, times = 2): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    const planned = async () =>
      (await rows<{ at: Date }>(database, 'select planned_at as at from entra_sync.scheduler'))[0]?.at.getTime() ?? 0;
    const before = await planned();
    await until('the next planning', async () => (await planned()) > before);
  }
}

/** Records each tenant's runs by access token, with the numbers of the first and last request. */
export function watchRuns(simulator: Simulator): Map<string, Map<string, { first: number; last: number }>> {
  const seen = new Map<string, Map<string, { first: number; last: number }>>();
  simulator.intercept(({ tenantId, headers, number }) => {
    const { authorization } = headers;
    if (tenantId === undefined || authorization === undefined) return undefined;
    const runs = seen.get(tenantId) ?? new Map<string, { first: number; last: number }>();
    seen.set(tenantId, runs);
    const token = createHash('sha256').update(authorization).digest('hex');
    runs.set(token, { first: runs.get(token)?.first ?? number, last: number });
    return undefined;
  });
  return seen;
}

/** Expects that no two runs of a tenant overlapped. */
export function expectOneAtATime(seen: ReturnType<typeof watchRuns>): void {
  for (const [tenantId, runs] of seen) {
    const ordered = [...runs.values()].sort((one, other) => one.first - other.first);
    for (const [n, run] of ordered.entries()) {
      const next = ordered[n + 1];
      if (next) expect(next.first, `two runs of ${tenantId} at once`).toBeGreaterThan(run.last);
    }
  }
}
