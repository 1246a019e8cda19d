// A narrower choice of groups is judged on the stored names, in the commit of the next round: Graph is not read again
// (rule 43).
import { rowCount, rows, type Transaction } from '../database/pool.ts';
import { stagedInRound } from '../database/vocabulary.ts';
import type { CommitBindings } from './bindings.ts';
import { groupColumns, of, setBlank } from './show-groups.ts';
import { hasOtherFingerprint } from './stored-scope.ts';

/** Whether the settings copy a group with this object id and name. */
export type CopiesGroup = (id: string, name: string | null) => boolean;

const page = 2_000;

type StoredGroup = { no: string; id: string; name: string | null; live: boolean };

/**
 * Stages the live groups that the round does not show and that the settings leave out now, as if the round had shown
 * them, and takes the names of removed ones. Returns how many it staged. Does nothing once a commit has judged the
 * groups under these settings.
 */
export async function judgeStoredGroups(
  transaction: Transaction,
  bind: CommitBindings,
  copies: CopiesGroup,
): Promise<number> {
  const [due] = await rows(transaction, hasOtherFingerprint('groups'), bind);
  if (!due) return 0;
  let staged = 0;
  let after = '0';
  for (;;) {
    const found: StoredGroup[] = await rows(transaction, storedGroups, { ...bind, after });
    if (found.length === 0) return staged;
    const leaving = found.filter(({ id, name }) => !copies(id, name));
    const numbers = (live: boolean) => leaving.filter((one) => one.live === live).map(({ no }) => no);
    // A full round sweeps the live groups that it did not show.
    if (!bind.full) staged += await rowCount(transaction, stageLeaving, { ...bind, numbers: numbers(true) });
    await transaction.raw(blankRemoved, { numbers: numbers(false) });
    after = found.at(-1)?.no ?? after;
  }
}

const storedGroups = `
select g.group_no::text as no, g.entra_object_id as id, g.display_name as name, g.removed_at is null as live
  from entra_sync.groups g
 where g.tenant_id = :tenant and g.state = 'managed' and g.copied and g.group_no > :after::bigint
   and not ${stagedInRound('groups', 'g.entra_object_id')}
 order by g.group_no limit ${page}`;

const stageLeaving = `
insert into entra_sync.stage_groups (round_id, entra_object_id, ${groupColumns}, copied)
select :round, g.entra_object_id, ${of('g')}, false from entra_sync.groups g
 where g.group_no = any(:numbers::bigint[])`;

// They are not shown: no change row tells it.
const blankRemoved = `
update entra_sync.groups g set copied = false, ${setBlank} where g.group_no = any(:numbers::bigint[])`;

/** Returns how many groups of the tenant Graph shows and the settings leave out. */
export async function countNotCopied(transaction: Transaction, tenant: string): Promise<number> {
  const [counted] = await rows<{ count: number }>(
    transaction,
    `select count(*)::int as count from entra_sync.groups g
      where g.tenant_id = :tenant and g.removed_reason = 'not_copied'`,
    { tenant },
  );
  return counted?.count ?? 0;
}
