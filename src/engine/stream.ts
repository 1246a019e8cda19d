// One stream of one cycle: choose or continue the round, pull its pages into the stage, ask about the doubtful, commit.
import { ExpectedError } from '../errors.ts';
import { inLots, totalOf } from '../graph/pages.ts';
import { DeadToken, type GraphReader } from '../graph/reader.ts';
import type { Log } from '../logger.ts';
import { type DeltaPage, objectsOf } from '../rules/decode.ts';
import type { Settings } from '../settings.ts';
import { type Apply, type ChangeSample, commitRound, type Rehearsal } from '../store/commit.ts';
import type { StreamReport } from '../store/cycles.ts';
import type { Lease } from '../store/lease.ts';
import type { Database } from '../store/pool.ts';
import {
  beginRound,
  type Checkpoint,
  dropRound,
  type PageOfRound,
  type Round,
  readCheckpoint,
  type Stream,
} from '../store/rounds.ts';
import { unfoldSlices } from '../store/stage-members.ts';
import type { Standing } from '../store/standing.ts';
import { analyzeStage } from '../store/statistics.ts';
import { inSpan } from '../tracing.ts';
import { chooseRound } from './choose-round.ts';
import { openPages, type Pages, type Walked, walkIdle } from './first-page.ts';

/** Where a stream stands, for a progress bar. `total` is there when Graph lets it be guessed. */
export type Progress = {
  stream: Stream;
  /** `list` and `show`: of a quick first load, before the first round. */
  phase: 'list' | 'show' | 'pull' | 'ask' | 'commit';
  pages: number;
  objects: number;
  total: number | undefined;
};

/** What a cycle goes by: the settings in force, and where its streams stand. */
export type Footing = { readonly settings: Settings; readonly streams: Standing['streams'] };

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
  readonly footing: Footing;
  /** The same, read anew. */
  readonly newFooting: () => Promise<Footing>;
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
  /** How many pages that have come meanwhile are staged at once, at most. */
  readonly pagesTogether: number;
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
  /** As it was committed, or rehearsed; none where the checkpoint moved without one. */
  round: Round | undefined;
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
  const { database, lease, reader, dryRun } = context;
  const { stream } = parts;
  const requestsBefore = reader.requestCount();
  const { checkpoint } = context.footing.streams[stream];
  const once = new Set<string>();
  const firstTime = (what: string) => !once.has(what) && once.add(what) !== undefined;
  let fullBecause: string | undefined = context.resync ? 'resync' : undefined;
  let anew = false;
  for (let footing = context.footing; ; footing = await context.newFooting()) {
    const { settings } = footing;
    const fingerprint = parts.fingerprint(settings);
    const chosen = chooseRound(footing.streams[stream], {
      ...{ fingerprint, fullBecause, anew, dryRun },
      settingsVersion: settings.version,
      fullEveryMs: settings.fullEveryMs,
      origin: reader.origin,
    });
    const { kind } = 'open' in chosen ? chosen.open : chosen.begin;
    const pagesBefore = 'open' in chosen ? chosen.open.pages : 0;
    let round = 'open' in chosen ? chosen.open : undefined;
    const ended = ({ report, sample }: Walked): StreamResult => ({
      report: { ...report, requests: reader.requestCount() - requestsBefore },
      ...{ sample, round },
      checkpointAgeMs: checkpoint?.age_ms,
    });
    try {
      let pages: Pages<Page> | undefined;
      if ('begin' in chosen) {
        const early =
          kind === 'incremental' && checkpoint && !dryRun && !footing.streams[stream].open && !hasScopeGroups(settings)
            ? await walkIdle(context, parts, settings, checkpoint)
            : undefined;
        if (early && 'report' in early) return ended(early);
        pages = early?.pages;
        round = await beginRound(database, lease, {
          ...{ stream, dryRun, fingerprint, ...chosen.begin },
          settingsVersion: settings.version,
        });
      }
      if (!round) throw new Error('no round to walk');
      const walked = await walkRound(context, parts, settings, checkpoint, round, pages, (advanced) => {
        round = advanced;
      });
      return ended(walked);
    } catch (error) {
      const pages = round?.pages ?? 0;
      if (error instanceof DeadToken) {
        context.log.info({ stream, round: kind, pages, requestId: error.requestId }, 'dead token');
        if (pages > 0 && firstTime('round restarted')) anew = true;
        else if (kind === 'incremental' && firstTime('full round')) fullBecause = 'token_expired';
        else throw deadAgain(error);
      } else if (error instanceof ExpectedError && error.code === 'round_changed' && firstTime('settings changed')) {
        anew = true;
      } else if (isRefusedLink(error) && pagesBefore > 0 && pages === pagesBefore && firstTime('round restarted')) {
        // What an earlier cycle kept is refused for a cause that the failure table does not know: from its own beginning
        // the round may well succeed, and gone on with it never would.
        context.log.info({ stream, pages }, 'kept link refused, round begins anew');
        anew = true;
      } else {
        // Gone on with, a round whose links lead in a circle would end at the same page for ever.
        if (error instanceof ExpectedError && error.code === 'round_endless' && round)
          await dropRound(database, lease, round.round_id);
        throw error;
      }
    }
  }
}

function hasScopeGroups({ scope }: Settings): boolean {
  return scope.groups.length > 0;
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

async function walkRound<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
  settings: Settings,
  checkpoint: Checkpoint | undefined,
  begun: Round,
  begunPages: Pages<Page> | undefined,
  advance: (round: Round) => void,
): Promise<Walked> {
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
    const pages = begunPages ?? openPages(context, parts, settings, round.kind, start);
    await inSpan('pull', { 'entra_sync.stream': stream }, async () => {
      for await (const lot of inLots(pages, parts.pagesTogether)) {
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
          seen: objectsOf(page),
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
  const rehearsal = hasScopeGroups(settings) ? await context.memberships : undefined;
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
