// The main promise: whatever happens to a tenant, to Graph and to the worker, in the end the accounts match the tenant's
// users, no account has changed its identity, and the feed rebuilds the same state.
import { randomUUID } from 'node:crypto';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ExpectedError } from '../../../src/errors.ts';
import { loadDefaults, type SettingsDocument } from '../../../src/settings/settings.ts';
import { createTenant, type Simulator, startSimulator, type Tenant, type User } from '../../../src/simulator/index.ts';
import { type Database, openDatabase, rows } from '../../../src/store/database/pool.ts';
import { feedPosition } from '../../../src/store/feed/changes.ts';
import { addTenant } from '../../../src/store/tenants/tenants.ts';
import { type Copy, expectAsOf, takeCopy } from '../../support/copies.ts';
import { runsOf } from '../../support/deep.ts';
import { expectFeedRebuilds } from '../../support/feed-replay.ts';
import { drawn } from '../../support/histories.ts';
import {
  applyEdit,
  type CycleStep,
  history,
  type Step,
  setStage,
  type Weather,
  weather,
} from '../../support/history.ts';
import { expectManagersSound } from '../../support/managers-sound.ts';
import { expectLines, linesOf, managerName, managersDropped, managersKept } from '../../support/managers-truth.ts';
import { type FreshDatabase, freshDatabase } from '../../support/postgres.ts';
import { isTaken, widest, writtenScope } from '../../support/scope.ts';
import { setSettings } from '../../support/settings.ts';
import {
  accountsOf,
  approveAll,
  committedState,
  cycleOf,
  expectTruth,
  factsOf,
  personOf,
  takeEverybody,
} from '../../support/system.ts';

const runs = runsOf(2, 60);
const limitMs = Math.max(110_000, runs * 4_000);

let main: { fresh: FreshDatabase; pool: Database; url: string };
let other: { fresh: FreshDatabase; pool: Database; url: string };

const openOne = async () => {
  const fresh = await freshDatabase();
  return { fresh, pool: openDatabase(fresh.url), url: fresh.url };
};

beforeAll(async () => {
  [main, other] = [await openOne(), await openOne()];
});

afterAll(async () => {
  for (const one of [main, other]) {
    await one.pool.destroy();
    await one.fresh.drop();
  }
});

test(
  'rules 26, 40, 41: after any history and one quiet cycle the accounts are the truth, with their identity, and the feed rebuilds them as they are and as they were',
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.record({
          users: fc.integer({ min: 0, max: 14 }),
          deleted: fc.nat({ max: 3 }),
          firstLoad: fc.constantFrom('quick' as const, 'delta' as const),
          steps: history,
          calm: weather,
          managers: fc.boolean(),
        }),
        async ({ users, deleted, managers, ...drawn }) => {
          const tenant = createTenant({ seed: users, users, deletedUsers: deleted, tenantId: randomUUID() });
          const simulator = await startSimulator({ tenants: [tenant] });
          try {
            await live(simulator, tenant, drawn, managers ? managersKept : managersDropped);
          } finally {
            await simulator.close();
          }
        },
      ),
      // A failure prints the seed: SEED=… RUNS=… runs it again.
      { numRuns: runs, interruptAfterTimeLimit: limitMs, ...drawn },
    );
  },
  limitMs + 20_000,
);

async function live(
  simulator: Simulator,
  tenant: Tenant,
  { firstLoad, steps, calm }: { firstLoad: 'quick' | 'delta'; steps: readonly Step[]; calm: Weather },
  kept: SettingsDocument,
): Promise<void> {
  const { tenantId } = tenant;
  let scope = widest;
  await takeEverybody(main.pool, firstLoad);
  await setSettings(main.pool, { scope: writtenScope(scope), ...kept });
  await addTenant(main.pool, { tenantId, name: tenantId, ref: null }, loadDefaults());
  const position = await feedPosition(main.pool);
  const known = new Map<string, string>();
  const aged = new Set<string>();
  const copies: Copy[] = [];
  for (const step of steps) {
    if (step.step === 'edits') for (const edit of step.edits) applyEdit(tenant, edit);
    else if (step.step === 'expire') tenant.expireTokens(step.how);
    else if (step.step === 'scope') {
      scope = step.scope;
      await setSettings(main.pool, { scope: writtenScope(scope) });
    } else if (step.step === 'revoke') simulator.revokeTokens();
    else if (step.step === 'person') await readSomebody(simulator, tenant, step.who);
    else if (step.step === 'age') for (const id of await outliveRetention(tenantId)) aged.add(id);
    else if (await runStep(simulator, tenant, step)) await followIdentities(tenantId, known, aged);
    // A failed cycle may have shown users by its listing.
    else for (const [id, account] of await identities(tenantId)) known.set(id, known.get(id) ?? account);
    copies.push(...[await takeCopy(main.pool, tenantId)].flatMap((copy) => copy ?? []));
  }
  // The first resumes an interrupted round; the second reaches the truth.
  Object.assign(simulator.options, calm);
  for (let quiet = 0; quiet < 2; quiet += 1) {
    await cycleOf(simulator, tenantId, main.pool);
    await followIdentities(tenantId, known, aged);
  }
  await approveAll(main.pool, tenantId, () => cycleOf(simulator, tenantId, main.pool));
  const taken = (user: User) => isTaken(user, scope);
  await expectTruth(tenant, main.pool, known.keys(), taken, kept.managers ? managerName(tenant, taken) : undefined);
  if (kept.managers) await expectLines(tenant, main.pool, taken);
  await expectManagersSound(main.pool, tenantId);
  await expectNothingLeftOpen(tenantId);
  await expectFeedRebuilds(main.pool, tenantId, position);
  await expectAsOf(main.pool, tenantId, copies);
  await expectFreshLoadAgrees(simulator, tenantId, { ...kept, scope: writtenScope(scope) });
  const again = await cycleOf(simulator, tenantId, main.pool, { resync: true });
  const { created, updated, suspended, resumed, removed, restored, set_aside } = again.streams.users;
  expect({ created, updated, suspended, resumed, removed, restored, set_aside }, 'a full round finds no drift').toEqual(
    {
      ...{ created: 0, updated: 0, suspended: 0, resumed: 0, removed: 0, restored: 0, set_aside: 0 },
    },
  );
}

/** Reads one user on demand, which moves no checkpoint and removes no account. */
async function readSomebody(simulator: Simulator, tenant: Tenant, who: number): Promise<void> {
  const everybody = [...tenant.users(), ...tenant.deletedUsers()];
  const person = everybody[who % Math.max(1, everybody.length)];
  if (!person) return;
  const before = await liveAndCheckpoints(tenant.tenantId);
  await personOf({ simulator, tenant, database: main.pool }, person.id).catch((error: unknown) => {
    if (!(error instanceof ExpectedError && error.code === 'unknown_name')) throw error;
  });
  const after = await liveAndCheckpoints(tenant.tenantId);
  expect(after.checkpoints).toEqual(before.checkpoints);
  expect(after.live).toEqual(expect.arrayContaining(before.live));
}

async function liveAndCheckpoints(tenantId: string) {
  return {
    live: Object.keys(await accountsOf(main.pool, tenantId)),
    checkpoints: await rows(main.pool, 'select * from entra_sync.checkpoints where tenant_id = :tenantId order by 2', {
      tenantId,
    }),
  };
}

/** Runs one cycle of a history and returns whether it was committed. A failed cycle changes nothing. */
async function runStep(simulator: Simulator, tenant: Tenant, step: CycleStep): Promise<boolean> {
  const { tenantId } = tenant;
  const before = await committedState(main.pool, tenantId);
  const shownBefore = await listingsShown(tenantId);
  const stage = setStage(simulator, tenant, step, main);
  const failure = await cycleOf(simulator, tenantId, main.pool, { ...step, ...stage })
    .then(
      () => undefined,
      (error: unknown) => ({ error }),
    )
    .finally(() => stage.end());
  if (failure) {
    // Only links that die twice in one cycle, or faults of this test, may fail a cycle.
    const diedTwice = failure.error instanceof ExpectedError && failure.error.code === 'graph_answer_invalid';
    if (!stage.reached() && !(diedTwice && step.moments.some((moment) => moment.expire))) throw failure.error;
    if (stage.reached() && step.fault?.how === 'kill') await buryTheDead(simulator, tenantId);
  } else expect(stage.reached(), 'a cycle that was stopped does not call itself done').toBe(false);
  if (failure || step.dryRun) {
    const after = await committedState(main.pool, tenantId);
    const shown = (await listingsShown(tenantId)) > shownBefore;
    expect(shown ? progressOf(after) : after, 'nothing moved').toEqual(shown ? progressOf(before) : before);
    return false;
  }
  return true;
}

/** The part of a state that only a round moves, not a quick first load. */
function progressOf(state: string): unknown {
  const { checkpoints, success } = JSON.parse(state);
  return { checkpoints, success };
}

async function listingsShown(tenantId: string): Promise<number> {
  const [shown] = await rows<{ count: number }>(
    main.pool,
    `select count(*)::int as count from entra_sync.changes c join entra_sync.cycles y using (cycle_id)
      where c.tenant_id = :tenantId and y.kind = 'first_load'`,
    { tenantId },
  );
  return shown?.count ?? 0;
}

/** A dead process holds its lease until it expires; the next one is refused until then. */
async function buryTheDead(simulator: Simulator, tenantId: string): Promise<void> {
  await expect(cycleOf(simulator, tenantId, main.pool)).rejects.toMatchObject({ code: 'cycle_running' });
  await main.pool.raw('update entra_sync.heartbeats set expires_at = clock_timestamp() where tenant_id = ?', [
    tenantId,
  ]);
}

async function outliveRetention(tenantId: string): Promise<string[]> {
  const past = await rows<{ id: string }>(
    main.pool,
    `update entra_sync.accounts set purge_at = clock_timestamp() - interval '1 second'
      where tenant_id = :tenantId and removed_at is not null returning entra_object_id as id`,
    { tenantId },
  );
  return past.map((row) => row.id);
}

/** Each object keeps its account as long as there is a row; only accounts past the retention may disappear. */
async function followIdentities(tenantId: string, known: Map<string, string>, aged: Set<string>): Promise<void> {
  const now = await identities(tenantId);
  for (const [id, account] of known) {
    if (now.get(id) === account) continue;
    expect(aged.has(id), `the account of ${id} was ${account} and is ${now.get(id)}`).toBe(true);
    known.delete(id);
  }
  for (const [id, account] of now) known.set(id, account);
  // Check once: an account that still exists was restored, or removed again with a new retention.
  aged.clear();
}

async function identities(tenantId: string): Promise<Map<string, string>> {
  const found = await rows<{ id: string; account: string }>(
    main.pool,
    'select entra_object_id as id, account_id as account from entra_sync.accounts where tenant_id = :tenantId',
    { tenantId },
  );
  return new Map(found.map(({ id, account }) => [id, account]));
}

async function expectNothingLeftOpen(tenantId: string): Promise<void> {
  const [open] = await rows(
    main.pool,
    `select (select count(*)::int from entra_sync.rounds where tenant_id = :tenantId) as rounds,
            (select count(*)::int from entra_sync.stage_users s left join entra_sync.rounds r using (round_id) where r is null) as orphans,
            (select count(*)::int from entra_sync.set_aside where tenant_id = :tenantId) as set_aside,
            (select count(*)::int from entra_sync.cycles where tenant_id = :tenantId and outcome = 'running') as running,
            (select count(*)::int from entra_sync.heartbeats where tenant_id = :tenantId) as leases`,
    { tenantId },
  );
  expect(open).toEqual({ rounds: 0, orphans: 0, set_aside: 0, running: 0, leases: 0 });
}

async function expectFreshLoadAgrees(
  simulator: Simulator,
  tenantId: string,
  settings: Parameters<typeof setSettings>[1],
): Promise<void> {
  await takeEverybody(other.pool);
  await setSettings(other.pool, settings);
  await addTenant(other.pool, { tenantId, name: tenantId, ref: null }, loadDefaults());
  await cycleOf(simulator, tenantId, other.pool);
  expect(factsOf(await accountsOf(other.pool, tenantId))).toEqual(factsOf(await accountsOf(main.pool, tenantId)));
  expect(await linesOf(other.pool, tenantId)).toEqual(await linesOf(main.pool, tenantId));
}
