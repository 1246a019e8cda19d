// Any history with `removals undo`, `restore` and `person erase` in it ends, after a fresh full cycle, in the rows of a fresh
// load, but for the accounts and groups that were shown again and that Graph does not show, which are manual (rule 33), and for
// the erased (rule 34).
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ExpectedError } from '../../../src/errors.ts';
import { removeAccount, restoreAccount } from '../../../src/store/accounts/accounts.ts';
import { erasePerson } from '../../../src/store/commit/erase-person.ts';
import { undoRemovals } from '../../../src/store/commit/undo-removals.ts';
import { rows } from '../../../src/store/database/pool.ts';
import { inReportedTransaction } from '../../../src/store/feed/receipts.ts';
import { type Copy, expectAsOf, takeCopy } from '../../support/copies.ts';
import { isDeep, runsOf } from '../../support/deep.ts';
import { type Edit, edit, makeEdit, pick, restorableOf } from '../../support/group-edits.ts';
import { groupsSeen, groupTruth } from '../../support/groups-truth.ts';
import { drawn } from '../../support/histories.ts';
import { expectSound } from '../../support/soundness.ts';
import { approveAll, openWorld, personOf, type World } from '../../support/system.ts';

type Step =
  | { step: 'edits'; edits: readonly Edit[] }
  | { step: 'cycle'; resync: boolean }
  | { step: 'undo' | 'undo dry' | 'remove' | 'restore' | 'approve' | 'erase'; which: number };

const step: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 3,
    arbitrary: fc.record({
      step: fc.constant('edits' as const),
      edits: fc.array(edit, { minLength: 3, maxLength: 8 }),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ step: fc.constant('cycle' as const), resync: fc.constantFrom(false, false, true) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      step: fc.constantFrom('undo', 'undo', 'undo dry', 'remove', 'restore', 'approve', 'erase'),
      which: fc.nat(40),
    }),
  },
);

const refused = async (work: Promise<unknown>) => {
  try {
    await work;
  } catch (error) {
    if (!(error instanceof ExpectedError)) throw error;
  }
};

async function act(world: World, one: Exclude<Step, { edits: unknown } | { step: 'cycle' }>): Promise<void> {
  const { database, tenant } = world;
  const { tenantId } = tenant;
  const ids = (sql: string) => rows<{ id: string }>(database, sql, { tenantId });
  if (one.step === 'erase') return eraseSomeone(world, one.which);
  if (one.step === 'approve') return approveAll(database, tenantId, () => world.cycle());
  if (one.step === 'undo' || one.step === 'undo dry') {
    const done = await ids(
      `select distinct coalesce('c' || c.cycle_id, 'l' || d.list_id) as id
         from entra_sync.changes c
         left join lateral (select d.after ->> 'list_id' as list_id from entra_sync.changes d
                             where d.batch_id = c.batch_id and d.kind = 'removal.approved' limit 1) d on true
        where c.tenant_id = :tenantId and c.kind in ('account.removed', 'group.removed')
          and (c.cycle_id is not null or d.list_id is not null) order by 1`,
    );
    const id = pick(done, one.which)?.id;
    if (id === undefined) return;
    const of = id.startsWith('c') ? { cycle: id.slice(1) } : { list: id.slice(1) };
    await undoRemovals(database, { tenantId, of, actor: 'test', dryRun: one.step === 'undo dry' });
    return;
  }
  const live = one.step === 'remove';
  const found = await ids(
    `select account_id as id from entra_sync.accounts
      where tenant_id = :tenantId and (removed_at is null) = ${live} and state = 'manual' order by entra_object_id`,
  );
  const id = pick(found, one.which)?.id;
  if (id === undefined) return;
  await refused(
    inReportedTransaction<unknown>(database, (transaction) =>
      live ? removeAccount(transaction, id, { actor: 'test', role: 'user' }) : restoreAccount(transaction, id, 'test'),
    ),
  );
}

const erased = new WeakMap<World, Set<string>>();

async function eraseSomeone(world: World, which: number): Promise<void> {
  const { tenantId } = world.tenant;
  const found = await rows<{ id: string; object: string }>(
    world.database,
    `select account_id as id, entra_object_id as object from entra_sync.accounts
      where tenant_id = :tenantId order by entra_object_id`,
    { tenantId },
  );
  const one = pick(found, which);
  // Not everyone: a tenant without accounts shows little.
  if (!one || found.length < 4) return;
  await erasePerson(world.database, { tenantId, accountId: one.id, actor: 'test' });
  erased.set(world, new Set([...(erased.get(world) ?? []), one.object]));
}

const runs = runsOf(1, 40);
const limitMs = Math.max(110_000, runs * 6_000);

test(
  `rules 33, 34: any history with undone removals and erased people ends like a fresh load, but for them (${runs} histories)`,
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.integer({ min: 1, max: 1000 }),
        fc.array(step, { minLength: 6, maxLength: 18 }),
        async (seed, steps) => {
          const cleanups: (() => unknown)[] = [];
          const world = await openWorld({
            seed,
            users: 8,
            groups: 5,
            largestGroup: 5,
            securityGroupsRestorable: restorableOf(seed),
            simulator: { roles: ['User.Read.All', 'Group.Read.All'] },
            onEnd: ((work: () => unknown) => cleanups.push(work)) as never,
          });
          try {
            const { tenant, database } = world;
            const { tenantId } = tenant;
            const copies: Copy[] = [];
            await world.cycle();
            for (const one of steps) {
              if (one.step === 'edits') for (const each of one.edits) makeEdit(tenant, each);
              else if (one.step === 'cycle') await world.cycle({ resync: one.resync });
              else await act(world, one);
              await expectSound(database, tenantId);
              copies.push(...[await takeCopy(database, tenantId)].flatMap((copy) => copy ?? []));
            }
            await world.cycle({ resync: true });
            await world.cycle();
            await approveAll(database, tenantId, () => world.cycle());
            await expectSound(database, tenantId);
            await expectAsOf(database, tenantId, copies);
            await expectFresh(world);
          } finally {
            for (const work of cleanups) await work();
          }
        },
      ),
      { ...drawn, numRuns: runs, interruptAfterTimeLimit: limitMs - 20_000, endOnFailure: process.env.SHRINK !== '1' },
    );
  },
  limitMs,
);

/** Expects the managed rows to be those of a fresh load, and each manual one to be of an object that Graph does not show. */
async function expectFresh(world: World): Promise<void> {
  const { tenant, database } = world;
  const gone = erased.get(world);
  const found = await rows<{ id: string; state: string }>(
    database,
    `select entra_object_id as id, state from directory.accounts where tenant_id = :tenantId
     union all select entra_object_id, state from directory.groups where tenant_id = :tenantId`,
    { tenantId: tenant.tenantId },
  );
  // Agents are outside the scope.
  const people = tenant.users().filter(({ properties }) => !properties.identityParentId);
  const shown = [...people, ...tenant.groups()].flatMap(({ id }) => (gone?.has(id) ? [] : id)).sort();
  const of = (state: string) => found.flatMap((one) => (one.state === state ? one.id : [])).sort();
  expect(of('managed')).toEqual(shown);
  expect(of('manual').filter((id) => shown.includes(id))).toEqual([]);
  const known = new Set(shown);
  const ofKnown = (pairs: readonly string[]) =>
    pairs.filter((pair) => pair.split(' ').every((word) => known.has(word)));
  const seen = await groupsSeen(database, tenant.tenantId);
  expect(ofKnown(seen.direct)).toEqual(ofKnown(groupTruth(tenant).direct));
}

const deadlocks = ({ database }: World) =>
  rows(database, 'select deadlocks from pg_stat_database where datname = current_database()');

test.runIf(isDeep)(
  'rule 11: two undoings, two erasures, reads on demand and three cycles at once end sound, without a deadlock',
  async () => {
    const world = await openWorld({
      users: 20,
      groups: 6,
      largestGroup: 8,
      simulator: { roles: ['User.Read.All', 'Group.Read.All'] },
    });
    const { tenant, database } = world;
    const { tenantId } = tenant;
    await world.cycle();
    const leavers = tenant.users().slice(0, 6);
    for (const { id } of leavers) tenant.deleteUser(id);
    tenant.deleteGroup(tenant.groups()[0]?.id ?? '');
    await world.cycle();
    const [removal] = await rows<{ cycle: string }>(
      database,
      "select max(cycle_id)::text as cycle from entra_sync.changes where kind = 'account.removed'",
    );
    const accounts = await rows<{ id: string }>(
      database,
      'select account_id as id from entra_sync.accounts where tenant_id = :tenantId order by removed_at nulls last, account_id',
      { tenantId },
    );
    for (const { id } of leavers.slice(3)) tenant.restoreUser(id);
    const erase = (id = '') => erasePerson(database, { tenantId, accountId: id, actor: 'test' });
    const undo = () =>
      undoRemovals(database, { tenantId, of: { cycle: removal?.cycle ?? '' }, actor: 'test', dryRun: false });
    const stayed = tenant.users().slice(-3);
    const before = await deadlocks(world);
    await Promise.all(
      [
        () => undo(),
        () => world.cycle(),
        () => world.cycle({ resync: true }),
        () => erase(accounts[0]?.id),
        () => world.cycle(),
        () => undo(),
        () => erase(accounts.at(-1)?.id),
        ...stayed.map(
          ({ id }) =>
            () =>
              personOf(world, id),
        ),
      ].map((work) => refused(work())),
    );
    await expectSound(database, tenantId);
    await world.cycle({ resync: true });
    await expectSound(database, tenantId);
    expect(await deadlocks(world)).toEqual(before);
  },
);
