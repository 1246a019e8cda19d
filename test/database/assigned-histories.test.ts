// Rules 37 and 38 after random histories: what is assigned equals the trial of every assignment on every account, the assignments are
// byte-equal where no person changed them, the feed gives the same, and a preview is what then happens.
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import type { Database } from '../../src/store/database/pool.ts';
import { disconnectTenant, purgeTenant } from '../../src/store/tenants/disconnect.ts';
import { anyAct, begin, groups, quickAct, type Run, step } from '../support/assigned-steps.ts';
import { changesWithin, expectAssigned } from '../support/assigned-truth.ts';
import { assigner } from '../support/assigner.ts';
import { runsOf } from '../support/deep.ts';
import { drawn } from '../support/histories.ts';
import { expectSound } from '../support/soundness.ts';
import { ask, openStore, type Store } from '../support/stage.ts';
import { openScene } from '../support/writers.ts';

let store: Store;

beforeAll(async () => {
  store = await openStore();
});

afterAll(() => store.close());

test('rules 37 and 38: after each step of a random history assigned is what the assignments say, and no cycle touched one', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(anyAct, { minLength: 8, maxLength: 24 }), fc.subarray(groups), async (acts, leftOut) => {
      const scene = await openScene(store);
      const run = await begin(scene, await assigner(store, scene), leftOut);
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
      for (const table of ['assigned', 'assigned_touched', 'unseen_moves', 'assignments', 'slots', 'items'])
        expect(await ask(store, `select * from entra_sync.${table}`), table).toEqual([]);
    }),
    { numRuns: runsOf(2, 100), ...drawn },
  );
}, 36_000_000);

// Each history is a transaction that is taken back, so that thousands of them cost minutes.
test('rules 37 and 38: after a short history assigned is what the assignments say', async () => {
  const scene = await openScene(store);
  const opened = await assigner(store, scene);
  const prepared = await begin(scene, opened, []);
  await opened.close();
  await fc.assert(
    fc.asyncProperty(fc.array(quickAct, { minLength: 2, maxLength: 6 }), async (acts) => {
      const undo = new Error('the history is over');
      await store.database
        .transaction(async (transaction) => {
          const within = { ...store, database: transaction as unknown as Database };
          const run: Run = {
            ...prepared,
            scene: { ...scene, store: within },
            give: await assigner(within, scene, transaction),
            users: new Map([...prepared.users].map(([n, one]) => [n, { ...one }])),
            groups: new Map([...prepared.groups].map(([n, one]) => [n, { ...one }])),
            members: new Set(prepared.members),
            manual: [...prepared.manual],
          };
          for (const one of acts) {
            await run.give.tick();
            const mayChange = await step(run, one);
            const rows = await run.give.rows();
            if (!mayChange) expect(rows, `${one.what} touched an assignment`).toEqual(run.kept);
            run.kept = rows;
          }
          await run.give.tick();
          await expectAssigned(within.database, scene.tenantId, await changesWithin(within.database, scene.tenantId));
          throw undo;
        })
        .catch((error: unknown) => {
          if (error !== undo) throw error;
        });
    }),
    { numRuns: runsOf(12, 10_000), ...drawn },
  );
}, 36_000_000);
