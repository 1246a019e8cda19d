// Finds accounts of all tenants by id, name or mail, and the reasons why a user has no account and a group is not here.
import { asGuid, type Source } from '../../rules/decode.ts';
import { type Database, rows } from '../database/pool.ts';
import { naturally } from '../database/vocabulary.ts';

export type FoundAccount = {
  account_id: string;
  tenant_id: string;
  tenant_name: string;
  entra_object_id: string | null;
  state: 'managed' | 'manual';
  enabled: boolean;
  user_principal_name: string | null;
  mail: string | null;
  display_name: string | null;
  /** Shelved edits: kept, not in force. */
  shelf: Record<string, unknown>;
  /** The actor and time of each edit, in force or shelved. */
  edits: Record<string, { by: string; at: string }>;
  created_at: Date;
  updated_at: Date;
  removed_at: Date | null;
  removed_reason: string | null;
  removed_by: string | null;
  purge_at: Date | null;
  /** The list of a held removal, with its reason and start. */
  held_list: string | null;
  held_reason: string | null;
  held_since: Date | null;
};

/** Returns accounts, also removed ones, by id, object id, user principal name or mail; live ones first. */
export async function findAccounts(database: Database, tenantId: string | null, word: string): Promise<FoundAccount[]> {
  // A union, so that each key uses its index: with OR, Postgres reads every account.
  const byKey = (condition: string) =>
    `select a.account_id from entra_sync.tenants t
       join entra_sync.accounts a on a.tenant_id = t.tenant_id and ${condition}
      where :tenantId::uuid is null or t.tenant_id = :tenantId`;
  return rows<FoundAccount>(
    database,
    `with found as (
       ${byKey('a.account_id = :id::uuid')}
       union ${byKey('a.entra_object_id = :id::uuid')}
       union ${byKey('entra_sync.folded(a.user_principal_name) = entra_sync.folded(:word)')}
       union ${byKey('entra_sync.folded(a.mail) = entra_sync.folded(:word)')}
     )
     select a.account_id, a.tenant_id, t.name as tenant_name, a.entra_object_id, a.state, a.enabled,
            a.user_principal_name, a.mail,
            coalesce(a.profile ->> 'displayName', a.source ->> 'displayName') as display_name, a.shelf, a.edits,
            a.created_at, a.updated_at, a.removed_at, a.removed_reason, r.actor as removed_by, a.purge_at,
            h.list_id as held_list, h.reason as held_reason, h.held_since
       from found join entra_sync.accounts a using (account_id) join entra_sync.tenants t using (tenant_id)
       left join entra_sync.held_removals h on h.account_id = a.account_id
       left join lateral (
         select c.actor from entra_sync.changes c
          where a.removed_at is not null and c.account_id = a.account_id and c.kind = 'account.removed'
          order by c.change_id desc limit 1) r on true
      order by a.removed_at is not null, ${naturally('t.name')}, a.removed_at desc, a.account_id`,
    { tenantId, word, id: asGuid(word) ?? null },
  );
}

/** Returns the document of an account, as Entra ID had it. */
export async function documentOf(database: Database, accountId: string): Promise<Source> {
  const [found] = await rows<{ source: Source }>(
    database,
    'select source from entra_sync.accounts where account_id = :accountId',
    { accountId },
  );
  return found?.source ?? {};
}

/** Why a user has no account, or none that is up to date; or why a group is not here. */
export type Absence = {
  /** Groups are told of only if they were set aside. */
  kind: 'user' | 'group';
  tenant_id: string;
  tenant_name: string;
  why: 'set_aside' | 'out_of_scope' | 'deleted' | 'purged' | 'erased';
  /** Why the object was set aside; null for other kinds. */
  reason: string | null;
  since: Date | null;
  last_seen_at: Date | null;
  /** The number of the condition that keeps the user outside the scope. */
  condition: number | null;
};

/** Returns why no account or group has this object id, or why no account has this account id: it had, before its purge. */
export async function findAbsences(database: Database, tenantId: string | null, word: string): Promise<Absence[]> {
  return rows<Absence>(
    database,
    `select x.kind, t.tenant_id, t.name as tenant_name, x.why, x.reason, x.since, x.last_seen_at, x.condition
       from (
         select case s.stream when 'users' then 'user' else 'group' end as kind, s.tenant_id, 'set_aside' as why,
                s.reason, s.first_seen_at as since, s.last_seen_at, null::smallint as condition
           from entra_sync.set_aside s
          where (s.object_key = :word or left(s.object_key, 36) = lower(:word))
            -- A group that is stored has a part set aside, such as its member list, and is not absent.
            and (s.stream = 'users' or not exists (
              select from entra_sync.groups g where g.tenant_id = s.tenant_id and g.entra_object_id = :id::uuid))
         union all
         select 'user', tenant_id, 'out_of_scope', null, null, null, condition from entra_sync.outside_scope
          where entra_object_id = :id::uuid
         union all
         select 'user', tenant_id, 'deleted', null, null, null, null from entra_sync.deleted_strangers
          where stream = 'users' and entra_object_id = :id::uuid
         union all
         select 'user', tenant_id, 'purged', null, at, null, null from entra_sync.changes
          where account_id = :id::uuid and kind = 'account.purged'
         union all
         select 'user', tenant_id, 'erased', null, erased_at, null, null from entra_sync.erased_objects
          where object_hash = entra_sync.object_hash(tenant_id, :id::uuid)
       ) x join entra_sync.tenants t using (tenant_id)
      where :tenantId::uuid is null or t.tenant_id = :tenantId
      order by ${naturally('t.name')}, x.why desc`,
    { tenantId, word, id: asGuid(word) ?? null },
  );
}

/** How many users without an account are known by their object id alone. */
export type Unnamed = { readonly outside: number; readonly set_aside: number };

/** Returns the numbers of one tenant. */
export async function countUnnamed(database: Database, tenantId: string): Promise<Unnamed> {
  const [counted] = await rows<Unnamed>(
    database,
    `select (select count(*)::int from entra_sync.outside_scope where tenant_id = :tenantId) as outside,
            (select count(*)::int from entra_sync.set_aside s
              where s.tenant_id = :tenantId and s.stream = 'users' and position('/' in s.object_key) = 0) as set_aside`,
    { tenantId },
  );
  return counted ?? { outside: 0, set_aside: 0 };
}
