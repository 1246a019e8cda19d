// One cycle per tenant at a time across all replicas: a lease with a fence (rule 11), by the database's clock.
import { randomUUID } from 'node:crypto';
import { hostname } from 'node:os';
import { ExpectedError } from '../../errors.ts';
import { type Database, inTransaction, rows, sqlState, type Transaction, written } from '../database/pool.ts';
import { tenantDisconnected, tenantGone } from '../tenants/tenants.ts';
import { closeLeftOpen } from './left-open.ts';

export type Lease = {
  readonly tenantId: string;
  readonly fence: string;
  /** Aborted with `lease_lost` once a heartbeat finds that another process has taken over. */
  readonly lost: AbortSignal;
  /** Never throws: a lease that is not released expires. */
  release(): Promise<void>;
};

export type LeaseTimes = { readonly lastsMs: number; readonly beatMs: number };

// Without retries: the next beat follows anyway, and an unreleased lease expires.
const atOnce = { forMs: 0, forWorkMs: 0 };

const defaultTimes: LeaseTimes = { lastsMs: 45_000, beatMs: 10_000 };

/**
 * Takes the tenant's lease and keeps it alive. Throws `cycle_running` (exit 6) while another holder is alive or its
 * transaction locks the fence, `unknown_name` for an erased tenant. Takes over at once from a dead process of this machine:
 * if that guess is wrong, the fence still protects. Closes a cycle that was left open, and deletes what dry runs left staged.
 */
export async function acquireLease(
  database: Database,
  tenantId: string,
  times: LeaseTimes = defaultTimes,
): Promise<Lease> {
  const holder = `${hostname()} ${process.pid} ${randomUUID().slice(0, 8)}`;
  const { fence, leftOpen } = await inTransaction(database, (transaction) =>
    takeFence(transaction, tenantId, holder, times.lastsMs),
  );
  const lost = new AbortController();
  const beat = setInterval(() => {
    void heartbeat(database, tenantId, fence, times.lastsMs).then(
      (alive) => {
        if (!alive) lost.abort(leaseLost(tenantId));
      },
      // A failed beat is harmless: the lease outlasts several, and every transaction checks the fence.
      () => {},
    );
  }, times.beatMs);
  beat.unref();
  const lease: Lease = {
    tenantId,
    fence,
    lost: lost.signal,
    release: async () => {
      clearInterval(beat);
      await written(
        database,
        'delete from entra_sync.heartbeats where tenant_id = :tenantId and fence = :fence',
        {
          tenantId,
          fence,
        },
        atOnce,
      ).catch(() => []);
    },
  };
  if (leftOpen) await closeOpen(database, lease);
  return lease;
}

// Not in the transaction that takes the fence: every writer locks the tenant's row before it.
async function closeOpen(database: Database, lease: Lease): Promise<void> {
  try {
    await inTransaction(database, async (transaction) => {
      await lockFenced(transaction, lease);
      await closeLeftOpen(transaction, lease.tenantId);
    });
  } catch (error) {
    await lease.release();
    throw error;
  }
}

type Taken = { readonly fence: string; readonly leftOpen: boolean };

async function takeFence(transaction: Transaction, tenantId: string, holder: string, lastsMs: number): Promise<Taken> {
  const lease = (await lockLease(transaction, tenantId)) ?? (await firstLease(transaction, tenantId));
  // A separate statement, which sees everything committed before the lock was granted. The locking statement could read the
  // old heartbeat of a lease that was taken an instant ago.
  const [taken] = await rows<{ fence: string | null; remaining_s: number; left_open: boolean }>(
    transaction,
    takeLease,
    {
      tenantId,
      holder,
      lastsMs,
      dead: isDeadNeighbour(lease.holder),
    },
  );
  if (taken?.fence) return { fence: taken.fence, leftOpen: taken.left_open };
  throw cycleRunning(
    tenantId,
    `held by ${lease.holder?.split(' ').slice(0, 2).join(', process ') ?? 'another process'}; if that process has ended, the lease expires in ${Math.ceil(taken?.remaining_s ?? 0)} s`,
  );
}

type LeaseHolder = { holder: string | null };

async function lockLease(transaction: Transaction, tenantId: string): Promise<LeaseHolder | undefined> {
  const [lease] = await rows<LeaseHolder>(
    transaction,
    'select holder from entra_sync.leases where tenant_id = :tenantId for update nowait',
    { tenantId },
  ).catch((error: unknown) => {
    // Locked by an open transaction of the holder.
    if (sqlState(error) === '55P03') throw cycleRunning(tenantId, 'it is writing right now');
    throw error;
  });
  return lease;
}

async function firstLease(transaction: Transaction, tenantId: string): Promise<LeaseHolder> {
  await transaction
    .raw('insert into entra_sync.leases (tenant_id) values (:tenantId) on conflict do nothing', { tenantId })
    .catch((error: unknown) => {
      // foreign_key_violation: the tenant was erased meanwhile.
      if (sqlState(error) === '23503') throw tenantGone(tenantId);
      throw error;
    });
  return (await lockLease(transaction, tenantId)) ?? { holder: null };
}

// Takes the lease unless its holder's heartbeat is alive.
const takeLease = `
with heart as (
  select extract(epoch from expires_at - clock_timestamp())::float8 as remaining_s
    from entra_sync.heartbeats where tenant_id = :tenantId
), taken as (
  update entra_sync.leases set fence = fence + 1, holder = :holder, acquired_at = clock_timestamp()
   where tenant_id = :tenantId and (:dead::boolean or not exists (select from heart where remaining_s > 0))
  returning tenant_id, fence
), beating as (
  insert into entra_sync.heartbeats (tenant_id, fence, expires_at)
  select tenant_id, fence, clock_timestamp() + :lastsMs * interval '1 millisecond' from taken
  on conflict (tenant_id) do update set fence = excluded.fence, expires_at = excluded.expires_at
), dry_rounds as (
  delete from entra_sync.rounds where tenant_id = (select tenant_id from taken) and dry_run
)
select (select fence from taken) as fence, (select remaining_s from heart) as remaining_s,
       exists (select from entra_sync.cycles where tenant_id = :tenantId and outcome = 'running') as left_open`;

async function heartbeat(database: Database, tenantId: string, fence: string, lastsMs: number): Promise<boolean> {
  const beaten = await written(
    database,
    `update entra_sync.heartbeats set expires_at = clock_timestamp() + :lastsMs * interval '1 millisecond'
      where tenant_id = :tenantId and fence = :fence returning fence`,
    { tenantId, fence, lastsMs },
    atOnce,
  );
  return beaten.length > 0;
}

const holdFence = (tenantId: string) =>
  `select from entra_sync.leases where tenant_id = ${tenantId} and fence = :fence for share`;

/**
 * Share-locks the fence, so that a takeover waits or this transaction fails. Throws `lease_lost`, or the error of a
 * tenant disconnected or erased meanwhile.
 */
export async function requireFence(transaction: Transaction, lease: Lease): Promise<void> {
  const { tenantId, fence } = lease;
  const held = await rows(transaction, holdFence(':tenantId'), { tenantId, fence });
  if (held.length === 0) throw await whyLost(transaction, lease);
}

export type LockedTenant = { readonly status: string; readonly failures: number };

/**
 * Locks the tenant's row against all but edits, then the fence, and throws like {@link requireFence}. First in a
 * cycle's writing transactions.
 */
export async function lockFenced(transaction: Transaction, lease: Lease): Promise<LockedTenant> {
  const { tenantId, fence } = lease;
  const [tenant] = await rows<LockedTenant>(transaction, lockBoth('no key update'), { tenantId, fence });
  if (!tenant) throw await whyLost(transaction, lease);
  return tenant;
}

/**
 * Locks the tenant's row, then the fence `:fence`; no row if it is not held. After a wait the rest of the statement
 * still sees the database of before: read current data in the next one.
 */
export const lockBoth = (tenant: 'no key update' | 'key share') => `
select t.status, t.failures
  from (select tenant_id, status, failures from entra_sync.tenants where tenant_id = :tenantId for ${tenant}) t
  join lateral (${holdFence('t.tenant_id')}) f on true`;

/** Returns the error for a fence that is no longer held. */
export async function whyLost(on: Database | Transaction, lease: Lease): Promise<ExpectedError> {
  const [tenant] = await rows<{ status: string }>(
    on,
    'select status from entra_sync.tenants where tenant_id = :tenantId',
    { tenantId: lease.tenantId },
  );
  if (!tenant) return tenantGone(lease.tenantId);
  // A disconnect raises the fence too, but no other process continues the cycle.
  return tenant.status === 'disconnected' ? tenantDisconnected() : leaseLost(lease.tenantId);
}

function leaseLost(tenantId: string): ExpectedError {
  return new ExpectedError('lease_lost', `another process has taken over tenant ${tenantId}; this one stops`, {
    cure: 'nothing to do: the other process resumes at the last staged page',
  });
}

function cycleRunning(tenantId: string, why: string): ExpectedError {
  return new ExpectedError('cycle_running', `another cycle of tenant ${tenantId} is running (${why})`, {
    cure: 'wait for it, then run the command again',
  });
}

function isDeadNeighbour(holder: string | null): boolean {
  const [host, pid] = holder?.split(' ') ?? [];
  if (host !== hostname() || !pid || Number(pid) === process.pid) return false;
  try {
    process.kill(Number(pid), 0);
    return false;
  } catch (error) {
    return sqlState(error) === 'ESRCH';
  }
}
