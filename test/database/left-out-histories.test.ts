// Rules 9, 30 and 43 after each step of random histories: the nesting and the kept effective memberships are what a walk finds that
// passes through groups which are not copied.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { disconnectTenant, purgeTenant } from '../../src/store/tenants/disconnect.ts';
import { runsOf } from '../support/deep.ts';
import { drawn } from '../support/histories.ts';
import { expectNesting, expectSound } from '../support/soundness.ts';
import { ask, openStore, type Store, sync, tombstone, user } from '../support/stage.ts';
import { commitGroups, openScene, pullGroups } from '../support/writers.ts';

let store: Store;

beforeAll(async () => {
  store = await openStore();
});

afterAll(() => store.close());

const people = [1, 2, 3];
const groups = [101, 102, 103, 104, 105];

const act = fc.record({
  what: fc.constantFrom(
    ...([
      'toggle',
      'toggle',
      'toggle',
      'die',
      'die',
      'revive',
      'nest',
      'nest',
      'unnest',
      'join',
      'leave',
      'full',
      'user',
    ] as const),
  ),
  group: fc.constantFrom(...groups),
  member: fc.constantFrom(...groups),
  person: fc.constantFrom(...people),
  /** Whether the round names the members of a group that it shows. */
  members: fc.boolean(),
});

type Act = typeof act extends fc.Arbitrary<infer One> ? One : never;
const step = (what: Act['what'], group: number): Act => ({ what, group, member: 101, person: 1, members: false });
const cameBack = [step('die', 101), step('toggle', 105), step('revive', 101)];

test('rules 9, 30, 43: after any step nesting and effective memberships run through the groups that are not copied', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(act, { minLength: 6, maxLength: 20 }),
      fc.subarray(groups),
      fc.uniqueArray(fc.tuple(fc.constantFrom(...groups), fc.constantFrom(...groups, ...people)), {
        minLength: 5,
        maxLength: 14,
      }),
      async (acts, leftOut, pairs) => {
        const { tenantId, lease } = await openScene(store);
        const live = new Set(groups);
        const copied = new Set(groups.filter((n) => !leftOut.includes(n)));
        const there = new Set(people);
        const members = new Map(pairs.filter(([one, other]) => one !== other).map((pair) => [pair.join(' '), pair]));
        const users = () => people.filter((n) => there.has(n)).map((n) => user(n, { accountEnabled: true }));
        const round = async (kind: 'full' | 'incremental', shown: number[], named: [number, number][]) => {
          const staged = await pullGroups(store, lease, kind, shown, named, 'Group', (n) => copied.has(n));
          await commitGroups(store.database, lease, staged);
        };
        const of = (shown: number[]) => [...members.values()].filter(([holder]) => shown.includes(holder));
        const full = () => round('full', [...live], of([...live]));
        await sync(store, lease, 'full', [users()], { now: users() });
        await full();
        for (const { what, group, member, person, ...how } of acts) {
          if (what === 'full') await full();
          else if (what === 'toggle') {
            if (!copied.delete(group)) copied.add(group);
            if (live.has(group)) await round('incremental', [group], how.members ? of([group]) : []);
          } else if (what === 'die') {
            if (live.delete(group)) await full();
          } else if (what === 'revive') {
            if (live.has(group)) continue;
            live.add(group);
            await round('incremental', [group], how.members ? of([group]) : []);
          } else if (what === 'user') {
            if (!there.delete(person)) there.add(person);
            const shown = there.has(person) ? user(person, { accountEnabled: true }) : tombstone(person);
            await sync(store, lease, 'incremental', [[shown]], { now: users() });
          } else {
            const other = what === 'nest' || what === 'unnest' ? member : person;
            if (!live.has(group) || other === group) continue;
            const isNew = what === 'nest' || what === 'join';
            if (isNew) members.set(`${group} ${other}`, [group, other]);
            else members.delete(`${group} ${other}`);
            await round('incremental', [group], [[group, isNew ? other : -other]]);
          }
          await expectNesting(store.database, tenantId).catch((error: unknown) => {
            throw new Error(`after ${what} of ${group}: ${error instanceof Error ? error.message : error}`, {
              cause: error,
            });
          });
        }
        await expectSound(store.database, tenantId);
        await disconnectTenant(store.database, tenantId, { actor: 'Ann', dryRun: false });
        await purgeTenant(store.database, tenantId);
        await ask(store, 'delete from entra_sync.batches where tenant_id = :tenantId', { tenantId });
        expect(await ask(store, 'select * from entra_sync.unseen_moves')).toEqual([]);
      },
    ),
    // A group comes back after one of its groups was left out.
    { numRuns: runsOf(2, 200), ...drawn, examples: [[cameBack, [], [[101, 105]]]] },
  );
}, 36_000_000);
