// Steps of random histories of assignments (rules 37 and 38): what people give and take, what time brings, and what rounds of the
// streams change, on a tenant of six users and four groups.
import fc from 'fast-check';
import { expect } from 'vitest';
import { acquireLease, type Lease } from '../../src/store/cycle/lease.ts';
import { disconnectTenant, reconnectTenant } from '../../src/store/tenants/disconnect.ts';
import type { Assigner } from './assigner.ts';
import { ask, sync, tombstone, user } from './stage.ts';
import { commitGroups, pullGroups, type Scene } from './writers.ts';

const people = [1, 2, 3, 4, 5, 6];
export const groups = [101, 102, 103, 104];
const titles = ['Clerk', 'Mate', 'Cook'];
const slots = ['banner', 'signature'];
const items = ['a', 'b', 'c'];

const given = ['assign', 'assign', 'assign', 'assign', 'change', 'unassign', 'move', 'winners', 'except'] as const;
const byHand = ['edit', 'create', 'remove', 'hour', 'tick'] as const;
const byRounds = [
  ...(['join', 'join', 'join', 'leave', 'nest', 'nest', 'nest', 'unnest'] as const),
  ...(['rename', 'delete group', 'restore group', 'leave out', 'leave out'] as const),
  ...(['delete', 'delete', 'restore', 'retitle', 'suspend'] as const),
  ...(['purge', 'resync', 'reconnect', 'full groups'] as const),
] as const;

const drawnAct = {
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
};
/** A step: by a person, by the time, or by a round of a stream. */
export const anyAct = fc.record({ what: fc.constantFrom(...given, ...byHand, ...byRounds), ...drawnAct });
/** Mostly without a round, which costs ten times as much as any other step. */
export const quickAct = fc.record({
  what: fc.oneof(
    { weight: 12, arbitrary: fc.constantFrom(...given, ...byHand) },
    { weight: 1, arbitrary: fc.constantFrom(...byRounds) },
  ),
  ...drawnAct,
});
export type Act = typeof anyAct extends fc.Arbitrary<infer Drawn> ? Drawn : never;

/** The tenant as Graph has it, and the history that runs on it. */
export type Run = {
  scene: Scene;
  lease: Lease;
  give: Assigner;
  users: Map<number, { title: string; enabled: boolean; live: boolean }>;
  groups: Map<number, { name: string; live: boolean; copied: boolean }>;
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
  return sync(run.scene.store, run.lease, 'incremental', [[shown]], { now: liveUsers(run) });
};
const pairs = (run: Run) => [...run.members].map((pair) => pair.split(' ').map(Number) as [number, number]);

async function groupsRound(run: Run, kind: 'full' | 'incremental', shown: number[], members: [number, number][]) {
  const name = run.groups.get(shown[0] ?? 0)?.name;
  const isCopied = (n: number) => run.groups.get(n)?.copied === true;
  await commitGroups(
    run.scene.store.database,
    run.lease,
    await pullGroups(run.scene.store, run.lease, kind, shown, members, name, isCopied),
  );
}

const liveGroups = (run: Run) => groups.filter((n) => run.groups.get(n)?.live);
const fullGroups = (run: Run) =>
  groupsRound(
    run,
    'full',
    liveGroups(run),
    pairs(run).filter(([holder]) => run.groups.get(holder)?.live),
  );

async function give(run: Run, drawn: Act, except: boolean): Promise<void> {
  const { target, slot, item, priority, hours } = drawn;
  const account = await accountOf(run, drawn.person);
  const group = await groupOf(run, drawn.group);
  const others = account === undefined ? [] : [...new Set([account, ...run.manual])];
  const chosen = {
    group: group === undefined ? undefined : { group },
    account: account === undefined ? undefined : { account },
    accounts: others.length === 0 ? undefined : { accounts: others },
    field: { field: 'jobTitle', in: [drawn.title.toUpperCase()] },
    everyone: { everyone: true },
  }[target];
  if (chosen === undefined) return;
  const [fromHours, toHours] = hours;
  const from = fromHours === null ? null : await run.give.time(`${fromHours} hours`);
  const to = toHours === null ? null : await run.give.time(`${toHours} hours`);
  const options = {
    priority,
    except,
    starts_at: drawn.nth % 3 === 0 ? from : null,
    ends_at: drawn.nth % 4 === 0 ? to : null,
  };
  const foreseen = await run.give.preview(slot, item, chosen, options);
  // What is due is applied first, or the preview and the step would tell of two times.
  const moved = await run.give.moved(() => run.give.assign(slot, item, chosen, options));
  if (options.starts_at === null) expect(moved, 'the preview').toEqual(foreseen);
}

const idOf = async (run: Run, sql: string, n: number): Promise<string | undefined> =>
  (
    await ask<{ id: string }>(run.scene.store, sql, { tenantId: run.scene.tenantId, end: String(n).padStart(12, '0') })
  )[0]?.id;
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
export async function step(run: Run, drawn: Act): Promise<boolean> {
  const { what, person, group, other, nth } = drawn;
  const one = run.users.get(person) ?? expect.unreachable();
  const team = run.groups.get(group) ?? expect.unreachable();
  const ids = Object.keys(run.kept);
  const chosen = ids[nth % Math.max(1, ids.length)];
  const change = async (sql: string, values: Record<string, unknown>) => {
    await ask(run.scene.store, sql, { tenant: run.scene.tenantId, ...values });
  };
  switch (what) {
    case 'assign':
    case 'except':
      await give(run, drawn, what === 'except');
      return true;
    case 'change':
      if (chosen !== undefined) await run.give.change(chosen, { priority: drawn.priority, except: nth % 5 === 0 });
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
      await run.give.put(drawn.slot, 1 + (nth % 3));
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
    case 'leave out':
      // By other settings with a full round, or by another name.
      team.copied = !team.copied;
      if (!team.live) return false;
      if (nth % 2 === 0) await fullGroups(run);
      else await groupsRound(run, 'incremental', [group], []);
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
      one.title = drawn.title;
      await usersRound(run, person);
      return false;
    case 'edit': {
      const account = nth % 4 === 0 ? run.manual[0] : await accountOf(run, person);
      if (account === undefined) return false;
      const patch = JSON.stringify({ jobTitle: nth % 5 === 0 ? null : drawn.title });
      // In a transaction of its own, or within one: a refusal ends it alone.
      await run.scene.store.database
        .transaction(async (transaction) => {
          const edit = `select directory.edit_account(:account, :patch::jsonb, 'Ann', 'user')`;
          await transaction.raw(edit, { account, patch });
        })
        .catch((error: unknown) => expect(error).toMatchObject({ code: 'ES001' }));
      return false;
    }
    case 'create': {
      const [made] = await ask<{ id: string }>(
        run.scene.store,
        `select directory.create_account(:tenant, :profile::jsonb, 'Ann') as id`,
        {
          tenant: run.scene.tenantId,
          profile: JSON.stringify({ jobTitle: drawn.title }),
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
          `update entra_sync.${table} set purge_at = now() - interval '1 day'
            where tenant_id = :tenant and removed_at is not null and removed_reason <> 'not_copied'`,
          {},
        );
      one.live = true;
      await usersRound(run, person);
      await fullGroups(run);
      return false;
    case 'resync':
      await sync(run.scene.store, run.lease, 'full', [liveUsers(run)], { now: liveUsers(run) });
      return false;
    case 'full groups':
      await fullGroups(run);
      return false;
    case 'reconnect': {
      const by = { actor: 'Ann', dryRun: false };
      await disconnectTenant(run.scene.store.database, run.scene.tenantId, by);
      await reconnectTenant(run.scene.store.database, run.scene.tenantId, 'Ann');
      run.lease = await acquireLease(run.scene.store.database, run.scene.tenantId);
      await sync(run.scene.store, run.lease, 'full', [liveUsers(run)], { now: liveUsers(run) });
      await fullGroups(run);
      return false;
    }
  }
}

/** Fills the scene: the users, the groups that are copied with their members, and the slots with their items. */
export async function begin(scene: Scene, give: Assigner, leftOut: readonly number[]): Promise<Run> {
  const run: Run = {
    scene,
    lease: scene.lease,
    give,
    users: new Map(people.map((n) => [n, { title: 'Clerk', enabled: true, live: true }])),
    groups: new Map(groups.map((n) => [n, { name: 'Group', live: true, copied: !leftOut.includes(n) }])),
    members: new Set(['101 1', '101 2', '101 3', '101 4', '101 102', '102 5', '103 104', '104 6']),
    kept: {},
    manual: [scene.manual],
  };
  await sync(scene.store, run.lease, 'full', [liveUsers(run)], { now: liveUsers(run) });
  await fullGroups(run);
  for (const slot of slots) await give.put(slot, slot === 'banner' ? 1 : 2, ...items);
  return run;
}
