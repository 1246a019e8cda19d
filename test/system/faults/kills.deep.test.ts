// Kill -9 at any moment: a syncing process, or now and then one of its connections, dies again and again while the tenant
// changes, and in the end accounts, groups and memberships match the tenant, the feed rebuilds them, and no change row
// came twice (rules 1, 2, 11, 12).
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Tenant } from '../../../src/simulator/index.ts';
import { databaseTime, rows } from '../../../src/store/database/pool.ts';
import { startCli } from '../../support/cli.ts';
import { isDeep } from '../../support/deep.ts';
import { expectFeedRebuilds } from '../../support/feed-replay.ts';
import { groupsSeen, groupTruth, membershipPairs, replayMemberships } from '../../support/groups-truth.ts';
import { unified } from '../../support/groups-world.ts';
import { expectSound } from '../../support/soundness.ts';
import { expectTruth, openWorld, type World } from '../../support/system.ts';

// `npm run test:kills` sets it to 200.
const kills = Number(process.env.KILLS ?? (isDeep ? 20 : 4));

const at = <Item>(items: readonly Item[], index: number): Item => items[index % items.length] as Item;

function changeTenant(tenant: Tenant, turn: number): void {
  const users = tenant.users();
  const groups = tenant.groups();
  const hired = tenant.createUser();
  tenant.updateUser(at(users, turn * 7).id, { jobTitle: `Title ${turn}`, city: turn % 2 ? null : `City ${turn}` });
  tenant.updateUser(at(users, turn * 13).id, { accountEnabled: turn % 3 !== 0 });
  tenant.addMember(at(groups, turn).id, hired);
  tenant.addMember(at(groups, turn + 1).id, at(users, turn * 5).id);
  const [member] = at(groups, turn + 2).members.keys();
  if (member) tenant.removeMember(at(groups, turn + 2).id, member);
  tenant.updateGroup(at(groups, turn + 3).id, { displayName: `Group ${turn}` });
  if (turn % 4 === 0) tenant.deleteUser(at(users, turn * 11).id);
  if (turn % 9 === 0) tenant.purgeUser(at(users, turn * 17).id);
  if (turn % 7 === 0) tenant.addMember(tenant.createGroup({ displayName: `Team ${turn}`, ...unified }), hired);
  if (turn % 10 === 0) tenant.deleteGroup(at(groups, turn * 3).id);
}

// Not while a full round is interrupted: neither stream may show a user restored then (docs/rules.md).
async function restoreSomebody({ tenant, database }: World, turn: number): Promise<number> {
  const [cutOff] = await rows(database, "select from entra_sync.rounds where kind = 'full'");
  const gone = tenant.deletedUsers();
  if (cutOff || gone.length === 0) return 0;
  tenant.restoreUser(at(gone, turn).id);
  return 1;
}

/** Ends one connection that was made since the turn began. Returns false if there was none. */
async function endConnection({ database }: World, since: Date): Promise<boolean> {
  const ended = await rows(
    database,
    `select pg_terminate_backend(pid) from (
       select pid from pg_stat_activity
        where datname = current_database() and pid <> pg_backend_pid() and backend_start > :since
        order by random() limit 1) victim`,
    { since },
  );
  return ended.length > 0;
}

test(
  `rules 1, 2, 11, 12: ${kills} syncing processes killed at random moments leave nothing lost, half or double`,
  async () => {
    const world = await openWorld({ users: 200, groups: 12 });
    const { tenant, simulator, database } = world;
    simulator.options.pageSize = 15;
    simulator.options.latencyMs = 5;
    const environment = { ...simulator.environment(tenant.tenantId), DATABASE_URL: world.url };
    let asked = () => {};
    const off = simulator.intercept(() => {
      asked();
      return undefined;
    });
    expect((await startCli(['sync'], environment).ended).code).toBe(0);
    const done = { killed: 0, cut: 0, noticed: 0, restored: 0 };
    for (let turn = 1; turn <= kills; turn += 1) {
      changeTenant(tenant, turn);
      if (turn % 5 === 0) done.restored += await restoreSomebody(world, turn);
      // Now and then a full round, which can die at many more moments: some milliseconds after one of its requests, while
      // it reads, stages, asks, commits or closes.
      const full = turn % 3 === 0;
      let left = 1 + Math.floor(Math.random() * (full ? 25 : 5));
      const since = await databaseTime(database);
      const running = startCli([full ? 'resync' : 'sync'], environment);
      const due = new Promise<void>((resolve) => {
        asked = () => {
          left -= 1;
          if (left === 0) resolve();
        };
      });
      await Promise.race([due.then(() => wait(Math.random() * 150)), running.ended]);
      // The process must notice the dead connection and end by itself.
      const cut = turn % 4 === 0 && (await endConnection(world, since));
      if (!cut) running.child.kill('SIGKILL');
      const { code, stderr } = await running.ended;
      done.killed += code === null ? 1 : 0;
      done.cut += cut ? 1 : 0;
      done.noticed += code === 7 ? 1 : 0;
      expect(cut ? [0, 7] : [null, 0], `turn ${turn} ended by itself: ${stderr}`).toContain(code);
    }
    off();
    expect(done.killed, `most of them died: ${JSON.stringify(done)}`).toBeGreaterThan(kills / 3);
    await world.cycle();
    await world.cycle();
    await expectTruth(tenant, database);
    expect(await groupsSeen(database, tenant.tenantId)).toEqual(groupTruth(tenant));
    await expectFeedRebuilds(database, tenant.tenantId, null);
    expect(await replayMemberships(database, tenant.tenantId)).toEqual(
      await membershipPairs(database, tenant.tenantId),
    );
    expect(await rows(database, "select from entra_sync.cycles where outcome = 'running'")).toEqual([]);
    expect(await rows(database, 'select from entra_sync.rounds')).toEqual([]);
    await expectSound(database, tenant.tenantId);
    // biome-ignore lint/suspicious/noConsole: the figures are what the run of 200 is made for.
    if (kills > 100) console.info(JSON.stringify({ kills, ...done }));
  },
  kills * 60_000,
);
