// A narrower scope is judged on the stored documents, in the commit of the next later round: Graph is not read again.
import { conditionName, type JudgedUser, movedConditions, type Outside } from '../../rules/scope.ts';
import type { Stream } from '../../rules/streams.ts';
import { rowCount, rows, type Transaction } from '../database/pool.ts';
import { liveManaged, stagedInRound } from '../database/vocabulary.ts';
import type { CommitBindings } from './bindings.ts';

/** The scope in force, where it is narrower than the one of the last commit. */
export type NarrowerScope = {
  readonly outsideOf: (user: JudgedUser) => Outside | null;
  /** Where each condition of `scope.where` went. */
  readonly places: readonly number[];
};

const page = 2_000;

/**
 * Stages the live accounts that the round does not show and that the scope leaves out now, as if the round had shown
 * them. Returns how many. Does nothing once a commit has judged them under these settings.
 */
export async function judgeStored(
  transaction: Transaction,
  bind: CommitBindings,
  scope: NarrowerScope,
): Promise<number> {
  const [due] = await rows(transaction, judgedByOthers, bind);
  if (!due) return 0;
  await renumberOutside(transaction, bind, scope.places);
  let staged = 0;
  let after: string | null = null;
  for (;;) {
    const found: (JudgedUser & { account: string })[] = await rows(transaction, storedAccounts, { ...bind, after });
    if (found.length === 0) return staged;
    const leaving = found.flatMap((user) => {
      const outside = scope.outsideOf(user);
      return outside ? [{ id: user.id, outside: outside.reason, condition: outside.condition }] : [];
    });
    if (leaving.length > 0)
      staged += await rowCount(transaction, stageOutside, { ...bind, leaving: JSON.stringify(leaving) });
    after = found.at(-1)?.account ?? null;
  }
}

/** The stream's last commit was under other settings. Binds `tenant` and `round`. */
export const hasOtherFingerprint = (stream: Stream) => `
select true from entra_sync.checkpoints c join entra_sync.rounds r on r.round_id = :round
 where c.tenant_id = :tenant and c.stream = '${stream}' and c.fingerprint <> r.fingerprint`;

/**
 * A user was read on demand under settings between those of a checkpoint `c` and this version: an account may be there
 * that neither takes.
 */
export const readUnderOthers = (version: string) => `exists (
  select from entra_sync.cycles y
   where y.tenant_id = c.tenant_id and y.kind = 'on_demand'
     and y.settings_version > c.settings_version and y.settings_version < ${version})`;

const judgedByOthers = `
select true from entra_sync.checkpoints c join entra_sync.rounds r on r.round_id = :round
 where c.tenant_id = :tenant and c.stream = 'users'
   and (c.fingerprint <> r.fingerprint or ${readUnderOthers('r.settings_version')})`;

const storedAccounts = `
select a.account_id as account, a.entra_object_id as id, a.source from entra_sync.accounts a
 where a.tenant_id = :tenant and ${liveManaged('a')} and a.entra_object_id is not null
   and (:after::uuid is null or a.account_id > :after)
   and not ${stagedInRound('users', 'a.entra_object_id')}
 order by a.account_id limit ${page}`;

const stageOutside = `
insert into entra_sync.stage_users
       (round_id, entra_object_id, source, mapped, user_principal_name, mail, enabled, in_scope, outside, condition)
select :round, a.entra_object_id, a.source, a.mapped, a.user_principal_name, a.mail, a.enabled, false, l.outside,
       l.condition
  from jsonb_to_recordset(:leaving::jsonb) as l (id uuid, outside text, condition smallint)
  join entra_sync.accounts a on a.tenant_id = :tenant and a.entra_object_id = l.id`;

/** Returns how many users each condition keeps outside; undefined if there are none. */
export async function countOutside(
  transaction: Transaction,
  bind: CommitBindings,
): Promise<Record<string, number> | undefined> {
  const counted = await rows<{ condition: number; count: number }>(
    transaction,
    `select condition, count(*)::int as count from entra_sync.outside_scope
      where tenant_id = :tenant and condition is not null group by condition order by condition`,
    bind,
  );
  if (counted.length === 0) return undefined;
  return Object.fromEntries(counted.map(({ condition, count }) => [conditionName(condition), count]));
}

async function renumberOutside(
  transaction: Transaction,
  bind: CommitBindings,
  places: readonly number[],
): Promise<void> {
  const moved = movedConditions(places);
  if (moved.length === 0) return;
  await transaction.raw(
    `update entra_sync.outside_scope o set condition = m.now
       from jsonb_to_recordset(:moved::jsonb) as m (was smallint, now smallint)
      where o.tenant_id = :tenant and o.condition = m.was`,
    { ...bind, moved: JSON.stringify(moved) },
  );
}
