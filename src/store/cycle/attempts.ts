// What a cycle's end means for its tenant: when it is tried again, and whether it is in quarantine.
import type { CycleOutcome } from '../../rules/outcome.ts';
import {
  failuresAfter,
  graphFailures,
  isDatabasesFault,
  quarantineAfter,
  type RecentFailures,
  retrySoon,
  waitAfter,
} from '../../rules/quarantine.ts';
import { ofManyTenants } from '../database/lock-waits.ts';
import { type Database, inTransaction, rowCount, rows, type Transaction, written } from '../database/pool.ts';
import { inReportedTransaction } from '../feed/receipts.ts';

export type Attempt = {
  readonly outcome: CycleOutcome;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly intervalMs: number;
  /** How long ago it started: the interval is from start to start. */
  readonly sinceStartMs: number;
  /** A factor around 1, so that tenants that were added together drift apart. */
  readonly jitter: number;
};

// So recent that what failed then fails for the same reason: every tenant is tried within it, whatever its turn.
const lately = '1 hour';

/**
 * Writes what an attempt means into the tenant's row, which the caller has locked, with so many failures before. What
 * the database did is no error of the tenant: the last one stays, and the tenant is tried again within a minute or two.
 */
export async function recordAttempt(
  transaction: Transaction,
  tenantId: string,
  failuresBefore: number,
  attempt: Attempt,
): Promise<void> {
  const { outcome, error } = attempt;
  const failures = failuresAfter(failuresBefore, {
    outcome,
    code: error?.code ?? null,
    lately: error && graphFailures.includes(error.code) ? await whatEndedLately(transaction) : { tried: 0, failing: 0 },
  });
  const waitMs = waitAfter(failures, attempt.intervalMs) * attempt.jitter - attempt.sinceStartMs;
  await transaction.raw(
    `update entra_sync.tenants
        set last_success_at = case when :succeeded::boolean then clock_timestamp() else last_success_at end,
            failures = :failures::integer,
            status = case when status = 'disconnected' then status
                          when :succeeded::boolean then 'active'
                          when :quarantined::boolean then 'quarantined'
                          when status = 'quarantined' and :failures::integer = 0 then 'active'
                          else status end,
            next_cycle_at = clock_timestamp() + interval '1 millisecond' * case
              when :databases::boolean then least(:intervalMs::float8, 1000 * (:soonest::float8 + :soonSpan::float8 * random()))
              else :waitMs::float8 end,
            last_error_code = case when :databases::boolean then last_error_code else :code end,
            last_error_message = case when :databases::boolean then last_error_message else :message end
      where tenant_id = :tenantId`,
    {
      tenantId,
      failures,
      succeeded: outcome === 'committed' || outcome === 'held',
      quarantined: failures >= quarantineAfter,
      // What was broken off is gone on with at once, by whoever is there.
      waitMs: outcome === 'cancelled' ? 0 : Math.max(0, waitMs),
      code: error?.code ?? null,
      message: error?.message ?? null,
      databases: isDatabasesFault(error?.code ?? null),
      intervalMs: attempt.intervalMs,
      soonest: retrySoon.minSeconds,
      soonSpan: retrySoon.maxSeconds - retrySoon.minSeconds,
    },
  );
}

async function whatEndedLately(transaction: Transaction): Promise<RecentFailures> {
  const [counted] = await rows<RecentFailures>(
    transaction,
    `select count(*)::int as tried, count(*) filter (where outcome in ('failed', 'partial') and error_code = any(:codes))::int as failing
       from (select distinct on (tenant_id) outcome, error_code from entra_sync.cycles
              where kind <> 'on_demand' and finished_at > clock_timestamp() - interval '${lately}'
                and error_code is distinct from 'cut_off'
              order by tenant_id, cycle_id desc) as latest`,
    { codes: graphFailures },
  );
  return counted ?? { tried: 0, failing: 0 };
}

/**
 * Records a failure of a tenant for which no cycle could be opened, or not closed: one that is still due as it was, at
 * `dueAt` (null: never synced). What was closed, or made due anew, meanwhile stays as it is.
 */
export async function recordFailedStart(
  database: Database,
  tenantId: string,
  dueAt: string | null,
  attempt: Attempt,
): Promise<void> {
  await inTransaction(database, async (transaction) => {
    const [stillDue] = await rows<{ failures: number }>(
      transaction,
      `select failures from entra_sync.tenants
        where tenant_id = :tenantId and extract(epoch from next_cycle_at) is not distinct from :dueAt::numeric
          for no key update`,
      { tenantId, dueAt },
    );
    if (stillDue) await recordAttempt(transaction, tenantId, stillDue.failures, attempt);
  });
}

/** Makes tenants (null: all) due now, out of quarantine too. Returns how many; disconnected ones stay as they are. */
export async function makeDue(database: Database, tenantIds: readonly string[] | null): Promise<number> {
  return changeTenants(
    database,
    tenantIds,
    `update entra_sync.tenants
        set next_cycle_at = clock_timestamp(), failures = 0, failing_credential = null,
            status = case when status <> 'quarantined' then status
                          when last_success_at is null then 'pending' else 'active' end
      where status <> 'disconnected' and (:all::boolean or tenant_id = any(:tenantIds::uuid[]))`,
  );
}

/** Holds tenants (null: all) back from the worker, or lets go of them. Returns how many it concerned. */
export async function setPaused(
  database: Database,
  tenantIds: readonly string[] | null,
  paused: boolean,
): Promise<number> {
  return changeTenants(
    database,
    tenantIds,
    `update entra_sync.tenants set paused = :paused
      where paused <> :paused and (:all::boolean or tenant_id = any(:tenantIds::uuid[]))`,
    { paused },
  );
}

/** One update of tenants (null: all), told of. Locked in id order, like by everybody who takes several. */
async function changeTenants(
  database: Database,
  tenantIds: readonly string[] | null,
  update: string,
  values: Record<string, unknown> = {},
): Promise<number> {
  const bind = { ...values, all: tenantIds === null, tenantIds: tenantIds ?? [] };
  return inReportedTransaction(
    database,
    async (transaction) => {
      await transaction.raw(
        'select from entra_sync.tenants where :all::boolean or tenant_id = any(:tenantIds::uuid[]) order by tenant_id for no key update',
        bind,
      );
      return rowCount(transaction, update, bind);
    },
    { locks: ofManyTenants },
  );
}

/** The key of the hashes by which a changed credential is recognised. */
export async function credentialSalt(database: Database): Promise<string> {
  const [scheduler] = await rows<{ salt: string }>(database, 'select salt from entra_sync.scheduler');
  return scheduler?.salt ?? '';
}

export type FailingTenant = { tenant_id: string; failing_credential: string | null };

/** Tenants whose last cycle failed, with the mark of the credential that it used. */
export async function failingTenants(database: Database): Promise<FailingTenant[]> {
  return rows<FailingTenant>(
    database,
    `select tenant_id, failing_credential from entra_sync.tenants
      where failing_credential is not null and status <> 'disconnected'`,
  );
}

/** Notes with which credential the tenant's last cycle failed; null: it did not fail. */
export async function recordFailingCredential(
  database: Database,
  tenantId: string,
  mark: string | null,
): Promise<void> {
  await written(
    database,
    `update entra_sync.tenants set failing_credential = :mark
      where tenant_id = :tenantId and failing_credential is distinct from :mark`,
    { tenantId, mark },
  );
}
