// The Graph SDK's own ChaosHandler in the chain of the client, in front of the simulated tenant: rules 12, 15 and 16.
import { ChaosHandler, ChaosHandlerOptions, ChaosStrategy } from '@microsoft/microsoft-graph-client';
import { afterEach, expect, test, vi } from 'vitest';
import { ExpectedError, exitCodes } from '../../../src/errors.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { rowsOf } from '../../support/deep.ts';
import { expectFeedRebuilds } from '../../support/feed-replay.ts';
import { expectGroups } from '../../support/groups-world.ts';
import { expectTruth, failureOf, fastPolicy, openWorld } from '../../support/system.ts';

afterEach(() => vi.restoreAllMocks());

const chaos = (strategy: ChaosStrategy, percentage: number, status?: number) =>
  new ChaosHandler(new ChaosHandlerOptions(strategy, 'chaos', status, percentage));

/** ChaosHandler draws from Math.random; a seed makes its draws the same every time. */
function seedRandom(seed: number): void {
  let state = seed;
  vi.spyOn(Math, 'random').mockImplementation(() => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  });
}

test.each(rowsOf([1, 2, 3], (seed) => seed === 1))(
  'random chaos, seed %i: cycles resume where they stopped until they reach the truth',
  async (seed) => {
    const world = await openWorld({ seed, users: 14, groups: 5, simulator: { pageSize: 3 } });
    const { tenant, database } = world;
    let committed = 0;
    let struck = 0;
    seedRandom(seed);
    for (let cycle = 0; committed < 6; cycle += 1) {
      expect(cycle, 'cycles until six were committed').toBeLessThan(80);
      if (committed % 2 === 1) tenant.run('random 4');
      // Its 429 asks for three seconds, which exceeds this budget: the cycle ends, and the next one resumes.
      const error = await world
        .cycle({
          before: chaos(ChaosStrategy.RANDOM, 25),
          policy: { ...fastPolicy, retries: 4, budgetMs: 1_000 },
          onWait: () => {
            struck += 1;
          },
          resync: committed === 3,
        })
        .then(
          () => undefined,
          (thrown: unknown) => thrown,
        );
      if (error === undefined) committed += 1;
      else {
        expect(error).toBeInstanceOf(ExpectedError);
        expect(exitCodes[(error as ExpectedError).code]).toBe(5);
      }
    }
    vi.restoreAllMocks();
    expect(struck, 'waits that chaos made').toBeGreaterThan(2);
    await world.cycle();
    await expectTruth(tenant, database);
    await expectGroups(world);
    await expectFeedRebuilds(database, tenant.tenantId, null);
  },
);

const answers: [number, string][] = [
  [429, 'graph_throttled'],
  [500, 'graph_unavailable'],
  [502, 'graph_unavailable'],
  [503, 'graph_unavailable'],
  [504, 'graph_unavailable'],
  [401, 'sign_in_failed'],
  [403, 'permission_missing'],
  [404, 'graph_answer_invalid'],
  [409, 'graph_answer_invalid'],
  [410, 'graph_answer_invalid'],
  [507, 'graph_answer_invalid'],
];

test.each(rowsOf(answers, (_, n) => n % 4 === 0))(
  'manual chaos: nothing but %i is %s, nothing changes, and the next cycle heals',
  async (status, code) => {
    const world = await openWorld({ users: 4, groups: 2 });
    await world.cycle();
    world.tenant.run('title 2');
    const changes = () => rows(world.database, 'select count(*)::int from entra_sync.changes');
    const before = await changes();
    const error = await failureOf(
      world.cycle({ before: chaos(ChaosStrategy.MANUAL, 100, status), policy: { ...fastPolicy, budgetMs: 1_000 } }),
    );
    expect(error.code).toBe(code);
    expect(await changes()).toEqual(before);
    await world.cycle();
    await expectTruth(world.tenant, world.database, []);
  },
);
