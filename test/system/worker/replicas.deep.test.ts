// Scale-out: three worker processes and hundreds of tenants on one database. Each tenant runs once per interval, never
// twice at the same time, and others take over the tenants of a killed worker. Judged by the simulator's requests and
// the stored cycles.
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { expectOneAtATime, openFleet, stopWorker, until, watchRuns } from '../../support/fleet.ts';
import { expectTruth } from '../../support/system.ts';

// A bigger run: TENANTS=1500 npx vitest run test/system/worker/replicas.deep.test.ts
const count = Number(process.env.TENANTS ?? 300);
const patience = Math.max(180, count);

test(
  `rule 11: three workers, ${count} tenants: each once per interval, one worker killed, its tenants taken over, none run twice at the same time`,
  async () => {
    const began = performance.now();
    const figures: Record<string, number> = {};
    const note = (what: string) => {
      figures[what] = Math.round((performance.now() - began) / 100) / 10;
    };
    const fleet = await openFleet({ count, users: 5 });
    const { database, simulator } = fleet;
    note('prepared');
    // A latency like Graph's, so that two runs of a tenant at the same time would be seen.
    simulator.options.latencyMs = 15;
    const seen = watchRuns(simulator);
    const committed = async (times: number) => {
      const [done] = await rows<{ tenants: number }>(
        database,
        `select count(*)::int as tenants from (
           select from entra_sync.cycles where outcome = 'committed' group by tenant_id having count(*) >= :times) as t`,
        { times },
      );
      return done?.tenants ?? 0;
    };
    const workers = ['one', 'two', 'three'].map(() => fleet.worker());

    // The first interval: every tenant is new. One worker dies while it holds tenants.
    const [victim, ...survivors] = workers;
    if (!victim) throw new Error('no worker');
    const held = async () =>
      rows<{ tenant_id: string }>(
        database,
        `select c.tenant_id from entra_sync.cycles c join entra_sync.leases l using (tenant_id)
          where c.outcome = 'running' and l.holder like :pid`,
        { pid: `% ${victim.child.pid} %` },
      );
    await until('a third of the tenants are synced', async () => (await committed(1)) >= count / 3, patience);
    let taken: string[] = [];
    await until('the victim holds tenants', async () => {
      taken = (await held()).map((row) => row.tenant_id);
      return taken.length > 0;
    });
    victim.child.kill('SIGKILL');
    await victim.ended;
    note('killed');
    await until('every tenant is synced once', async () => (await committed(1)) === count, patience);
    note('first interval');
    expectOneAtATime(seen);
    const first = await fleet.cycles();
    const synced = first.filter((cycle) => cycle.outcome === 'committed').map((cycle) => cycle.tenant_id);
    expect(new Set(synced).size).toBe(count);
    // A cycle of the dead worker may have been committed without being closed. Its tenant was still due.
    const twice = synced.length - count;
    expect(twice).toBeLessThanOrEqual(taken.length);
    // The cycles of the dead worker were closed by others, and nothing else went wrong.
    const left = first.filter((cycle) => cycle.outcome !== 'committed');
    expect(left.every((cycle) => cycle.error_code === 'cut_off')).toBe(true);

    // The second interval: all tenants are due at the same time.
    await database.raw("update entra_sync.tenants set next_cycle_at = next_cycle_at - interval '45 minutes'");
    await until('every tenant is synced twice', async () => (await committed(2)) === count, patience);
    note('second interval');
    const all = await fleet.cycles();
    expect(all.filter((cycle) => cycle.outcome === 'committed')).toHaveLength(2 * count + twice);
    expect(all).toHaveLength(2 * count + left.length + twice);

    expectOneAtATime(seen);
    const runs = [...seen.values()].map((byToken) => byToken.size);
    expect(runs).toHaveLength(count);
    expect(runs.filter((number) => number > 2).length, 'only the dead worker’s tenants ran again').toBeLessThanOrEqual(
      left.length + twice,
    );
    const [tenant] = fleet.tenants;
    if (tenant) await expectTruth(tenant, database);
    for (const ended of await Promise.all(survivors.map((worker) => stopWorker(worker))))
      expect(ended.code, ended.stderr).toBe(0);
    note('stopped');
    process.stderr.write(`replicas: ${JSON.stringify({ tenants: count, cutOff: left.length, ...figures })}\n`);
  },
  patience * 3_000,
);
