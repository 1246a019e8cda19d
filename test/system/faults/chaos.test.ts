// The Graph SDK's own ChaosHandler in the chain of the client, in front of the simulated tenant: rules 12, 15 and 16.
import { ChaosHandler, ChaosHandlerOptions, ChaosStrategy, type Context } from '@microsoft/microsoft-graph-client';
import { expect, test, vi } from 'vitest';
import { ExpectedError, exitCodes } from '../../../src/errors.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { rowsOf } from '../../support/deep.ts';
import { expectFeedRebuilds } from '../../support/feed-replay.ts';
import { expectGroups } from '../../support/groups-world.ts';
import { expectTruth, failureOf, fastPolicy, openWorld } from '../../support/system.ts';

const always = (status: number) =>
  new ChaosHandler(new ChaosHandlerOptions(ChaosStrategy.MANUAL, 'chaos', status, 100));

/**
 * Its draws come from Math.random, which the waits between two tries draw from too. A sequence that is its own makes its
 * answers the same every time.
 */
class SeededChaos extends ChaosHandler {
  #state: number;
  answered = 0;

  constructor(seed: number, percentage: number) {
    super(new ChaosHandlerOptions(ChaosStrategy.RANDOM, 'chaos', undefined, percentage));
    this.#state = seed;
  }

  override async execute(context: Context): Promise<void> {
    const random = vi.spyOn(Math, 'random').mockImplementation(() => {
      this.#state = (Math.imul(this.#state, 1_664_525) + 1_013_904_223) >>> 0;
      return this.#state / 2 ** 32;
    });
    const answer = super.execute(context);
    random.mockRestore();
    await answer;
    if (context.response?.statusText === 'chaos') this.answered += 1;
  }
}

test.each(rowsOf([1, 2, 3], (seed) => seed === 1))(
  'random chaos, seed %i: cycles resume where they stopped until they reach the truth',
  async (seed) => {
    const world = await openWorld({ seed, users: 14, groups: 5, simulator: { pageSize: 3 } });
    const { tenant, database } = world;
    const before = new SeededChaos(seed, 25);
    let committed = 0;
    for (let cycle = 0; committed < 6; cycle += 1) {
      expect(cycle, 'cycles until six were committed').toBeLessThan(80);
      if (committed % 2 === 1) tenant.run('random 4');
      // Its 429 asks for three seconds, which exceeds this budget: the cycle ends, and the next one resumes.
      const error = await world
        .cycle({
          before,
          policy: { ...fastPolicy, retries: 4, budgetMs: 1_000 },
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
    expect(before.answered, 'answers of chaos').toBeGreaterThan(2);
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
    const error = await failureOf(world.cycle({ before: always(status), policy: { ...fastPolicy, budgetMs: 1_000 } }));
    expect(error.code).toBe(code);
    expect(await changes()).toEqual(before);
    await world.cycle();
    await expectTruth(world.tenant, world.database, []);
  },
);
