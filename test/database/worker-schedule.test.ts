// The worker's part of the database: the effect of an ended cycle on its tenant, due tenants, full-round slots, and
// requests of applications.
import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { CycleOutcome } from '../../src/rules/outcome.ts';
import { closeCycle, openCycle, type StoredAccess } from '../../src/store/cycle/cycles.ts';
import { acquireLease } from '../../src/store/cycle/lease.ts';
import { makeDue, recordFailedStart, setPaused } from '../../src/store/cycle/next-cycle.ts';
import { claimPersonRequest, claimTenantRequests, endRequests } from '../../src/store/queue/requests.ts';
import { dueTenants, planOnce } from '../../src/store/queue/schedule.ts';
import { grantRole } from '../../src/store/schema/grants.ts';
import { ask, openStore, type Store } from '../support/stage.ts';

let store: Store;
beforeAll(async () => {
  store = await openStore();
});
afterAll(() => store.close());
beforeEach(() => store.database.raw('delete from entra_sync.tenants').then(() => undefined));

const hour = 3_600_000;

async function tenant(columns: Record<string, unknown> = {}): Promise<string> {
  const tenantId = randomUUID();
  await store.database
    .withSchema('entra_sync')
    .table('tenants')
    .insert({ tenant_id: tenantId, name: tenantId, ...columns });
  return tenantId;
}

/** Runs a cycle of the tenant with this end. */
async function cycle(
  tenantId: string,
  outcome: CycleOutcome,
  code: string | null = null,
  access?: StoredAccess,
): Promise<void> {
  const lease = await acquireLease(store.database, tenantId);
  const id = await openCycle(store.database, lease, { kind: 'incremental', actor: 'test', settingsVersion: 1 });
  await closeCycle(store.database, lease, id, {
    outcome,
    streams: {},
    error: code === null ? null : { code, message: 'the reason' },
    intervalMs: hour,
    sinceStartMs: hour / 4,
    chance: 0.5,
    access,
    retention: { changesMs: 1_000 * hour, cyclesMs: 1_000 * hour },
  });
  await lease.release();
}

async function stateOf(tenantId: string) {
  const [state] = await ask<{ status: string; failures: number; hours: number; code: string | null; success: boolean }>(
    store,
    `select status, failures, round(extract(epoch from next_cycle_at - clock_timestamp()) / 900) / 4 as hours,
            last_error_code as code, last_success_at is not null as success
       from entra_sync.tenants where tenant_id = :tenantId`,
    { tenantId },
  );
  return state && { ...state, hours: Number(state.hours) };
}

describe('an ended cycle', () => {
  test('notes the permissions of its token when they differ, since when, and the end of the credential', async () => {
    const tenantId = await tenant();
    const noted = async () => {
      const [row] = await ask<{
        permissions: string[] | null;
        since: string | null;
        ends: string | null;
        kind: string;
      }>(
        store,
        `select permissions, permissions_since::text as since, credential_kind as kind,
                extract(epoch from credential_ends_at)::bigint::text as ends
           from entra_sync.tenants where tenant_id = :tenantId`,
        { tenantId },
      );
      return row;
    };
    await cycle(tenantId, 'failed', 'graph_unavailable');
    expect(await noted()).toEqual({ permissions: null, since: null, ends: null, kind: null });
    const roles = ['GroupMember.Read.All', 'User.Read.All'];
    await cycle(tenantId, 'committed', null, { roles, credential: 'secret', endsAt: null });
    const first = await noted();
    expect(first).toEqual({ permissions: roles, since: expect.any(String), ends: null, kind: 'secret' });
    const endsAt = new Date('2027-01-02T03:04:05Z');
    await cycle(tenantId, 'committed', null, { roles, credential: 'certificate', endsAt });
    const ends = String(endsAt.getTime() / 1000);
    expect(await noted()).toEqual({ ...first, ends, kind: 'certificate' });
    await cycle(tenantId, 'failed', 'sign_in_failed');
    expect(await noted(), 'a cycle without a token').toEqual({ ...first, ends, kind: 'certificate' });
    await cycle(tenantId, 'failed', 'consent_missing', { roles: [], credential: 'certificate', endsAt });
    const last = await noted();
    expect([last?.permissions, last?.since === first?.since]).toEqual([[], false]);
  });

  test('is followed by the next one an interval after its start', async () => {
    const id = await tenant();
    await cycle(id, 'committed');
    expect(await stateOf(id)).toEqual({ status: 'active', failures: 0, hours: 0.75, code: null, success: true });
  });

  test('that was cancelled is due again at once, and is not counted as a failure', async () => {
    const id = await tenant({ failures: 2 });
    await cycle(id, 'cancelled', 'interrupted');
    expect(await stateOf(id)).toMatchObject({ status: 'pending', failures: 2, hours: 0 });
  });

  test('that failed for the third time puts the tenant into quarantine, and a partial success ends it', async () => {
    const id = await tenant();
    for (let time = 0; time < 3; time += 1) await cycle(id, 'failed', 'consent_missing');
    expect(await stateOf(id)).toMatchObject({ status: 'quarantined', failures: 3, hours: 1.75, success: false });
    await cycle(id, 'failed', 'database_unreachable');
    expect(await stateOf(id)).toMatchObject({ status: 'quarantined', failures: 3 });
    await cycle(id, 'partial', 'permission_missing');
    expect(await stateOf(id)).toMatchObject({ status: 'active', failures: 0, hours: 0.75, success: false });
  });

  test('that failed while Graph failed many tenants is not counted for any of them', async () => {
    const ids = [];
    for (let n = 0; n < 4; n += 1) ids.push(await tenant());
    for (const id of ids) await cycle(id, 'failed', 'graph_unavailable');
    // At the first two the pattern was not visible yet.
    expect(await Promise.all(ids.map(async (id) => (await stateOf(id))?.failures))).toEqual([1, 1, 0, 0]);
    for (const id of ids) await cycle(id, 'failed', 'graph_throttled');
    expect(await Promise.all(ids.map(async (id) => (await stateOf(id))?.failures))).toEqual([1, 1, 0, 0]);
    // An old failure does not count, and a single failure among many healthy tenants is the tenant's own.
    await ask(store, "update entra_sync.cycles set finished_at = finished_at - interval '2 hours'");
    for (const id of ids.slice(1)) await cycle(id, 'committed');
    await cycle(ids[0] ?? '', 'failed', 'graph_unavailable');
    expect(await stateOf(ids[0] ?? '')).toMatchObject({ failures: 2 });
  });

  test('leaves a disconnected tenant disconnected', async () => {
    const id = await tenant({ failures: 2, status: 'disconnected' });
    await cycle(id, 'failed', 'consent_missing');
    expect(await stateOf(id)).toMatchObject({ status: 'disconnected' });
  });
});

describe('a cycle that could not be opened', () => {
  const attempt = {
    outcome: 'failed',
    error: { code: 'settings_invalid', message: 'the reason' },
    intervalMs: hour,
    sinceStartMs: 0,
    chance: 0.5,
  } as const;
  const dueAt = async (id: string) => (await dueTenants(store.database, id))[0]?.due_at ?? null;

  test('is a failure too, of a new tenant and of an old one', async () => {
    for (const next of [null, new Date(Date.now() - 5_000)]) {
      const id = await tenant({ next_cycle_at: next });
      await recordFailedStart(store.database, id, await dueAt(id), attempt);
      expect(await stateOf(id)).toMatchObject({ failures: 1, hours: 1, code: 'settings_invalid' });
    }
  });

  test('is none if a cycle was closed, or the tenant made due again, meanwhile', async () => {
    const id = await tenant({ next_cycle_at: new Date(Date.now() - 5_000) });
    const was = await dueAt(id);
    await makeDue(store.database, [id]);
    await recordFailedStart(store.database, id, was, attempt);
    expect(await stateOf(id)).toMatchObject({ failures: 0, hours: 0 });
  });
});

test('retry makes tenants due now and ends quarantine; those without a success are pending, and disconnected ones stay', async () => {
  const later = new Date(Date.now() + 20 * hour);
  const old = await tenant({ status: 'quarantined', failures: 9, next_cycle_at: later, last_success_at: new Date() });
  const never = await tenant({ status: 'quarantined', failures: 9, next_cycle_at: later });
  const gone = await tenant({ status: 'disconnected', failures: 9 });
  expect(await makeDue(store.database, [old])).toBe(1);
  expect(await stateOf(old)).toMatchObject({ status: 'active', failures: 2, hours: 0 });
  expect(await stateOf(never)).toMatchObject({ status: 'quarantined', hours: 20 });
  expect(await makeDue(store.database, null)).toBe(2);
  expect(await stateOf(never)).toMatchObject({ status: 'pending', failures: 2, hours: 0 });
  expect(await stateOf(gone)).toMatchObject({ status: 'disconnected', failures: 9 });
});

test('retry forgets no failure: the third in a row is quarantine, and so is the next one after a retry out of it', async () => {
  const id = await tenant({ status: 'active', last_success_at: new Date() });
  for (const [failures, status, hours] of [
    [1, 'active', 1],
    [2, 'active', 1],
    [3, 'quarantined', 2],
    [3, 'quarantined', 2],
  ] as const) {
    await makeDue(store.database, [id]);
    expect(await stateOf(id)).toMatchObject({ status: 'active', hours: 0 });
    await cycle(id, 'failed', 'consent_missing');
    expect(await stateOf(id)).toMatchObject({ status, failures, hours: hours - 0.25 });
  }
  await makeDue(store.database, [id]);
  await cycle(id, 'committed');
  expect(await stateOf(id)).toMatchObject({ status: 'active', failures: 0 });
});

test('what was paused by name stays paused when all are paused and resumed together', async () => {
  const [one, other, third] = [await tenant(), await tenant(), await tenant()];
  const paused = async () => {
    const found = await ask<{ tenant_id: string }>(store, 'select tenant_id from entra_sync.tenants where paused');
    return found.map((row) => row.tenant_id).sort();
  };
  expect(await setPaused(store.database, [one], true)).toBe(1);
  expect(await setPaused(store.database, null, true)).toBe(2);
  expect(await setPaused(store.database, null, true)).toBe(0);
  // Paused with all others, and then on purpose too.
  expect(await setPaused(store.database, [third], true)).toBe(1);
  expect(await setPaused(store.database, null, false)).toBe(1);
  expect(await paused()).toEqual([one, third].sort());
  expect(await setPaused(store.database, null, false)).toBe(0);
  expect(await setPaused(store.database, [one, third], false)).toBe(2);
  expect(await setPaused(store.database, null, true)).toBe(3);
  expect(await setPaused(store.database, [other], false)).toBe(1);
  expect(await setPaused(store.database, null, false)).toBe(2);
  expect(await paused()).toEqual([]);
});

describe('due tenants', () => {
  const past = new Date(Date.now() - 60_000);
  const due = async () => (await dueTenants(store.database)).map((row) => row.tenant_id);

  test('are new or past their time, the longest waiting first; not paused, disconnected or running', async () => {
    const waits = await tenant({ next_cycle_at: past });
    const waitsLonger = await tenant({ next_cycle_at: new Date(past.getTime() - 1_000) });
    await tenant({ next_cycle_at: new Date(Date.now() + 60_000) });
    await tenant({ next_cycle_at: past, status: 'disconnected' });
    const paused = await tenant({ next_cycle_at: past });
    await setPaused(store.database, [paused], true);
    const running = await tenant({ next_cycle_at: past });
    const lease = await acquireLease(store.database, running);
    const fresh = await tenant({ added_at: new Date() });
    expect(await due()).toEqual([waitsLonger, waits, fresh]);
    await lease.release();
    await setPaused(store.database, [paused], false);
    expect(new Set(await due())).toEqual(new Set([waitsLonger, waits, fresh, running, paused]));
  });

  test('rule 27: a request makes no cycle due within ten seconds after one, and is kept until then', async () => {
    const later = new Date(Date.now() + hour);
    const id = await tenant();
    await cycle(id, 'committed');
    const failing = await tenant({ next_cycle_at: later });
    await (await acquireLease(store.database, failing)).release();
    const tenSecondsLater = () =>
      ask(
        store,
        `with old as (update entra_sync.leases set acquired_at = acquired_at - interval '10 seconds')
         update entra_sync.cycles set finished_at = finished_at - interval '10 seconds'`,
      );
    await ask(store, "select directory.request_cycle(:id, null, 'ann')", { id });
    await ask(store, "select directory.request_cycle(:failing, null, 'ann')", { failing });
    expect(await due(), 'neither after a cycle nor after one that could not be opened').toEqual([]);
    await ask(store, 'update entra_sync.tenants set next_cycle_at = :past where tenant_id = :id', { past, id });
    expect(await dueTenants(store.database), 'the schedule goes on').toMatchObject([
      { tenant_id: id, requested: false },
    ]);
    await ask(store, 'update entra_sync.tenants set next_cycle_at = :later', { later });
    await tenSecondsLater();
    await ask(
      store,
      "insert into entra_sync.cycles (tenant_id, kind, actor, fence, settings_version, finished_at) values (:id, 'on_demand', 'ann', 0, 1, now())",
      { id },
    );
    expect(await dueTenants(store.database)).toMatchObject([{ requested: true }, { requested: true }]);
  });

  test('are also those that were requested before their time', async () => {
    const id = await tenant({ next_cycle_at: new Date(Date.now() + 60_000) });
    expect(await due()).toEqual([]);
    await ask(store, "select directory.request_cycle(:id, null, 'ann')", { id });
    expect(await dueTenants(store.database)).toMatchObject([{ tenant_id: id, requested: true }]);
  });
});

describe('planning', () => {
  const again = () => ask(store, "update entra_sync.scheduler set planned_at = '-infinity'");
  beforeEach(again);

  test('is done by one of many simultaneous replicas, and by no other within the second', async () => {
    const plans = await Promise.all(Array.from({ length: 6 }, () => planOnce(store.database, async () => [])));
    expect(plans.filter(Boolean)).toHaveLength(1);
    expect(await planOnce(store.database, async () => [])).toBe(false);
  });

  test('keeps a full-round slot while its tenant is due or running, and no longer', async () => {
    const [one, other] = [await tenant(), await tenant()];
    const turns = async () => {
      await again();
      let taken = -1;
      await planOnce(store.database, async (_on, _due, count) => {
        taken = count;
        return [];
      });
      return taken;
    };
    await planOnce(store.database, async () => [one, other]);
    expect(await turns()).toBe(2);
    const lease = await acquireLease(store.database, one);
    const later = new Date(Date.now() + hour);
    await store.database.withSchema('entra_sync').table('tenants').update({ next_cycle_at: later });
    expect(await turns(), 'one runs, the other is done').toBe(1);
    await lease.release();
    expect(await turns()).toBe(0);
  });
});

describe('request_cycle', () => {
  const request = (tenantId: string | null, accountId: string | null, actor: string | null = 'ann') =>
    ask(store, 'select directory.request_cycle(:tenantId, :accountId, :actor)', { tenantId, accountId, actor });
  const waiting = () =>
    ask<{ actor: string }>(store, 'select actor from entra_sync.cycle_requests order by request_id');

  async function account(tenantId: string): Promise<string> {
    const [made] = await ask<{ account_id: string }>(
      store,
      `insert into entra_sync.accounts (tenant_id, state, entra_object_id) values (:tenantId, 'managed', gen_random_uuid()) returning account_id`,
      { tenantId },
    );
    return made?.account_id ?? '';
  }

  test('called again before the cycle starts is one request; called while it runs is another', async () => {
    const id = await tenant();
    const person = await account(id);
    for (const actor of ['ann', 'bob']) {
      await request(id, null, actor);
      await request(id, person, actor);
    }
    expect(await waiting()).toEqual([{ actor: 'ann' }, { actor: 'ann' }]);
    const claimed = await claimTenantRequests(store.database, id);
    expect(claimed).toMatchObject([{ actor: 'ann' }]);
    await request(id, null, 'meanwhile');
    await endRequests(
      store.database,
      claimed.map((one) => one.request_id),
    );
    expect(await dueTenants(store.database)).toMatchObject([{ requested: true }]);
    expect((await waiting()).map((one) => one.actor)).toContain('meanwhile');
  });

  test('for one user is claimed by one worker, and by another only if the first is dead', async () => {
    const id = await tenant();
    await request(id, await account(id));
    const claims = await Promise.all(Array.from({ length: 4 }, () => claimPersonRequest(store.database)));
    expect(claims.filter((claim) => claim !== undefined)).toHaveLength(1);
    expect(await claimPersonRequest(store.database)).toBeUndefined();
    await ask(store, "update entra_sync.cycle_requests set claimed_at = claimed_at - interval '3 minutes'");
    expect(await claimPersonRequest(store.database)).toMatchObject({ tenant_id: id, actor: 'ann' });
  });

  test('is answered in turns between tenants, one request per tenant at a time', async () => {
    const flood = await tenant();
    for (let n = 0; n < 3; n += 1) await request(flood, await account(flood));
    const [second, third] = [await tenant(), await tenant()];
    for (const id of [second, third]) await request(id, await account(id));
    const claimed: string[] = [];
    let last: string | null = null;
    for (let n = 0; n < 3; n += 1) {
      last = (await claimPersonRequest(store.database, last))?.tenant_id ?? null;
      claimed.push(last ?? '');
    }
    expect(claimed.sort()).toEqual([flood, second, third].sort());
    expect(await claimPersonRequest(store.database, last), 'one of each is under way').toBeUndefined();
    // Answered or given up, the next turn starts after the last tenant.
    await ask(store, 'delete from entra_sync.cycle_requests where claimed_at is not null');
    await request(second, await account(second));
    const ahead = await claimPersonRequest(store.database, flood);
    expect(ahead?.tenant_id).toBe(second);
    expect(await claimPersonRequest(store.database, second)).toMatchObject({ tenant_id: flood });
  });

  test('reads no user of a paused tenant', async () => {
    const id = await tenant({ paused: true });
    await request(id, await account(id));
    expect(await claimPersonRequest(store.database)).toBeUndefined();
  });

  test('fails with ES004 for an unknown or foreign tenant or account, 55000 for a disconnected tenant, 22023 without an actor', async () => {
    const [mine, theirs] = [await tenant(), await tenant()];
    const gone = await tenant({ status: 'disconnected' });
    const foreign = await account(theirs);
    for (const [tenantId, accountId] of [
      [randomUUID(), null],
      [null, null],
      [mine, randomUUID()],
      [mine, foreign],
    ] as const)
      await expect(request(tenantId, accountId)).rejects.toMatchObject({ code: 'ES004' });
    await expect(request(gone, null)).rejects.toMatchObject({ code: '55000' });
    await expect(request(mine, null, ' ')).rejects.toMatchObject({ code: '22023' });
    await expect(
      store.database.transaction(async (transaction) => {
        await transaction.raw(`set local directory.tenant = '${mine}'`);
        await transaction.raw('select directory.request_cycle(?, null, ?)', [theirs, 'ann']);
      }),
    ).rejects.toMatchObject({ code: 'ES004' });
    expect(await waiting()).toEqual([]);
  });

  test('may be called by a granted role, which sees none of its tables', async () => {
    const role = `asks_${randomUUID().slice(0, 8)}`;
    const id = await tenant();
    await ask(store, `create role ${role}`);
    try {
      await grantRole(store.database, { role, tenantBound: false, actor: 'test' });
      const as = (statement: string) =>
        store.database.transaction(async (transaction) => {
          await transaction.raw(`set local role ${role}`);
          await transaction.raw(statement);
        });
      await as(`select directory.request_cycle('${id}', null, 'app')`);
      expect(await waiting()).toEqual([{ actor: 'app' }]);
      for (const table of ['entra_sync.cycle_requests', 'entra_sync_jobs.job'])
        await expect(as(`select from ${table}`)).rejects.toMatchObject({ code: '42501' });
    } finally {
      await ask(store, `drop owned by ${role}`);
      await ask(store, `drop role ${role}`);
    }
  });
});
