// The groups of one account.
import { type Database, rows } from '../database/pool.ts';

export type GroupOfAccount = {
  readonly group_id: string;
  readonly display_name: string | null;
  /** False: only through nested groups. */
  readonly is_direct: boolean;
  /** The list that holds the end of this membership, which shows until a person decides. */
  readonly held_list: string | null;
};

/** Returns the groups of a live account, direct ones first, by name. */
export function groupsOfAccount(database: Database, accountId: string): Promise<GroupOfAccount[]> {
  return rows<GroupOfAccount>(
    database,
    `select g.group_id, g.display_name, e.is_direct, h.list_id as held_list
       from entra_sync.accounts a
       join entra_sync.effective_members e on e.account_no = a.account_no
       join entra_sync.groups g on g.group_no = e.group_no
       left join entra_sync.held_memberships h
         on h.group_no = g.group_no and h.member_object_id = a.entra_object_id and e.is_direct
      where a.account_id = :accountId
      order by e.is_direct desc, lower(g.display_name), g.group_id`,
    { accountId },
  );
}
