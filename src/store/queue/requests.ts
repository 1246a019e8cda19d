// What applications asked for by directory.request_cycle: the cycle of a tenant, or the reading of one person.
import { type Database, rows, written } from '../database/pool.ts';

export type UserRequest = { request_id: string; tenant_id: string; account_id: string; actor: string };

// Whoever claimed it so long ago is gone: a person is read within seconds.
const claimLasts = '2 minutes';

/**
 * Claims a waiting request for one person, if there is one; nobody else gets it while the claim lasts. Tenants take turns,
 * from the one behind `after` on, and of each one request is answered at a time: ten thousand of one, or a Graph that hangs
 * for it, cost the others nothing.
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

/** Lets go of requests that were answered. */
export async function endRequests(database: Database, requestIds: readonly string[]): Promise<void> {
  if (requestIds.length === 0) return;
  await written(database, 'delete from entra_sync.cycle_requests where request_id = any(:requestIds::bigint[])', {
    requestIds,
  });
}

/** Claims the requests for a whole cycle of the tenant: one that starts after this answers them all. */
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
