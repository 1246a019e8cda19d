// The past of an account or a group: its history, and a tenant at two times compared.
import { asGuid } from '../../rules/decode.ts';
import { type Database, rows } from '../database/pool.ts';
import { naturally } from '../database/vocabulary.ts';

/** One changed field, as `directory.account_history` and `directory.group_history` return it. */
export type HistoryRow = {
  readonly change_id: string;
  readonly at: Date;
  readonly actor: string;
  readonly cycle_id: string | null;
  readonly kind: string;
  readonly field: string | null;
  readonly before: unknown;
  readonly after: unknown;
  /** The present name of the group or account that `before` or `after` names; null where it names none. */
  readonly name: string | null;
};

const historyOf = (call: string) => `
select h.change_id, h.at, h.actor, h.cycle_id, h.kind, h.field, h.before, h.after,
       coalesce(g.display_name, a.profile ->> 'displayName', a.user_principal_name) as name
  from ${call} with ordinality h
 cross join lateral (select case when h.field in ('group', 'member')
                                 then (coalesce(h.before, h.after) #>> '{}')::uuid end as id) other
  left join entra_sync.groups g on g.group_id = other.id
  left join entra_sync.accounts a on a.account_id = other.id
 order by h.ordinality limit :limit`;

/**
 * Returns the last `limit` changed fields of an account, newest first. `viewer`: the account that looks, which alone is
 * told its own values of private fields.
 */
export function accountHistory(
  database: Database,
  id: string,
  limit: number,
  viewer: string | null = null,
): Promise<HistoryRow[]> {
  return rows<HistoryRow>(database, historyOf('directory.account_history(:id, :viewer)'), { id, limit, viewer });
}

/** Returns the last `limit` changed fields and memberships of a group, newest first. */
export function groupHistory(database: Database, id: string, limit: number): Promise<HistoryRow[]> {
  return rows<HistoryRow>(database, historyOf('directory.group_history(:id)'), { id, limit });
}

export type FoundGroup = {
  readonly group_id: string;
  readonly tenant_id: string;
  readonly tenant_name: string;
  readonly display_name: string | null;
  readonly kind: string;
  readonly removed_at: Date | null;
  readonly entra_object_id: string;
  /** False: the settings leave it out, and it has no name. */
  readonly copied: boolean;
};

/** Returns groups, also removed ones, whose id, object id, name or mail is `word`; live ones first. */
export function findGroups(database: Database, tenantId: string | null, word: string): Promise<FoundGroup[]> {
  return rows<FoundGroup>(
    database,
    `select g.group_id, g.tenant_id, t.name as tenant_name, g.display_name, g.kind, g.removed_at,
            g.entra_object_id, g.copied
       from entra_sync.tenants t join entra_sync.groups g using (tenant_id)
      where (:tenantId::uuid is null or t.tenant_id = :tenantId)
        and (g.group_id = :id::uuid or g.entra_object_id = :id::uuid
             or entra_sync.folded(g.display_name) = entra_sync.folded(:word)
             or entra_sync.folded(g.mail) = entra_sync.folded(:word))
      order by g.removed_at is not null, ${naturally('t.name')}, g.group_id`,
    { tenantId, word, id: asGuid(word) ?? null },
  );
}

/** An account as it was; `erased`: purged since, so its values are gone. */
export type AccountThen = {
  readonly account_id: string;
  readonly state: string | null;
  readonly enabled: boolean | null;
  readonly user_principal_name: string | null;
  readonly mail: string | null;
  readonly profile: Record<string, unknown> | null;
  readonly erased: boolean;
};

/** Returns the account as it was at a time; undefined if it was not live then. */
export async function accountAt(
  database: Database,
  { tenantId, accountId, at }: { tenantId: string; accountId: string; at: string },
): Promise<AccountThen | undefined> {
  const [account] = await rows<AccountThen>(
    database,
    `select account_id, state, enabled, user_principal_name, mail,
            profile - entra_sync.private_fields(:tenantId) as profile, erased
       from entra_sync.accounts_then(:tenantId, :at, :accountId)`,
    { tenantId, accountId, at },
  );
  return account;
}

export type Difference = {
  readonly account_id: string;
  readonly change: 'came' | 'went' | 'changed';
  /** Its name at the later time, or at the earlier one if it went; null if it was purged since. */
  readonly name: string | null;
  readonly user_principal_name: string | null;
  /** The facts and fields that differ, as in a change row. */
  readonly before: unknown;
  readonly after: unknown;
};

/** Returns the accounts that came, went or changed between two times, by name. */
export function compareTimes(
  database: Database,
  { tenantId, from, to }: { tenantId: string; from: string; to: string },
): Promise<Difference[]> {
  const factsOf = (alias: string) => `jsonb_build_object('state', ${alias}.state, 'enabled', ${alias}.enabled,
    'user_principal_name', ${alias}.user_principal_name, 'mail', ${alias}.mail, 'profile', ${alias}.profile)`;
  return rows<Difference>(
    database,
    `select account_id, d.change, coalesce(n.profile ->> 'displayName', o.profile ->> 'displayName') as name,
            coalesce(n.user_principal_name, o.user_principal_name) as user_principal_name,
            case when d.change = 'changed' then entra_sync.differing_facts(d.was, d.is) end as before,
            case when d.change = 'changed' then entra_sync.differing_facts(d.is, d.was) end as after
       from directory.accounts_at(:tenantId, :from) o
       full join directory.accounts_at(:tenantId, :to) n using (account_id)
      cross join lateral (
        select case when o.tenant_id is null then 'came'
                    when n.tenant_id is null then 'went' else 'changed' end as change,
               ${factsOf('o')} as was, ${factsOf('n')} as is) d
      where d.change <> 'changed' or not o.erased and d.was is distinct from d.is
      order by d.change, lower(coalesce(n.profile ->> 'displayName', o.profile ->> 'displayName')), account_id`,
    { tenantId, from, to },
  );
}

export type MembershipDifference = {
  readonly group_id: string;
  readonly name: string | null;
  readonly joined: number;
  readonly left: number;
};

/** Returns the groups whose direct members differ between two times, with the number of members that joined and left. */
export function compareMemberships(
  database: Database,
  { tenantId, from, to }: { tenantId: string; from: string; to: string },
): Promise<MembershipDifference[]> {
  const members = (at: string) =>
    `select m.group_id, coalesce(m.account_id, m.member_group_id) as member
       from directory.memberships_at(:tenantId, ${at}) m`;
  return rows<MembershipDifference>(
    database,
    `select x.group_id, g.display_name as name, x.joined, x.left from (
       select group_id, count(*) filter (where o.member is null)::int as joined,
              count(*) filter (where n.member is null)::int as left
         from (${members(':from')}) o full join (${members(':to')}) n using (group_id, member)
        group by group_id having count(*) filter (where o.member is null or n.member is null) > 0) x
       left join entra_sync.groups g on g.group_id = x.group_id
      order by lower(g.display_name), x.group_id`,
    { tenantId, from, to },
  );
}
