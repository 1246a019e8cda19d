// Odd inputs, processes that are killed, stopped or cut off, and forgotten sessions, mixed at random: a tenant whose Graph
// answers is at most two cycles behind the truth, always, and no other tenant waits for it. `npm run test:sticks` goes on for
// half an hour.
import { setTimeout as wait } from 'node:timers/promises';
import { Client } from 'pg';
import { expect, onTestFinished, test } from 'vitest';
import { loadDefaults } from '../../src/settings.ts';
import { createTenant, type Tenant } from '../../src/simulator/index.ts';
import { rows } from '../../src/store/pool.ts';
import { addTenant } from '../../src/store/tenants.ts';
import { startCli } from '../support/cli.ts';
import { isDeep } from '../support/deep.ts';
import { groupsSeen, groupTruth } from '../support/groups-truth.ts';
import { type Excused, oddDays } from '../support/odd-days.ts';
import { setSettings } from '../support/settings.ts';
import { expectSound } from '../support/soundness.ts';
import { accountsOf, factsOf, openWorld, truthOf, type World } from '../support/system.ts';

const minutes = Number(process.env.MINUTES ?? (isDeep ? 1 : 0.1));
const seed = Number(process.env.SEED ?? 20_261_128);
const lanes = 3;

const disturbances = ['none', 'none', 'kill', 'cut', 'stop', 'forgotten'] as const;

/** Small, seeded and good enough to choose days by (mulberry32). */
function dice(start: number): (most: number) => number {
  let state = start;
  return (most) => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 4_294_967_296) * Math.max(1, most));
  };
}

function editTenant(tenant: Tenant, pick: (most: number) => number, turn: number): void {
  const users = tenant.users();
  const groups = tenant.groups();
  const user = () => users[pick(users.length)]?.id ?? '';
  const group = () => groups[pick(groups.length)]?.id ?? '';
  const hired = tenant.createUser();
  tenant.updateUser(user(), { jobTitle: `Title ${turn}`, city: turn % 2 ? null : `City ${turn}` });
  tenant.addMember(group(), hired);
  tenant.updateGroup(group(), { displayName: `Group ${turn}` });
  const holder = groups[pick(groups.length)];
  const [member] = holder?.members.keys() ?? [];
  if (holder && member) tenant.removeMember(holder.id, member);
  if (turn % 3 === 0) tenant.deleteUser(user());
  if (turn % 5 === 0) tenant.updateUser(tenant.users()[0]?.id ?? '', { accountEnabled: turn % 2 === 0 });
}

/** Faults in an application's view of a tenant, without the excused ones; empty: no fault. */
async function behind({ database }: World, tenant: Tenant, excused: Excused): Promise<string[]> {
  const { tenantId } = tenant;
  const [truth, seen] = [truthOf(tenant), factsOf(await accountsOf(database, tenantId))];
  const ids = [...new Set([...Object.keys(truth), ...Object.keys(seen)])];
  const wrongUsers = ids
    .filter(
      (id) => !excused.users.includes(id) && JSON.stringify(sorted(truth[id])) !== JSON.stringify(sorted(seen[id])),
    )
    .map((id) => `user ${id}: ${JSON.stringify(sorted(truth[id]))} is shown as ${JSON.stringify(sorted(seen[id]))}`);
  const [graph, shown] = [groupTruth(tenant), await groupsSeen(database, tenantId)];
  const counts = (pair: string) =>
    !pair.split(' ').some((id) => excused.users.includes(id) || excused.groups.includes(id));
  const missing = graph.direct.filter((pair) => counts(pair) && !shown.direct.includes(pair));
  const extra = shown.direct.filter((pair) => counts(pair) && !graph.direct.includes(pair));
  const named = Object.keys(graph.groups).filter(
    (id) => !excused.groups.includes(id) && graph.groups[id]?.displayName !== shown.groups[id]?.displayName,
  );
  const nested =
    excused.users.length + excused.groups.length === 0 &&
    JSON.stringify(graph.effective) !== JSON.stringify(shown.effective)
      ? ['effective memberships']
      : [];
  return [
    ...wrongUsers,
    ...missing.map((pair) => `membership ${pair} is missing`),
    ...extra.map((pair) => `membership ${pair} is too much`),
    ...named.map((id) => `group ${id} is called otherwise`),
    ...nested,
  ];
}

function sorted(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(sorted);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .sort(([one], [other]) => (one < other ? -1 : 1))
      .map(([key, item]) => [key, sorted(item)]),
  );
}

type Session = { end(): Promise<void> };

/** A session of the application that edits a user, asks for its constraints at once, and is then forgotten. */
async function forgetSession(
  world: World,
  tenant: Tenant,
  login: string,
  pick: (most: number) => number,
): Promise<Session> {
  const session = new Client({ connectionString: login });
  session.on('error', () => {});
  await session.connect();
  const found = await rows<{ id: string }>(
    world.database,
    'select account_id as id from directory.accounts where tenant_id = :tenantId order by account_id',
    { tenantId: tenant.tenantId },
  );
  await session.query('begin');
  await session.query("select directory.edit_account($1, '{\"pronouns\": \"they\"}', 'app', 'user')", [
    found[pick(found.length)]?.id,
  ]);
  await session.query('set constraints all immediate');
  return { end: () => session.end().catch(() => {}) };
}

test(
  `whatever Graph, the network and forgotten sessions do, a tenant is at most two cycles behind (${minutes} min, SEED=${seed})`,
  async () => {
    const others = Array.from({ length: lanes - 1 }, (_, n) =>
      createTenant({ seed: n + 2, users: 25, groups: 6, name: `Lane ${n + 1}` }),
    );
    const world = await openWorld({ users: 25, groups: 6, others });
    const { simulator, database } = world;
    simulator.options.pageSize = 7;
    await setSettings(database, { sourceOfTruth: 'hybrid' });
    for (const { tenantId, name } of others) await addTenant(database, { tenantId, name, ref: null }, loadDefaults());
    const role = `app_${world.url.split('_').at(-1)?.slice(0, 8)}`;
    await database.raw(`create role ${role} login password 'forgotten'`);
    onTestFinished(async () => void (await database.raw(`drop owned by ${role}; drop role ${role}`).catch(() => {})));
    const environment = (lane: string) => {
      const url = new URL(world.url);
      url.searchParams.set('application_name', lane);
      return { ...simulator.environment(), DATABASE_URL: url.href };
    };
    const grant = await startCli(['grant', role], environment('grant')).ended;
    expect(grant.code, grant.stderr).toBe(0);
    // As `grant` sets it, only sooner: a test does not wait for a minute.
    await database.raw(`alter role ${role} set idle_in_transaction_session_timeout = '2s'`);
    const login = Object.assign(new URL(world.url), { username: role, password: 'forgotten' }).href;

    const until = performance.now() + minutes * 60_000;
    const done = { turns: 0, cycles: 0, killed: 0, late: 0 };
    const lane = async (tenant: Tenant, number: number) => {
      const pick = dice(seed + number);
      const own = environment(`lane_${number}`);
      const first = await startCli(['sync', tenant.tenantId], own).ended;
      expect(first.code, first.stderr).toBe(0);
      for (let turn = 1; performance.now() < until; turn += 1) {
        editTenant(tenant, pick, turn);
        const day = oddDays[pick(oddDays.length)];
        const disturbance = disturbances[pick(disturbances.length)];
        if (!day) continue;
        const told = `lane ${number}, turn ${turn}: ${day.name}, ${disturbance}`;
        const struck = day.strike({ simulator, tenant, pick });
        const session = disturbance === 'forgotten' ? await forgetSession(world, tenant, login, pick) : undefined;
        const outputs: string[] = [];
        let wrong: string[] = [];
        for (let cycle = 1; cycle <= 3; cycle += 1) {
          const running = startCli([pick(4) === 0 ? 'resync' : 'sync', tenant.tenantId], own);
          if (cycle === 1 && disturbance !== 'none' && disturbance !== 'forgotten') {
            await Promise.race([wait(300 + pick(1_500)), running.ended]);
            if (disturbance === 'stop') {
              running.child.kill('SIGSTOP');
              await wait(pick(1_000));
              running.child.kill('SIGCONT');
            } else if (disturbance === 'kill') running.child.kill('SIGKILL');
            else
              await rows(
                database,
                'select pg_terminate_backend(pid) from pg_stat_activity where datname = current_database() and application_name = :lane',
                { lane: `lane_${number}` },
              ).catch(() => {});
          }
          const { code, stderr } = await running.ended;
          outputs.push(`cycle ${cycle}: exit ${code}\n${stderr}`);
          expect([0, 4, 5, 6, 7, null], `${told}\n${outputs.join('\n')}`).toContain(code);
          done.cycles += 1;
          if (code === null) done.killed += 1;
          wrong = await behind(world, tenant, struck);
          if (wrong.length === 0) break;
          if (cycle > 1) done.late += 1;
        }
        expect(wrong, `${told}\n${outputs.join('\n')}`).toEqual([]);
        struck.end();
        await session?.end();
        done.turns += 1;
      }
    };
    await Promise.all([world.tenant, ...others].map(lane));
    for (const tenant of [world.tenant, ...others]) {
      for (let cycle = 1; cycle <= 2; cycle += 1) await startCli(['sync', tenant.tenantId], environment('end')).ended;
      expect(await behind(world, tenant, { users: [], groups: [] })).toEqual([]);
      await expectSound(database, tenant.tenantId);
    }
    // biome-ignore lint/suspicious/noConsole: the figures are what a long run is made for.
    if (minutes > 5) console.info(JSON.stringify(done));
  },
  minutes * 60_000 + 300_000,
);
