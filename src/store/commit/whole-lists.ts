// Statements about users whose list of groups was read whole: the memberships that it lacks, and when it was read.

/** Groups that a user's whole memberOf lacks (rule 8). */
export const leftGroups = `
select m.group_no, m.member_object_id
  from entra_sync.stage_whole_lists w
  join entra_sync.memberships m on m.tenant_id = :tenant and m.member_object_id = w.object_id
  join entra_sync.groups g on g.group_no = m.group_no
 where w.round_id = :round
   and not exists (select from entra_sync.staged_members s
                    where s.round_id = :round and s.group_object_id = g.entra_object_id
                      and s.member_object_id = w.object_id)`;

/** An older member list must not end these memberships (src/store/stage/sweep.ts). */
export const noteListsRead = `
update entra_sync.accounts a set memberships_read_at = w.read_at
  from entra_sync.stage_whole_lists w
 where w.round_id = :round and a.tenant_id = :tenant and a.entra_object_id = w.object_id`;
