// A forgotten session holds a lock: each writer ends in time, names the session, and works once the session has ended.
import type { Client } from 'pg';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { exitCodeOf } from '../../src/errors.ts';
import { loadDefaults } from '../../src/settings/settings.ts';
import { changeAccount } from '../../src/store/accounts/edit.ts';
import { closeFirstLoad, openCycle } from '../../src/store/cycle/cycles.ts';
import { acquireLease } from '../../src/store/cycle/lease.ts';
import { setPaused } from '../../src/store/cycle/next-cycle.ts';
import {
  databaseLocked,
  describeBlockers,
  describeWait,
  findBlockers,
  type LockWait,
} from '../../src/store/database/blockers.ts';
import type { WaitOptions } from '../../src/store/database/lock-waits.ts';
import { type Database, inTransaction, openDatabase, rows } from '../../src/store/database/pool.ts';
import { grantRole } from '../../src/store/schema/grants.ts';
import { applySettings } from '../../src/store/settings/versions.ts';
import { disconnectTenant } from '../../src/store/tenants/disconnect.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { rowsOf } from '../support/deep.ts';
import { moreWriters } from '../support/more-writers.ts';
import { type EditStore, openEditStore } from '../support/people-edit.ts';
import { ask, begin, untilBlocked } from '../support/stage.ts';
import { editedName, openScene, type Scene, type Writer, writers } from '../support/writers.ts';

const soon = { eachMs: 200, forMs: 400, forWorkMs: 60_000, tellAfterMs: 100, pauseMs: 20 } as const;

let store: EditStore;

beforeAll(async () => {
  store = await openEditStore();
});

// A test that fails would leave its forgotten session to the tests after it.
afterEach(() =>
  ask(
    store,
    `select pg_terminate_backend(pid) from pg_stat_activity
      where datname = current_database() and state like 'idle in transaction%' and pid <> pg_backend_pid()`,
  ),
);

afterAll(() => store.close());

/**
 * Runs `work` on its own pool with short patience. `waits`: the descriptions of its waits. On a busy machine the patience
 * can end before the first look at the blocker does; the wait is then repeated, for it has changed nothing.
 */
async function impatiently<Answer>(
  work: (database: Database) => Promise<Answer>,
  options: WaitOptions = {},
): Promise<{ end: Answer | unknown; waits: LockWait[] }> {
  for (let attempt = 1; ; attempt += 1) {
    const { end, waits } = await impatientlyOnce(work, options);
    const isNamed = waits.length > 0 && !String((end as Error).message).includes('a session that could not be found');
    if (attempt === 20 || (end as { code?: string } | undefined)?.code !== 'database_locked' || isNamed)
      return { end, waits };
  }
}

async function impatientlyOnce<Answer>(
  work: (database: Database) => Promise<Answer>,
  options: WaitOptions,
): Promise<{ end: Answer | unknown; waits: LockWait[] }> {
  const waits: LockWait[] = [];
  const onWait = (wait: LockWait) => waits.push(wait);
  const database = openDatabase(store.url, { waits: { ...soon, onWait, ...options }, applicationName: 'impatient' });
  try {
    const end = await work(database).catch((error: unknown) => error);
    return { end, waits };
  } finally {
    await database.destroy();
  }
}

/** An application's session that edits account 1 and stays in its transaction. */
async function forgottenEdit(scene: Scene): Promise<{ client: Client; pid: number; role: string }> {
  const application = await store.application({ grant: 'open' });
  const client = await application.connect();
  await client.query("set application_name = 'crm'");
  const { rows: mine } = await client.query('select pg_backend_pid() as pid');
  await client.query('begin');
  await client.query(`select directory.edit_account($1, '{"displayName": "Forgotten"}', 'Ann', 'user')`, [
    scene.accounts[1],
  ]);
  return { client, pid: mine[0].pid, role: application.role };
}

const waitsForTheEdit = ({ lock, touches }: Writer) => lock === 'exclusive' || touches.includes(1);

const inSettings = (tenantId: string | null) => ({ tenantId, document: { interval: '50m' }, actor: 'Ann' }) as const;

test('rule 11: a settings change that waits for one tenant lets edits of the others pass, and then completes', async () => {
  const [stuck, free] = (await Promise.all([openScene(store), openScene(store)])).sort((a, b) =>
    a.tenantId < b.tenantId ? 1 : -1,
  ) as [Scene, Scene];
  // `stuck` is the later one in id order: the change has already locked the other tenant.
  const { client, pid } = await forgottenEdit(stuck);
  const applied = impatiently((database) => applySettings(database, loadDefaults(), inSettings(null)), {
    forMs: 60_000,
  });
  await untilBlocked(store);
  const editing = { edits: { displayName: editedName }, reverts: [] };
  for (const person of [1, 5, 6]) {
    const account = { tenant_id: free.tenantId, account_id: free.accounts[person] ?? '' };
    // The change holds the tenant of an edit for as long as two seconds.
    const { end } = await impatiently(
      (database) => changeAccount(database, account, editing, { actor: 'Bob', role: 'user' }),
      { forMs: 60_000 },
    );
    expect(end).toMatchObject([{ field: 'displayName', after: editedName }]);
  }
  await client.query('commit');
  const { end, waits } = await applied;
  expect(end).toMatchObject({ version: expect.any(Number) });
  // On a busy machine it waits for one of the edits too, before or after.
  expect(waits.flatMap(({ blockers }) => blockers.map((one) => one.pid))).toContain(pid);
  await Promise.all([stuck.lease.release(), free.lease.release()]);
});

test('rule 11: a settings change waits two seconds for a tenant before it releases the others', async () => {
  const scene = await sharedScene();
  let told: unknown;
  await applySettings(store.database, loadDefaults(), inSettings(scene.tenantId), {
    dryRun: true,
    look: async (transaction) => {
      told = await rows(transaction, 'show lock_timeout');
    },
  });
  expect(told).toEqual([{ lock_timeout: '2s' }]);
});

test.each([
  { held: 'the settings', by: 'lock table entra_sync.settings in share mode', act: 'a settings change' },
  { held: 'the settings', by: 'lock table entra_sync.settings in share row exclusive mode', act: 'a new tenant' },
  { held: 'all tenants', by: 'select from entra_sync.tenants for no key update', act: 'pausing' },
  { held: 'all tenants', by: 'select from entra_sync.tenants for update', act: 'opening a cycle' },
  { held: 'the lease', by: 'select from entra_sync.leases for update', act: 'beginning a round' },
  { held: 'the lease', by: 'select from entra_sync.leases for update', act: 'closing a cycle' },
  { held: 'all tenants', by: 'select from entra_sync.tenants for key share', act: 'disconnecting' },
  {
    held: 'a name',
    by: "insert into entra_sync.tenants (tenant_id, name) values ('00000000-0000-4000-8000-0000000000aa', 'x')",
    act: 'a new tenant',
  },
  { held: 'the granted roles', by: 'lock table entra_sync.grants in share mode', act: 'grant' },
])('rule 11: while a forgotten session holds $held, $act ends and names the session', async ({ by, act }) => {
  const acts = await actsOn(await sharedScene());
  const holder = await store.connect();
  await holder.query("set application_name = 'psql'");
  const { rows: mine } = await holder.query('select pg_backend_pid() as pid');
  await holder.query('begin');
  await holder.query(by);
  const { end } = await impatiently(acts[act] ?? (() => Promise.reject(new Error(`no act ${act}`))));
  expect(end).toMatchObject({ code: 'database_locked', message: expect.stringContaining(`pid ${mine[0].pid} (role `) });
  expect((end as Error).message).toMatch(/application "psql", transaction open for .*, idle in transaction for/);
  await holder.query('rollback');
  await holder.end();
});

let shared: Promise<Scene> | undefined;

// No act changes anything, because its wait ends it.
function sharedScene(): Promise<Scene> {
  shared ??= openScene(store);
  return shared;
}

async function actsOn(scene: Scene): Promise<Record<string, (database: Database) => Promise<unknown>>> {
  const { tenantId, lease } = scene;
  const cycle = { kind: 'incremental', actor: 'test', settingsVersion: 1 } as const;
  const { role } = await store.application();
  return {
    'a settings change': (database) => applySettings(database, loadDefaults(), inSettings(tenantId)),
    'a new tenant': (database) =>
      addTenant(database, { tenantId: '00000000-0000-4000-8000-0000000000aa', name: 'new', ref: null }, loadDefaults()),
    pausing: (database) => setPaused(database, [tenantId], true),
    'opening a cycle': (database) => openCycle(database, lease, cycle),
    'closing a cycle': async (database) =>
      closeFirstLoad(database, lease, '0', { outcome: 'committed', streams: {}, error: null }),
    'beginning a round': (database) => begin({ ...store, database }, lease, 'incremental'),
    disconnecting: (database) => disconnectTenant(database, tenantId, { actor: 'Ann', dryRun: false }),
    grant: (database) => grantRole(database, { role, tenantBound: false, actor: 'test' }),
  };
}

test('rule 11: behind a working writer of this program, a transaction waits longer', async () => {
  const scene = await sharedScene();
  const holder = await store.connect();
  await holder.query('begin');
  await holder.query('select from entra_sync.tenants where tenant_id = $1 for update', [scene.tenantId]);
  const works = holder.query('select pg_sleep(1.2); commit');
  const { end } = await impatiently((database) => setPaused(database, [scene.tenantId], true), {
    eachMs: 300,
    forMs: 300,
  });
  expect(end).toBe(1);
  await works;
  await setPaused(store.database, [scene.tenantId], false);
});

test('rule 11: the error names the session at the end of the chain, not one that waits', async () => {
  const scene = await sharedScene();
  const waiter = await store.connect();
  // The transaction that waits is the older one.
  await waiter.query("set application_name = 'waiter'; begin; select now()");
  const { client, pid } = await forgottenEdit(scene);
  const waits = waiter
    .query('select from entra_sync.tenants where tenant_id = $1 for update', [scene.tenantId])
    .catch(() => {});
  await untilBlocked(store);
  const { end } = await impatiently((database) => applySettings(database, loadDefaults(), inSettings(scene.tenantId)));
  expect(end).toMatchObject({ code: 'database_locked', message: expect.stringContaining(`pid ${pid} (role `) });
  expect((end as Error).message).not.toContain('waiter');
  await client.query('rollback');
  await waits;
  await waiter.end();
});

test('rule 11: a role outside pg_read_all_stats reports the facts that it can see', async () => {
  const scene = await sharedScene();
  const { client, pid, role } = await forgottenEdit(scene);
  const other = await (await store.application({ grant: 'open' })).connect();
  const { rows: mine } = await other.query('select pg_backend_pid() as pid');
  const edit = `select directory.edit_account($1, '{"displayName": "Mine"}', 'Bob', 'user')`;
  const waits = other.query(edit, [scene.accounts[1]]).catch(() => {});
  await untilBlocked(store);
  const plain = await (await store.application()).connect();
  const { rows: blockers } = await plain.query(findBlockers, [mine[0].pid]);
  expect(blockers).toMatchObject([
    { pid, role, application: 'crm', visible: false, transactionMs: null, idleMs: null },
  ]);
  expect(describeBlockers(blockers)).toBe(
    `pid ${pid} (role ${JSON.stringify(role)}, application "crm", open since a time that only members of pg_read_all_stats see)`,
  );
  await client.query('rollback');
  await waits;
});

test('rule 11: a prepared transaction and an unknown session are reported as such', () => {
  const none = { role: null, application: null, visible: false, transactionMs: null, idleMs: null, own: false };
  expect(databaseLocked([{ pid: 0, ...none }], 30_000, undefined)).toMatchObject({
    message: expect.stringContaining('for 30 s; it is held by a prepared transaction;'),
    cure: expect.stringContaining('pg_prepared_xacts'),
  });
  expect(describeBlockers([{ ...none, pid: 0, role: 'crm', transactionMs: 180_000 }])).toBe(
    'a prepared transaction (the oldest is of role "crm", prepared 3 min ago)',
  );
  expect(databaseLocked([], 30_000, undefined).message).toContain('a session that could not be found');
});

const limits = [
  { set: '0', holds: '5s' },
  { set: '1h', holds: '5s' },
  { set: '40ms', holds: '40ms' },
];

test.each(rowsOf(limits, (_, n) => n > 0))(
  'rule 11: where the server sets lock_timeout to $set, a transaction waits $holds at a time',
  async ({ set, holds }) => {
    const fresh = await openEditStore();
    const [{ name } = { name: '' }] = await ask<{ name: string }>(fresh, 'select current_database() as name');
    await ask(fresh, `alter database ${name} set lock_timeout = '${set}'`);
    const database = openDatabase(fresh.url);
    expect(await inTransaction(database, (on) => rows(on, 'show lock_timeout'))).toEqual([{ lock_timeout: holds }]);
    await database.destroy();
    await fresh.close();
  },
);

test('rule 11: while the lease is locked, another cycle fails at once with `cycle_running`', async () => {
  const scene = await openScene(store);
  const holder = await store.connect();
  await holder.query('begin');
  await holder.query('select from entra_sync.leases for update');
  const { end, waits } = await impatiently((database) => acquireLease(database, scene.tenantId));
  expect(end).toMatchObject({ code: 'cycle_running' });
  expect(waits).toEqual([]);
  await holder.query('rollback');
  await scene.lease.release();
});

describe('rule 11: an application that stays in the transaction of its edit', () => {
  test.each(rowsOf([...writers, ...moreWriters], (_, n) => n % 3 === 0))('$name', async (writer) => {
    const scene = await openScene(store);
    const act = await writer.prepare(scene);
    const { client, pid, role } = await forgottenEdit(scene);
    const { end, waits } = await impatiently(act);
    if (waitsForTheEdit(writer)) {
      expect(end).toMatchObject({
        code: 'database_locked',
        message: expect.stringMatching(
          new RegExp(
            `held by pid ${pid} \\(role .*, application "crm", transaction open for .*, idle in transaction for .*\\); nothing was changed$`,
          ),
        ),
        cure: expect.stringContaining(`select pg_terminate_backend(${pid})`),
      });
      expect((end as Error).message).toContain(JSON.stringify(role));
      expect((end as Error).message).not.toContain('Forgotten');
      expect(exitCodeOf(end)).toBe(7);
      expect(waits).toMatchObject([{ blockers: [{ pid, role, application: 'crm', own: false }] }]);
      expect(waits.map(describeWait)).toEqual([
        expect.stringMatching(
          new RegExp(`^a lock in the database has not been free for \\d+ ms so far; it is held by pid ${pid} \\(role `),
        ),
      ]);
    } else expect(end).not.toBeInstanceOf(Error);
    await client.query('rollback');
    await client.end();
    if (waitsForTheEdit(writer)) await act(store.database);
    await scene.lease.release();
  });
});
