// Many tenants on one simulator, and workers as processes of their own that share a database.
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
  /** A worker as a process; it is killed when the test ends, if it still runs then. */
  worker(args?: readonly string[], variables?: Record<string, string>): Running;
  /** Whole cycles in the order of their start, of one tenant or all. */
  cycles(tenant?: Tenant): Promise<FleetCycle[]>;
  /** Makes tenants due, as if their time had come. */
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

/** `count` registered tenants of `users` persons each; all of it goes when the test ends. */
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

/** Tells a worker to stop as a container engine does, and how long it took. */
export async function stopWorker(
  running: Running,
  signal: NodeJS.Signals = 'SIGTERM',
): Promise<Ended & { seconds: number }> {
  const started = performance.now();
  running.child.kill(signal);
  const ended = await running.ended;
  return { ...ended, seconds: (performance.now() - started) / 1000 };
}

/** Waits until `met` says so; two minutes unless told, because processes start slowly on a machine that has much to do. */
export async function until(what: string, met: () => Promise<boolean> | boolean, seconds = 60): Promise<void> {
  const giveUp = performance.now() + seconds * 1_000;
  while (!(await met())) {
    if (performance.now() > giveUp) throw new Error(`waited in vain: ${what}`);
    await delay(25);
  }
}

/** Waits until `count` cycles of the tenant (or of all) have ended. */
export async function untilCycles(fleet: Fleet, count: number, tenant?: Tenant): Promise<FleetCycle[]> {
  let found: FleetCycle[] = [];
  await until(`${count} cycles${tenant ? ` of ${tenant.name}` : ''}`, async () => {
    found = (await fleet.cycles(tenant)).filter((cycle) => cycle.outcome !== 'running');
    return found.length >= count;
  });
  return found;
}

export type Gate = {
  /** Tenants whose requests wait. */
  readonly waiting: ReadonlySet<string>;
  /** Lets everything through, now and from now on. */
  open(): void;
};

/** Requests that `holds` says wait until the gate opens. */
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

/** Waits until some worker has planned `times` more: what was not begun by then had been passed over. */
export async function untilPlanned({ database }: Pick<Fleet, 'database'>, times = 2): Promise<void> {
  for (let time = 0; time < times; time += 1) {
    const planned = async () =>
      (await rows<{ at: Date }>(database, 'select planned_at as at from entra_sync.scheduler'))[0]?.at.getTime() ?? 0;
    const before = await planned();
    await until('the next planning', async () => (await planned()) > before);
  }
}

/** What the simulator saw of each tenant: its runs, told apart by their access token, as first and last request. */
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

/** Expects that no two runs of a tenant overlapped, as the simulator saw them. */
export function expectOneAtATime(seen: ReturnType<typeof watchRuns>): void {
  for (const [tenantId, runs] of seen) {
    const ordered = [...runs.values()].sort((one, other) => one.first - other.first);
    for (const [n, run] of ordered.entries()) {
      const next = ordered[n + 1];
      if (next) expect(next.first, `two runs of ${tenantId} at once`).toBeGreaterThan(run.last);
    }
  }
}
