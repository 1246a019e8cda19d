// Drift: differences between the tables and a fresh listing, which is staged as a round. Changes no account.
import { closureDifferences } from './commit/closure.ts';
import { compareWholeSets, type Database, inTransaction, rows } from './database/pool.ts';
import { inGraph, liveManaged, liveManual, setAsideInRound } from './database/vocabulary.ts';
import { lockTenant } from './tenants/tenants.ts';
import { unreadLists } from './verify-scope.ts';

/** `stored`: the value in the tables; `fresh`: in the listing; null: none. */
export type Drift = {
  readonly kind: 'user' | 'group' | 'membership' | 'nesting' | 'effective' | 'manager';
  readonly what: 'missing' | 'extra' | 'different';
  readonly entra_object_id: string;
  /** The member of a membership, direct or effective, the group below in a nesting, at any depth, or the manager. */
  readonly member_object_id: string | null;
  readonly field: string | null;
  readonly stored: unknown;
  readonly fresh: unknown;
};

/** With the names of its objects: stored, else fresh, else null. */
export type NamedDrift = Drift & { readonly name: string | null; readonly member_name: string | null };

/** Returns object ids of up to `size` random live managed accounts or groups. */
export async function drawSample(
  database: Database,
  tenantId: string,
  table: 'accounts' | 'groups',
  size: number,
): Promise<string[]> {
  const found = await rows<{ id: string }>(
    database,
    `select entra_object_id::text as id from entra_sync.${table}
      where tenant_id = :tenantId and ${liveManaged(table)} and entra_object_id is not null
      order by random() limit :size`,
    { tenantId, size },
  );
  return found.map((row) => row.id);
}

export type Unread = { readonly stream: string; readonly object_key: string; readonly reason: string };

/** Returns what the listing could not read. */
export async function readUnread(database: Database, roundIds: { users: string; groups: string }): Promise<Unread[]> {
  return rows<Unread>(
    database,
    `select case when p.round_id = :users then 'users' else 'groups' end as stream, p.object_key, p.reason
       from entra_sync.stage_set_aside p where p.round_id in (:users, :groups) order by 1, 2`,
    roundIds,
  );
}

// Both sides are large sets, and the listing has no statistics yet.
function inWholeSets<Row>(database: Database, sql: string, bind: Readonly<Record<string, unknown>>): Promise<Row[]> {
  return inTransaction(database, async (transaction) => {
    await compareWholeSets(transaction);
    return rows<Row>(transaction, sql, bind);
  });
}

type VerifyBindings = { tenantId: string; roundId: string; ids: readonly string[] | null };

// Held removals differ on purpose.
const isHeld = (id: string) =>
  `exists (select from entra_sync.held_removals h where h.tenant_id = :tenantId and h.object_id = ${id})`;

// Compares accounts or groups as jsonb facts.
const compare = (kind: 'user' | 'group', stored: string, fresh: string) => `
with stored as (${stored}), fresh as (${fresh}), pair as (
  select coalesce(f.id, s.id) as id, s.facts as stored, f.facts as fresh
    from stored s full join fresh f using (id)
   where s.facts is distinct from f.facts
     and not ${setAsideInRound('coalesce(f.id, s.id)::text', ':roundId')}
     and not (f.facts is null and ${isHeld('s.id')})
)
select '${kind}' as kind,
       case when p.stored is null then 'missing' when p.fresh is null then 'extra' else 'different' end as what,
       p.id as entra_object_id, null as member_object_id, d.key as field, d.stored, d.fresh
  from pair p left join lateral (
    select key, s.value as stored, f.value as fresh
      from jsonb_each(p.stored) s full join jsonb_each(p.fresh) f using (key)
     where p.stored is not null and p.fresh is not null
       and nullif(s.value, 'null') is distinct from nullif(f.value, 'null')
  ) d on true
 where (p.stored is null or p.fresh is null or d.key is not null)
   and not (d.key = '(enabled)' and ${isHeld('p.id')})
 order by p.id, d.key`;

// A listing does not show managers.
const userFacts = (
  alias: string,
) => `(${alias}.mapped - entra_sync.manager_fields(:tenantId)) || jsonb_build_object('(enabled)', ${alias}.enabled,
  '(user_principal_name)', ${alias}.user_principal_name, '(mail)', ${alias}.mail)`;

/** Compares accounts with the staged listing. */
export async function driftOfUsers(database: Database, bind: VerifyBindings): Promise<Drift[]> {
  const stored = `select a.entra_object_id as id, ${userFacts('a')} as facts from entra_sync.accounts a
    where a.tenant_id = :tenantId and ${liveManaged('a')}
      and (:ids::uuid[] is null or a.entra_object_id = any(:ids::uuid[]))`;
  const fresh = `select s.entra_object_id as id, ${userFacts('s')} as facts from entra_sync.stage_users s
    where s.round_id = :roundId and s.removed is null and s.in_scope
      and not exists (select from entra_sync.accounts m
                       where m.tenant_id = :tenantId and m.entra_object_id = s.entra_object_id
                         and ${liveManual('m')})`;
  return inWholeSets<Drift>(database, compare('user', stored, fresh), bind);
}

const groupFacts = (alias: string) => `jsonb_build_object('display_name', ${alias}.display_name,
  'description', ${alias}.description, 'mail', ${alias}.mail, 'kind', ${alias}.kind, 'is_dynamic', ${alias}.is_dynamic,
  'attributes', ${alias}.attributes)`;

/** Compares groups with the staged listing. */
export async function driftOfGroups(database: Database, bind: VerifyBindings): Promise<Drift[]> {
  const stored = `select g.entra_object_id as id, ${groupFacts('g')} as facts from entra_sync.groups g
    where g.tenant_id = :tenantId and ${liveManaged('g')}
      and (:ids::uuid[] is null or g.entra_object_id = any(:ids::uuid[]))`;
  const fresh = `select s.entra_object_id as id, ${groupFacts('s')} as facts from entra_sync.stage_groups s
    where s.round_id = :roundId and s.removed is null and s.copied is distinct from false
      and not exists (select from entra_sync.groups m
                       where m.tenant_id = :tenantId and m.entra_object_id = s.entra_object_id
                         and ${liveManual('m')})`;
  return inWholeSets<Drift>(database, compare('group', stored, fresh), bind);
}

const liveObjects = `
  select entra_object_id from entra_sync.accounts
   where tenant_id = :tenantId and removed_at is null and entra_object_id is not null
  union
  select g.entra_object_id from entra_sync.groups g where g.tenant_id = :tenantId and ${inGraph('g')}`;

/** Compares the memberships of staged groups, copied or not, with their staged lists, where both ends are live. */
export async function driftOfMemberships(database: Database, bind: VerifyBindings): Promise<Drift[]> {
  return inWholeSets<Drift>(
    database,
    `with listed as (
       select g.group_no, g.entra_object_id from entra_sync.stage_groups s
         join entra_sync.groups g
           on g.tenant_id = :tenantId and g.entra_object_id = s.entra_object_id and ${inGraph('g')}
        where s.round_id = :roundId and s.removed is null
          and not exists (select from (${unreadLists(':roundId')}) u where u.id = s.entra_object_id::text)
     ), live as materialized (${liveObjects}), unfolded as materialized (
       select m.group_no, m.member_object_id from entra_sync.memberships m where m.tenant_id = :tenantId
     ), stored as (
       select l.entra_object_id as g, m.member_object_id as m
         from unfolded m join listed l using (group_no) join live on live.entra_object_id = m.member_object_id
     ), decided as (
       -- Held memberships, and those that a person decided to keep, differ on purpose.
       select group_no, member_object_id from entra_sync.held_memberships where tenant_id = :tenantId
       union select group_no, member_object_id from entra_sync.kept_memberships where tenant_id = :tenantId
     ), fresh as (
       select s.group_object_id as g, s.member_object_id as m from entra_sync.staged_members s
         join live on live.entra_object_id = s.member_object_id
         join listed on listed.entra_object_id = s.group_object_id
        where s.round_id = :roundId and not s.removed
     )
     select 'membership' as kind, case when s.g is null then 'missing' else 'extra' end as what,
            coalesce(f.g, s.g) as entra_object_id, coalesce(f.m, s.m) as member_object_id,
            null as field, null as stored, null as fresh
       from stored s full join fresh f on f.g = s.g and f.m = s.m
      where (s.g is null or f.g is null)
        and not (f.g is null and (
          ${isHeld('s.m')}
          or exists (select from entra_sync.accounts a
                      where a.tenant_id = :tenantId and a.entra_object_id = s.m and a.state = 'manual')
          or exists (select from decided d join listed l using (group_no)
                      where l.entra_object_id = s.g and d.member_object_id = s.m)))
      order by 3, 4`,
    bind,
  );
}

/** Compares the stored closure with the stored memberships, which no constraint does. */
export async function driftOfNesting(database: Database, tenant: string): Promise<Drift[]> {
  return inTransaction(database, async (transaction) => {
    // Several statements read the closure, which must not change meanwhile.
    await lockTenant(transaction, tenant);
    const drift: Drift[] = [];
    for await (const { missing, extra } of closureDifferences(transaction, tenant, null)) {
      drift.push(...(await rows<Drift>(transaction, nestingDrift, { ...missing, what: 'missing' })));
      drift.push(...(await rows<Drift>(transaction, nestingDrift, { ...extra, what: 'extra' })));
    }
    return drift;
  });
}

const nestingDrift = `
select 'nesting' as kind, :what as what, a.entra_object_id, d.entra_object_id as member_object_id,
       null as field, null as stored, null as fresh
  from unnest(:groups::bigint[], :holders::text[]) as t (no, holders)
 cross join lateral unnest(t.holders::bigint[]) as h (no)
 cross join lateral (select entra_object_id from entra_sync.groups where group_no = h.no offset 0) a
 cross join lateral (select entra_object_id from entra_sync.groups where group_no = t.no offset 0) d
 order by 3, 4`;

/** Adds the names of the objects, while the listing is staged. */
export async function withNames(
  database: Database,
  tenantId: string,
  roundIds: { users: string; groups: string },
  drift: readonly Drift[],
): Promise<NamedDrift[]> {
  const ids = [...new Set(drift.flatMap((one) => [one.entra_object_id, one.member_object_id]))];
  const found = await inWholeSets<{ id: string; name: string }>(
    database,
    `select distinct on (x.id) x.id, x.name from (
       select 1 as place, entra_object_id as id,
              coalesce(profile ->> 'displayName', source ->> 'displayName', user_principal_name) as name
         from entra_sync.accounts where tenant_id = :tenantId
       union all select 1, entra_object_id, display_name from entra_sync.groups where tenant_id = :tenantId
       union all select 2, entra_object_id,
                        coalesce(mapped ->> 'displayName', source ->> 'displayName', user_principal_name)
         from entra_sync.stage_users where round_id = :users
       union all select 2, entra_object_id, display_name from entra_sync.stage_groups where round_id = :groups) x
      where x.id = any(:ids::uuid[]) and x.name is not null order by x.id, x.place`,
    { tenantId, ...roundIds, ids },
  );
  const names = new Map(found.map(({ id, name }) => [id, name]));
  return drift.map((one) => ({
    ...one,
    name: names.get(one.entra_object_id) ?? null,
    member_name: names.get(one.member_object_id ?? '') ?? null,
  }));
}

export type Checked = {
  readonly users: number;
  readonly groups: number;
  readonly memberships: number;
  /** Those whose group or member has no live row: out of scope, removed, or not synced. */
  readonly memberships_not_shown: number;
};

/** Returns how many accounts, groups and memberships the comparison covered. */
export async function countStaged(
  database: Database,
  tenantId: string,
  roundIds: { users: string; groups: string },
): Promise<Checked> {
  const [counted] = await inWholeSets<Checked>(
    database,
    `with live as (${liveObjects})
     select (select count(*)::int from entra_sync.stage_users where round_id = :users and in_scope) as users,
            (select count(*)::int from entra_sync.stage_groups where round_id = :groups) as groups, m.*
       from (select count(*)::int as memberships,
                    count(*) filter (where g.entra_object_id is null or l.entra_object_id is null)::int
                      as memberships_not_shown
               from entra_sync.staged_members s
               left join live g on g.entra_object_id = s.group_object_id
               left join live l on l.entra_object_id = s.member_object_id
              where s.round_id = :groups) m`,
    { tenantId, ...roundIds },
  );
  return counted ?? { users: 0, groups: 0, memberships: 0, memberships_not_shown: 0 };
}
