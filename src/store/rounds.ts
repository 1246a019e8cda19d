// Rounds and their stage: where the rows of a walk wait for its commit. Round row, resume link and stage share one fate.
import { createHash } from 'node:crypto';
import { ExpectedError } from '../errors.ts';
import type { Problem } from '../rules/decode.ts';
import { doubts, type MergedObject, type RoundKind } from '../rules/merge.ts';
import { type Lease, requireFence } from './lease.ts';
import { type Database, inTransaction, rowCount, rows, sqlState, type Transaction } from './pool.ts';

export type Stream = 'users' | 'groups';

export type Round = {
  readonly round_id: string;
  readonly kind: RoundKind;
  readonly reason: string;
  readonly settings_version: number;
  readonly fingerprint: string;
  readonly pages: number;
  readonly seen: number;
  readonly resume_link: string | null;
  readonly delta_link: string | null;
};

export type Checkpoint = {
  delta_link: string;
  fingerprint: string;
  committed_at: Date;
  age_ms: number;
  full_age_ms: number;
};

/** Most pages in a row that may stage nothing new before the round counts as endless (rule 14). */
export const mostBarrenPages = 2_000;

/** The stream's committed checkpoint, with its ages by the database's clock. */
export async function readCheckpoint(
  on: Database | Transaction,
  tenantId: string,
  stream: Stream,
): Promise<Checkpoint | undefined> {
  const [checkpoint] = await rows<Checkpoint>(
    on,
    `select delta_link, fingerprint, committed_at,
            (extract(epoch from clock_timestamp() - committed_at) * 1000)::float8 as age_ms,
            (extract(epoch from clock_timestamp() - full_at) * 1000)::float8 as full_age_ms
       from entra_sync.checkpoints where tenant_id = :tenantId and stream = :stream`,
    { tenantId, stream },
  );
  return checkpoint;
}

const roundColumns = 'round_id, kind, reason, settings_version, fingerprint, pages, seen, resume_link, delta_link';

/** The stream's open round, if one is there to be continued. */
export async function readRound(
  on: Database | Transaction,
  tenantId: string,
  stream: Stream,
  dryRun: boolean,
): Promise<Round | undefined> {
  const [round] = await rows<Round>(
    on,
    `select ${roundColumns} from entra_sync.rounds where tenant_id = :tenantId and stream = :stream and dry_run = :dryRun`,
    { tenantId, stream, dryRun },
  );
  return round;
}

/** Drops the stream's open round with its stage, if there is one, and begins a new one. */
export async function beginRound(
  database: Database,
  lease: Lease,
  round: {
    stream: Stream;
    dryRun: boolean;
    kind: RoundKind;
    reason: string;
    settingsVersion: number;
    fingerprint: string;
  },
): Promise<Round> {
  return inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await transaction.raw(
      'delete from entra_sync.rounds where tenant_id = :tenantId and stream = :stream and dry_run = :dryRun',
      { tenantId: lease.tenantId, stream: round.stream, dryRun: round.dryRun },
    );
    const [begun] = await rows<Round>(
      transaction,
      `insert into entra_sync.rounds (tenant_id, stream, dry_run, kind, reason, settings_version, fingerprint)
       values (:tenantId, :stream, :dryRun, :kind, :reason, :settingsVersion, :fingerprint) returning ${roundColumns}`,
      { tenantId: lease.tenantId, ...round },
    );
    if (!begun) throw new Error('the new round was not returned');
    return begun;
  });
}

/** Drops a round and its stage: a walk that nobody can go on with. */
export async function dropRound(database: Database, lease: Lease, roundId: string): Promise<void> {
  await inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await transaction.raw('delete from entra_sync.rounds where round_id = :roundId', { roundId });
  });
}

/** Drops what dry runs have staged: theirs is never gone on with, and one that was cut off could not do it itself. */
export async function dropRehearsal(database: Database, lease: Lease, stream: Stream): Promise<void> {
  await inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await transaction.raw(
      'delete from entra_sync.rounds where tenant_id = :tenantId and stream = :stream and dry_run',
      { tenantId: lease.tenantId, stream },
    );
  });
}

export type PageOfRound = {
  readonly url: string;
  readonly seen: number;
  readonly problems: readonly Problem[];
  readonly link: { readonly next: string } | { readonly delta: string };
};

/**
 * Stages one page with its resume link in one transaction and returns the round as it now stands. `stage` writes the
 * page's rows and returns how many were new or different. Throws `round_endless` for a link that was already asked in this round, or when too many pages in a row brought nothing new;
 * `lease_lost` when the round is no longer where `round` says.
 */
export async function advanceRound(
  database: Database,
  lease: Lease,
  round: Round,
  page: PageOfRound,
  stage: (transaction: Transaction) => Promise<number>,
): Promise<Round> {
  return inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await lockRound(transaction, round);
    await recordPage(transaction, round, page.url);
    const staged = await stage(transaction);
    const asideNow = await stageProblems(transaction, round.round_id, page.problems);
    const [advanced] = await rows<Round & { barren_pages: number }>(
      transaction,
      `update entra_sync.rounds
          set pages = pages + 1, seen = seen + :seen, resume_link = :next, delta_link = :delta,
              barren_pages = case when :fresh::boolean then 0 else barren_pages + 1 end
        where round_id = :roundId
       returning ${roundColumns}, barren_pages`,
      {
        roundId: round.round_id,
        seen: page.seen,
        next: 'next' in page.link ? page.link.next : null,
        delta: 'delta' in page.link ? page.link.delta : null,
        fresh: staged + asideNow > 0,
      },
    );
    if (!advanced) throw new Error('the locked round was not updated');
    const { barren_pages: barrenPages, ...moved } = advanced;
    if (barrenPages > mostBarrenPages) throw endless(`${mostBarrenPages} pages in a row brought nothing new`);
    return moved;
  });
}

async function lockRound(transaction: Transaction, round: Round): Promise<void> {
  const found = await rows(
    transaction,
    'select from entra_sync.rounds where round_id = :roundId and pages = :pages and delta_link is null for update',
    { roundId: round.round_id, pages: round.pages },
  );
  if (found.length > 0) return;
  throw new ExpectedError('lease_lost', 'the round was moved on or dropped by another process', {
    cure: 'run the command again',
  });
}

async function recordPage(transaction: Transaction, round: Round, url: string): Promise<void> {
  const linkHash = createHash('sha256').update(url).digest('base64url');
  try {
    await transaction.raw(
      'insert into entra_sync.stage_pages (round_id, page, link_hash) values (:roundId, :page, :linkHash)',
      { roundId: round.round_id, page: round.pages + 1, linkHash },
    );
  } catch (error) {
    if (sqlState(error) !== '23505') throw error;
    throw endless('a page links back to one that was already read');
  }
}

function endless(why: string): ExpectedError {
  return new ExpectedError('round_endless', `Graph leads this round in a circle: ${why}`, {
    cure: 'nothing was changed; run the command again, the round begins anew, and entra-sync resync if that fails too',
  });
}

/** A good body of an object ends its being set aside in this round, as the last occurrence wins (rule 4). Returns whose did. */
export async function liftSetAside(
  transaction: Transaction,
  roundId: string,
  ids: readonly string[],
): Promise<Set<string>> {
  const lifted = await rows<{ id: string }>(
    transaction,
    'delete from entra_sync.stage_set_aside where round_id = :roundId and object_key = any(:ids::text[]) returning object_key as id',
    { roundId, ids },
  );
  return new Set(lifted.map((row) => row.id));
}

/**
 * Marks those whose set-aside was lifted: they were live, whatever comes now; and what else that body said comes again
 * only in full rounds, which show all.
 */
export function doubtLifted<Merged extends MergedObject>(
  round: Round,
  objects: readonly Merged[],
  lifted: ReadonlySet<string>,
): readonly Merged[] {
  return objects.map((object) =>
    lifted.has(object.id) && (object.removed || round.kind === 'incremental')
      ? { ...object, doubt: object.doubt ?? doubts.setAside }
      : object,
  );
}

/**
 * The objects to be asked about by GET before the commit (rule 22): doubtful ones, removed ones that also came with a
 * body that could not be taken, and those set aside in earlier rounds unless they are gone. A live page of theirs is not
 * enough: what changed while they were set aside may not come again.
 */
export async function doubtfulObjects(
  database: Database,
  tenantId: string,
  roundId: string,
  stream: Stream,
): Promise<string[]> {
  const found = await rows<{ id: string }>(
    database,
    `select s.entra_object_id::text as id from entra_sync.stage_${stream} s where s.round_id = :roundId
        and (s.doubt is not null or s.removed is not null and exists (select from entra_sync.stage_set_aside p
               where p.round_id = s.round_id and p.object_key = s.entra_object_id::text))
     union
     select a.object_key from entra_sync.set_aside a
      where a.tenant_id = :tenantId and a.stream = :stream and a.object_key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        and not exists (select from entra_sync.stage_${stream} s
                         where s.round_id = :roundId and s.entra_object_id::text = a.object_key and s.removed is not null)`,
    { tenantId, roundId, stream },
  );
  return found.map((row) => row.id);
}

/**
 * Live objects that a full round did not meet although it met something whose id nobody can read: each of them may be
 * that, so they are asked for by GET before the sweep (rule 19: an unreadable read never leads to a removal).
 */
export async function unmetObjects(
  database: Database,
  tenantId: string,
  roundId: string,
  stream: Stream,
): Promise<string[]> {
  const table = stream === 'users' ? 'accounts' : 'groups';
  const found = await rows<{ id: string }>(
    database,
    `select a.entra_object_id::text as id from entra_sync.${table} a
      where a.tenant_id = :tenantId and a.state = 'managed' and a.removed_at is null and a.entra_object_id is not null
        and exists (select from entra_sync.rounds r where r.round_id = :roundId and r.kind = 'full')
        and exists (select from entra_sync.stage_set_aside p
                     where p.round_id = :roundId and p.object_key !~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}(/.*){0,1}$')
        and not exists (select from entra_sync.stage_${stream} s where s.round_id = :roundId and s.entra_object_id = a.entra_object_id)`,
    { tenantId, roundId },
  );
  return found.map((row) => row.id);
}

/** Notes what cannot be taken and returns how many notes were new or different. */
export async function stageProblems(
  transaction: Transaction,
  roundId: string,
  problems: readonly Problem[],
): Promise<number> {
  if (problems.length === 0) return 0;
  return rowCount(
    transaction,
    `insert into entra_sync.stage_set_aside as s (round_id, object_key, reason)
     select distinct on (r.key) :roundId, r.key, r.reason from jsonb_to_recordset(:problems::jsonb) as r (key text, reason text)
     on conflict (round_id, object_key) do update set reason = excluded.reason where s.reason <> excluded.reason`,
    { roundId, problems: JSON.stringify(problems) },
  );
}

export type Unsettled = {
  /** Answered by GET with something that cannot be taken. */
  readonly problems: readonly Problem[];
  /** Not there for GET. */
  readonly gone: readonly string[];
};

/**
 * Notes what GET could not show of the doubtful. Who is gone and was last reported removed is removed; who is gone but
 * was last reported live is set aside, never removed: entries of delta may run ahead of what GET can see. So is,
 * whatever was reported, what is there with a body that cannot be taken (rule 22).
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
      where round_id = :roundId and removed is not null and entra_object_id = any(:gone::uuid[])`,
    { roundId, gone: unsettled.gone },
  );
  await liftSetAside(
    transaction,
    roundId,
    removed.map((one) => one.id),
  );
  const dropped = await rows<{ id: string }>(
    transaction,
    `delete from entra_sync.stage_${stream}
      where round_id = :roundId
        and (entra_object_id = any(:unreadable::uuid[]) or removed is null and entra_object_id = any(:gone::uuid[]))
     returning entra_object_id as id`,
    { roundId, gone: unsettled.gone, unreadable: unsettled.problems.flatMap((problem) => problem.id ?? []) },
  );
  const problems = dropped
    .filter((row) => !unsettled.problems.some((problem) => problem.id === row.id))
    .map((row) => ({ key: row.id, reason: `it ${doubts.bothWays}, or was not whole, and cannot be read by itself` }));
  await stageProblems(transaction, roundId, [...unsettled.problems, ...problems]);
  await transaction.raw(
    `update entra_sync.stage_${stream} set doubt = null where round_id = :roundId and doubt is not null`,
    {
      roundId,
    },
  );
}
