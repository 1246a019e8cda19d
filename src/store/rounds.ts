// Rounds and their stage: where the rows of a walk wait for its commit. Round row, resume link and stage share one fate.
import { createHash } from 'node:crypto';
import { ExpectedError } from '../errors.ts';
import type { Json, Problem } from '../rules/decode.ts';
import { doubts, type KnownUser, type MergedUser, type RoundKind } from '../rules/merge.ts';
import { type Lease, requireFence } from './lease.ts';
import { type Database, inTransaction, rowCount, rows, sqlState, type Transaction } from './pool.ts';

export type Stream = 'users';

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

/** A merged user with what the mapping made of it, ready for the stage. */
export type StagedUser = MergedUser & {
  readonly mapped: { readonly [field: string]: Json };
  readonly userPrincipalName: string | null;
  readonly mail: string | null;
  readonly enabled: boolean;
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

export type PageToStage = {
  readonly url: string;
  readonly seen: number;
  readonly ids: readonly string[];
  /** Makes the rows from what is known of the page's objects; pure. */
  readonly merge: (known: ReadonlyMap<string, KnownUser>) => readonly StagedUser[];
  readonly problems: readonly Problem[];
  readonly link: { readonly next: string } | { readonly delta: string };
};

/**
 * Stages one page with its resume link in one transaction and returns the round as it now stands. Throws
 * `round_endless` for a link that was already asked in this round, or when too many pages in a row brought nothing new;
 * `lease_lost` when the round is no longer where `round` says.
 */
export async function stagePage(database: Database, lease: Lease, round: Round, page: PageToStage): Promise<Round> {
  return inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await lockRound(transaction, round);
    await recordPage(transaction, round, page.url);
    const known = await knownUsers(transaction, lease.tenantId, round, page.ids);
    const lifted = await liftSetAside(transaction, round.round_id, page.ids);
    const users = page.merge(known).map((user) =>
      // It was live, whatever comes now; and what else that body said comes again only in full rounds, which show all.
      lifted.has(user.id) && (user.removed || round.kind === 'incremental')
        ? { ...user, doubt: user.doubt ?? doubts.setAside }
        : user,
    );
    const staged = await stageUsers(transaction, round.round_id, users);
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

type KnownRow = KnownUser & { id: string };

async function knownUsers(
  transaction: Transaction,
  tenantId: string,
  round: Round,
  ids: readonly string[],
): Promise<Map<string, KnownUser>> {
  if (ids.length === 0) return new Map();
  const found = await rows<KnownRow>(
    transaction,
    `select s.entra_object_id as id, 'stage' as origin, s.source, s.removed, s.doubt
       from entra_sync.stage_users s where s.round_id = :roundId and s.entra_object_id = any(:ids::uuid[])
     union all
     select a.entra_object_id, 'account', a.source, a.removed_reason, null
       from entra_sync.accounts a
      where :incremental::boolean and a.tenant_id = :tenantId and a.entra_object_id = any(:ids::uuid[])
        and not exists (select from entra_sync.stage_users s where s.round_id = :roundId and s.entra_object_id = a.entra_object_id)`,
    { roundId: round.round_id, tenantId, ids, incremental: round.kind === 'incremental' },
  );
  return new Map(found.map(({ id, ...known }) => [id, known]));
}

/** A good body of an object ends its being set aside in this round, as the last occurrence wins (rule 4). Returns whose did. */
async function liftSetAside(transaction: Transaction, roundId: string, ids: readonly string[]): Promise<Set<string>> {
  const lifted = await rows<{ id: string }>(
    transaction,
    'delete from entra_sync.stage_set_aside where round_id = :roundId and object_key = any(:ids::text[]) returning object_key as id',
    { roundId, ids },
  );
  return new Set(lifted.map((row) => row.id));
}

/** Writes rows to the stage and returns how many of them were new or different. */
async function stageUsers(transaction: Transaction, roundId: string, users: readonly StagedUser[]): Promise<number> {
  if (users.length === 0) return 0;
  return rowCount(
    transaction,
    `insert into entra_sync.stage_users as s (round_id, entra_object_id, removed, source, mapped, user_principal_name, mail, enabled, doubt)
     select :roundId, r.* from jsonb_to_recordset(:users::jsonb)
         as r (id uuid, removed text, source jsonb, mapped jsonb, "userPrincipalName" text, mail text, enabled boolean, doubt text)
     on conflict (round_id, entra_object_id) do update
        set removed = excluded.removed, source = excluded.source, mapped = excluded.mapped,
            user_principal_name = excluded.user_principal_name, mail = excluded.mail, enabled = excluded.enabled, doubt = excluded.doubt
      where (s.removed, s.source, s.doubt) is distinct from (excluded.removed, excluded.source, excluded.doubt)`,
    { roundId, users: JSON.stringify(users) },
  );
}

async function stageProblems(transaction: Transaction, roundId: string, problems: readonly Problem[]): Promise<number> {
  if (problems.length === 0) return 0;
  return rowCount(
    transaction,
    `insert into entra_sync.stage_set_aside as s (round_id, object_key, reason)
     select distinct on (r.key) :roundId, r.key, r.reason from jsonb_to_recordset(:problems::jsonb) as r (key text, reason text)
     on conflict (round_id, object_key) do update set reason = excluded.reason where s.reason <> excluded.reason`,
    { roundId, problems: JSON.stringify(problems) },
  );
}

/**
 * The objects to be asked about by GET before the commit (rule 22): doubtful ones, removed ones that also came with a body
 * that could not be taken, and those set aside in earlier rounds unless they are gone. A live page of theirs is not enough: what changed while they were set aside may not come again.
 */
export async function doubtfulUsers(database: Database, tenantId: string, roundId: string): Promise<string[]> {
  const found = await rows<{ id: string }>(
    database,
    `select s.entra_object_id::text as id from entra_sync.stage_users s where s.round_id = :roundId
        and (s.doubt is not null or s.removed is not null and exists (select from entra_sync.stage_set_aside p
               where p.round_id = s.round_id and p.object_key = s.entra_object_id::text))
     union
     select a.object_key from entra_sync.set_aside a
      where a.tenant_id = :tenantId and a.stream = 'users' and a.object_key ~ '^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$'
        and not exists (select from entra_sync.stage_users s
                         where s.round_id = :roundId and s.entra_object_id::text = a.object_key and s.removed is not null)`,
    { tenantId, roundId },
  );
  return found.map((row) => row.id);
}

export type Settled = {
  /** Shown live by GET: complete documents. */
  readonly live: readonly StagedUser[];
  /** Answered by GET with something that cannot be taken. */
  readonly problems: readonly Problem[];
  /** Not there for GET. */
  readonly gone: readonly string[];
};

/**
 * Stages what GET said of the doubtful. Who is gone and was last reported removed is removed; who is gone but was last
 * reported live is set aside, never removed: entries of delta may run ahead of what GET can see. So is, whatever was
 * reported, who is there with a body that cannot be taken (rule 22).
 */
export async function settleDoubts(database: Database, lease: Lease, roundId: string, settled: Settled): Promise<void> {
  await inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    const removed = await rows<{ id: string }>(
      transaction,
      `select entra_object_id as id from entra_sync.stage_users
        where round_id = :roundId and removed is not null and entra_object_id = any(:gone::uuid[])`,
      { roundId, gone: settled.gone },
    );
    await liftSetAside(
      transaction,
      roundId,
      [...settled.live, ...removed].map((one) => one.id),
    );
    await stageUsers(transaction, roundId, settled.live);
    const unsettled = await rows<{ id: string }>(
      transaction,
      `delete from entra_sync.stage_users
        where round_id = :roundId
          and (entra_object_id = any(:unreadable::uuid[]) or removed is null and entra_object_id = any(:gone::uuid[]))
       returning entra_object_id as id`,
      { roundId, gone: settled.gone, unreadable: settled.problems.flatMap((problem) => problem.id ?? []) },
    );
    const problems = unsettled
      .filter((row) => !settled.problems.some((problem) => problem.id === row.id))
      .map((row) => ({ key: row.id, reason: `it ${doubts.bothWays}, or was not whole, and cannot be read by itself` }));
    await stageProblems(transaction, roundId, [...settled.problems, ...problems]);
    await transaction.raw(
      'update entra_sync.stage_users set doubt = null where round_id = :roundId and doubt is not null',
      { roundId },
    );
  });
}
