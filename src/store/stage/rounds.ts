// Rounds and their stage. The round, its resume link and its stage share one fate.

import { createHash } from 'node:crypto';
import { ExpectedError, roundEndless } from '../../errors.ts';
import type { Problem } from '../../rules/decode.ts';
import type { RoundKind } from '../../rules/merge.ts';
import type { Stream } from '../../rules/streams.ts';
import { type Lease, requireFence } from '../cycle/lease.ts';
import { type Database, inTransaction, rows, sqlState, type Transaction } from '../database/pool.ts';
import { inDryRun } from '../feed/receipts.ts';
import { shareTenant } from '../tenants/tenants.ts';
import { stageProblems } from './problems.ts';

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
  settings_version: number;
  age_ms: number;
  full_age_ms: number;
};

/** The end of a listing, in place of a delta link. */
export const endOfListing = { delta: 'end of the listing' } as const;

/** The most pages in a row without anything new; beyond it a round is endless (rule 14). */
export const maxBarrenPages = 2_000;

/** The columns of a {@link Checkpoint}. */
export const checkpointColumns = `delta_link, fingerprint, settings_version,
  (extract(epoch from clock_timestamp() - committed_at) * 1000)::float8 as age_ms,
  (extract(epoch from clock_timestamp() - full_at) * 1000)::float8 as full_age_ms`;

/** Returns the stream's checkpoint, with its ages. */
export async function readCheckpoint(
  on: Database | Transaction,
  tenantId: string,
  stream: Stream,
): Promise<Checkpoint | undefined> {
  const [checkpoint] = await rows<Checkpoint>(
    on,
    `select ${checkpointColumns} from entra_sync.checkpoints where tenant_id = :tenantId and stream = :stream`,
    { tenantId, stream },
  );
  return checkpoint;
}

/** The columns of a {@link Round}. */
export const roundColumns =
  'round_id, kind, reason, settings_version, fingerprint, pages, seen, resume_link, delta_link';

/** Returns the stream's open round, if any. */
export async function readRound(
  on: Database | Transaction,
  tenantId: string,
  stream: Stream,
  dryRun: boolean,
): Promise<Round | undefined> {
  const [round] = await rows<Round>(
    on,
    `select ${roundColumns} from entra_sync.rounds
      where tenant_id = :tenantId and stream = :stream and dry_run = :dryRun`,
    { tenantId, stream, dryRun },
  );
  return round;
}

/** Drops the stream's open rounds and begins a new one. A later round leaves an open full round. */
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
    await shareTenant(transaction, lease.tenantId);
    await requireFence(transaction, lease);
    await transaction.raw(
      `delete from entra_sync.rounds
        where tenant_id = :tenantId and stream = :stream and dry_run = :dryRun and (:kind = 'full' or kind <> 'full')`,
      { tenantId: lease.tenantId, stream: round.stream, dryRun: round.dryRun, kind: round.kind },
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

/** Drops a round that cannot be resumed, with its stage. */
export async function dropRound(database: Database, lease: Lease, roundId: string): Promise<void> {
  await inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await transaction.raw('delete from entra_sync.rounds where round_id = :roundId', { roundId });
  });
}

/** Drops the stage of a dry run, which is never resumed. The next lease drops that of a killed one. */
export async function dropDryRun(database: Database, lease: Lease): Promise<void> {
  await inTransaction(database, async (transaction) => {
    await requireFence(transaction, lease);
    await transaction.raw('delete from entra_sync.rounds where tenant_id = :tenantId and dry_run', {
      tenantId: lease.tenantId,
    });
  });
}

/** A page, or several in a row. */
export type PageOfRound = {
  readonly urls: readonly string[];
  readonly seen: number;
  readonly problems: readonly Problem[];
  readonly link: { readonly next: string } | { readonly delta: string };
};

/**
 * Stages pages and the resume link in one transaction and returns the advanced round. `stage` writes the rows and
 * returns how many were new or different; a `trial` is rolled back. Throws `round_endless` for a link already read or
 * after {@link maxBarrenPages}, `lease_lost` when the round has moved past `round`.
 */
export async function advanceRound(
  database: Database,
  lease: Lease,
  round: Round,
  page: PageOfRound,
  stage: (transaction: Transaction, state: StageState) => Promise<number>,
  trial = false,
): Promise<Round> {
  const advance = async (transaction: Transaction) => {
    const state = await lockRound(transaction, lease, round);
    const staged = await stage(transaction, state);
    const asideNow = await stageProblems(transaction, round.round_id, page.problems);
    const { barren_pages: barrenPages, ...moved } = await recordPages(transaction, round, page, staged + asideNow > 0);
    if (barrenPages > maxBarrenPages) throw roundEndless(`${maxBarrenPages} pages in a row brought nothing new`);
    return moved;
  };
  if (trial) return inDryRun(database, true, advance);
  // A crash of the server undoes pages with their resume link.
  return inTransaction(database, advance, { mayBeLost: true });
}

/** The state of a round's stage once its row is locked. */
export type StageState = {
  /** This round has set something aside, which a readable body may end. */
  readonly anyAside: boolean;
};

async function lockRound(transaction: Transaction, lease: Lease, round: Round): Promise<StageState> {
  const [state] = await rows<{ fenced: boolean; is_there: boolean; any_aside: boolean }>(
    transaction,
    `with fence as materialized (
       select from entra_sync.leases where tenant_id = :tenantId and fence = :fence for share
     ), round as materialized (
       select from entra_sync.rounds where round_id = :roundId and pages = :pages and delta_link is null for update
     )
     select exists (select from fence) as fenced, exists (select from round) as is_there,
            exists (select from entra_sync.stage_set_aside where round_id = :roundId) as any_aside`,
    { tenantId: lease.tenantId, fence: lease.fence, roundId: round.round_id, pages: round.pages },
  );
  if (!state?.fenced) await requireFence(transaction, lease);
  if (state?.is_there) return { anyAside: state.any_aside };
  throw new ExpectedError('lease_lost', 'the round was moved on or dropped by another process', {
    cure: 'run the command again',
  });
}

async function recordPages(
  transaction: Transaction,
  round: Round,
  { urls, seen, link }: PageOfRound,
  fresh: boolean,
): Promise<Round & { barren_pages: number }> {
  try {
    const [advanced] = await rows<Round & { barren_pages: number }>(
      transaction,
      `with page as (
         insert into entra_sync.stage_pages (round_id, page, link_hash)
         select :roundId, :pages::int + u.n, u.hash from unnest(:hashes::text[]) with ordinality as u (hash, n)
       )
       update entra_sync.rounds
          set pages = pages + :count, seen = seen + :seen, resume_link = :next, delta_link = :delta,
              barren_pages = case when :fresh::boolean then 0 else barren_pages + :count end
        where round_id = :roundId
       returning ${roundColumns}, barren_pages`,
      {
        roundId: round.round_id,
        pages: round.pages,
        hashes: urls.map((url) => createHash('sha256').update(url).digest('base64url')),
        count: urls.length,
        seen,
        next: 'next' in link ? link.next : null,
        delta: 'delta' in link ? link.delta : null,
        fresh,
      },
    );
    if (!advanced) throw new Error('the locked round was not updated');
    return advanced;
  } catch (error) {
    if (sqlState(error) !== '23505') throw error;
    throw roundEndless('a page links back to one that was already read');
  }
}
