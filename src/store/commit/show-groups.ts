// The groups that come to be shown or hidden in a commit: removed, restored, created, and those that are not copied. One
// that is not copied is removed in form: without a name, and with its members and its place in the nesting (rule 43).
import { changeRows, removedFor } from '../feed/change-rows.ts';

export const groupColumns = 'source, display_name, description, mail, kind, is_dynamic, attributes';

/** The columns of groups under an alias. */
export const of = (alias: string) => groupColumns.replaceAll(/\w+/g, (column) => `${alias}.${column}`);

const blanks: Readonly<Record<string, string>> = {
  source: "'{}'::jsonb",
  display_name: 'null',
  description: 'null',
  mail: 'null',
  kind: "'security'",
  is_dynamic: 'false',
  attributes: "'{}'::jsonb",
};

const names = groupColumns.split(', ');
const setColumns = names.map((column) => `${column} = s.${column}`).join(', ');
/** Sets the columns of a group whose name is not kept. */
export const setBlank = names.map((column) => `${column} = ${blanks[column]}`).join(', ');
const setBlankWhere = (condition: string) =>
  names.map((column) => `${column} = case when ${condition} then ${blanks[column]} else g.${column} end`).join(', ');

/** Whether the group of the staged row `s` is copied. `stored`: whether it was; a round may not show its name. */
export const isCopied = (stored: string) => `coalesce(s.copied, ${stored})`;

// Read by the trigger that keeps effective memberships (migrations/0086).
const noteMoved = (written: string) => `
insert into entra_sync.unseen_moves (tenant_id, object_id) select :tenant, w.entra_object_id from ${written}`;

/**
 * Removes the groups of `gone` (group_no, reason), or hides those that are not copied. `retention` is an interval. The
 * number of rows is that of the groups that were shown.
 */
export const removeGroupsOf = (gone: string, retention: string, approved: boolean) => `
with gone as materialized (
  select x.group_no, x.reason, g.removed_at is null as shown
    from (${gone}) x join entra_sync.groups g on g.group_no = x.group_no
), written as (
  update entra_sync.groups g
     set removed_at = case when x.shown then now() else g.removed_at end, removal_approved = ${approved},
         removed_reason = x.reason, copied = g.copied and x.reason <> 'not_copied',
         purge_at = case when x.reason = 'not_copied' then 'infinity' else now() + ${retention} end, updated_at = now(),
         ${setBlankWhere("x.reason = 'not_copied'")}
    from gone x where g.group_no = x.group_no
  returning g.group_id, g.entra_object_id, g.removed_reason, g.copied, x.shown
), moved as (${noteMoved('written w where not w.copied')})
${changeRows(
  "'group.removed'",
  { group_id: 'group_id', after: removedFor('removed_reason') },
  'from written where shown',
)}`;

/** Keeps groups that Graph shows again and that are not copied. No view had them, or only that of removed groups. */
export const hideReturned = `
with written as (
  update entra_sync.groups g
     set copied = false, removed_reason = 'not_copied', purge_at = 'infinity', removal_approved = false, ${setBlank}
    from entra_sync.stage_groups s
   where s.round_id = :round and s.removed is null and not ${isCopied('g.copied')}
     and g.tenant_id = :tenant and g.entra_object_id = s.entra_object_id and g.state = 'managed'
     and g.removed_at is not null and g.removed_reason <> 'not_copied'
  returning g.entra_object_id
)${noteMoved('written w')}`;

/** Shows removed groups, and groups that were not copied, which the round shows. Those never told of are created. */
export const showGroups = (kind: 'group.restored' | 'group.created') => `
with pair as materialized (
  select g.group_no, g.removed_reason from entra_sync.stage_groups s
    join entra_sync.groups g on g.tenant_id = :tenant and g.entra_object_id = s.entra_object_id and g.state = 'managed'
   where s.round_id = :round and s.removed is null and g.removed_at is not null and ${isCopied('g.copied')}
     and g.shown_before = ${kind === 'group.restored'}
), written as (
  update entra_sync.groups g
     set ${setColumns}, removed_at = null, removed_reason = null, purge_at = null, removal_approved = false,
         copied = true, shown_before = true, updated_at = now(),
         created_at = case when g.shown_before then g.created_at else now() end
    from pair p, entra_sync.stage_groups s
   where g.group_no = p.group_no and s.round_id = :round and s.entra_object_id = g.entra_object_id
  returning g.group_id, g.entra_object_id, p.removed_reason as old_reason, entra_sync.group_facts(g) as new_facts
), moved as (${noteMoved("written w where w.old_reason = 'not_copied'")})
${changeRows(
  `'${kind}'`,
  {
    group_id: 'group_id',
    ...(kind === 'group.restored' && { before: removedFor('old_reason') }),
    after: 'new_facts',
  },
  'from written',
)}`;

/** Creates the groups that the round shows. One that is not copied gets a row without a name, and no change row. */
export const createGroups = `
with fresh as materialized (
  select s.*, ${isCopied('true')} as is_copied
    from entra_sync.stage_groups s
   where s.round_id = :round and s.removed is null
     and not exists (select from entra_sync.groups g
                      where g.tenant_id = :tenant and g.entra_object_id = s.entra_object_id)
), written as (
  insert into entra_sync.groups as g (tenant_id, entra_object_id, state, ${groupColumns},
                                      copied, shown_before, removed_at, removed_reason, purge_at)
  select :tenant, s.entra_object_id, 'managed',
         ${names.map((column) => `case when s.is_copied then s.${column} else ${blanks[column]} end`).join(', ')},
         s.is_copied, s.is_copied, case when not s.is_copied then now() end,
         case when not s.is_copied then 'not_copied' end, case when not s.is_copied then 'infinity'::timestamptz end
    from fresh s
  returning g.group_id, g.entra_object_id, g.copied, entra_sync.group_facts(g) as facts
), moved as (${noteMoved('written w where not w.copied')})
${changeRows("'group.created'", { group_id: 'group_id', after: 'facts' }, 'from written where copied')}`;
