// A sample of a batch's changes, for dry runs and on-demand reads.
import { rows, type Transaction } from '../database/pool.ts';
import { publicSides } from '../feed/changes.ts';

export type ChangeSample = {
  kind: string;
  account_id: string | null;
  group_id: string | null;
  display_name: string | null;
  /** For a membership, the group that holds the member. */
  group_name: string | null;
  before: unknown;
  after: unknown;
};

/** Returns the first changes of a batch, removals first: dry runs are made for them. */
export async function sampleOf(transaction: Transaction, bind: { readonly batch: string }): Promise<ChangeSample[]> {
  const sample = await rows<ChangeSample>(transaction, sampleChanges, bind);
  return sample.map((one) => (one.kind === 'removal.held' ? { ...one, after: withoutList(one.after) } : one));
}

// The list of a dry run is rolled back.
function withoutList(after: unknown): unknown {
  const { list_id: _, ...told } = after as Record<string, unknown>;
  return told;
}

const sampleChanges = `
select c.kind, c.account_id, c.group_id,
       coalesce(a.profile ->> 'displayName', a.user_principal_name, g.display_name, h.display_name) as display_name,
       case when c.kind like 'membership.%' then h.display_name end as group_name,
       ${publicSides}
  from entra_sync.change_rows c
  left join entra_sync.accounts a on a.account_id = c.account_id
  left join entra_sync.groups g on g.group_id = c.member_group_id
  left join entra_sync.groups h on h.group_id = c.group_id
 where c.batch_id = :batch
 order by c.kind not like '%.removed', c.kind like 'membership.%', c.change_id limit 1000`;
