// How the photos of tenants and of single accounts stand, for people who look.
import { type Database, rows, type Transaction } from '../database/pool.ts';

/** How the photos of a tenant stand; only tenants that read them, or have read them, have this. */
export type PhotoState = {
  readonly tenant_id: string;
  /** As the settings in force say. */
  readonly read: boolean;
  readonly size: string;
  readonly photos: number;
  /** Null: not counted yet. */
  readonly due: number | null;
  readonly faults: number;
  readonly trouble: string | null;
  readonly trouble_message: string | null;
  readonly trouble_since: Date | null;
};

/** Returns how the photos of one tenant or of all stand. */
export async function readPhotoStates(database: Database, tenantId: string | null): Promise<PhotoState[]> {
  return rows<PhotoState>(
    database,
    `select t.tenant_id, (s.photos ->> 'read')::boolean as read, s.photos ->> 'size' as size, l.due,
            (select count(*) from entra_sync.photos p join entra_sync.accounts a using (account_id)
              where p.tenant_id = t.tenant_id and p.sha256 is not null and a.removed_at is null)::int as photos,
            (select count(*) from entra_sync.photo_faults f where f.tenant_id = t.tenant_id)::int as faults,
            l.trouble, l.trouble_message, l.trouble_since
       from entra_sync.tenants t
      cross join lateral (select entra_sync.photo_settings(t.tenant_id) as photos) s
       left join entra_sync.photo_lanes l on l.tenant_id = t.tenant_id
      where (:tenantId::uuid is null or t.tenant_id = :tenantId)
        and (l.tenant_id is not null or (s.photos ->> 'read')::boolean)
      order by t.tenant_id`,
    { tenantId },
  );
}

/** Returns how many photos of a tenant are stored, those of removed accounts included. */
export async function countPhotos(on: Database | Transaction, tenantId: string): Promise<number> {
  const [found] = await rows<{ photos: number }>(
    on,
    `select count(*)::int as photos from entra_sync.photos where tenant_id = :tenantId and sha256 is not null`,
    { tenantId },
  );
  return found?.photos ?? 0;
}

/** How the photo of one account stands. `read` and `refreshMs` are of the tenant's settings. */
export type AccountPhoto = {
  readonly read: boolean;
  readonly read_at: Date | null;
  readonly content_type: string | null;
  readonly sha256: string | null;
  readonly size: number | null;
  readonly width: number | null;
  readonly height: number | null;
  readonly updated_at: Date | null;
  readonly fault: string | null;
};

/** Returns how the photo of an account stands. */
export async function readAccountPhoto(
  database: Database | Transaction,
  accountId: string,
): Promise<AccountPhoto | undefined> {
  const [found] = await rows<AccountPhoto>(
    database,
    `select (entra_sync.photo_settings(a.tenant_id) ->> 'read')::boolean as read, p.read_at, p.content_type, p.sha256,
            octet_length(p.content) as size, p.width, p.height, p.updated_at, f.reason as fault
       from entra_sync.accounts a
       left join entra_sync.photos p using (account_id)
       left join entra_sync.photo_faults f using (account_id)
      where a.account_id = :accountId`,
    { accountId },
  );
  return found;
}

/** Returns the shown photo of an account of this tenant; its content is null where `known` has its hash. */
export async function readPhoto(
  read: Transaction,
  { tenantId, accountId, known }: { tenantId: string; accountId: string; known: readonly string[] },
): Promise<{ content_type: string; sha256: string; content: Uint8Array | null } | undefined> {
  const [found] = await rows<{ content_type: string; sha256: string; content: Uint8Array | null }>(
    read,
    `select p.content_type, p.sha256, case when p.sha256 <> all(:known::text[]) then p.content end as content
       from directory.photos p where p.account_id = :accountId and p.tenant_id = :tenantId`,
    { tenantId, accountId, known },
  );
  return found;
}

/** Returns those of these accounts of a tenant that have a photo to show; none while the settings read no photos. */
export async function accountsWithPhoto(
  read: Transaction,
  { tenantId, accountIds }: { tenantId: string; accountIds: readonly string[] },
): Promise<ReadonlySet<string>> {
  const found = await rows<{ account_id: string }>(
    read,
    `select p.account_id from directory.photos p
      where p.tenant_id = :tenantId and p.account_id = any(:accountIds::uuid[])
        and (select (entra_sync.photo_settings(:tenantId) ->> 'read')::boolean)`,
    { tenantId, accountIds },
  );
  return new Set(found.map((one) => one.account_id));
}

/** The sums of all tenants that read photos, for metrics. */
export type PhotoSums = { readonly due: number; readonly faults: number; readonly troubled: number };

/** Returns the sums of the lanes: no account is counted for it. */
export async function sumPhotos(database: Database): Promise<PhotoSums> {
  const [sums] = await rows<PhotoSums>(
    database,
    `select coalesce(sum(due), 0)::int as due, count(*) filter (where trouble is not null)::int as troubled,
            (select count(*) from entra_sync.photo_faults)::int as faults
       from entra_sync.photo_lanes`,
  );
  return sums ?? { due: 0, faults: 0, troubled: 0 };
}
