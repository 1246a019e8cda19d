// Who is away: deleted and restorable in Entra ID, and nothing here says so. Kept by id alone until it is settled which
// groups hold the one who came back: no list of Graph's names whoever is deleted, and no delta tells it on a restore (rule 8).
import { type Stream, tableOf } from '../../rules/streams.ts';
import { type Lease, requireFence } from '../cycle/lease.ts';
import { type Database, inTransaction, rows } from '../database/pool.ts';
import { removedWithObject } from '../database/vocabulary.ts';
import { shareTenant } from '../tenants/tenants.ts';

/** Notes who can be restored now, and lets go of those who no longer can. */
export async function recordDeletedElsewhere(
  database: Database,
  lease: Lease,
  stream: Stream,
  ids: readonly string[],
): Promise<void> {
  const bind = { tenant: lease.tenantId, stream, ids };
  await inTransaction(database, async (transaction) => {
    await shareTenant(transaction, lease.tenantId);
    await requireFence(transaction, lease);
    await transaction.raw(
      `insert into entra_sync.deleted_strangers (tenant_id, stream, entra_object_id)
       select :tenant, :stream, x.id from unnest(:ids::uuid[]) as x (id)
        where not exists (select from entra_sync.${tableOf[stream]} a
                           where a.tenant_id = :tenant and a.entra_object_id = x.id and ${removedWithObject('a')})
       on conflict (tenant_id, stream, entra_object_id) do update set is_back = false, noted_at = now()`,
      bind,
    );
    // A list may be late, so whoever was noted a moment ago stays.
    await transaction.raw(
      `delete from entra_sync.deleted_strangers d
        where d.tenant_id = :tenant and d.stream = :stream and not d.is_back and d.noted_at < now() - interval '1 day'
          and d.entra_object_id <> all(:ids::uuid[])`,
      bind,
    );
  });
}

// Groups may be on their way that were read before now: in a round that is open, or in a first page that has no round yet,
// until the cycle that runs has committed its groups (src/engine/first-page.ts).
const groupsUnderWay = `(
  exists (select from entra_sync.rounds r where r.tenant_id = :tenant and r.stream = 'groups' and not r.dry_run)
  or exists (select from entra_sync.cycles c
              where c.tenant_id = :tenant and c.outcome = 'running'
                and not exists (select from entra_sync.checkpoints k
                                 where k.tenant_id = :tenant and k.stream = 'groups' and k.committed_at >= c.started_at)))`;

// Whether this round has settled which groups hold the person: the list was read whole, and all of it could be kept. What
// no group here is known for is told by the groups stream, unless it was read before the person was back.
const settled = (id: string) => `(
  exists (select from entra_sync.stage_whole_lists w where w.round_id = :round and w.object_id = ${id} offset 0)
  and (not exists (select from entra_sync.staged_members m
                    where m.round_id = :round and m.member_object_id = ${id}
                      and not exists (select from entra_sync.groups g
                                       where g.tenant_id = :tenant and g.entra_object_id = m.group_object_id offset 0))
       or not ${groupsUnderWay}))`;

// One look-up each: a guess of few rows let each staged person be compared with all who are away.
const stagedUser = (id: string) => `lateral (select s.entra_object_id, s.removed from entra_sync.stage_users s
  where s.round_id = :round and s.entra_object_id = ${id} offset 0)`;

/** Persons who are back, by this round, and of whom it is not settled which groups hold them. Runs before they are restored. */
export const keepReturnedUsers = `
insert into entra_sync.deleted_strangers (tenant_id, stream, entra_object_id, is_back)
select :tenant, 'users', s.entra_object_id, true
  from (select d.entra_object_id from entra_sync.deleted_strangers d where d.tenant_id = :tenant and d.stream = 'users'
        union
        select a.entra_object_id from entra_sync.accounts a
         where a.tenant_id = :tenant and a.purge_at is not null and ${removedWithObject('a')}) x
 cross join ${stagedUser('x.entra_object_id')} s
 where s.removed is null and not ${settled('s.entra_object_id')}
on conflict (tenant_id, stream, entra_object_id) do update set is_back = true`;

/** Of the deleted whose account does not say so, the id is kept. */
export const keepDeletedElsewhere = `
insert into entra_sync.deleted_strangers (tenant_id, stream, entra_object_id)
select :tenant, 'users', s.entra_object_id from entra_sync.stage_users s
 where s.round_id = :round and s.removed = 'deleted_restorable'
   and not exists (select from entra_sync.accounts a
                    where a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id and ${removedWithObject('a')} offset 0)
on conflict (tenant_id, stream, entra_object_id) do update set is_back = false, noted_at = now()`;

/** Lets go of who is gone for good, whose account says it, or of whom all is settled. Runs after the two above. */
export const forgetDeletedElsewhere = `
delete from entra_sync.deleted_strangers
 where ctid = any(array(
select d.ctid from entra_sync.deleted_strangers d cross join ${stagedUser('d.entra_object_id')} s
 where d.tenant_id = :tenant and d.stream = 'users'
   and (s.removed = 'deleted' or s.removed = 'deleted_restorable' and d.is_back or s.removed is null and ${settled('s.entra_object_id')})))`;

/** Groups that this round shows live and that were deleted when it began, or before: their lists may lack anybody. */
export async function restoredGroups(database: Database, tenantId: string, roundId: string): Promise<string[]> {
  const found = await rows<{ id: string }>(
    database,
    `select s.entra_object_id::text as id from entra_sync.stage_groups s
      where s.round_id = :roundId and s.removed is null
        and (exists (select from entra_sync.deleted_strangers d
                      where d.tenant_id = :tenantId and d.stream = 'groups' and d.entra_object_id = s.entra_object_id)
             or exists (select from entra_sync.groups g
                         where g.tenant_id = :tenantId and g.entra_object_id = s.entra_object_id and ${removedWithObject('g')}))`,
    { tenantId, roundId },
  );
  return found.map((row) => row.id);
}
