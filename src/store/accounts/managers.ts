// The managers of an account, why each is one, and the accounts that it manages.
import { type Database, rows } from '../database/pool.ts';

/** An account at the other end. `groups`: by managedBy, the name of the managing group and of the managed one; null: everyone. */
export type ManagingPair = {
  readonly account_id: string;
  readonly display_name: string | null;
  readonly user_principal_name: string | null;
  readonly via: 'line' | 'group';
  readonly groups: { readonly managers: string | null; readonly people: string | null } | null;
};

/** The manager that Entra ID names. `shown`: why the account does or does not count as the manager. */
export type NamedManager = {
  readonly entra_object_id: string;
  readonly account_id: string | null;
  readonly display_name: string | null;
  readonly removed_at: Date | null;
  readonly shown: 'live' | 'itself' | 'removed' | 'no_account';
};

const names = (alias: string) => `${alias}.account_id, ${alias}.user_principal_name,
  coalesce(${alias}.profile ->> 'displayName', ${alias}.source ->> 'displayName') as display_name`;

/** Returns the accounts that manage this one, each way of each; the manager in Entra ID first, then by name. */
export function managersOf(database: Database, accountId: string): Promise<ManagingPair[]> {
  return rows<ManagingPair>(database, pairs('l.account_id', 'l.manager_account_id'), { accountId, most: null });
}

/** Returns up to `most` accounts that this one manages, and how many there are. */
export async function reportsOf(
  database: Database,
  accountId: string,
  most: number,
): Promise<{ count: number; reports: ManagingPair[] }> {
  const reports = await rows<ManagingPair>(database, pairs('l.manager_account_id', 'l.account_id'), {
    accountId,
    most,
  });
  const [counted] = await rows<{ count: number }>(
    database,
    'select count(distinct account_id)::int as count from directory.managers where manager_account_id = :accountId',
    { accountId },
  );
  return { count: counted?.count ?? 0, reports };
}

// The groups that make a pair are looked up for each, since the view tells that there are some.
const pairs = (mine: string, other: string) => `
select ${names('o')}, l.via, g.groups
  from directory.managers l
  join entra_sync.accounts o on o.account_id = ${other}
  left join lateral (
    select jsonb_build_object('managers', h.display_name, 'people', p.display_name) as groups
      from entra_sync.managed_by b
      join entra_sync.groups h on h.tenant_id = b.tenant_id and h.entra_object_id = b.managers_id
      join entra_sync.accounts m on m.account_id = l.manager_account_id
      join entra_sync.effective_members e on e.group_no = h.group_no and e.account_no = m.account_no
      left join entra_sync.groups p on p.tenant_id = b.tenant_id and p.entra_object_id = b.people_id
     where b.tenant_id = l.tenant_id
       and (b.people_id is null or exists (
         select from entra_sync.accounts r join entra_sync.effective_members x on x.account_no = r.account_no
          where r.account_id = l.account_id and x.group_no = p.group_no))
     order by h.display_name, p.display_name) g on l.via = 'group'
 where ${mine} = :accountId
 order by l.via desc, lower(coalesce(o.profile ->> 'displayName', o.source ->> 'displayName')), o.account_id
 limit :most`;

/** Returns the manager that Entra ID names for an account; undefined: none, or managers are not kept. */
export async function namedManager(database: Database, accountId: string): Promise<NamedManager | undefined> {
  const [named] = await rows<NamedManager>(
    database,
    `select a.manager_object_id as entra_object_id, m.account_id, m.removed_at,
            coalesce(m.profile ->> 'displayName', m.source ->> 'displayName') as display_name,
            case when m.account_id is null then 'no_account' when m.account_id = a.account_id then 'itself'
                 when m.removed_at is not null then 'removed' else 'live' end as shown
       from entra_sync.accounts a
       left join entra_sync.accounts m on m.tenant_id = a.tenant_id and m.entra_object_id = a.manager_object_id
      where a.account_id = :accountId and a.manager_object_id is not null
        and exists (select from entra_sync.tenants_with_managers k where k.tenant_id = a.tenant_id)`,
    { accountId },
  );
  return named;
}
