// Upgrades from the last release: its workers go on while the schema becomes today's, and its data is as it was.
import { writeFile } from 'node:fs/promises';
import { expect, onTestFinished, test } from 'vitest';
import { createTenant, startSimulator } from '../../src/simulator/index.ts';
import { type Database, openDatabase, rows } from '../../src/store/database/pool.ts';
import { type Running, runProcess, startCli } from '../support/cli.ts';
import { stopWorker, until } from '../support/fleet.ts';
import { freshDatabase } from '../support/postgres.ts';
import { loadReleased, openReleased } from '../support/released.ts';
import { expectSound } from '../support/soundness.ts';
import { expectTruth } from '../support/system.ts';

// Processes start slowly on a busy machine.
async function openEmpty(): Promise<{ url: string; database: Database }> {
  const fresh = await freshDatabase({ migrated: false });
  const database = openDatabase(fresh.url);
  onTestFinished(async () => {
    await database.destroy();
    await fresh.drop();
  });
  return { url: fresh.url, database };
}

const idsOf = async (database: Database) =>
  rows<{ entra_object_id: string; account_id: string }>(
    database,
    'select entra_object_id, account_id from directory.accounts order by entra_object_id',
  );

const editsOf = async (database: Database) =>
  rows(
    database,
    `select account_id, profile ->> 'mobilePhone' as phone, profile ->> 'pronouns' as pronouns, edited_fields
       from directory.accounts where edited_fields <> '{}' order by account_id`,
  );

/** Returns what a reader of the contract sees, without the columns that later releases added. */
async function shownBy010(database: Database) {
  const views = {
    accounts: 'account_id, entra_object_id, state, enabled, user_principal_name, mail, display_name, edited_fields',
    removed_accounts: 'account_id, entra_object_id, reason, removed_at, purge_at, display_name',
    groups: 'group_id, entra_object_id, state, display_name, description, mail, kind, is_dynamic',
    memberships: 'group_id, member_kind, account_id, member_group_id',
    effective_memberships: 'group_id, account_id, is_direct',
    held_removals: 'list_id, account_id, group_id, display_name, held_since',
    tenants: 'tenant_id, name, external_ref, status, paused, held_removals, set_aside, last_success_at',
    changes: 'change_id, tenant_id, at, actor, kind, account_id, group_id',
  };
  const shown: Record<string, unknown[]> = {};
  for (const [view, columns] of Object.entries(views))
    shown[view] = await rows(database, `select ${columns} from directory.${view} order by 1, 2, 3`);
  return shown;
}

test('the database that 0.1.0 left shows the same after migrate, and the next cycle keeps accounts, edits and held removals', async () => {
  const { url, database } = await openEmpty();
  await loadReleased(url);
  const before = await shownBy010(database);
  const empty = Object.keys(before).filter((view) => before[view]?.length === 0);
  expect(empty).toEqual(['removed_accounts']);
  const [edits, ids] = [await editsOf(database), await idsOf(database)];
  expect(edits).toHaveLength(2);
  const position = (await rows<{ at: string }>(database, 'select directory.feed_position() as at'))[0]?.at ?? '';

  expect(await runProcess(['migrate'], { DATABASE_URL: url })).toMatchObject({ code: 0 });
  expect(await shownBy010(database)).toEqual(before);

  const tenant = createTenant({ seed: 7, users: 60, groups: 12, name: 'Contoso' });
  for (const line of ['hire 3', 'title 5', 'delete 2', 'random 10', 'restore 1', 'delete 20']) tenant.run(line);
  const simulator = await startSimulator({ tenants: [tenant] });
  onTestFinished(() => simulator.close());
  const environment = { ...simulator.environment(), DATABASE_URL: url };
  const cycle = await runProcess(['resync', tenant.tenantId], environment);
  // The 18 removals of before wait still.
  expect(cycle.code, cycle.stderr).toBe(4);
  expect(await editsOf(database)).toEqual(edits);
  expect(await idsOf(database)).toEqual(expect.arrayContaining(ids));
  expect(await rows(database, 'select from directory.held_removals')).toHaveLength(before.held_removals?.length ?? 0);
  // Graph shows what 0.1.0 had stored.
  expect(await rows(database, 'select kind from directory.read_changes(:position, 1000)', { position })).toEqual([]);
  await expectSound(database, tenant.tenantId);
});

test('workers of 0.1.0 go on while migrate runs and after it, those of today take over, and no cycle fails', async ({
  skip,
}) => {
  const main = await openReleased(skip);
  const { url, database } = await openEmpty();
  const tenants = [1, 2, 3].map((seed) => createTenant({ seed, users: 40, groups: 8, name: `Customer ${seed}` }));
  const simulator = await startSimulator({ tenants });
  onTestFinished(() => simulator.close());
  const environment = { ...simulator.environment(), DATABASE_URL: url, PORT: '0' };
  const start = (args: readonly string[], of?: string): Running => {
    const running = startCli(args, environment, undefined, of);
    onTestFinished(() => void running.child.kill('SIGKILL'));
    return running;
  };
  const before = async (...args: readonly string[]) => {
    const ended = await start(args, main).ended;
    expect(ended.code, ended.stderr).toBe(0);
  };
  const cyclesOf = (since: string) =>
    rows<{ tenant_id: string; outcome: string; finished_at: Date }>(
      database,
      `select tenant_id, outcome, finished_at from directory.cycles
        where started_at > :since::timestamptz and outcome <> 'running' and kind <> 'on_demand'`,
      { since },
    );
  /** Edits each tenant, and waits until each has had a cycle that began after that. */
  const editAll = async (lines: readonly string[]) => {
    for (const tenant of tenants) for (const line of lines) tenant.run(line);
    const [now] = await rows<{ now: string }>(database, 'select clock_timestamp()::text as now');
    await until('a cycle of each tenant', async () => {
      // Again and again: a cycle that was under way plans the next one when it ends.
      await database.raw(
        `update entra_sync.tenants set next_cycle_at = clock_timestamp() where next_cycle_at > clock_timestamp()`,
      );
      const found = new Set((await cyclesOf(now?.now ?? '')).map(({ tenant_id }) => tenant_id));
      return found.size === tenants.length;
    });
  };

  await before('migrate');
  const file = `${main}.settings.yaml`;
  await writeFile(file, 'scope: { userType: any }\nremovals: { max: 1000, percent: 100, floor: 0 }\n');
  await before('settings', 'apply', file);
  for (const { tenantId, name } of tenants) await before('tenant', 'add', tenantId, '--name', name);
  const old = [start(['worker'], main), start(['worker'], main)];
  for (const worker of old) await worker.shows(/"address":/);
  await editAll(['title 1']);
  const ids = await idsOf(database);
  const position = (await rows<{ at: string }>(database, 'select directory.feed_position() as at'))[0]?.at ?? '';
  const said = (await rows<{ n: string }>(database, 'select count(*) as n from directory.changes'))[0]?.n ?? '';

  // Cycles begin and end while the schema changes.
  const migrating = start(['migrate']);
  await editAll(['hire 2', 'title 3', 'delete 1']);
  expect(await migrating.ended).toMatchObject({ code: 0 });
  expect(await runProcess(['migrate', '--check'], environment)).toMatchObject({ code: 0 });
  await editAll(['hire 1', 'title 2', 'random 5']);

  const today = [start(['worker']), start(['worker'])];
  for (const worker of today) await worker.shows(/"address":/);
  const [stopped] = await rows<{ at: Date }>(database, 'select clock_timestamp() as at');
  for (const worker of old) expect((await stopWorker(worker)).code).toBe(0);
  await editAll(['hire 1', 'delete 1', 'restore 1']);
  for (const worker of today) expect((await stopWorker(worker)).code).toBe(0);

  for (const tenant of tenants) {
    await expectTruth(tenant, database);
    await expectSound(database, tenant.tenantId);
  }
  // A worker that is stopped cancels the cycle under way.
  const uncut = (await cyclesOf('2000-01-01')).filter(
    (one) => one.outcome !== 'cancelled' || stopped === undefined || one.finished_at < stopped.at,
  );
  expect(new Set(uncut.map(({ outcome }) => outcome))).toEqual(new Set(['committed']));
  const now = new Map((await idsOf(database)).map((one) => [one.entra_object_id, one.account_id]));
  for (const { entra_object_id, account_id } of ids)
    if (now.has(entra_object_id)) expect(now.get(entra_object_id)).toBe(account_id);
  // A reader of the feed who stood there before the upgrade misses nothing and gets nothing twice.
  const read = await rows<{ change_id: string }>(database, 'select * from directory.read_changes(:position, 100000)', {
    position,
  });
  const all = (await rows<{ n: string }>(database, 'select count(*) as n from directory.changes'))[0]?.n ?? '';
  expect(new Set(read.map(({ change_id }) => change_id)).size).toBe(Number(all) - Number(said));
});
