// Memberships that a test writes to the tables by hand, without a cycle.

/** The statement that stores `pairs`, a query of tenant_id, group_no, member_object_id and member_type. */
export const storing = (pairs: string) => `
insert into entra_sync.member_groups as m (tenant_id, member_object_id, member_type, group_nos)
select p.tenant_id, p.member_object_id, min(p.member_type::text)::"char", array_agg(p.group_no) from (${pairs}) p group by 1, 2
on conflict (tenant_id, member_object_id) do update set group_nos = m.group_nos || excluded.group_nos`;

/** The statement that keeps the effective memberships of all tenants, as the writers of memberships do. */
export const keeping = `
select entra_sync.keep_effective(t.tenant_id, array(
         select a.account_no from entra_sync.accounts a where a.tenant_id = t.tenant_id order by 1))
  from entra_sync.tenants t`;

/** The statement that deletes one membership: `member` in the group with the number `group`. */
export const takingOut = (group: string, member: string) => `
with last as (delete from entra_sync.member_groups where member_object_id = ${member} and group_nos = array[${group}])
update entra_sync.member_groups set group_nos = array_remove(group_nos, ${group})
 where member_object_id = ${member} and cardinality(group_nos) > 1`;
