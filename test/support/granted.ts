// Tenants with rows in every view of the contract, and what a role sees of them.
import { randomUUID } from 'node:crypto';
import type { Client } from 'pg';
import { accountOf, answerOf, keepManagers, tenantWith } from './people-edit.ts';
import { ask, type Store } from './stage.ts';
import { keeping, storing } from './stored-memberships.ts';

/** The ids of a tenant's objects, as the functions of the contract take them. */
export type Filled = { tenant: string; account: string; group: string; assignment: string };

/** A tenant with rows in every view. */
export async function filledTenant(store: Store): Promise<Filled> {
  const tenant = await tenantWith(store, { jobTitle: {}, mail: {} });
  await keepManagers(store, tenant);
  const objects = { tenant, person: randomUUID(), outer: randomUUID(), inner: randomUUID(), gone: randomUUID() };
  const managed = { manager: randomUUID() };
  const account = await accountOf(store, tenant, { objectId: objects.person, source: managed });
  await accountOf(store, tenant, { objectId: managed.manager });
  await ask(
    store,
    `insert into entra_sync.accounts (tenant_id, state, removed_at, removed_reason, purge_at) values (:tenant, 'managed', now(), 'deleted', now())`,
    objects,
  );
  await ask(
    store,
    `insert into entra_sync.groups (tenant_id, entra_object_id, state, kind, is_dynamic, source, removed_at, removed_reason, purge_at)
     select :tenant, g.id, 'managed', 'security', false, '{}', g.removed, case when g.removed is not null then 'deleted' end, g.removed
       from (values (:outer::uuid, null), (:inner::uuid, null), (:gone::uuid, now())) g (id, removed)`,
    objects,
  );
  await ask(
    store,
    storing(
      `select tenant_id, group_no, case when entra_object_id = :outer then :inner::uuid else :person::uuid end as member_object_id, 'x' as member_type
         from entra_sync.groups where tenant_id = :tenant and removed_at is null`,
    ),
    objects,
  );
  await ask(
    store,
    `insert into entra_sync.group_closure select o.group_no, i.group_no from entra_sync.groups o, entra_sync.groups i
      where o.tenant_id = :tenant and i.tenant_id = :tenant and o.removed_at is null and i.removed_at is null
        and (o.group_no = i.group_no or o.entra_object_id = :outer)`,
    objects,
  );
  await ask(store, keeping);
  await ask(
    store,
    `insert into entra_sync.photos (account_id, tenant_id, read_at, content, content_type, sha256, width, height, updated_at)
     values (:account, :tenant, now(), '\\xffd8', 'image/jpeg', repeat('a', 64), 1, 1, now())`,
    { ...objects, account },
  );
  await ask(
    store,
    "insert into entra_sync.set_aside (tenant_id, stream, object_key, reason) values (:tenant, 'users', 'x', 'y')",
    objects,
  );
  await ask(
    store,
    `with list as (insert into entra_sync.removal_lists (tenant_id, stream, why) values (:tenant, 'users', 'of a test') returning list_id)
     insert into entra_sync.held_removals (list_id, tenant_id, object_id, account_id, reason)
     select list_id, :tenant, :person, :account, 'deleted' from list`,
    { ...objects, account },
  );
  await ask(
    store,
    "insert into entra_sync.cycles (tenant_id, kind, actor, fence, settings_version) values (:tenant, 'initial', 'test', 1, 1)",
    objects,
  );
  await ask(
    store,
    "select entra_sync.write_audit('Ann', 'cli', 'cli', 'tenant.paused', :tenant, :account, null, null)",
    {
      ...objects,
      account,
    },
  );
  await ask(store, `select directory.edit_account(:account, '{"jobTitle": "Clerk"}', 'Ann', 'user')`, { account });
  const [assigned] = await ask<{ group: string; assignment: string }>(
    store,
    `with slot as (select directory.put_slot(:tenant, 'banner', 1, null, 'Ann')),
          item as (select directory.put_item(:tenant, 'banner', 'spring', null, null, 'Ann') from slot)
     select g.group_id as group, directory.assign(:tenant, 'banner', 'spring', '{"everyone": true}', null, 'Ann') as assignment
       from item, entra_sync.groups g where g.tenant_id = :tenant and g.removed_at is null order by g.group_no limit 1`,
    objects,
  );
  return { tenant, account, group: assigned?.group ?? '', assignment: assigned?.assignment ?? '' };
}

// The views that a grant gives: the audit is for the owner alone.
const viewNames = async (store: Store) =>
  (
    await ask<{ name: string }>(
      store,
      `select relname as name from pg_class
        where relnamespace = 'directory'::regnamespace and relkind = 'v' and relname <> 'audit' order by 1`,
    )
  ).map((row) => row.name);

/** The tenants that each view shows, and the feed. */
export async function tenantsSeen(store: Store, client: Client): Promise<Record<string, unknown[]>> {
  const seen: Record<string, unknown[]> = {};
  for (const relation of [...(await viewNames(store)), 'read_changes(null)']) {
    const { rows: found } = await client.query(`select distinct tenant_id from directory.${relation} order by 1`);
    seen[relation] = found.map((row) => row.tenant_id);
  }
  return seen;
}

/** The same, where each shows these tenants. */
export async function everywhere(store: Store, tenants: readonly string[]): Promise<Record<string, unknown[]>> {
  const sorted = [...tenants].sort();
  return Object.fromEntries([...(await viewNames(store)), 'read_changes(null)'].map((name) => [name, sorted]));
}

/** A call of each function of the contract that takes an account, a group, an assignment or a tenant. */
export const calls: readonly (readonly [sql: string, of: keyof Filled])[] = [
  [`select directory.edit_account($1, '{"jobTitle": "Boss"}', 'Eve', 'manager')`, 'account'],
  [`select directory.revert_account($1, null, 'Eve', 'manager')`, 'account'],
  [`select directory.remove_account($1, 'Eve', 'manager')`, 'account'],
  [`select directory.restore_account($1, 'Eve', 'manager')`, 'account'],
  [`select directory.undo_account($1, 1, 'Eve', 'manager')`, 'account'],
  [`select directory.edit_as($1, $1, '{"jobTitle": "Boss"}')`, 'account'],
  ['select directory.undo_edit($1, 1, $1)', 'account'],
  ['select directory.revert_as($1, $1, null)', 'account'],
  ['select * from directory.explain_account($1)', 'account'],
  [`select directory.create_account($1, '{}', 'Eve')`, 'tenant'],
  [`select directory.request_cycle($1, null, 'Eve')`, 'tenant'],
  ['select * from directory.account_history($1)', 'account'],
  ['select * from directory.account_history($1, $1)', 'account'],
  ['select * from directory.accounts_at($1, now())', 'tenant'],
  ['select * from directory.accounts_at($1, now(), $1)', 'tenant'],
  ['select * from directory.memberships_at($1, now())', 'tenant'],
  ['select * from directory.latest_changes($1)', 'tenant'],
  [`select * from directory.find($1, 'x')`, 'tenant'],
  ['select * from directory.accounts_after($1)', 'tenant'],
  ['select * from directory.accounts_of_group($1)', 'group'],
  ['select * from directory.managed($1)', 'account'],
  [`select * from directory.managed($1, null, null, null, 50, 'mail', true)`, 'account'],
  ['select directory.manages($1, $1)', 'account'],
  ['select * from directory.group_history($1)', 'group'],
  [`select directory.put_slot($1, 'banner', 2, null, 'Eve')`, 'tenant'],
  [`select directory.put_item($1, 'banner', 'spring', 'Mine', null, 'Eve')`, 'tenant'],
  [`select directory.drop_item($1, 'banner', 'spring', 'Eve')`, 'tenant'],
  [`select directory.drop_slot($1, 'banner', 'Eve')`, 'tenant'],
  [`select directory.assign($1, 'banner', 'spring', '{"everyone": true}', null, 'Eve')`, 'tenant'],
  [`select * from directory.preview_assignment($1, 'banner', 'spring', '{"everyone": true}', null)`, 'tenant'],
  [`select directory.change_assignment($1, '{"priority": 1}', 'Eve')`, 'assignment'],
  [`select directory.unassign($1, 'Eve')`, 'assignment'],
  [`select directory.move_assignments($1, $1, 'Eve')`, 'group'],
  [`select * from directory.explain_assignment($1, 'banner')`, 'account'],
];

/** SQLSTATE and message of each function of the contract, called for an account. */
export async function refusals(client: Client, of: Filled): Promise<unknown[]> {
  const found: unknown[] = [];
  for (const [sql, kind] of calls) {
    const answer = await answerOf(client, sql, [of[kind]]);
    found.push('code' in answer ? [answer.code, answer.message] : sql);
  }
  return found;
}

/** The {@link refusals} of a caller to whom account and tenant are unknown. */
export const unknown = (of: Filled) => calls.map(([, kind]) => ['ES004', `there is no ${kind} ${of[kind]}`]);
