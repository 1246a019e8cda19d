// Notices a round that changed very many profiles: it is committed all the same, and told until a person acknowledges it.
import { fewestNoticed, type MassChange, noticeOf } from '../../rules/notice.ts';
import { type Database, rowCount, rows, type Transaction } from '../database/pool.ts';
import { liveManaged } from '../database/vocabulary.ts';
import type { CommitBindings } from './bindings.ts';

/**
 * Notes a mass change of the accounts that were there before, and returns it in words. Only rounds with the settings and
 * the provisional state of the round before count: others change profiles for reasons of their own. Call it before the
 * checkpoint moves.
 */
export async function noticeMassChange(
  transaction: Transaction,
  bind: CommitBindings,
  updated: number,
): Promise<string | undefined> {
  if (updated < fewestNoticed) return undefined;
  const [found] = await rows<MassChange>(transaction, findMassChange, bind);
  const notice = found && noticeOf(found, bind.cycle);
  if (notice === undefined) return undefined;
  await transaction.raw(
    'update entra_sync.tenants set notice = :notice, notice_at = clock_timestamp() where tenant_id = :tenant',
    { ...bind, notice },
  );
  return notice;
}

// Accounts that the round created, adopted or restored were not there before. They are a set of their own: the planner takes the
// batch for a few changes, and read it once a changed account.
const findMassChange = `
with fresh as materialized (
  select distinct n.account_id from entra_sync.changes n
   where n.batch_id = :batch and n.kind in ('account.created', 'account.adopted', 'account.restored')
), changed as materialized (
  select c.account_id, coalesce(c.before -> 'profile', '{}') as before, coalesce(c.after -> 'profile', '{}') as after
    from entra_sync.changes c
   where c.batch_id = :batch and c.kind = 'account.updated'
     and (jsonb_exists(c.before, 'profile') or jsonb_exists(c.after, 'profile'))
     and c.account_id not in (select f.account_id from fresh f)
), cleared as (
  select k.key as field, count(*)::int as count
    from changed c cross join jsonb_each(c.before) as k (key, value)
   where k.value <> 'null' and coalesce(c.after -> k.key, 'null') = 'null'
   group by k.key
)
select (select count(*)::int from entra_sync.accounts a where a.tenant_id = :tenant and ${liveManaged('a')})
         - (select count(*)::int from fresh f
             cross join lateral (
               select from entra_sync.accounts a
                where a.account_id = f.account_id and ${liveManaged('a')} offset 0) a) as accounts,
       (select count(*)::int from changed) as changed,
       (select coalesce(jsonb_agg(f order by f.count desc, f.field), '[]') from cleared f) as cleared
  from entra_sync.checkpoints p
  join entra_sync.rounds r on r.round_id = :round
  join entra_sync.tenants t on t.tenant_id = p.tenant_id
 where p.tenant_id = :tenant and p.stream = 'users'
   and p.settings_version = r.settings_version and p.provisional = t.provisional`;

/** Takes the notice of a tenant away. Returns whether there was one. */
export async function acknowledge(database: Database, tenantId: string): Promise<boolean> {
  const acknowledged = await rowCount(
    database,
    `update entra_sync.tenants set notice = null, notice_at = null
      where tenant_id = :tenantId and notice is not null and notice_at > now() - interval '7 days'`,
    { tenantId },
  );
  return acknowledged > 0;
}
