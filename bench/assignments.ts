// Two hundred assignments of a tenant that has accounts and groups, for the cases that are about assigning.
import { rows as answersOf, type Database } from '../src/store/database/pool.ts';

export const assignmentCount = 200;

// Four slots with 1 to 4 winners and ten items each. Most assignments go to groups; every tenth is an exception.
const given = [
  `insert into entra_sync.field_rules (tenant_id, field, owner, editable_by, manual_editable_by, value_type)
   values (:tenant, 'department', 'directory', '{}', '{}', 'text') on conflict do nothing`,
  `select directory.put_slot(:tenant, 'slot ' || s, s, null, 'bench') from generate_series(1, 4) s`,
  `select directory.put_item(:tenant, 'slot ' || s, 'item ' || i, null, null, 'bench') from generate_series(1, 4) s, generate_series(1, 10) i`,
  `insert into entra_sync.assignments (tenant_id, slot, item, target, group_id, account_id, field, field_values, is_exception, priority, created_by)
   select :tenant, 'slot ' || 1 + n % 4, 'item ' || 1 + n % 10, k.target,
          case k.target when 'group' then (
            select group_id from entra_sync.groups where tenant_id = :tenant order by group_no
            offset (n * 37) % (select count(*) from entra_sync.groups where tenant_id = :tenant) limit 1) end,
          case k.target when 'account' then (
            select account_id from entra_sync.accounts where tenant_id = :tenant order by account_id offset n limit 1) end,
          case k.target when 'field' then 'department' end,
          case k.target when 'field' then array['DEPARTMENT ' || n % 20, 'Department ' || (n + 7) % 20, 'Sales'] end, n % 10 = 3, n % 3, 'bench'
     from generate_series(1, :count::int) n
    cross join lateral (select case when n % 20 = 0 then 'everyone' when n % 20 = 1 then 'field' when n % 20 = 2 then 'account' else 'group' end as target) k`,
  'analyze',
  'update entra_sync.tenants set assigned_at = now(), assigned_winners = entra_sync.slot_winners(tenant_id) where tenant_id = :tenant',
];

/** Gives the assignments without computing what the accounts get. */
export async function giveAssignments(database: Database, tenant: string): Promise<void> {
  for (const sql of given) await answersOf(database, sql, { tenant, count: assignmentCount });
}

/** Computes what all accounts of the tenant get. */
export async function keepAssigned(database: Database, tenant: string): Promise<void> {
  await answersOf(
    database,
    `select entra_sync.keep_assigned(:tenant,
       array(select account_no from entra_sync.accounts where tenant_id = :tenant order by 1), false, 0, null, 'bench')`,
    { tenant },
  );
}
