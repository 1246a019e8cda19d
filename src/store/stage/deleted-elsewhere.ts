// Ids of users and groups that are soft-deleted in Entra ID and have no row here that says so. Graph leaves them out of
// member lists and does not repeat their memberships on a restore, so a restored user stays until its groups are
// settled (rule 8).
import { type Stream, tableOf } from '../../rules/streams.ts';
import { type Lease, requireFence } from '../cycle/lease.ts';
import { type Database, inTransaction, rows } from '../database/pool.ts';
import { isErased, removedWithObject } from '../database/vocabulary.ts';
import { shareTenant } from '../tenants/tenants.ts';

/** Records the ids that Graph lists as soft-deleted now, and forgets those that it no longer lists. */
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
    // Graph's list may be late, so ids of the last day stay. An erased user's id is not kept (rule 34).
    await transaction.raw(
      `delete from entra_sync.deleted_strangers d
        where d.tenant_id = :tenant and d.stream = :stream
          and (not d.is_back and d.noted_at < now() - interval '1 day' and d.entra_object_id <> all(:ids::uuid[])
               or ${isErased('d.entra_object_id')})`,
      bind,
    );
  });
}

// Groups read before now may not be committed yet: in an open round, or in a first page that has no round
// (src/engine/first-page.ts).
const groupsUnderWay = `(
  exists (select from entra_sync.rounds r where r.tenant_id = :tenant and r.stream = 'groups' and not r.dry_run)
  or exists (select from entra_sync.cycles c
              where c.tenant_id = :tenant and c.outcome = 'running'
                and not exists (select from entra_sync.checkpoints k
                                 where k.tenant_id = :tenant and k.stream = 'groups'
                                   and k.committed_at >= c.started_at)))`;

// Whether this round settles the user's groups: it read the whole list and could keep all of it. A group not stored yet
// names the user in the groups stream, unless it was read before the restore.
const settled = (id: string) => `(
  exists (select from entra_sync.stage_whole_lists w where w.round_id = :round and w.object_id = ${id} offset 0)
  and (not exists (select from entra_sync.staged_members m
                    where m.round_id = :round and m.member_object_id = ${id}
                      and not exists (select from entra_sync.groups g
                                       where g.tenant_id = :tenant and g.entra_object_id = m.group_object_id offset 0))
       or not ${groupsUnderWay}))`;

// One look-up each: planned for few rows, a join compared each staged user with all recorded ids.
const stagedUser = (id: string) => `lateral (select s.entra_object_id, s.removed from entra_sync.stage_users s
  where s.round_id = :round and s.entra_object_id = ${id} offset 0)`;

/** Keeps restored users whose groups this round does not settle, before their accounts are restored. */
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

/** Records soft-deleted users without an account that says so. */
export const keepDeletedElsewhere = `
insert into entra_sync.deleted_strangers (tenant_id, stream, entra_object_id)
select :tenant, 'users', s.entra_object_id from entra_sync.stage_users s
 where s.round_id = :round and s.removed = 'deleted_restorable'
   and not exists (select from entra_sync.accounts a
                    where a.tenant_id = :tenant and a.entra_object_id = s.entra_object_id
                      and ${removedWithObject('a')} offset 0)
   and not ${isErased('s.entra_object_id')}
on conflict (tenant_id, stream, entra_object_id) do update set is_back = false, noted_at = now()`;

/**
 * Forgets users that are permanently deleted, have an account that says so, or are settled. Runs after the two above.
 */
export const forgetDeletedElsewhere = `
delete from entra_sync.deleted_strangers
 where ctid = any(array(
select d.ctid from entra_sync.deleted_strangers d cross join ${stagedUser('d.entra_object_id')} s
 where d.tenant_id = :tenant and d.stream = 'users'
   and (s.removed = 'deleted' or s.removed = 'deleted_restorable' and d.is_back
        or s.removed is null and ${settled('s.entra_object_id')})))`;

/** Returns this round's live groups that were deleted before it: their slices may lack members. */
export async function restoredGroups(database: Database, tenantId: string, roundId: string): Promise<string[]> {
  const found = await rows<{ id: string }>(
    database,
    `select s.entra_object_id::text as id from entra_sync.stage_groups s
      where s.round_id = :roundId and s.removed is null
        and (exists (select from entra_sync.deleted_strangers d
                      where d.tenant_id = :tenantId and d.stream = 'groups' and d.entra_object_id = s.entra_object_id)
             or exists (select from entra_sync.groups g
                         where g.tenant_id = :tenantId and g.entra_object_id = s.entra_object_id
                           and ${removedWithObject('g')}))`,
    { tenantId, roundId },
  );
  return found.map((row) => row.id);
}
