// The answer to COMMIT is lost: a writer finds out the outcome before it reports one (rules 1 and 12).
import { randomUUID } from 'node:crypto';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { closeCycle, openCycle } from '../../src/store/cycle/cycles.ts';
import { makeDue, setPaused } from '../../src/store/cycle/next-cycle.ts';
import { type Database, openDatabase } from '../../src/store/database/pool.ts';
import { inReportedTransaction } from '../../src/store/feed/receipts.ts';
import { grantRole } from '../../src/store/schema/grants.ts';
import { disconnectTenant, purgeTenant, reconnectTenant } from '../../src/store/tenants/disconnect.ts';
import { createInvitation, withdrawInvitations } from '../../src/store/tenants/invitations.ts';
import { addTenant, renameTenant } from '../../src/store/tenants/tenants.ts';
import { type BreakablePath, openBreakablePath } from '../support/cut-connection.ts';
import { rowsOf } from '../support/deep.ts';
import { moreWriters } from '../support/more-writers.ts';
import { expectSound } from '../support/soundness.ts';
import { ask, fingerprintOf, holdCommits, openStore, type Store, until } from '../support/stage.ts';
import { type Act, openScene, type Scene, writers } from '../support/writers.ts';

let store: Store;
let path: BreakablePath;
/** The store over the breakable connection. */
let fragile: Database;

beforeAll(async () => {
  store = await openStore();
  path = await openBreakablePath(store.url);
});

afterAll(async () => {
  await path.close();
  await store.close();
});

beforeEach(() => {
  fragile = openDatabase(path.url, { applicationName: 'fragile' });
});

afterEach(async () => {
  path.mend();
  await fragile.destroy();
});

type Reporter = { name: string; prepare(scene: Scene): Promise<Act> };

const others: readonly Reporter[] = [
  {
    name: 'close of a cycle',
    async prepare({ store: { database }, lease }) {
      const cycle = await openCycle(database, lease, { kind: 'incremental', actor: 'test', settingsVersion: 1 });
      const planned = { intervalMs: 60_000, sinceStartMs: 0, chance: 0.5 };
      const end = { outcome: 'committed', streams: {}, error: null, ...planned } as const;
      const retention = { changesMs: 86_400_000, cyclesMs: 86_400_000 };
      return (database) => closeCycle(database, lease, cycle, { ...end, retention });
    },
  },
  {
    name: 'reconnect',
    async prepare({ store: { database }, tenantId }) {
      await disconnectTenant(database, tenantId, { actor: 'Ann', dryRun: false });
      return (database) => reconnectTenant(database, tenantId, 'Ann');
    },
  },
  {
    name: 'erasure of a tenant',
    async prepare({ store: { database }, tenantId }) {
      await disconnectTenant(database, tenantId, { actor: 'Ann', dryRun: false });
      return (database) => purgeTenant(database, tenantId);
    },
  },
  {
    name: 'registration of a tenant',
    prepare: async () => (database) =>
      addTenant(database, { tenantId: randomUUID(), name: randomUUID(), ref: null }, loadDefaults()),
  },
  {
    name: 'new name of a tenant',
    prepare:
      async ({ tenantId }) =>
      (database) =>
        renameTenant(database, { tenantId, name: randomUUID(), ref: null }),
  },
  {
    name: 'pause of a tenant',
    prepare:
      async ({ tenantId }) =>
      (database) =>
        setPaused(database, [tenantId], true),
  },
  {
    name: 'retry of a tenant',
    prepare:
      async ({ tenantId }) =>
      (database) =>
        makeDue(database, [tenantId]),
  },
  {
    name: 'invitation',
    prepare: async () => (database) =>
      createInvitation(database, { ref: 'C-17', name: null, tenantId: null, expiresInMs: 60_000, actor: 'Ann' }),
  },
  {
    name: 'withdrawal of an invitation',
    async prepare({ store: { database } }) {
      const ref = randomUUID();
      await createInvitation(database, { ref, name: null, tenantId: null, expiresInMs: 60_000, actor: 'Ann' });
      return (through) => withdrawInvitations(through, ref);
    },
  },
  {
    name: 'grant',
    async prepare() {
      const role = `reader_${randomUUID().slice(0, 8)}`;
      await ask(store, `create role ${role}`);
      return (database) => grantRole(database, { role, tenantBound: true, actor: 'Ann' });
    },
  },
];
const reporters: readonly Reporter[] = [...writers, ...moreWriters, ...others];

/** An answer without the ids that differ between scenes. */
const said = (answer: unknown) =>
  (JSON.stringify(answer) ?? '')
    .replace(/[0-9a-f-]{36}|\d{4}-\d\d-\d\dT[\d:.]+Z/g, '*')
    .replace(/("cycleId":|"batch":|"version":|"list_id":)"?\d+"?/g, '$1*');

const lost = { code: 'database_unreachable', cure: 'run the command again' };
const nothing = expect.stringContaining('nothing was changed');

describe(`rule 12: the reports of ${reporters.length} writers after the answer to COMMIT is lost`, () => {
  const judged = rowsOf(reporters, (_, n) => n % 6 === 0);

  test.each(judged)('$name: the commit happened, never came, or was never sent', async ({ prepare }) => {
    const told = said(await (await prepare(await openScene(store)))(store.database));
    const scene = await openScene(store);
    const act = await prepare(scene);
    const before = await fingerprintOf(store);
    path.breakAtCommit('before');
    await expect(act(fragile)).rejects.toMatchObject({ ...lost, message: nothing });
    path.watch(({ sql }, moment) =>
      sql.endsWith('values ($1, true)') && moment === 'after' ? 'connection' : undefined,
    );
    await expect(act(fragile)).rejects.toMatchObject({ ...lost, message: nothing });
    expect(await fingerprintOf(store)).toBe(before);
    path.breakAtCommit('after');
    expect(said(await act(fragile))).toBe(told);
    await expectSound(store.database, scene.tenantId);
    await scene.lease.release();
  });
});

const insertTenant = (name: string) => (database: Database, patienceMs?: number) =>
  inReportedTransaction(
    database,
    async (transaction) => {
      await transaction.raw('insert into entra_sync.tenants (tenant_id, name) values (gen_random_uuid(), ?)', [name]);
      await transaction.raw('insert into entra_sync.batches (tenant_id) values (gen_random_uuid())');
      return name;
    },
    patienceMs === undefined ? {} : { patienceMs },
  );
const tenantsOf = async (name: string) =>
  (await ask(store, 'select from entra_sync.tenants where name = :name', { name })).length;

describe('rule 12: the answer to COMMIT is lost', () => {
  test('while the server is still committing: the end is waited for', async () => {
    const letGo = await holdCommits(store);
    let settled = false;
    const work = insertTenant('late')(fragile).finally(() => {
      settled = true;
    });
    const waiting = async (query: string) =>
      (
        await ask(
          store,
          `select from pg_stat_activity where application_name = 'fragile' and wait_event_type = 'Lock'
              and query like :query and datname = current_database()`,
          { query },
        )
      ).length === 1;
    await until('the commit is under way', () => waiting('COMMIT;'));
    path.cut();
    await until('it asks what became of it', () => waiting('%receipts%'));
    expect(settled).toBe(false);
    await letGo();
    expect(await work).toBe('late');
    expect(await tenantsOf('late')).toBe(1);
  });

  test('and so is the answer to the query for the receipt: it is repeated, with the same result', async () => {
    for (const [name, when] of [
      ['twice', 'unanswered'],
      ['never', 'before'],
    ] as const) {
      let commits = 0;
      path.watch(({ sql }, moment) => {
        commits += sql === 'COMMIT;' && moment === 'before' ? 1 : 0;
        if (sql !== 'COMMIT;' || commits > 2) return undefined;
        return moment === (commits === 1 ? when : 'unanswered') ? 'connection' : undefined;
      });
      const end = await insertTenant(name)(fragile).catch((error: unknown) => error);
      expect(commits).toBe(3);
      if (when === 'before') expect(end).toMatchObject({ ...lost, message: nothing });
      else expect(end).toBe(name);
      expect(await tenantsOf(name)).toBe(when === 'before' ? 0 : 1);
    }
  });

  test('and the database stays unreachable: the error says that the outcome is unknown, and the cure', async () => {
    path.watch(({ sql }, moment) => (sql === 'COMMIT;' && moment === 'unanswered' ? 'network' : undefined));
    await expect(insertTenant('unknown')(fragile, 50)).rejects.toMatchObject({
      code: 'database_unreachable',
      message: expect.stringMatching(/broke in the commit, and the database cannot be asked whether it was done$/),
      cure: 'run the command again when the database answers: what was done is not done twice',
    });
  });

  test('receipts are kept for an hour, and no transaction waits for their cleanup', async () => {
    await ask(
      store,
      `insert into entra_sync.receipts (receipt, happened, written_at)
       select gen_random_uuid(), true, now() - age from unnest(array['61 min', '2 h', '59 min']::interval[]) age`,
    );
    const other = await store.connect();
    await other.query('begin');
    await other.query("delete from entra_sync.receipts where written_at < now() - interval '90 min'");
    await insertTenant('receipt')(store.database);
    await other.query('rollback');
    const old = await ask(
      store,
      `select round(extract(epoch from now() - written_at) / 60)::int as minutes from entra_sync.receipts
        where written_at < now() - interval '50 min' order by 1`,
    );
    expect(old).toEqual([{ minutes: 59 }, { minutes: 120 }]);
  });
});
