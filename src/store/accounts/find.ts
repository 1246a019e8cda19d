// Finds accounts and groups by words.
import { type Database, rows } from '../database/pool.ts';

/** A row of `directory.found_row`, with the tenant's name. `fit`: how well the words fit, from an id to the nearest. */
export type Found = {
  readonly kind: 'account' | 'group' | 'user';
  readonly tenant_id: string;
  readonly tenant_name: string;
  readonly account_id: string | null;
  /** Null of a group that was set aside before it was stored. */
  readonly group_id: string | null;
  readonly entra_object_id: string | null;
  readonly display_name: string | null;
  readonly user_principal_name: string | null;
  readonly mail: string | null;
  readonly state: 'managed' | 'manual' | 'removed' | 'set_aside' | 'out_of_scope' | 'not_copied';
  readonly fit: 'id' | 'whole' | 'begins' | 'part' | 'near';
};

/** The most that the words of a search find, where the list shows some of it: by its filters, or of one kind. */
export const mostSifted = 200;

/**
 * Returns at most `max` live, removed, set-aside and out-of-scope objects that `words` mean, best first: by id, by the
 * beginnings and parts of words, without case and accents; the nearest where nothing fits. `tenantId` null: of all tenants.
 */
export function findByWords(
  database: Database,
  tenantId: string | null,
  words: string,
  max: number,
): Promise<readonly Found[]> {
  return rows<Found>(
    database,
    `select f.kind, f.tenant_id, t.name as tenant_name, f.account_id, f.group_id, f.entra_object_id, f.display_name,
            f.user_principal_name, f.mail, f.state, f.fit
       from entra_sync.find_ranked(
         array(select tenant_id from entra_sync.tenants where :tenantId::uuid is null or tenant_id = :tenantId
                order by lower(name), tenant_id), :words, :max, true) with ordinality f
       join entra_sync.tenants t on t.tenant_id = f.tenant_id
      order by f.ordinality`,
    { tenantId, words, max },
  );
}
