// Requests that applications make with directory.request_cycle: a cycle of a tenant, or the read of one user.
import { type Database, rows, sqlState, written } from '../database/pool.ts';

export type UserRequest = { request_id: string; tenant_id: string; account_id: string; actor: string };

// An older claim belongs to a dead worker: reading a user takes seconds.
const claimLasts = '2 minutes';

/**
 * Claims a waiting request to read one user, if there is one. Tenants take turns, starting after `after`, with one claimed
 * request per tenant: many requests of one tenant, or a Graph that hangs for it, do not delay the others.
 */
export async function claimPersonRequest(
  database: Database,
  after: string | null = null,
): Promise<UserRequest | undefined> {
  const [claimed] = await rows<UserRequest>(
    database,
    `update entra_sync.cycle_requests set claimed_at = clock_timestamp()
      where request_id = (
        select q.request_id from entra_sync.cycle_requests q
          join entra_sync.tenants t on t.tenant_id = q.tenant_id and not t.paused
         where q.account_id is not null
           and (q.claimed_at is null or q.claimed_at < clock_timestamp() - interval '${claimLasts}')
           and not exists (
             select from entra_sync.cycle_requests b
              where b.tenant_id = q.tenant_id and b.account_id is not null
                and b.claimed_at >= clock_timestamp() - interval '${claimLasts}')
         order by q.tenant_id <= :after::uuid, q.tenant_id, q.request_id limit 1 for update of q skip locked)
     returning request_id, tenant_id, account_id, actor`,
    { after },
  );
  return claimed;
}

/** Deletes answered requests. */
export async function endRequests(database: Database, requestIds: readonly string[]): Promise<void> {
  if (requestIds.length === 0) return;
  await written(database, 'delete from entra_sync.cycle_requests where request_id = any(:requestIds::bigint[])', {
    requestIds,
  });
}

/** Claims all requests for a cycle of the tenant: a cycle that starts after this answers them. */
export async function claimTenantRequests(
  database: Database,
  tenantId: string,
): Promise<{ request_id: string; actor: string }[]> {
  return written(
    database,
    `update entra_sync.cycle_requests set claimed_at = clock_timestamp()
      where tenant_id = :tenantId and account_id is null returning request_id, actor`,
    { tenantId },
  );
}

/** Asks the worker for a cycle of the tenant now. Returns `disconnected` or `unknown` for a tenant that has none. */
export async function requestCycle(
  database: Database,
  tenantId: string,
  actor: string,
  accountId: string | null = null,
): Promise<'requested' | 'disconnected' | 'unknown'> {
  try {
    await written(database, 'select directory.request_cycle(:tenantId::uuid, :accountId::uuid, :actor)', {
      ...{ tenantId, accountId, actor },
    });
    return 'requested';
  } catch (error) {
    if (sqlState(error) === 'ES004') return 'unknown';
    if (sqlState(error) === '55000') return 'disconnected';
    throw error;
  }
}
