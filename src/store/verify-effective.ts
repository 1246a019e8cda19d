// Drift of the kept effective memberships: compares them with a walk through the stored memberships. No constraint keeps the two
// consistent.
import { compareWholeSets, type Database, inTransaction, rows } from './database/pool.ts';
import { inGraph } from './database/vocabulary.ts';
import { lockTenant } from './tenants/tenants.ts';
import type { Drift } from './verify.ts';

/** Compares the kept effective memberships of a tenant with the stored memberships, without the stored closure. */
export async function driftOfEffective(database: Database, tenant: string): Promise<Drift[]> {
  return inTransaction(database, async (transaction) => {
    await lockTenant(transaction, tenant);
    await compareWholeSets(transaction);
    return rows<Drift>(transaction, effectiveDrift, { tenant });
  });
}

// Groups that are not copied are on the way alone. `union` ends the walk in a ring of groups. A tenant beyond the bound keeps direct memberships only.
const effectiveDrift = `
with recursive live as materialized (
  select g.group_no, g.entra_object_id, g.removed_at is null as shown
    from entra_sync.groups g where g.tenant_id = :tenant and ${inGraph('g')}
), nested as materialized (
  select l.group_no as held, m.group_no as holder
    from live l join entra_sync.memberships m on m.tenant_id = :tenant and m.member_object_id = l.entra_object_id
    join live h on h.group_no = m.group_no
), above (group_no, holder) as (
  select group_no, group_no from live
  union
  select a.group_no, n.holder from above a join nested n on n.held = a.holder
), person as materialized (
  select a.account_no, a.entra_object_id from entra_sync.accounts a where a.tenant_id = :tenant and a.removed_at is null
), walked as (
  select p.account_no, a.holder as group_no, bool_or(a.holder = a.group_no) as is_direct
    from person p join entra_sync.memberships m on m.tenant_id = :tenant and m.member_object_id = p.entra_object_id
    join above a on a.group_no = m.group_no
    join live h on h.group_no = a.holder and h.shown
   where a.holder = a.group_no
      or (select t.nested_left_out is null from entra_sync.tenants t where t.tenant_id = :tenant)
   group by 1, 2
), kept as (
  select e.account_no, e.group_no, e.is_direct
    from entra_sync.effective_members e join entra_sync.accounts a on a.account_no = e.account_no
   where a.tenant_id = :tenant
)
select 'effective' as kind,
       case when k.is_direct is null then 'missing' when w.is_direct is null then 'extra' else 'different' end as what,
       g.entra_object_id, a.entra_object_id as member_object_id, null as field,
       to_jsonb(k.is_direct) as stored, to_jsonb(w.is_direct) as fresh
  from walked w full join kept k on k.account_no = w.account_no and k.group_no = w.group_no
  left join entra_sync.groups g on g.group_no = coalesce(w.group_no, k.group_no)
  left join entra_sync.accounts a on a.account_no = coalesce(w.account_no, k.account_no)
 where k.is_direct is distinct from w.is_direct
 order by 3, 4`;
