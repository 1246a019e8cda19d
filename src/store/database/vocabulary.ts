// Fragments of SQL that recur. `alias` names a row of accounts or groups; an id or key is an SQL expression.

/** The setting at a path such as `{portal,managers}`: the tenant's, else the installation's. An SQL expression of jsonb. */
export const settingOf = (tenant: string, path: string) => `coalesce(
  (select s.document #> '${path}' from entra_sync.settings s
    where s.tenant_id = ${tenant} order by s.version desc limit 1),
  (select s.document #> '${path}' from entra_sync.settings s
    where s.tenant_id is null order by s.version desc limit 1))`;

/** The row follows Entra ID and is not removed. */
export const liveManaged = (alias: string) => `${alias}.state = 'managed' and ${alias}.removed_at is null`;

/** Graph shows the group: it is live, or not copied. */
export const inGraph = (alias: string) => `(${alias}.removed_at is null or ${alias}.removed_reason = 'not_copied')`;

/** The row follows Entra ID, and Graph shows it: {@link liveManaged}, or a group that is not copied. */
export const managedInGraph = (alias: string) => `${alias}.state = 'managed' and ${inGraph(alias)}`;

/** The row is manual and not removed: no cycle changes it (rule 20). */
export const liveManual = (alias: string) => `${alias}.state = 'manual' and ${alias}.removed_at is null`;

/** The row was removed because its object was deleted in Entra ID, or not seen there. */
export const removedWithObject = (alias: string) =>
  `${alias}.removed_reason in ('deleted_restorable', 'deleted', 'not_seen')`;

/** The user with this object id was erased on a person's request (rule 34). Binds `tenant`. */
export const isErased = (id: string) => `exists (
  select from entra_sync.erased_objects e
   where e.tenant_id = :tenant and e.object_hash = entra_sync.object_hash(:tenant, ${id}))`;

/** Shows a removed row again. */
export const shownAgain = 'removed_at = null, removed_reason = null, purge_at = null, removal_approved = false';

const guid = '[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}';

/** A set-aside key is the id of an object, set aside as a whole. */
export const isObjectId = (key: string) => `${key} ~ '^${guid}$'`;

/** A set-aside key names an object or a part of one (`ID/part`). */
export const namesObject = (key: string) => `${key} ~ '^${guid}(/.*){0,1}$'`;

/** The id of the object that a set-aside key names, or null. */
export const objectOfKey = (key: string) => `case when ${key} ~ '^${guid}' then left(${key}, 36)::uuid end`;

/** The round set this key aside. */
export const setAsideInRound = (key: string, round = ':round') => `exists (
  select from entra_sync.stage_set_aside p where p.round_id = ${round} and p.object_key = ${key})`;

/** The round has staged this user or group, live or removed. */
export const stagedInRound = (stream: 'users' | 'groups', id: string, round = ':round') => `exists (
  select from entra_sync.stage_${stream} s where s.round_id = ${round} and s.entra_object_id = ${id})`;

// The look-ups are laterals with `offset 0`: one index probe a row, whatever the planner believes of tables that this
// transaction has filled. As plain joins a first load took minutes.

/** The `group_no` of the group with this object id. Binds `tenant`. */
export const groupOfObject = (id: string) => `lateral (
  select g.group_no from entra_sync.groups g where g.tenant_id = :tenant and g.entra_object_id = ${id} offset 0)`;

/** The groups (group_no) that hold the object directly. Binds `tenant`. */
export const membershipsOfMember = (id: string) => `lateral (
  select m.group_no from entra_sync.memberships m where m.tenant_id = :tenant and m.member_object_id = ${id} offset 0)`;

/** The direct members (member_object_id) of this group. Binds `tenant`. */
export const membershipsOfGroup = (no: string) => `lateral (
  select m.member_object_id from entra_sync.member_groups m
   where m.tenant_id = :tenant and m.group_nos @> array[${no}] offset 0)`;

/** Joins the account `a` or the nested group `n` that a held membership names. */
export const joinMember = (membership: string, tenant = `${membership}.tenant_id`) => `
  left join entra_sync.accounts a on a.tenant_id = ${tenant} and a.entra_object_id = ${membership}.member_object_id
  left join entra_sync.groups n on n.tenant_id = ${tenant} and n.entra_object_id = ${membership}.member_object_id`;

/** An expression that sorts names as people do: without case, and numbers by their value, so that 2 comes before 10. */
export const naturally = (name: string) => `(
  select string_agg(case when part[1] ~ '^[0-9]' then lpad(part[1], greatest(20, length(part[1])), '0')
                         else part[1] end, '' order by place)
    from regexp_matches(lower(${name}), '[0-9]+|[^0-9]+', 'g') with ordinality parts (part, place))`;

/** An expression of the interval in force for a tenant. Stored settings write it as Postgres reads it: 40m, 2h. */
export const intervalOf = (tenant: string) => `(
  select (s.document ->> 'interval')::interval from entra_sync.settings s
   where (s.tenant_id is null or s.tenant_id = ${tenant}) and jsonb_exists(s.document, 'interval')
   order by s.tenant_id nulls last, s.version desc limit 1)`;
