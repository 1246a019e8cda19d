// Odd inputs, outages, killed or stopped processes and forgotten sessions, mixed at random: a tenant whose Graph answers is
// never more than two cycles behind the truth, and no other tenant waits for it. `npm run test:sticks` runs half an hour.
import { setTimeout as wait } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, test } from 'vitest';
import { rows } from '../../../src/store/database/pool.ts';
import { type Running, startCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { oddDays } from '../../support/odd-days.ts';
import { behind, editTenant, type Lane, openLane, openLocale } from '../../support/odd-lanes.ts';
import { type Outage, outages } from '../../support/odd-outages.ts';
import { nothing } from '../../support/odd-strikes.ts';
import { expectSound } from '../../support/soundness.ts';

const minutes = Number(process.env.MINUTES ?? (isDeep ? 1 : 0.1));
const seed = Number(process.env.SEED ?? 20_261_128);

const disturbances = ['none', 'outage', 'outage', 'kill', 'cut', 'stop', 'forgotten'] as const;

/** A small seeded generator, good enough to choose days (mulberry32). */
function dice(start: number): (most: number) => number {
  let state = start;
  return (most) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * Math.max(1, most));
  };
}

type Pick = (most: number) => number;

/** A session of the application that edits a user, asks for its constraints at once, and is then forgotten. */
async function forgetSession({ database, tenant, application }: Lane, pick: Pick): Promise<() => Promise<void>> {
  const session = new Client({ connectionString: application });
  session.on('error', () => {});
  await session.connect();
  const found = await rows<{ id: string }>(
    database,
    'select account_id as id from directory.accounts where tenant_id = :tenantId order by account_id',
    { tenantId: tenant.tenantId },
  );
  await session.query('begin');
  await session.query("select directory.edit_account($1, '{\"pronouns\": \"they\"}', 'app', 'user')", [
    found[pick(found.length)]?.id,
  ]);
  await session.query('set constraints all immediate');
  return () => session.end().catch(() => {});
}

/** Ends every connection of the lane's commands. */
const cut = ({ database, role }: Lane) =>
  rows(database, 'select pg_terminate_backend(pid) from pg_stat_activity where usename = :role', { role });

/** Does to a command what a bad day does, some time after it has begun. */
async function disturb(how: string, running: Running, lane: Lane, pick: Pick): Promise<void> {
  await Promise.race([wait(300 + pick(1_500)), running.ended]);
  if (how === 'kill') running.child.kill('SIGKILL');
  else if (how === 'cut') await cut(lane);
  else if (how === 'stop') {
    running.child.kill('SIGSTOP');
    await wait(pick(1_000));
    running.child.kill('SIGCONT');
  }
}

const failuresOf = async ({ database, tenant }: Lane) =>
  (
    await rows<{ failures: number }>(database, 'select failures from entra_sync.tenants where tenant_id = :tenantId', {
      tenantId: tenant.tenantId,
    })
  )[0]?.failures;

type Report = { cycles?: { streams?: Record<string, { requests: number; pages: number } | null> }[] };

/** Returns the faults of a report, which must count every request to Graph and no other. */
function misreported(stdout: string, { simulator }: Lane): string[] {
  const report: Report = stdout.trim() === '' ? {} : JSON.parse(stdout);
  const [streams] = (report.cycles ?? []).map((cycle) => Object.values(cycle.streams ?? {}));
  if (streams === undefined || streams.length === 0) return [];
  const told = streams.reduce((sum, stream) => sum + (stream?.requests ?? 0), 0);
  // A `$batch` is one request; its parts use no connection of their own.
  const sent = simulator.requests.filter((one) => one.remotePort !== undefined && one.path.startsWith('/v1.0/')).length;
  return told === sent ? [] : [`the report tells of ${told} requests, ${sent} were sent`];
}

test(
  `whatever Graph, the network and forgotten sessions do, a tenant is at most two cycles behind (${minutes} min, SEED=${seed})`,
  async () => {
    const [c, turkish] = [await openLocale('C'), await openLocale('turkish')];
    const lanes = [
      await openLane(c, { number: 0, manyGroups: 0, membersOnly: false }),
      // Thousands take too long for a short run.
      await openLane(c, { number: 1, manyGroups: minutes < 1 ? 100 : 2_000, membersOnly: false }),
      await openLane(turkish, { number: 2, manyGroups: 0, membersOnly: true }),
      await openLane(turkish, { number: 3, manyGroups: 0, membersOnly: false }),
    ];
    const begun = performance.now();
    const until = begun + minutes * 60_000;
    const done = { turns: 0, cycles: 0, outages: 0, kill: 0, cut: 0, stop: 0, forgotten: 0, behind: 0, worst: 0 };
    const days: Record<string, number> = {};
    let nextWord = begun + 120_000;
    const say = () => {
      nextWord = performance.now() + 120_000;
      const seconds = Math.round((performance.now() - begun) / 1_000);
      // biome-ignore lint/suspicious/noConsole: the figures are what a long run is made for.
      if (minutes >= 1) console.info(JSON.stringify({ seed, seconds, ...done, days }));
    };

    const walk = async (lane: Lane, number: number) => {
      const { tenant, simulator, database, role } = lane;
      const pick = dice(seed + number);
      const sync = (verb = 'sync') => {
        simulator.clearRequests();
        return startCli([verb, tenant.tenantId, '--json'], lane.environment);
      };
      const first = await sync().ended;
      expect(first.code, first.stderr).toBe(0);
      for (let turn = 1; performance.now() < until; turn += 1) {
        await editTenant(lane, pick, turn);
        const [day, disturbance] = [oddDays[pick(oddDays.length)], disturbances[pick(disturbances.length)]];
        const outage: Outage | undefined = disturbance === 'outage' ? outages[pick(outages.length)] : undefined;
        if (!day || !disturbance) continue;
        const told = `${lane.name}, turn ${turn}: ${day.name}, ${outage?.name ?? disturbance}`;
        for (const name of [day.name, outage?.name ?? disturbance]) days[name] = (days[name] ?? 0) + 1;
        const struck = day.strike({ simulator, tenant, database, pick });
        const endSession = disturbance === 'forgotten' ? await forgetSession(lane, pick) : undefined;
        const outputs: string[] = [];
        const allowed = [0, 4, 5, 6, 7, ...(day.codes ?? [])];
        const judge = (
          { code, stdout, stderr }: Awaited<Running['ended']>,
          what: string,
          codes: readonly unknown[],
        ) => {
          outputs.push(`${what}: exit ${code}\n${stderr}`);
          const context = () => `${told}\n${outputs.join('\n')}`;
          expect(codes, context()).toContain(code);
          if (code !== null && code !== 1) expect(misreported(stdout, lane), context()).toEqual([]);
          done.cycles += 1;
        };

        if (outage) {
          const before = await failuresOf(lane);
          const running = pick(2) === 0 ? sync() : undefined;
          if (running) await Promise.race([wait(300 + pick(1_500)), running.ended]);
          const lift = await outage.begin({ simulator, tenant, database, pick, role });
          // A setting of a role holds for new connections.
          if (running && outage.ofDatabase) await cut(lane);
          const ended = await (running ?? sync()).ended;
          await lift();
          judge(ended, outage.name, [...allowed, ...outage.codes]);
          if (ended.code === 3 && outage.says) expect(ended.stderr, told).toMatch(outage.says);
          if (outage.ofDatabase && ended.code === 7) expect(await failuresOf(lane), `${told}\n${outputs}`).toBe(before);
          done.outages += 1;
        }

        let wrong: string[] = [];
        for (let cycle = 1; cycle <= 3; cycle += 1) {
          const running = sync(pick(4) === 0 ? 'resync' : 'sync');
          if (cycle === 1 && (disturbance === 'kill' || disturbance === 'cut' || disturbance === 'stop')) {
            await disturb(disturbance, running, lane, pick);
            done[disturbance] += 1;
          }
          judge(await running.ended, `cycle ${cycle}`, disturbance === 'kill' ? [...allowed, null] : allowed);
          wrong = await behind(lane, struck);
          if (wrong.length === 0) break;
          done.behind += 1;
          done.worst = Math.max(done.worst, cycle);
          await struck.between?.();
        }
        expect(wrong, `${told}\n${outputs.join('\n')}`).toEqual([]);
        expect(struck.faults ?? [], told).toEqual([]);
        struck.end();
        await endSession?.();
        if (disturbance === 'forgotten') done.forgotten += 1;
        done.turns += 1;
        if (performance.now() > nextWord) say();
      }
    };

    await Promise.all(lanes.map(walk));
    for (const lane of lanes) {
      const { tenant, database, environment } = lane;
      for (let cycle = 1; cycle <= 2; cycle += 1) await startCli(['sync', tenant.tenantId], environment).ended;
      expect(await behind(lane, nothing), lane.name).toEqual([]);
      await expectSound(database, tenant.tenantId);
      const verified = await startCli(['verify', tenant.tenantId], environment).ended;
      expect(verified.code, verified.stdout + verified.stderr).toBe(0);
    }
    say();
  },
  minutes * 60_000 + 600_000,
);
