// A page, list or commit that the database refuses for its data. The first time its round is dropped and read again;
// the second time the culprits are found by halves and set aside (rules 12, 19).

import { findCulprits } from '../../rules/culprits.ts';
import { type DataFault, dataFaultOf, reasonOf, refusedByDatabase } from '../../rules/data-faults.ts';
import type { Problem } from '../../rules/decode.ts';
import { type Stream, tableOf } from '../../rules/streams.ts';
import { type Lease, requireFence } from '../cycle/lease.ts';
import { type Database, inTransaction, rows, type Transaction, throwDefect } from '../database/pool.ts';
import { inGraph, setAsideInRound } from '../database/vocabulary.ts';

/** Objects or parts to set aside: the reason by key of `set_aside`. */
export type SetAsideReasons = ReadonlyMap<string, string>;

/** Keys of parts: the member list of a group, and the groups that hold a group. */
export const membersKey = (groupId: string) => `${groupId}/members`;
export const holdersKey = (groupId: string) => `${groupId}/memberOf`;

export type DivisibleWork<Answer> = {
  /** The keys of all that may be at fault. Those that the database refused before are a list of their own. */
  units(): Promise<readonly (readonly string[])[]> | readonly (readonly string[])[];
  /** Does the work without `aside` in one transaction; a `trial` is rolled back. */
  attempt(aside: SetAsideReasons, trial: boolean): Promise<Answer>;
};

const nothing: SetAsideReasons = new Map();

/**
 * Does the work of a round in one transaction. If it fails for its data, drops the round and throws the error; the
 * second time, and at once in a dry run or listing, repeats the work without the culprits. Throws what the work throws.
 */
export async function withoutCulprits<Answer>(
  database: Database,
  lease: Lease,
  roundId: string,
  work: DivisibleWork<Answer>,
): Promise<Answer> {
  try {
    return await work.attempt(nothing, false);
  } catch (error) {
    const fault = dataFaultOf(error);
    if (!fault) throw error;
    const round = await roundState(database, roundId);
    if (!round) throw error;
    if (round.passing || round.failed_before) {
      const aside = await culpritsOf(work);
      if (aside && aside.size > 0) {
        try {
          return await work.attempt(aside, false);
        } catch (again) {
          if (!dataFaultOf(again)) throw again;
        }
      }
    }
    // A note that is not written must not stop the stream: the next cycle meets the fault again.
    if (!round.passing) await dropAndNote(database, lease, roundId, fault).catch(throwDefect);
    throw error;
  }
}

async function culpritsOf<Answer>(work: DivisibleWork<Answer>): Promise<SetAsideReasons | undefined> {
  const lists = await work.units();
  const all = lists.flat();
  const fails = async (units: readonly string[]): Promise<DataFault | undefined> => {
    const kept = new Set(units);
    try {
      await work.attempt(new Map(all.filter((unit) => !kept.has(unit)).map((unit) => [unit, refusedByDatabase])), true);
      return undefined;
    } catch (error) {
      const fault = dataFaultOf(error);
      if (!fault) throw error;
      return fault;
    }
  };
  const culprits = await findCulprits(lists, fails);
  return culprits && new Map([...culprits].map(([key, fault]) => [key, reasonOf(fault)]));
}

// `passing`: a dry run or a listing, which the next cycle does not resume.
async function roundState(
  database: Database,
  roundId: string,
): Promise<{ passing: boolean; failed_before: boolean } | undefined> {
  const [round] = await rows<{ passing: boolean; failed_before: boolean }>(
    database,
    `select r.dry_run or r.kind = 'listing' as passing,
            exists (select from entra_sync.data_faults f
                     where f.tenant_id = r.tenant_id and f.stream = r.stream) as failed_before
       from entra_sync.rounds r where r.round_id = :roundId`,
    { roundId },
  );
  return round;
}

async function dropAndNote(database: Database, lease: Lease, roundId: string, fault: DataFault): Promise<void> {
  await inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await transaction.raw(
      `with dropped as (delete from entra_sync.rounds where round_id = :roundId returning tenant_id, stream)
       insert into entra_sync.data_faults as f (tenant_id, stream, state) select tenant_id, stream, :state from dropped
       on conflict (tenant_id, stream) do update
          set failures = f.failures + 1, state = excluded.state, noted_at = excluded.noted_at`,
      { roundId, state: fault.state },
    );
  });
}

/** Forgets a stream's failures once no object is set aside for them. Binds `tenant` and `stream`. */
export const forgetFaults = `
delete from entra_sync.data_faults f
 where f.tenant_id = :tenant and f.stream = :stream
   and not exists (select from entra_sync.set_aside a
                    where a.tenant_id = f.tenant_id and a.stream = f.stream and a.reason like '${refusedByDatabase}%')`;

/** Returns the keys as problems of a page. With an id, earlier staged rows of the object become doubtful. */
export function problemsOf(aside: SetAsideReasons): Problem[] {
  return [...aside].map(([key, reason]) => (key.length === 36 ? { key, id: key, reason } : { key, reason }));
}

type StagedRound = { readonly tenant: string; readonly round: string; readonly stream: Stream };

/**
 * Returns the keys of all that may make a commit fail: staged objects, member lists, objects that a full round did not
 * see, objects to purge. The second list holds those that the database refused before.
 */
export async function unitsOfCommit(
  database: Database,
  bind: StagedRound & { readonly full: boolean },
): Promise<string[][]> {
  const found = await rows<{ key: string; suspect: boolean }>(
    database,
    `with unit as (
       select s.entra_object_id::text as key from entra_sync.stage_${bind.stream} s where s.round_id = :round
       union
       select k.entra_object_id::text from entra_sync.${tableOf[bind.stream]} k
        where k.tenant_id = :tenant and k.entra_object_id is not null and k.state = 'managed'
          and (:full::boolean and ${inGraph('k')} or k.purge_at <= now())
       union
       select object_id::text from entra_sync.stage_whole_lists where round_id = :round and :stream = 'users'
       union
       select m.group_object_id || '/members' from (
         select group_object_id from entra_sync.staged_members where round_id = :round
         union
         select object_id from entra_sync.stage_whole_lists where round_id = :round) m
        where :stream = 'groups'
     )
     select u.key, exists (select from entra_sync.set_aside a
                            where a.tenant_id = :tenant and a.stream = :stream and a.object_key = u.key
                              and a.reason like '${refusedByDatabase}%') as suspect
       from unit u
      where not ${setAsideInRound('u.key')}
      order by u.key`,
    bind,
  );
  return [false, true].map((suspect) => found.filter((one) => one.suspect === suspect).map((one) => one.key));
}

/** Sets staged objects or member lists aside. The commit keeps what is stored of them, since they were seen. */
export async function setAsideStaged(
  transaction: Transaction,
  { round, stream }: Omit<StagedRound, 'tenant'>,
  aside: SetAsideReasons,
): Promise<void> {
  if (aside.size === 0) return;
  const keys = [...aside.keys()];
  const bind = {
    round,
    keys,
    reasons: [...aside.values()],
    objects: keys.filter((key) => key.length === 36),
    lists: keys.filter((key) => key.endsWith('/members')).map((key) => key.slice(0, 36)),
  };
  await transaction.raw(
    `insert into entra_sync.stage_set_aside (round_id, object_key, reason)
     select :round, u.key, u.reason from unnest(:keys::text[], :reasons::text[]) as u (key, reason)
     on conflict (round_id, object_key) do update set reason = excluded.reason`,
    bind,
  );
  for (const statement of stream === 'users' ? dropStagedUsers : dropGroups) await transaction.raw(statement, bind);
}

const dropStagedUsers = [
  'delete from entra_sync.stage_users where round_id = :round and entra_object_id = any(:objects::uuid[])',
  'delete from entra_sync.stage_members where round_id = :round and member_object_id = any(:objects::uuid[])',
  'delete from entra_sync.stage_whole_lists where round_id = :round and object_id = any(:objects::uuid[])',
];

// A nested group keeps its memberships unless all that hold it are known.
const dropGroups = [
  'delete from entra_sync.stage_groups where round_id = :round and entra_object_id = any(:objects::uuid[])',
  `delete from entra_sync.stage_holders h
    where h.round_id = :round
      and exists (select from entra_sync.staged_members s
                   where s.round_id = :round and s.group_object_id = any(:lists::uuid[])
                     and s.member_object_id = h.object_id)`,
  'delete from entra_sync.stage_members where round_id = :round and group_object_id = any(:lists::uuid[])',
  'delete from entra_sync.stage_slices where round_id = :round and group_object_id = any(:lists::uuid[])',
  'delete from entra_sync.stage_whole_lists where round_id = :round and object_id = any(:lists::uuid[])',
];
