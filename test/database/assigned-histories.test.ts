// Rules 37 and 38 after random histories: what is assigned equals the trial of every assignment on every account, the assignments are
// byte-equal where no person changed them, the feed gives the same, and a preview is what then happens.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { acquireLease, type Lease } from '../../src/store/cycle/lease.ts';
import { disconnectTenant, purgeTenant, reconnectTenant } from '../../src/store/tenants/disconnect.ts';
import { expectAssigned } from '../support/assigned-truth.ts';
import { type Assigner, assigner } from '../support/assigner.ts';
import { runsOf } from '../support/deep.ts';
import { drawn } from '../support/histories.ts';
import { expectSound } from '../support/soundness.ts';
import { ask, openStore, type Store, sync, tombstone, user } from '../support/stage.ts';
import { commitGroups, openScene, pullGroups, type Scene } from '../support/writers.ts';

let store: Store;

beforeAll(async () => {
  store = await openStore();
});

afterAll(() => store.close());

const people = [1, 2, 3, 4, 5, 6];
const groups = [101, 102, 103, 104];
const titles = ['Clerk', 'Mate', 'Cook'];
const slots = ['banner', 'signature'];
const items = ['a', 'b', 'c'];

const act = fc.record({
  what: fc.constantFrom(
    ...(['assign', 'assign', 'assign', 'assign', 'change', 'unassign', 'move', 'winners', 'except'] as const),
    ...([
      'join',
      'join',
      'join',
      'leave',
      'nest',
      'nest',
      'nest',
      'unnest',
      'rename',
      'delete group',
      'restore group',
    ] as const),
    ...(['delete', 'delete', 'restore', 'retitle', 'edit', 'create', 'remove', 'suspend'] as const),
    ...(['hour', 'tick', 'purge', 'resync', 'reconnect', 'full groups'] as const),
  ),
  person: fc.constantFrom(...people),
  group: fc.constantFrom(...groups),
  other: fc.constantFrom(...groups),
  slot: fc.constantFrom(...slots),
  item: fc.constantFrom(...items),
  target: fc.constantFrom('group', 'group', 'group', 'account', 'accounts', 'field', 'everyone'),
  priority: fc.integer({ min: -1, max: 1 }),
  hours: fc.tuple(fc.constantFrom(null, 0, 1, 2), fc.constantFrom(null, 3, 4)),
  title: fc.constantFrom(...titles),
  nth: fc.nat(50),
});
type Act = typeof act extends fc.Arbitrary<infer Drawn> ? Drawn : never;

/** The tenant as Graph has it, and the history that runs on it. */
type Run = {
  scene: Scene;
  lease: Lease;
  give: Assigner;
  users: Map<number, { title: string; enabled: boolean; live: boolean }>;
  groups: Map<number, { name: string; live: boolean }>;
  members: Set<string>;
  kept: Record<string, string>;
  manual: string[];
};

const userOf = (run: Run, n: number) => {
  const one = run.users.get(n) ?? expect.unreachable();
  return user(n, { jobTitle: one.title, accountEnabled: one.enabled });
};
const liveUsers = (run: Run) => people.filter((n) => run.users.get(n)?.live).map((n) => userOf(run, n));
const usersRound = (run: Run, n: number) => {
  const shown = run.users.get(n)?.live ? userOf(run, n) : tombstone(n);
  return sync(store, run.lease, 'incremental', [[shown]], { now: liveUsers(run) });
};
const pairs = (run: Run) => [...run.members].map((pair) => pair.split(' ').map(Number) as [number, number]);

async function groupsRound(run: Run, kind: 'full' | 'incremental', shown: number[], members: [number, number][]) {
  const name = run.groups.get(shown[0] ?? 0)?.name;
  await commitGroups(store.database, run.lease, await pullGroups(store, run.lease, kind, shown, members, name));
}

const liveGroups = (run: Run) => groups.filter((n) => run.groups.get(n)?.live);
const fullGroups = (run: Run) =>
  groupsRound(
    run,
    'full',
    liveGroups(run),
    pairs(run).filter(([holder]) => run.groups.get(holder)?.live),
  );

async function give(run: Run, drawnAct: Act, except: boolean): Promise<void> {
  const { target, slot, item, priority, hours } = drawnAct;
  const account = await accountOf(run, drawnAct.person);
  const group = await groupOf(run, drawnAct.group);
  const others = account === undefined ? [] : [...new Set([account, ...run.manual])];
  const chosen = {
    group: group === undefined ? undefined : { group },
    account: account === undefined ? undefined : { account },
    accounts: others.length === 0 ? undefined : { accounts: others },
    field: { field: 'jobTitle', in: [drawnAct.title.toUpperCase()] },
    everyone: { everyone: true },
  }[target];
  if (chosen === undefined) return;
  const [fromHours, toHours] = hours;
  const from = fromHours === null ? null : await run.give.time(`${fromHours} hours`);
  const to = toHours === null ? null : await run.give.time(`${toHours} hours`);
  const options = {
    priority,
    except,
    starts_at: drawnAct.nth % 3 === 0 ? from : null,
    ends_at: drawnAct.nth % 4 === 0 ? to : null,
  };
  const foreseen = await run.give.preview(slot, item, chosen, options);
  // What is due is applied first, or the preview and the step would tell of two times.
  const moved = await run.give.moved(() => run.give.assign(slot, item, chosen, options));
  if (options.starts_at === null) expect(moved, 'the preview').toEqual(foreseen);
}

const idOf = async (run: Run, sql: string, n: number): Promise<string | undefined> =>
  (await ask<{ id: string }>(store, sql, { tenantId: run.scene.tenantId, end: String(n).padStart(12, '0') }))[0]?.id;
const accountOf = (run: Run, n: number) =>
  idOf(
    run,
    'select account_id as id from directory.accounts where tenant_id = :tenantId and right(entra_object_id::text, 12) = :end',
    n,
  );
const groupOf = (run: Run, n: number) =>
  idOf(
    run,
    'select group_id as id from directory.groups where tenant_id = :tenantId and right(entra_object_id::text, 12) = :end',
    n,
  );

/** Does one step. Returns whether a person may have changed assignments with it. */
async function step(run: Run, drawnAct: Act): Promise<boolean> {
  const { what, person, group, other, nth } = drawnAct;
  const one = run.users.get(person) ?? expect.unreachable();
  const team = run.groups.get(group) ?? expect.unreachable();
  const ids = Object.keys(run.kept);
  const chosen = ids[nth % Math.max(1, ids.length)];
  const change = async (sql: string, values: Record<string, unknown>) => {
    await ask(store, sql, { tenant: run.scene.tenantId, ...values });
  };
  switch (what) {
    case 'assign':
    case 'except':
      await give(run, drawnAct, what === 'except');
      return true;
    case 'change':
      if (chosen !== undefined) await run.give.change(chosen, { priority: drawnAct.priority, except: nth % 5 === 0 });
      return true;
    case 'unassign':
      if (chosen !== undefined) await run.give.unassign(chosen);
      return true;
    case 'move': {
      const [from, to] = [await groupOf(run, group), await groupOf(run, other)];
      if (from !== undefined && to !== undefined)
        await change(`select directory.move_assignments(:from, :to, 'Ann')`, { from, to });
      return true;
    }
    case 'winners':
      await run.give.put(drawnAct.slot, 1 + (nth % 3));
      return false;
    case 'join':
    case 'nest': {
      const member = what === 'join' ? person : other;
      if (!team.live || member === group) return false;
      run.members.add(`${group} ${member}`);
      await groupsRound(run, 'incremental', [group], [[group, member]]);
      return false;
    }
    case 'leave':
    case 'unnest': {
      const held = pairs(run).filter(
        ([holder, member]) => run.groups.get(holder)?.live && member > 100 === (what === 'unnest'),
      );
      const pair = held[nth % Math.max(1, held.length)];
      if (!pair) return false;
      run.members.delete(pair.join(' '));
      await groupsRound(run, 'incremental', [pair[0]], [[pair[0], -pair[1]]]);
      return false;
    }
    case 'rename':
      if (!team.live) return false;
      team.name = `${team.name}x`;
      await groupsRound(run, 'incremental', [group], []);
      return false;
    case 'delete group':
      team.live = false;
      await fullGroups(run);
      return false;
    case 'restore group':
      team.live = true;
      await groupsRound(
        run,
        'incremental',
        [group],
        pairs(run).filter(([holder]) => holder === group),
      );
      return false;
    case 'delete':
    case 'restore':
      one.live = what === 'restore';
      await usersRound(run, person);
      return false;
    case 'suspend':
      one.enabled = !one.enabled;
      await usersRound(run, person);
      return false;
    case 'retitle':
      one.title = drawnAct.title;
      await usersRound(run, person);
      return false;
    case 'edit': {
      const account = nth % 4 === 0 ? run.manual[0] : await accountOf(run, person);
      if (account !== undefined)
        await change(`select directory.edit_account(:account, :patch::jsonb, 'Ann', 'user')`, {
          account,
          patch: JSON.stringify({ jobTitle: nth % 5 === 0 ? null : drawnAct.title }),
        }).catch((error: unknown) => expect(error).toMatchObject({ code: 'ES001' }));
      return false;
    }
    case 'create': {
      const [made] = await ask<{ id: string }>(
        store,
        `select directory.create_account(:tenant, :profile::jsonb, 'Ann') as id`,
        {
          tenant: run.scene.tenantId,
          profile: JSON.stringify({ jobTitle: drawnAct.title }),
        },
      );
      if (made) run.manual.push(made.id);
      return false;
    }
    case 'remove': {
      const account = run.manual.shift();
      if (account !== undefined) await change(`select directory.remove_account(:account, 'Ann', 'user')`, { account });
      return false;
    }
    case 'hour':
      await run.give.anHourPasses();
      run.kept = await run.give.rows();
      return false;
    case 'tick':
      await run.give.tick();
      return false;
    case 'purge':
      for (const table of ['accounts', 'groups'])
        await change(
          `update entra_sync.${table} set purge_at = now() - interval '1 day' where tenant_id = :tenant and removed_at is not null`,
          {},
        );
      one.live = true;
      await usersRound(run, person);
      await fullGroups(run);
      return false;
    case 'resync':
      await sync(store, run.lease, 'full', [liveUsers(run)], { now: liveUsers(run) });
      return false;
    case 'full groups':
      await fullGroups(run);
      return false;
    case 'reconnect': {
      const by = { actor: 'Ann', dryRun: false };
      await disconnectTenant(store.database, run.scene.tenantId, by);
      await reconnectTenant(store.database, run.scene.tenantId, 'Ann');
      run.lease = await acquireLease(store.database, run.scene.tenantId);
      await sync(store, run.lease, 'full', [liveUsers(run)], { now: liveUsers(run) });
      await fullGroups(run);
      return false;
    }
  }
}

test('rules 37 and 38: after each step of a random history assigned is what the assignments say, and no cycle touched one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(act, { minLength: 8, maxLength: 24 }), async (acts) => {
      const scene = await openScene(store);
      const run: Run = {
        scene,
        lease: scene.lease,
        give: await assigner(store, scene),
        users: new Map(people.map((n) => [n, { title: 'Clerk', enabled: true, live: true }])),
        groups: new Map(groups.map((n) => [n, { name: 'Group', live: true }])),
        members: new Set(['101 1', '101 2', '101 3', '101 4', '101 102', '102 5', '103 104', '104 6']),
        kept: {},
        manual: [scene.manual],
      };
      await sync(store, run.lease, 'full', [liveUsers(run)], { now: liveUsers(run) });
      await fullGroups(run);
      for (const slot of slots) await run.give.put(slot, slot === 'banner' ? 1 : 2, ...items);
      for (const one of acts) {
        await run.give.tick();
        const mayChange = await step(run, one);
        const rows = await run.give.rows();
        if (!mayChange) expect(rows, `${one.what} touched an assignment`).toEqual(run.kept);
        run.kept = rows;
        await expectAssigned(store.database, scene.tenantId).catch((error: unknown) => {
          throw new Error(`after ${one.what}: ${error instanceof Error ? error.message : error}`, { cause: error });
        });
      }
      await run.give.tick();
      await expectSound(store.database, scene.tenantId);
      await run.give.close();
      // Thousands of histories share a database, and each step reads its whole feed.
      await disconnectTenant(store.database, scene.tenantId, { actor: 'Ann', dryRun: false });
      await purgeTenant(store.database, scene.tenantId);
      await ask(store, 'delete from entra_sync.batches where tenant_id = :tenantId', scene);
      for (const table of ['assigned', 'assigned_touched', 'assignments', 'slots', 'items'])
        expect(await ask(store, `select * from entra_sync.${table}`), table).toEqual([]);
    }),
    // In the deep run about ten thousand steps, each judged.
    { numRuns: runsOf(3, 600), ...drawn },
  );
}, 36_000_000);
