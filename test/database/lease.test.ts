// One cycle per tenant at a time (rule 11): the lease, its fence, and a worker that lost it and can do nothing more.
import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { hostname } from 'node:os';
import { join } from 'node:path';
import type { Readable, Writable } from 'node:stream';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { noCounts } from '../../src/rules/counts.ts';
import type { Stream } from '../../src/rules/streams.ts';
import { closeCycle, noteCommit, openCycle, reportOfCommit } from '../../src/store/cycle/cycles.ts';
import { acquireLease, type Lease, type LeaseTimes } from '../../src/store/cycle/lease.ts';
import { inTransaction, openDatabase } from '../../src/store/database/pool.ts';

import { dropRound, type Round, readRound } from '../../src/store/stage/rounds.ts';
import { settleUsers } from '../../src/store/stage/users.ts';

import {
  ask,
  begin,
  commit,
  fingerprintOf,
  leasedTenant,
  openStore,
  pull,
  type Store,
  stageNext,
  sync,
  until,
  untilBlocked,
  user,
} from '../support/stage.ts';

let store: Store;
let leases: Lease[] = [];

beforeEach(async () => {
  store = await openStore();
});

afterEach(async () => {
  for (const lease of leases) await lease.release();
  leases = [];
  await store.close();
});

// Expires after 300 ms, because it gets no heartbeat in time.
const heartless: LeaseTimes = { lastsMs: 300, beatMs: 3_600_000 };

async function tenantHeld(times?: LeaseTimes): Promise<Lease> {
  const lease = await leasedTenant(store, times);
  leases.push(lease);
  return lease;
}

async function acquire(tenantId: string, times?: LeaseTimes): Promise<Lease> {
  const lease = await acquireLease(store.database, tenantId, times);
  leases.push(lease);
  return lease;
}

/** Makes the last heartbeat expire, without waiting. */
const expire = (tenantId: string) =>
  ask(
    store,
    "update entra_sync.heartbeats set expires_at = clock_timestamp() - interval '1 ms' where tenant_id = :tenantId",
    { tenantId },
  );

const taken = (tenantId: string, times?: LeaseTimes) =>
  acquire(tenantId, times).then(
    () => true,
    (error: { code?: string }) => {
      if (error.code !== 'cycle_running') throw error;
      return false;
    },
  );

const running = expect.objectContaining({ code: 'cycle_running' });

const cycleEnd = {
  outcome: 'committed',
  streams: {},
  error: null,
  intervalMs: 60_000,
  sinceStartMs: 0,
  chance: 0.5,
  retention: { changesMs: 86_400_000, cyclesMs: 86_400_000 },
} as const;

describe('rule 11: one holder at a time', () => {
  test('a second process gets the holder and the end of its lease', async () => {
    const { tenantId } = await tenantHeld();
    await expect(acquire(tenantId)).rejects.toMatchObject({
      code: 'cycle_running',
      message: expect.stringMatching(new RegExp(`process ${process.pid}; .* in 4[0-9] s`)),
    });
    // Only for this tenant.
    await tenantHeld();
  });

  test('exactly one of many simultaneous processes wins, if the lease was free and if it just expired', async () => {
    const first = await tenantHeld();
    await first.release();
    const many = openDatabase(store.url, { maxConnections: 12 });
    const attempt = () =>
      acquireLease(many, first.tenantId).then(
        (lease) => leases.push(lease) > 0,
        (error: { code?: string }) => {
          if (error.code !== 'cycle_running') throw error;
          return false;
        },
      );
    for (let round = 0; round < 8; round += 1) {
      const outcomes = await Promise.all(Array.from({ length: 12 }, attempt));
      expect(outcomes.filter(Boolean)).toHaveLength(1);
      await expire(first.tenantId);
    }
    for (const lease of leases) await lease.release();
    await many.destroy();
  });

  test('heartbeats keep it, by the database clock', async () => {
    const { tenantId } = await tenantHeld({ lastsMs: 60_000, beatMs: 100 });
    const expiresAt = async () =>
      (await ask<{ at: string }>(store, 'select expires_at::text as at from entra_sync.heartbeats'))[0]?.at;
    const before = await expiresAt();
    await until('the heart beats', async () => (await expiresAt()) !== before);
    expect(
      await ask(
        store,
        "select expires_at - clock_timestamp() between interval '50 s' and interval '60 s' as soon from entra_sync.heartbeats",
      ),
    ).toEqual([{ soon: true }]);
    expect(await taken(tenantId)).toBe(false);
  });

  test('it expires without heartbeats', async () => {
    const { tenantId, fence } = await tenantHeld(heartless);
    await until('the lease ends', () => taken(tenantId));
    expect(Number(leases[1]?.fence)).toBe(Number(fence) + 1);
  });

  test('a release frees it at once, and a late release of an old holder frees nothing', async () => {
    const first = await tenantHeld();
    await first.release();
    const second = await acquire(first.tenantId);
    await first.release();
    await expect(acquire(first.tenantId)).rejects.toEqual(running);
    expect(Number(second.fence)).toBe(Number(first.fence) + 1);
  });
});

describe('rule 11: a process that lost the lease can stage and commit nothing', () => {
  const writes: Record<string, (lease: Lease, round: Round, open: Round) => Promise<unknown>> = {
    'begin a round': (lease) => begin(store, lease, 'full'),
    'stage a page': (lease, _round, open) => stageNext(store, lease, open, [user(7)]),
    'settle doubts': (lease, round) =>
      settleUsers(store.database, lease, round.round_id, {
        asked: [],
        live: [],
        problems: [],
        notFound: [],
        readAt: new Date(),
      }),
    'drop a round': (lease, round) => dropRound(store.database, lease, round.round_id),
    commit: (lease, round) => commit(store, lease, round),
    'commit a dry run': (lease, round) => commit(store, lease, round, { dryRun: true }),
    'open a cycle': (lease) => openCycle(store.database, lease, { kind: 'resync', actor: 'test', settingsVersion: 1 }),
    'close a cycle': (lease) => closeCycle(store.database, lease, '1', cycleEnd),
  };

  test.each(Object.entries(writes))('%s: lease_lost', async (_what, write) => {
    const lost = await tenantHeld();
    await sync(store, lost, 'full', [[user(1), user(2)]]);
    await openCycle(store.database, lost, { kind: 'resync', actor: 'test', settingsVersion: 1 });
    const round = await pull(store, lost, 'full', [[user(1)]]);
    const open = await begin(store, lost, 'full', { dryRun: true });
    await expire(lost.tenantId);
    await acquire(lost.tenantId);
    const state = async () => [
      await fingerprintOf(store),
      await ask(store, 'select * from entra_sync.rounds order by round_id'),
      await ask(store, 'select * from entra_sync.stage_users order by entra_object_id'),
      await ask(store, 'select * from entra_sync.cycles order by cycle_id'),
    ];
    const before = await state();
    await expect(write(lost, round, open)).rejects.toMatchObject({
      code: 'lease_lost',
      message: expect.stringContaining('another process has taken over'),
    });
    expect(await state()).toEqual(before);
  });

  test('its next heartbeat reports the loss', async () => {
    const lost = await tenantHeld({ lastsMs: 60_000, beatMs: 100 });
    expect(lost.lost.aborted).toBe(false);
    await until('another holder has it', async () => {
      // A beat between the two revives the lease.
      await expire(lost.tenantId);
      return taken(lost.tenantId);
    });
    await until('the old holder knows', () => lost.lost.aborted);
    expect(lost.lost.reason).toMatchObject({ code: 'lease_lost' });
  });

  test('the new holder resumes at the last staged page (rule 12)', async () => {
    const lost = await tenantHeld();
    await stageNext(store, lost, await begin(store, lost, 'full'), [user(1), user(2)]);
    await expire(lost.tenantId);
    const now = await acquire(lost.tenantId);
    const round = await readRound(store.database, now.tenantId, 'users', false);
    expect(round).toMatchObject({ pages: 1, seen: 2 });
    if (round) await commit(store, now, await stageNext(store, now, round, [user(3)], true));
    expect(await ask(store, 'select from directory.accounts')).toHaveLength(3);
  });
});

describe('rule 11: takeover and commit meet at the fence', () => {
  test('no takeover while a commit is open, even without heartbeats', async () => {
    const lease = await tenantHeld();
    const round = await pull(store, lease, 'full', [[user(1)]]);
    await ask(store, 'create table entra_sync.gate ()');
    await ask(
      store,
      `create function entra_sync.wait_at_gate() returns trigger language plpgsql as
       $$ begin lock table entra_sync.gate in share mode; return null; end $$`,
    );
    await ask(
      store,
      'create trigger wait after insert on entra_sync.checkpoints for each row execute function entra_sync.wait_at_gate()',
    );
    const keeper = await store.connect();
    await keeper.query('begin');
    await keeper.query('lock table entra_sync.gate in access exclusive mode');
    const committing = commit(store, lease, round);
    await untilBlocked(store);
    await expire(lease.tenantId);
    await expect(acquire(lease.tenantId)).rejects.toMatchObject({
      code: 'cycle_running',
      message: expect.stringContaining('it is writing right now'),
    });
    await keeper.query('rollback');
    expect((await committing).counts).toMatchObject({ created: 1 });
    await acquire(lease.tenantId);
  });

  test('a commit that waits for a takeover commits nothing', async () => {
    const lease = await tenantHeld();
    const round = await pull(store, lease, 'full', [[user(1)]]);
    const other = await store.connect();
    await other.query('begin');
    await other.query('update entra_sync.leases set fence = fence + 1 where tenant_id = $1', [lease.tenantId]);
    const committing = commit(store, lease, round);
    const refused = expect(committing).rejects.toMatchObject({ code: 'lease_lost' });
    await untilBlocked(store);
    await other.query('commit');
    await refused;
    expect(await ask(store, 'select from directory.accounts')).toEqual([]);
  });

  test('a takeover closes the interrupted cycle, and no other', async () => {
    const lease = await tenantHeld();
    const bystander = await tenantHeld();
    const open = { kind: 'incremental', actor: 'test', settingsVersion: 1 } as const;
    const done = await openCycle(store.database, lease, open);
    await closeCycle(store.database, lease, done, cycleEnd);
    const cutOff = await openCycle(store.database, lease, open);
    const elsewhere = await openCycle(store.database, bystander, open);
    await expire(lease.tenantId);
    await acquire(lease.tenantId);
    expect(
      await ask(
        store,
        'select cycle_id, outcome, error_code, finished_at is not null as finished from directory.cycles order by cycle_id',
      ),
    ).toEqual([
      { cycle_id: done, outcome: 'committed', error_code: null, finished: true },
      { cycle_id: cutOff, outcome: 'failed', error_code: 'cut_off', finished: true },
      { cycle_id: elsewhere, outcome: 'running', error_code: null, finished: false },
    ]);
  });
});

test('rule 21: the report of an interrupted cycle contains its open rounds', async () => {
  const lease = await tenantHeld();
  await openCycle(store.database, lease, { kind: 'initial', actor: 'test', settingsVersion: 1 });
  await stageNext(store, lease, await begin(store, lease, 'full'), [user(1), user(2)]);
  await expire(lease.tenantId);
  await acquire(lease.tenantId);
  const [cycle] = await ask(store, 'select streams from directory.cycles');
  expect(cycle?.streams).toEqual({
    users: { outcome: 'failed', round: 'full', reason: 'cut_off', begun_for: expect.any(String), pages: 1, seen: 2 },
  });
});

test.each([
  { kind: 'incremental', reports: { users: 0, groups: 0 }, outcome: 'committed', code: null, status: 'active' },
  { kind: 'incremental', reports: { users: 3, groups: 0 }, outcome: 'held', code: 'removals_held', status: 'active' },
  { kind: 'resync', reports: { groups: 0 }, outcome: 'partial', code: 'cut_off', status: 'pending' },
  { kind: 'first_load', reports: { users: 0 }, outcome: 'committed', code: null, status: 'pending' },
] as const)(
  'rule 21: a takeover reports a cycle ($kind) with the commits $reports as $outcome',
  async ({ kind, reports, outcome, code, status }) => {
    const lease = await tenantHeld();
    const { database } = store;
    const cycle = await openCycle(database, lease, { kind, actor: 'test', settingsVersion: 1 });
    const round = { kind: 'full', reason: 'first', pages: 1, seen: 1 } as const;
    for (const [stream, held] of Object.entries(reports) as [Stream, number][]) {
      const report = reportOfCommit(round, { ...noCounts, held, set_aside: 0 }, 7);
      await inTransaction(database, (transaction) => noteCommit(transaction, cycle, stream, report));
    }
    await expire(lease.tenantId);
    await acquire(lease.tenantId);
    const [row] = await ask(
      store,
      `select c.outcome, c.error_code as code, t.status, c.streams from entra_sync.cycles c
         join entra_sync.tenants t using (tenant_id)`,
    );
    expect(row).toMatchObject({ outcome, code, status });
    for (const stream of Object.keys(reports))
      expect(row?.streams).toMatchObject({ [stream]: { outcome: 'committed', requests: 7, pages: 1 } });
  },
);

test('a tenant that was erased meanwhile is reported as no longer registered', async () => {
  await expect(acquire(randomUUID())).rejects.toMatchObject({ code: 'unknown_name' });
});

describe('rule 11: a neighbour process', () => {
  type Neighbour = ChildProcessByStdio<Writable, Readable, null>;
  let neighbour: Neighbour | undefined;

  afterEach(() => {
    neighbour?.kill('SIGKILL');
  });

  async function holdElsewhere(tenantId: string): Promise<Neighbour> {
    const script = join(import.meta.dirname, '../support/lease-user.ts');
    neighbour = spawn(process.execPath, [script, store.url, tenantId], { stdio: ['pipe', 'pipe', 'inherit'] });
    await once(neighbour.stdout, 'data');
    return neighbour;
  }

  test('that lives keeps its lease; a killed one loses it at once', async () => {
    const lease = await tenantHeld();
    await lease.release();
    const process = await holdElsewhere(lease.tenantId);
    await expect(acquire(lease.tenantId)).rejects.toEqual(running);
    process.kill('SIGKILL');
    await once(process, 'exit');
    // Its lease would last another 45 seconds.
    const next = await acquire(lease.tenantId);
    expect(Number(next.fence)).toBe(Number(lease.fence) + 2);
  });

  test('on another machine is not checked by its process id', async () => {
    const lease = await tenantHeld();
    await ask(store, "update entra_sync.leases set holder = 'elsewhere 999999999 x'");
    await expect(acquire(lease.tenantId)).rejects.toEqual(running);
    await ask(store, 'update entra_sync.leases set holder = :holder', { holder: `${hostname()} 999999999 x` });
    await acquire(lease.tenantId);
  });
});
