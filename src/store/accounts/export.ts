// All that is stored of one person, for a request of access.
import { type Database, rows } from '../database/pool.ts';
import { type AuditRow, readAudit } from '../feed/audit.ts';
import { type ExplainedField, explainAccount } from './accounts.ts';
import { type GroupOfAccount, groupsOfAccount } from './groups-of.ts';
import { accountHistory, type HistoryRow } from './history.ts';

export type PersonExport = {
  readonly account: Readonly<Record<string, unknown>>;
  readonly profile: Readonly<Record<string, unknown>>;
  /** The user as Entra ID showed it. */
  readonly directory: Readonly<Record<string, unknown>>;
  /** Where each value is from. */
  readonly fields: readonly ExplainedField[];
  readonly shelf: Readonly<Record<string, unknown>>;
  readonly groups: readonly GroupOfAccount[];
  /** The ids of other objects in Entra ID that hold the user, such as groups that are not shown now. */
  readonly other_groups: readonly string[];
  /** The items of slots that are in force, the winner of each slot first. */
  readonly assigned: readonly AssignedItem[];
  /** The stored photo, its bytes as base64; null: none. */
  readonly photo: Readonly<Record<string, unknown>> | null;
  /** Private fields with their values, which are the person's own. */
  readonly history: readonly Omit<HistoryRow, 'name'>[];
  /** The lines of the audit about the account, newest first: each look at it, and each act on it. */
  readonly looks: readonly Omit<AuditRow, 'tenant_id' | 'tenant_name' | 'account_id'>[];
};

type AssignedItem = { readonly slot: string; readonly rank: number; readonly item: string };

const everything = 1_000_000;

/** Returns all that is stored of an account, live or removed; undefined if it is gone by now. */
export async function exportPerson(database: Database, accountId: string): Promise<PersonExport | undefined> {
  const [found] = await rows<
    Pick<PersonExport, 'account' | 'profile' | 'directory' | 'shelf' | 'other_groups' | 'assigned' | 'photo'>
  >(
    database,
    `select to_jsonb(x) as account, a.profile - a.cleared as profile, a.source as directory, a.shelf,
            array(select g.entra_object_id::text from entra_sync.memberships m join entra_sync.groups g using (group_no)
                   where m.tenant_id = a.tenant_id and m.member_object_id = a.entra_object_id
                     and (a.removed_at is not null or g.removed_at is not null) order by 1) as other_groups,
            (select coalesce(jsonb_agg(jsonb_build_object('slot', i.slot, 'rank', i.rank, 'item', i.item)
                                       order by i.slot, i.rank), '[]')
               from directory.assigned i where i.account_id = a.account_id) as assigned,
            (select jsonb_build_object('content_type', p.content_type, 'sha256', p.sha256, 'width', p.width,
                      'height', p.height, 'updated_at', p.updated_at,
                      'content', translate(encode(p.content, 'base64'), E'\\n', ''))
               from entra_sync.photos p where p.account_id = a.account_id and p.content is not null) as photo
       from entra_sync.accounts a join entra_sync.tenants t on t.tenant_id = a.tenant_id
      cross join lateral (
        select a.account_id, a.tenant_id, t.name as tenant_name, a.entra_object_id, a.state, a.enabled,
               a.user_principal_name, a.mail, a.created_at, a.updated_at, a.removed_at, a.removed_reason, a.purge_at) x
      where a.account_id = :accountId`,
    { accountId },
  );
  if (!found) return undefined;
  const history = await accountHistory(database, accountId, everything, accountId);
  const any = { tenantId: null, actor: null, act: null, since: null, until: null, before: null };
  const looks = await readAudit(database, { ...any, accountId, limit: everything });
  return {
    ...found,
    fields: await explainAccount(database, accountId),
    groups: await groupsOfAccount(database, accountId),
    // The name of another account is not the person's.
    history: history.map(({ name: _, ...row }) => row),
    looks: looks.map(({ tenant_id: _, tenant_name: __, account_id: ___, ...line }) => line),
  };
}
