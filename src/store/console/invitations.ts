// Invitations as the console lists them.
import { rows, type Transaction } from '../database/pool.ts';

export type ListedInvitation = {
  readonly invitation_id: string;
  readonly external_ref: string;
  readonly name: string | null;
  /** The tenant that it names, or that it connected first. */
  readonly tenant_id: string | null;
  readonly tenant_name: string | null;
  readonly tenant_status: string | null;
  readonly waits: boolean;
  readonly actor: string;
  readonly created_at: Date;
  readonly expires_at: Date;
  readonly expired: boolean;
  /** The key that orders the list. */
  readonly sort_key: string;
};

/** Returns at most `limit` invitations, the newest first, after the one with these sort keys. */
export function listInvitations(
  read: Transaction,
  { after, limit }: { after: readonly (string | number | null)[] | null; limit: number },
): Promise<ListedInvitation[]> {
  const [key = null, id = null] = after ?? [];
  return rows<ListedInvitation>(
    read,
    `select i.invitation_id, i.external_ref, i.name, i.tenant_id, t.name as tenant_name, t.status as tenant_status,
            exists (select from entra_sync.waiting_consents w
                     where w.invitation_id = i.invitation_id and w.expires_at > clock_timestamp()) as waits,
            i.actor, i.created_at, i.expires_at, i.expires_at <= clock_timestamp() as expired, k.sort_key
       from entra_sync.invitations i
       left join entra_sync.tenants t on t.tenant_id = i.tenant_id
      cross join lateral (select (extract(epoch from i.created_at) * 1000000)::bigint as sort_key) k
      where :key::bigint is null or (k.sort_key, i.invitation_id) < (:key::bigint, :id::uuid)
      order by k.sort_key desc, i.invitation_id desc limit :limit`,
    { key, id, limit },
  );
}
