// The joins of the views that a developer writes first, and that an ORM makes of its relations (docs/contract.md).
import type { Client } from 'pg';

/** A question with the names of its relations as they are: `{accounts}`, `{groups}`, `{memberships}`, `{effective}`. */
export type Question = { readonly name: string; readonly sql: string };

/** Ten joins of whole views. */
export const joins: readonly Question[] = [
  {
    name: 'by tenant_id and id, direct',
    sql: `select count(*) from (
            select a.account_id, a.display_name, g.display_name as group_name from {accounts} a
              join {memberships} m on m.tenant_id = a.tenant_id and m.account_id = a.account_id
              join {groups} g on g.tenant_id = m.tenant_id and g.group_id = m.group_id offset 0) x`,
  },
  {
    name: 'by id alone, effective',
    sql: `select count(*) from (
            select a.account_id, a.display_name, g.display_name as group_name from {accounts} a
              join {effective} m using (account_id) join {groups} g using (group_id) offset 0) x`,
  },
  {
    name: 'from the groups, left joins',
    sql: `select count(*) from (
            select g.group_id, a.display_name from {groups} g
              left join {effective} m on m.tenant_id = g.tenant_id and m.group_id = g.group_id
              left join {accounts} a on a.tenant_id = m.tenant_id and a.account_id = m.account_id offset 0) x`,
  },
  {
    name: 'from the accounts, left joins',
    sql: `select count(*) from (
            select a.account_id, g.display_name from {accounts} a
              left join {memberships} m on m.account_id = a.account_id
              left join {groups} g on g.group_id = m.group_id offset 0) x`,
  },
  {
    name: 'first page by name, with groups',
    sql: `select a.display_name, array_agg(g.display_name order by g.display_name) as groups from {accounts} a
            join {effective} m using (tenant_id, account_id) join {groups} g using (tenant_id, group_id)
           group by a.account_id, a.display_name order by a.display_name, a.account_id limit 50`,
  },
  {
    name: 'one department',
    sql: `select count(*) from (
            select a.display_name, g.display_name as group_name from {accounts} a
              join {effective} m on m.tenant_id = a.tenant_id and m.account_id = a.account_id
              join {groups} g on g.tenant_id = m.tenant_id and g.group_id = m.group_id
             where a.profile ->> 'department' = $1 offset 0) x`,
  },
  {
    name: 'in no group',
    sql: `select count(*) from {accounts} a
           where not exists (select from {effective} m where m.tenant_id = a.tenant_id and m.account_id = a.account_id)`,
  },
  {
    name: 'in no group, by a left join',
    sql: `select count(*) from {accounts} a left join {memberships} m on m.account_id = a.account_id
           where m.account_id is null`,
  },
  {
    name: 'accounts a group',
    sql: `select g.display_name, count(m.account_id) from {groups} g
            left join {effective} m on m.group_id = g.group_id
           group by g.group_id, g.display_name order by 2 desc, 1 limit 50`,
  },
  {
    name: 'groups an account, direct and effective',
    sql: `select a.account_id, count(distinct e.group_id), count(distinct m.group_id) from {accounts} a
            join {effective} e on e.account_id = a.account_id
            left join {memberships} m on m.account_id = e.account_id and m.group_id = e.group_id
           group by a.account_id order by 2 desc, 1 limit 50`,
  },
];

/** The joins of docs/contract.md that hand ids into a view: they read the members alone. `$1` is a group. */
export const handed: readonly Question[] = [
  {
    name: 'a page with its groups, by a lateral',
    sql: `select a.account_id, a.display_name, m.groups
            from (select account_id, display_name from {accounts} order by display_name, account_id limit 50) a
            left join lateral (
              select array_agg(e.group_id) as groups from {effective} e where e.account_id = a.account_id) m on true`,
  },
  {
    name: 'the accounts of a group, by a lateral',
    sql: `select a.*
            from {effective} m
            cross join lateral (select * from {accounts} x where x.account_id = m.account_id limit 1) a
           where m.group_id = $1 limit 200`,
  },
  {
    name: 'the accounts of a group, by an array',
    sql: `select * from {accounts}
           where account_id = any (array(select account_id from {effective} where group_id = $1 limit 200))`,
  },
];

/** `sql` with the relations of schema directory, or of another one with the same names. */
export function asked(sql: string, schema = 'directory'): string {
  const effective = `${schema}.effective_memberships`;
  return sql.replaceAll(/\{(\w+)\}/g, (_, name: string) => (name === 'effective' ? effective : `${schema}.${name}`));
}

/** The answers of all questions, by name. */
export async function answersOf(reader: Client): Promise<Record<string, unknown>> {
  const found: Record<string, unknown> = {};
  for (const { name, sql } of joins) {
    const values = sql.includes('$1') ? ['Department 3'] : [];
    const { rows } = await reader.query({ name, text: asked(sql), values });
    found[name] = rows.length === 1 ? Number(Object.values(rows[0] as object)[0]) : rows.length;
  }
  return found;
}
