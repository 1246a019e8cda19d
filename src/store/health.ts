// What the database tells about itself and about how fresh a tenant is, for `doctor`.
import { type Database, rows } from './pool.ts';

export type Server = { readonly version: string; readonly major: number; readonly now: Date };

/** Which server answers, and what time it is there. */
export async function readServer(database: Database): Promise<Server> {
  const [server] = await rows<Server>(
    database,
    `select current_setting('server_version') as version, current_setting('server_version_num')::int / 10000 as major,
            clock_timestamp() as now`,
  );
  if (!server) throw new Error('the server told nothing about itself');
  return server;
}

export type CheckpointAge = { readonly stream: string; readonly ageMs: number };

/** How old the checkpoints of a tenant are, by the database's clock. */
export async function checkpointAges(database: Database, tenantId: string): Promise<CheckpointAge[]> {
  return rows<CheckpointAge>(
    database,
    `select stream, (extract(epoch from clock_timestamp() - committed_at) * 1000)::float8 as "ageMs"
       from entra_sync.checkpoints where tenant_id = :tenantId order by stream desc`,
    { tenantId },
  );
}
