// Kill -9 at any moment: a syncing process dies again and again while the tenant changes, and in the end accounts, groups
// and memberships are the tenant's, the feed rebuilds them, and nothing was told twice (rules 1, 2, 11, 12).
import { setTimeout as wait } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Tenant } from '../../src/simulator/index.ts';
import { rows } from '../../src/store/pool.ts';
import { startCli } from '../support/cli.ts';
import { expectFeedRebuilds } from '../support/feed-replay.ts';
import { groupsSeen, groupTruth, membershipPairs, replayMemberships } from '../support/groups-truth.ts';
import { expectTruth, openWorld } from '../support/system.ts';

// `npm run test:kills` sets it to 200.
const kills = Number(process.env.KILLS ?? 10);

// People who come back are told by neither stream where a full round was cut off (docs/rules.md), so nobody is restored.
function changeTenant(tenant: Tenant, turn: number): void {
  const at = <Item>(items: readonly Item[], index: number): Item => items[index % items.length] as Item;
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
    let killed = 0;
    for (let turn = 1; turn <= kills; turn += 1) {
      changeTenant(tenant, turn);
      // Now and then a whole walk, which has many more moments to die in. It dies some milliseconds after one of its
      // requests: while it reads, stages, asks, commits or closes.
      const full = turn % 3 === 0;
      let left = 1 + Math.floor(Math.random() * (full ? 25 : 5));
      const running = startCli([full ? 'resync' : 'sync'], environment);
      const due = new Promise<void>((resolve) => {
        asked = () => {
          left -= 1;
          if (left === 0) resolve();
        };
      });
      await Promise.race([due.then(() => wait(Math.random() * 150)), running.ended]);
      running.child.kill('SIGKILL');
      const { code } = await running.ended;
      killed += code === null ? 1 : 0;
      expect([null, 0], `turn ${turn} ended by itself`).toContain(code);
    }
    off();
    expect(killed, 'most of them died').toBeGreaterThan(kills / 3);
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
  },
  Math.max(120_000, kills * 6_000),
);
