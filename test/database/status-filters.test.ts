// The filters of `status --only`.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { loadDefaults } from '../../src/settings/settings.ts';
import { listTenants } from '../../src/store/console/tenants.ts';
import { type Database, inTransaction, openDatabase, rows } from '../../src/store/database/pool.ts';
import { readState, readStatus, type StatusFilter } from '../../src/store/tenants/status.ts';
import { addTenant } from '../../src/store/tenants/tenants.ts';
import { type FreshDatabase, freshDatabase } from '../support/postgres.ts';
import { rowsRead } from '../support/rows-read.ts';
import { setSettings } from '../support/settings.ts';

let fresh: FreshDatabase;
let database: Database;

beforeAll(async () => {
  fresh = await freshDatabase();
  database = openDatabase(fresh.url);
});
afterAll(async () => {
  await database.destroy();
  await fresh.drop();
});

let number = 0;

/** A tenant with these columns and this last cycle. */
async function tenant(
  name: string,
  columns: Record<string, unknown> = {},
  outcome?: string,
  committed: readonly string[] = [],
): Promise<string> {
  number += 1;
  const tenantId = `00000000-0000-4000-8000-${String(number).padStart(12, '0')}`;
  await addTenant(database, { tenantId, name, ref: null }, loadDefaults());
  if (Object.keys(columns).length > 0) {
    await database.withSchema('entra_sync').table('tenants').where({ tenant_id: tenantId }).update(columns);
  }
  if (outcome !== undefined) {
    await database.raw(
      `insert into entra_sync.cycles (tenant_id, kind, actor, fence, outcome, settings_version, streams)
       values (?, 'initial', 'test', 1, ?, 1, ?)`,
      [tenantId, outcome, Object.fromEntries(committed.map((stream) => [stream, { outcome: 'committed' }]))],
    );
  }
  return tenantId;
}

const ago = (minutes: number) => database.raw(`now() - interval '${minutes} minutes'`);
const namesOf = async (only: StatusFilter) => (await readStatus(database, null, only)).map(({ name }) => name);

test('failing: the last cycle failed in some stream or was cut off, or the tenant is in quarantine', async () => {
  await tenant('a good one', {}, 'committed');
  await tenant('b failed', {}, 'failed');
  await tenant('c partial', {}, 'partial');
  await tenant('d in quarantine', { status: 'quarantined' }, 'committed');
  await tenant('e held', {}, 'held');
  await tenant('f left', { status: 'disconnected' }, 'failed');
  await tenant('g cut off', {}, 'running');
  await tenant('h cut off between its streams', {}, 'running', ['users']);
  await tenant('i committed, but not closed', {}, 'running', ['users', 'groups']);
  const running = await tenant('j running', {}, 'running');
  await database.raw("insert into entra_sync.heartbeats values (?, 1, now() + interval '1 hour')", [running]);
  expect(await namesOf('failing')).toEqual([
    'b failed',
    'c partial',
    'd in quarantine',
    'g cut off',
    'h cut off between its streams',
  ]);
  const outcomes = new Map((await readStatus(database, null)).map((one) => [one.name, one.last_outcome]));
  expect(outcomes.get('g cut off')).toBe('cut off');
  expect(outcomes.get('h cut off between its streams')).toBe('cut off');
  expect(outcomes.get('i committed, but not closed'), 'rule 21').toBe('committed');
});

test('stale: no success for two intervals, by its own settings if it has any', async () => {
  await tenant('m fresh', { last_success_at: ago(75) });
  await tenant('n stale', { last_success_at: ago(85) });
  await tenant('o never', { added_at: ago(85) });
  await tenant('p paused', { last_success_at: ago(85), paused: true });
  await tenant('q left', { last_success_at: ago(85), status: 'disconnected' });
  const slow = await tenant('r slow', { last_success_at: ago(85) });
  await setSettings(database, { interval: '2h' }, slow);
  const quick = await tenant('s quick', { last_success_at: ago(75) });
  await setSettings(database, { interval: '10m' }, quick);
  expect(await namesOf('stale')).toEqual(['n stale', 'o never', 's quick']);
});

test('held: removals wait for a person', async () => {
  const held = await tenant('x held');
  expect(await namesOf('held')).toEqual([]);
  await database.raw(
    `with list as (
       insert into entra_sync.removal_lists (tenant_id, stream, why) values (:held, 'users', 'test') returning list_id
     )
     insert into entra_sync.held_removals (list_id, tenant_id, object_id, account_id, reason)
     select list_id, :held, gen_random_uuid(), directory.create_account(:held, '{"displayName": "X"}', 'test'), 'deleted'
       from list`,
    { held },
  );
  expect(await namesOf('held')).toEqual(['x held']);
});

test('of each tenant the last cycle alone is read, however many are kept', async () => {
  const tenantIds = [
    await tenant('n long kept', { provisional: false }),
    await tenant('o long kept', { provisional: false }),
  ];
  await database.raw(
    `insert into entra_sync.cycles (tenant_id, kind, actor, fence, outcome, settings_version, streams)
     select t.id, 'incremental', 'test', n, 'committed', 1, '{}'
       from unnest(?::uuid[]) t (id) cross join generate_series(1, 500) n`,
    [tenantIds],
  );
  await database.raw('analyze entra_sync.cycles');
  await inTransaction(database, async (work) => {
    expect((await readStatus(work, null)).filter((one) => one.last_outcome === 'committed').length).toBeGreaterThan(1);
    await listTenants(work, { order: { by: 'name', descending: false }, after: null, limit: 50 });
    const [cycles] = await rows<{ read: string }>(
      work,
      `select seq_tup_read + idx_tup_fetch as read from pg_stat_xact_all_tables
        where schemaname = 'entra_sync' and relname = 'cycles'`,
    );
    expect(Number(cycles?.read)).toBeLessThan(200);
  });
});

test('the state of a tenant, which heads each of its pages, is read without its accounts', async () => {
  const id = await tenant('j many accounts');
  await database.raw(
    `insert into entra_sync.accounts (tenant_id, entra_object_id, state)
     select ?, gen_random_uuid(), 'managed' from generate_series(1, 50)`,
    [id],
  );
  await inTransaction(database, async (transaction) => {
    const before = await rowsRead(transaction, 'accounts');
    const {
      accounts: _accounts,
      suspended: _suspended,
      removed: _removed,
      ...counted
    } = (await readStatus(transaction, id))[0] ?? {};
    const between = await rowsRead(transaction, 'accounts');
    expect(between - before).toBeGreaterThanOrEqual(50);
    expect(await readState(transaction, id)).toEqual(counted);
    expect((await rowsRead(transaction, 'accounts')) - between).toBeLessThan(2);
  });
});
