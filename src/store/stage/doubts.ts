// The objects of a round in doubt: merged with what is known, set aside, or asked for by GET (rules 3, 19, 22).

import type { Occurrence, Problem, Source } from '../../rules/decode.ts';
import { groupProperties } from '../../rules/groups.ts';
import { doubts, type KnownObject, type MergedObject } from '../../rules/merge.ts';
import { type Stream, tableOf } from '../../rules/streams.ts';
import { type Database, rows, type Transaction } from '../database/pool.ts';
import { managedInGraph, namesObject, objectOfKey, setAsideInRound, stagedInRound } from '../database/vocabulary.ts';
import { stageProblems } from './problems.ts';
import type { Round } from './rounds.ts';

/**
 * Returns what a page is merged with: each object as staged, else (in a later round) as stored. A manual account or
 * group does not follow Entra ID, so only its id is known.
 */
export async function knownObjects(
  transaction: Transaction,
  tenantId: string,
  round: Round,
  ids: readonly string[],
  stream: Stream,
): Promise<Map<string, KnownObject>> {
  if (ids.length === 0) return new Map();
  const found = await rows<KnownObject & { id: string }>(
    transaction,
    `select s.entra_object_id as id, 'stage' as origin, s.source, s.removed, s.doubt,
            exists (select from entra_sync.${tableOf[stream]} k
                     where k.tenant_id = :tenantId and k.entra_object_id = s.entra_object_id
                       and k.removed_reason = 'not_copied') as "leftOut"
       from entra_sync.stage_${stream} s where s.round_id = :roundId and s.entra_object_id = any(:ids::uuid[])
     union all
     select a.entra_object_id, case a.state when 'managed' then 'account' else 'released' end, a.source,
            nullif(a.removed_reason, 'not_copied'), null, coalesce(a.removed_reason = 'not_copied', false)
       from entra_sync.${tableOf[stream]} a
      where :incremental::boolean and a.tenant_id = :tenantId and a.entra_object_id = any(:ids::uuid[])
        and not ${stagedInRound(stream, 'a.entra_object_id', ':roundId')}`,
    { roundId: round.round_id, tenantId, ids, incremental: round.kind === 'incremental' },
  );
  return new Map(found.map(({ id, ...known }) => [id, known]));
}

/** Returns the objects that GET has not answered for in this round. */
export async function notAsked(database: Database, roundId: string, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const found = await rows<{ id: string }>(
    database,
    `select u.id::text as id from unnest(:ids::uuid[]) with ordinality as u (id, place)
      where not exists (select from entra_sync.stage_asked q where q.round_id = :roundId and q.object_id = u.id)
      order by u.place`,
    { roundId, ids },
  );
  return found.map((row) => row.id);
}

/** The ids of these occurrences, each once. */
export function idsOf(occurrences: readonly Occurrence[]): string[] {
  return [...new Set(occurrences.map((occurrence) => occurrence.id))];
}

/** Returns the last known documents: the staged properties over the stored ones. */
export async function lastKnown(
  on: Database | Transaction,
  tenantId: string,
  roundId: string,
  stream: Stream,
  ids: readonly string[],
): Promise<Map<string, Source>> {
  if (ids.length === 0) return new Map();
  const found = await rows<{ id: string; source: Source }>(
    on,
    `select u.id, coalesce(k.source, '{}') || coalesce(s.source, '{}') as source
       from unnest(:ids::uuid[]) as u (id)
       left join entra_sync.${tableOf[stream]} k
         on k.tenant_id = :tenantId and k.entra_object_id = u.id and k.state = 'managed'
       left join entra_sync.stage_${stream} s on s.round_id = :roundId and s.entra_object_id = u.id`,
    { tenantId, roundId, ids },
  );
  return new Map(found.map(({ id, source }) => [id, source]));
}

/** {@link lastKnown} of the objects with an unreadable property: mostly none. */
export function knownOfOdd(
  on: Database | Transaction,
  tenantId: string,
  roundId: string,
  stream: Stream,
  occurrences: readonly Occurrence[],
): Promise<Map<string, Source>> {
  const odd = occurrences.filter((occurrence) => 'odd' in occurrence && occurrence.odd !== undefined);
  return lastKnown(on, tenantId, roundId, stream, idsOf(odd));
}

/**
 * Clears the set-aside marks of what these occurrences show readable (rule 4). Returns the objects that were set aside
 * as a whole.
 */
export async function liftSetAside(
  transaction: Transaction,
  roundId: string,
  occurrences: readonly Occurrence[],
): Promise<Set<string>> {
  const aside = await rows<{ key: string }>(
    transaction,
    `select object_key as key from entra_sync.stage_set_aside
      where round_id = :roundId and left(object_key, 36) = any(:ids::text[])`,
    { roundId, ids: idsOf(occurrences) },
  );
  const readable = new Set(
    aside.length === 0
      ? []
      : occurrences.flatMap((one) =>
          ['patch' in one ? Object.keys(one.patch) : []].flat().map((name) => `${one.id}/${name}`),
        ),
  );
  const lifted = aside.map(({ key }) => key).filter((key) => key.length === 36 || readable.has(key));
  if (lifted.length === 0) return new Set();
  await transaction.raw(
    'delete from entra_sync.stage_set_aside where round_id = :roundId and object_key = any(:lifted::text[])',
    { roundId, lifted },
  );
  return new Set(lifted.filter((key) => key.length === 36));
}

/** Clears this round's set-aside marks of objects that were read whole or are deleted, and of their parts. */
export async function liftWhollySetAside(
  transaction: Transaction,
  roundId: string,
  ids: readonly string[],
): Promise<void> {
  await transaction.raw(
    'delete from entra_sync.stage_set_aside where round_id = :roundId and left(object_key, 36) = any(:ids::text[])',
    { roundId, ids },
  );
}

/**
 * Flags objects whose mark was just cleared for GET: the unreadable body may have held a change. A full round of users
 * shows everything again, but a group's slices come only once.
 */
export function doubtLifted<Merged extends MergedObject>(
  round: Round,
  stream: Stream,
  objects: readonly Merged[],
  lifted: ReadonlySet<string>,
): readonly Merged[] {
  return objects.map((object) =>
    lifted.has(object.id) && (object.removed || round.kind === 'incremental' || stream === 'groups')
      ? { ...object, doubt: object.doubt ?? doubts.setAside }
      : object,
  );
}

/** The key names a property of a group, whose slices were readable. */
export const isPropertyOfGroup = (key: string) =>
  `substr(${key}, 38) in (${[...groupProperties.keys()].map((name) => `'${name}'`).join(', ')})`;

/**
 * Returns the objects that GET has to answer for before the commit (rule 22): objects in doubt, removed ones that also
 * came unreadable, groups with an unreadable part (a slice may be lost with it), and objects that earlier rounds set
 * aside, unless removed now. Delta may not repeat changes, so a live page of these is not enough.
 */
export async function doubtfulObjects(
  database: Database,
  tenantId: string,
  roundId: string,
  stream: Stream,
): Promise<Doubtful[]> {
  return rows<Doubtful>(
    database,
    `select x.id, bool_or(x.wholly) as wholly from (
     select s.entra_object_id::text as id, s.doubt is distinct from :lacking as wholly
       from entra_sync.stage_${stream} s where s.round_id = :roundId and s.doubt is not null
     union all
     select s.entra_object_id::text, not ${isPropertyOfGroup('p.object_key')}
       from entra_sync.stage_set_aside p
      cross join lateral (select s.entra_object_id, s.removed from entra_sync.stage_${stream} s
        where s.round_id = :roundId and s.entra_object_id = ${objectOfKey('p.object_key')} offset 0) s
      where p.round_id = :roundId
        and (s.removed is not null or :stream = 'groups' and not ${isPropertyOfGroup('p.object_key')})
     union all
     select left(a.object_key, 36), not ${isPropertyOfGroup('a.object_key')} from entra_sync.set_aside a
      where a.tenant_id = :tenantId and a.stream = :stream and ${namesObject('a.object_key')}
        and not exists (select from entra_sync.stage_${stream} s
                         where s.round_id = :roundId and s.entra_object_id = ${objectOfKey('a.object_key')}
                           and s.removed is not null offset 0)
     ) x group by x.id`,
    { tenantId, roundId, stream, lacking: doubts.lacking },
  );
}

/** `wholly`: a group with its members; else only its properties are in doubt. */
export type Doubtful = { readonly id: string; readonly wholly: boolean };

/**
 * Returns live objects that this full round did not see, for GET before the sweep (rules 6, 22). None beyond `most`,
 * which the guard holds (rule 10); but all of them if an object came without a readable id, since it may be any (rule
 * 19).
 */
export async function unmetObjects(
  database: Database,
  tenantId: string,
  roundId: string,
  stream: Stream,
  most: number,
): Promise<string[]> {
  const found = await rows<{ id: string; nameless: boolean }>(
    database,
    `with nameless as materialized (
       select exists (select from entra_sync.stage_set_aside p
                       where p.round_id = :roundId and not ${namesObject('p.object_key')}) as met
     )
     select a.entra_object_id::text as id, n.met as nameless from entra_sync.${tableOf[stream]} a cross join nameless n
      where a.tenant_id = :tenantId and ${managedInGraph('a')} and a.entra_object_id is not null
        and not ${stagedInRound(stream, 'a.entra_object_id', ':roundId')}
        and not ${setAsideInRound('a.entra_object_id::text', ':roundId')}
      limit case when (select met from nameless) then null else :most::bigint + 1 end`,
    { tenantId, roundId, most },
  );
  return found.length > most && !found[0]?.nameless ? [] : found.map((row) => row.id);
}

export type Unsettled = {
  /** All that were asked for, whatever the answer. */
  readonly asked: readonly string[];
  readonly problems: readonly Problem[];
  readonly notFound: readonly string[];
};

/**
 * Stages the answers of GET that show no readable object. One not found is removed if it was last reported removed, and
 * set aside if live, since delta may run ahead of GET. An unreadable one is set aside (rule 22).
 */
export async function settleUnreadable(
  transaction: Transaction,
  roundId: string,
  stream: Stream,
  unsettled: Unsettled,
): Promise<void> {
  const removed = await rows<{ id: string }>(
    transaction,
    `select entra_object_id as id from entra_sync.stage_${stream}
      where round_id = :roundId and removed is not null and entra_object_id = any(:notFound::uuid[])`,
    { roundId, notFound: unsettled.notFound },
  );
  await liftWhollySetAside(
    transaction,
    roundId,
    removed.map((one) => one.id),
  );
  const dropped = await rows<{ id: string }>(
    transaction,
    `delete from entra_sync.stage_${stream}
      where round_id = :roundId
        and (entra_object_id = any(:unreadable::uuid[]) or removed is null and entra_object_id = any(:notFound::uuid[]))
     returning entra_object_id as id`,
    { roundId, notFound: unsettled.notFound, unreadable: unsettled.problems.flatMap((problem) => problem.id ?? []) },
  );
  const problems = dropped
    .filter((row) => !unsettled.problems.some((problem) => problem.id === row.id))
    .map((row) => ({ key: row.id, reason: `it ${doubts.bothWays}, or was not whole, and cannot be read by itself` }));
  await stageProblems(transaction, roundId, [...unsettled.problems, ...problems]);
  await transaction.raw(
    `update entra_sync.stage_${stream} set doubt = null
      where round_id = :roundId and entra_object_id = any(:asked::uuid[]) and doubt is not null`,
    { roundId, asked: unsettled.asked },
  );
  await transaction.raw(
    `insert into entra_sync.stage_asked (round_id, object_id) select :roundId, unnest(:asked::uuid[])
     on conflict do nothing`,
    { roundId, asked: unsettled.asked },
  );
}
