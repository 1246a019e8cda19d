// One stream of one cycle: choose or continue the round, pull its pages into the stage, ask about the doubtful, commit.
import { ExpectedError } from '../errors.ts';
import { isOfOrigin } from '../graph/client.ts';
import { deltaPages, inLots, totalOf } from '../graph/pages.ts';
import { DeadToken, type GraphReader } from '../graph/reader.ts';
import type { Log } from '../logger.ts';
import type { DeltaPage } from '../rules/decode.ts';
import type { Settings } from '../settings.ts';
import { type Apply, type ChangeSample, commitRound, type Rehearsal } from '../store/commit.ts';
import type { StreamReport } from '../store/cycles.ts';
import type { Lease } from '../store/lease.ts';
import type { Database } from '../store/pool.ts';
import { wantsFullRound } from '../store/removals.ts';
import {
  beginRound,
  type Checkpoint,
  dropRehearsal,
  dropRound,
  type PageOfRound,
  type Round,
  readCheckpoint,
  readRound,
  type Stream,
} from '../store/rounds.ts';
import { unfoldSlices } from '../store/stage-members.ts';
import { analyzeStage } from '../store/statistics.ts';
import { inSpan } from '../tracing.ts';

/** Where a stream stands, for a progress bar. `total` is there when Graph lets it be guessed. */
export type Progress = {
  stream: Stream;
  /** `list` and `show`: of a quick first load, before the first round. */
  phase: 'list' | 'show' | 'pull' | 'ask' | 'commit';
  pages: number;
  objects: number;
  total: number | undefined;
};

export type StreamContext = {
  readonly database: Database;
  readonly lease: Lease;
  readonly reader: GraphReader;
  readonly log: Log;
  readonly signal: AbortSignal;
  readonly actor: string;
  readonly cycleId: string | null;
  readonly dryRun: boolean;
  /** A full round is asked for, whatever the checkpoint says. */
  readonly resync: boolean;
  readonly settings: () => Promise<Settings>;
  readonly onProgress: (progress: Progress) => void;
  /** Settled when this cycle's groups are committed, or have failed; in a dry run with what was rehearsed of them. */
  readonly memberships: Promise<Rehearsal | undefined>;
};

/** What differs between the streams. */
export type StreamParts<Page extends DeltaPage> = {
  readonly stream: Stream;
  /** Of what shapes the stage: a checkpoint or round with another one is not continued (rule 17). */
  fingerprint(settings: Settings): string;
  firstUrl(origin: string, settings: Settings): string;
  decode(settings: Settings): (body: unknown) => Page | { readonly malformed: string };
  join(pages: readonly Page[], last: Page): Page;
  /** Stages a page, or several joined to one, and returns the round as it then stands. */
  stage(
    context: Pick<StreamContext, 'database' | 'lease'>,
    settings: Settings,
    round: Round,
    page: Page,
    base: PageOfRound,
  ): Promise<Round>;
  /** What has to be known before the first page of a full round. */
  beforeFullRound?(context: StreamContext): Promise<void>;
  /** Rule 22: reads singly what came in a doubtful way, before anything rests on it. */
  ask(context: StreamContext, settings: Settings, round: Round): Promise<void>;
  readonly apply: Apply;
};

export type StreamResult = {
  report: StreamReport;
  sample: ChangeSample[];
  checkpointAgeMs: number | undefined;
  /** As it was committed, or rehearsed. */
  round: Round;
};

/**
 * Runs the stream's round to its commit. A dead link begins the same round anew, a dead checkpoint a full round, each
 * once (rules 14, 15); settings that changed on the way begin the round anew once (rule 17). What a dry run staged stays:
 * the caller drops it.
 */
export async function runStream<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
): Promise<StreamResult> {
  await dropRehearsal(context.database, context.lease, parts.stream);
  const span = { 'entra_sync.tenant': context.lease.tenantId, 'entra_sync.stream': parts.stream };
  return inSpan('stream', span, async (own) => {
    const result = await runRounds(context, parts);
    const { round, reason, pages, seen } = result.report;
    own.setAttributes({ 'entra_sync.round': round, 'entra_sync.reason': reason });
    own.setAttributes({ 'entra_sync.pages': pages, 'entra_sync.seen': seen });
    return result;
  });
}

async function runRounds<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
): Promise<StreamResult> {
  const { lease } = context;
  const requestsBefore = context.reader.requestCount();
  const checkpoint = await readCheckpoint(context.database, lease.tenantId, parts.stream);
  const once = new Set<string>();
  const firstTime = (what: string) => !once.has(what) && once.add(what) !== undefined;
  let fullBecause: string | undefined = context.resync ? 'resync' : undefined;
  let anew = false;
  for (;;) {
    const settings = await context.settings();
    let round = await openRound(
      context,
      parts.stream,
      parts.fingerprint(settings),
      settings,
      checkpoint,
      fullBecause,
      anew,
    );
    const pagesBefore = round.pages;
    const continued = pagesBefore > 0;
    try {
      const walk = await walkRound(context, parts, settings, checkpoint, round, (advanced) => {
        round = advanced;
      });
      const report = { ...walk.report, requests: context.reader.requestCount() - requestsBefore };
      return { report, sample: walk.sample, checkpointAgeMs: checkpoint?.age_ms, round };
    } catch (error) {
      if (error instanceof DeadToken) {
        context.log.info(
          { stream: parts.stream, round: round.kind, pages: round.pages, requestId: error.requestId },
          'dead token',
        );
        if (round.pages > 0 && firstTime('round restarted')) anew = true;
        else if (round.kind === 'incremental' && firstTime('full round')) fullBecause = 'token_expired';
        else throw deadAgain(error);
      } else if (error instanceof ExpectedError && error.code === 'round_changed' && firstTime('settings changed')) {
        anew = true;
      } else if (isRefusedLink(error) && continued && round.pages === pagesBefore && firstTime('round restarted')) {
        // What an earlier cycle kept is refused for a cause that the failure table does not know: from its own beginning
        // the round may well succeed, and gone on with it never would.
        context.log.info({ stream: parts.stream, pages: round.pages }, 'kept link refused, round begins anew');
        anew = true;
      } else {
        // Gone on with, a round whose links lead in a circle would end at the same page for ever.
        if (error instanceof ExpectedError && error.code === 'round_endless')
          await dropRound(context.database, lease, round.round_id);
        throw error;
      }
    }
  }
}

function isRefusedLink(error: unknown): boolean {
  return error instanceof ExpectedError && (error.code === 'graph_answer_invalid' || error.code === 'foreign_link');
}

function deadAgain(error: DeadToken): ExpectedError {
  return new ExpectedError(
    'graph_answer_invalid',
    `Graph calls links dead that it has only just handed out (${error.message})`,
    {
      cure: 'run the command again later; nothing was changed',
      ...(error.requestId !== null && { detail: `request-id ${error.requestId}` }),
    },
  );
}

/** The round to walk: the open one where it can be continued, else a new one of the kind that is due. */
async function openRound(
  context: StreamContext,
  stream: Stream,
  fingerprint: string,
  settings: Settings,
  checkpoint: Checkpoint | undefined,
  fullBecause: string | undefined,
  anew: boolean,
): Promise<Round> {
  const { database, lease, dryRun } = context;
  const due = fullBecause ?? whyFull(checkpoint, fingerprint, settings.fullEveryMs);
  const full = due ?? ((await wantsFullRound(database, lease.tenantId, stream)) ? 'removals_held' : undefined);
  const open = dryRun ? undefined : await readRound(database, lease.tenantId, stream, false);
  const fits = open?.settings_version === settings.version && open.fingerprint === fingerprint;
  // A full round begun against another Graph cannot be gone on with, and nothing of it would be missed.
  const foreign =
    open?.kind === 'full' && open.resume_link !== null && !isOfOrigin(open.resume_link, context.reader.origin);
  // A full round that somebody asks for is that somebody's: one that is open for another cause may be what is stuck.
  const asked = fullBecause === undefined || open?.reason === fullBecause;
  if (open && fits && !anew && !foreign && asked && (open.kind === 'full' || full === undefined)) return open;
  return beginRound(database, lease, {
    stream,
    dryRun,
    // Begun anew for another cause, an open full round stays one: what made it due still holds.
    kind: full !== undefined || open?.kind === 'full' ? 'full' : 'incremental',
    reason: full ?? (open?.kind === 'full' ? open.reason : 'changes'),
    settingsVersion: settings.version,
    fingerprint,
  });
}

function whyFull(checkpoint: Checkpoint | undefined, fingerprint: string, fullEveryMs: number): string | undefined {
  if (!checkpoint) return 'first';
  if (checkpoint.fingerprint !== fingerprint) return 'settings_changed';
  return checkpoint.full_age_ms > fullEveryMs ? 'due' : undefined;
}

async function walkRound<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
  settings: Settings,
  checkpoint: Checkpoint | undefined,
  begun: Round,
  advance: (round: Round) => void,
): Promise<{ report: StreamReport; sample: ChangeSample[] }> {
  const { database, lease, reader, dryRun } = context;
  const { stream } = parts;
  const total = begun.kind === 'full' ? totalOf(reader, stream) : undefined;
  const tell = (phase: Progress['phase'], round: Round) =>
    context.onProgress({ stream, phase, pages: round.pages, objects: round.seen, total: total?.now });
  let round = begun;
  tell('pull', round);
  if (round.kind === 'full' && round.pages === 0) await parts.beforeFullRound?.(context);
  if (round.delta_link === null) {
    const start = round.resume_link ?? (round.kind === 'incremental' ? checkpoint?.delta_link : undefined);
    const pages = deltaPages(reader, {
      start: start ?? parts.firstUrl(reader.origin, settings),
      startCarriesToken: start !== undefined,
      collection: stream,
      decode: parts.decode(settings),
      // Asks Graph to throttle a walk of everything before anybody's small reads (learn.microsoft.com/graph/throttling-limits).
      headers: round.kind === 'full' ? { 'x-ms-throttle-priority': 'low' } : {},
    });
    await inSpan('pull', { 'entra_sync.stream': stream }, async () => {
      for await (const lot of inLots(pages)) {
        context.signal.throwIfAborted();
        const last = lot.at(-1);
        if (!last) continue;
        const page = parts.join(
          lot.map((fetched) => fetched.page),
          last.page,
        );
        round = await parts.stage(context, settings, round, page, {
          urls: lot.map((fetched) => fetched.url),
          link: page.link,
          problems: page.problems,
          seen: page.occurrences.length + page.problems.length,
        });
        advance(round);
        tell('pull', round);
        context.log.debug({ stream, page: round.pages, seen: round.seen, aside: page.problems.length }, 'page staged');
      }
    });
  }
  tell('ask', round);
  if (stream === 'groups' && round.seen > 0) await unfoldSlices(database, lease, round.round_id);
  const analyzed = await analyzeStage(database, round);
  await inSpan('ask', { 'entra_sync.stream': stream }, () => parts.ask(context, settings, round));
  context.signal.throwIfAborted();
  tell('commit', round);
  const rehearsal = settings.scope.groups.length > 0 ? await context.memberships : undefined;
  const judged = rehearsal?.round ?? (await readCheckpoint(database, lease.tenantId, 'groups'));
  const commit = () =>
    commitRound(
      database,
      lease,
      {
        stream,
        round,
        cycleId: context.cycleId,
        actor: context.actor,
        retentionMs: settings.retentionMs,
        removals: settings.removals,
        match: settings.match,
        scopeGroups: settings.scope.groups,
        groupsJudged: judged?.fingerprint === settings.groupsFingerprint,
        dryRun,
        analyzed,
        rehearsal,
      },
      parts.apply,
    );
  const { counts, sample } = await inSpan('commit', { 'entra_sync.stream': stream }, commit);
  return {
    report: {
      ...counts,
      outcome: dryRun ? 'rehearsed' : 'committed',
      round: round.kind,
      reason: round.reason,
      requests: 0,
      pages: round.pages,
      seen: round.seen,
    },
    sample,
  };
}
