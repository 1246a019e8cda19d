// Decides after a cycle when its tenant is tried again and whether it is in quarantine.
import type { CycleOutcome } from '../../rules/outcome.ts';
import { nextCycleMs } from '../../rules/planning.ts';
import {
  failuresAfter,
  graphFailures,
  isDatabasesFault,
  quarantineAfter,
  type RecentFailures,
} from '../../rules/quarantine.ts';
import { ofManyTenants } from '../database/lock-waits.ts';
import { type Database, inTransaction, rowCount, rows, type Transaction, written } from '../database/pool.ts';
import { inReportedTransaction } from '../feed/receipts.ts';

export type Attempt = {
  readonly outcome: CycleOutcome;
  readonly error: { readonly code: string; readonly message: string } | null;
  readonly intervalMs: number;
  /** Time since the start: the interval is from start to start. */
  readonly sinceStartMs: number;
  /** A random number from 0 to 1, so that tenants drift apart. */
  readonly chance: number;
};

// Failures within this span probably have the same reason. Every tenant is tried at least once in it.
const lately = '1 hour';

/**
 * Updates the tenant's row, which the caller has locked. A failure of the database does not become the tenant's error: the
 * last error stays, and the tenant is tried again soon.
 */
export async function recordAttempt(
  transaction: Transaction,
  tenantId: string,
  failuresBefore: number,
  attempt: Attempt,
): Promise<void> {
  const { outcome, error, intervalMs, sinceStartMs, chance } = attempt;
  const code = error?.code ?? null;
  const failures = failuresAfter(failuresBefore, {
    outcome,
    code,
    lately: error && graphFailures.includes(error.code) ? await whatEndedLately(transaction) : { tried: 0, failing: 0 },
  });
  await transaction.raw(
    `update entra_sync.tenants
        set last_success_at = case when :succeeded::boolean then clock_timestamp() else last_success_at end,
            failures = :failures::integer,
            status = case when status = 'disconnected' then status
                          when :succeeded::boolean then 'active'
                          when :quarantined::boolean then 'quarantined'
                          when status = 'quarantined' and :failures::integer = 0 then 'active'
                          else status end,
            next_cycle_at = clock_timestamp() + interval '1 millisecond' * :waitMs::float8,
            last_error_code = case when :databases::boolean then last_error_code else :code end,
            last_error_message = case when :databases::boolean then last_error_message else :message end
      where tenant_id = :tenantId`,
    {
      tenantId,
      failures,
      succeeded: outcome === 'committed' || outcome === 'held',
      quarantined: failures >= quarantineAfter,
      waitMs: nextCycleMs({ outcome, code, failures, intervalMs, sinceStartMs }, chance),
      code,
      message: error?.message ?? null,
      databases: isDatabasesFault(code),
    },
  );
}

/** Records the success of a cycle that is closed late, at the time of its last commit. The next cycle stays due. */
export async function recordLateSuccess(
  transaction: Transaction,
  tenantId: string,
  error: Attempt['error'],
): Promise<void> {
  await transaction.raw(
    `update entra_sync.tenants t
        set last_success_at = (select max(p.committed_at) from entra_sync.checkpoints p
                                where p.tenant_id = t.tenant_id),
            failures = 0, status = case when status = 'disconnected' then status else 'active' end,
            last_error_code = :code, last_error_message = :message
      where tenant_id = :tenantId`,
    { tenantId, code: error?.code ?? null, message: error?.message ?? null },
  );
}

async function whatEndedLately(transaction: Transaction): Promise<RecentFailures> {
  const [counted] = await rows<RecentFailures>(
    transaction,
    `select count(*)::int as tried,
            count(*) filter (where outcome in ('failed', 'partial') and error_code = any(:codes))::int as failing
       from (select distinct on (tenant_id) outcome, error_code from entra_sync.cycles
              where kind <> 'on_demand' and finished_at > clock_timestamp() - interval '${lately}'
                and error_code is distinct from 'cut_off'
              order by tenant_id, cycle_id desc) as latest`,
    { codes: graphFailures },
  );
  return counted ?? { tried: 0, failing: 0 };
}

/**
 * Records a failure when a cycle could not be opened or closed, if the tenant's due time is still `dueAt` (null: never
 * synced).
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

/**
 * Makes tenants (null: all) due now, except disconnected ones, and ends their quarantine for one try: the failures still
 * count, so another one puts the tenant back, at the shortest wait. Returns how many.
 */
export async function makeDue(database: Database, tenantIds: readonly string[] | null): Promise<number> {
  return changeTenants(
    database,
    tenantIds,
    `update entra_sync.tenants
        set next_cycle_at = clock_timestamp(), failures = least(failures, ${quarantineAfter - 1}),
            failing_credential = null,
            status = case when status <> 'quarantined' then status
                          when last_success_at is null then 'pending' else 'active' end
      where status <> 'disconnected' and (:all::boolean or tenant_id = any(:tenantIds::uuid[]))`,
  );
}

/**
 * Pauses or unpauses tenants for the worker. Null: all of them together; that unpauses only those that were paused
 * together, and pauses no tenant anew that is paused on its own. Returns how many changed.
 */
export async function setPaused(
  database: Database,
  tenantIds: readonly string[] | null,
  paused: boolean,
): Promise<number> {
  return changeTenants(
    database,
    tenantIds,
    `update entra_sync.tenants set paused = :paused, paused_together = :paused and :all::boolean
      where case when :all::boolean then paused <> :paused and (:paused or paused_together)
                 else tenant_id = any(:tenantIds::uuid[]) and (paused <> :paused or paused_together) end`,
    { paused },
  );
}

/** Runs one reported update of tenants (null: all), and locks them in id order as all such transactions do. */
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
        `select from entra_sync.tenants where :all::boolean or tenant_id = any(:tenantIds::uuid[])
          order by tenant_id for no key update`,
        bind,
      );
      return rowCount(transaction, update, bind);
    },
    { locks: ofManyTenants },
  );
}

/** Returns the key of the hashes that show whether a credential changed. */
export async function credentialSalt(database: Database): Promise<string> {
  const [scheduler] = await rows<{ salt: string }>(database, 'select salt from entra_sync.scheduler');
  return scheduler?.salt ?? '';
}

export type FailingTenant = { tenant_id: string; failing_credential: string | null };

/** Returns tenants whose last cycle failed, with the fingerprint of the credential that it used. */
export async function failingTenants(database: Database): Promise<FailingTenant[]> {
  return rows<FailingTenant>(
    database,
    `select tenant_id, failing_credential from entra_sync.tenants
      where failing_credential is not null and status <> 'disconnected'`,
  );
}

/** Stores the fingerprint of the credential with which the tenant's last cycle failed; null: it did not fail. */
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
