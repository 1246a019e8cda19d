// The links to managers as they are stored, for `verify`. A listing does not show them, so each is asked for.
import { type Database, rows } from './database/pool.ts';
import { liveManaged } from './database/vocabulary.ts';

export type StoredManager = {
  readonly id: string;
  /** The object id of the manager. */
  readonly manager: string | null;
  /** The manager has a live account. Graph does not show the link to a deleted one, and the copy keeps it. */
  readonly isLive: boolean;
};

/** Returns the managers of the listed users who have a live managed account. */
export function storedManagers(
  database: Database,
  { tenantId, roundId }: { readonly tenantId: string; readonly roundId: string },
): Promise<StoredManager[]> {
  return rows<StoredManager>(
    database,
    `select a.entra_object_id as id, a.manager_object_id as manager, m.account_id is not null as "isLive"
       from entra_sync.stage_users s
       join entra_sync.accounts a
         on a.tenant_id = :tenantId and a.entra_object_id = s.entra_object_id and ${liveManaged('a')}
       left join entra_sync.accounts m
         on m.tenant_id = :tenantId and m.entra_object_id = a.manager_object_id and m.removed_at is null
      where s.round_id = :roundId and s.removed is null and s.in_scope
      order by a.entra_object_id`,
    { tenantId, roundId },
  );
}
