// Runs the rounds of one stream in one cycle: the chosen one, and the next if that cannot continue.
import { ExpectedError } from '../errors.ts';
import { isOfOrigin } from '../graph/client.ts';
import { DeadToken } from '../graph/reader.ts';
import type { DeltaPage } from '../rules/decode.ts';
import type { RoundKind } from '../rules/merge.ts';
import { type NextTry, nextTry, type Once, type Stopped } from '../rules/restart.ts';
import { countFailure } from '../store/cycle/stream-failures.ts';
import { throwDefect } from '../store/database/pool.ts';
import { beginRound, dropRound, type Round } from '../store/stage/rounds.ts';
import { inSpan } from '../tracing.ts';
import { runRoundBeside } from './beside.ts';
import { beganEarlier, chooseRound } from './choose-round.ts';
import { compareLinks, isEndless, isFromGraph, isFromLink } from './compare-links.ts';
import { type Pages, type RoundOutcome, tryEmptyRound } from './first-page.ts';
import type { CycleInputs, StreamContext, StreamParts, StreamResult } from './stream.ts';
import { hasScopeGroups, runRound } from './walk.ts';

/**
 * Runs the stream's round to its commit. A dead link restarts the round, a dead checkpoint starts a full one; so does a
 * link or checkpoint that fails in several cycles while Graph answers elsewhere (rules 14, 15). Changed settings
 * restart the round (rule 17). Each at most once. Beside a full round that cannot be finished, changes are committed.
 * The caller drops the stage of a dry run.
 */
export async function runStream<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
): Promise<StreamResult> {
  const span = { 'entra_sync.tenant': context.lease.tenantId, 'entra_sync.stream': parts.stream };
  return inSpan('stream', span, async (own) => {
    const requestsBefore = context.reader.requestCount();
    const result = await runRounds(context, parts);
    const requests = context.reader.requestCount() - requestsBefore;
    const report = { ...result.report, requests };
    own.setAttributes({ 'entra_sync.round': report.round, 'entra_sync.reason': report.reason });
    own.setAttributes({ 'entra_sync.pages': report.pages, 'entra_sync.seen': report.seen });
    return { ...result, report };
  });
}

async function runRounds<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
): Promise<StreamResult> {
  try {
    return await runChosenRound(context, parts);
  } catch (error) {
    context.signal.throwIfAborted();
    if (!isFromGraph(error) || context.dryRun) throw error;
    // A lost count costs one more cycle. The caller needs the original error.
    await countFailure(context.database, context.lease, parts.stream).catch(throwDefect);
    const beside = await runRoundBeside(context, parts, error);
    if (beside) return beside;
    throw error;
  }
}

async function runChosenRound<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
): Promise<StreamResult> {
  const { database, lease, reader, dryRun, underWay } = context;
  const { stream } = parts;
  const { checkpoint } = context.inputs.streams[stream];
  const tried = new Set<Once>();
  let fullReason: string | undefined = context.resync ? 'resync' : undefined;
  let restart = false;
  for (let inputs = context.inputs; ; inputs = await context.rereadInputs()) {
    const { settings } = inputs;
    const chosen = chooseRound(inputs.streams[stream], {
      ...{ fingerprint: settings.fingerprints[stream], fullReason, restart, dryRun },
      settingsVersion: settings.version,
      fullEveryMs: settings.fullEveryMs,
      origin: reader.origin,
      narrows: stream === 'users' ? inputs.narrowing.users !== undefined : inputs.narrowing.groups,
    });
    const { kind, reason } = 'open' in chosen ? chosen.open : chosen.begin;
    const pagesBefore = 'open' in chosen ? chosen.open.pages : 0;
    let round: Round | undefined = 'open' in chosen ? chosen.open : undefined;
    const advance = (advanced: Round) => {
      round = advanced;
      underWay.round = { round: kind, reason, pages: advanced.pages, seen: advanced.seen };
    };
    underWay.round = { round: kind, reason, pages: pagesBefore, seen: round?.seen ?? 0 };
    const begunAt = 'open' in chosen && inputs === context.inputs ? beganEarlier(chosen.open) : {};
    const ended = (walked: RoundOutcome): StreamResult => ({
      ...walked,
      report: { ...walked.report, ...begunAt },
      round,
      checkpointAgeMs: checkpoint?.age_ms,
    });
    try {
      let pages: Pages<Page> | undefined;
      if ('begin' in chosen) {
        const early =
          kind === 'incremental' && checkpoint && mayBeIdle(context, inputs, parts)
            ? await tryEmptyRound(context, parts, settings, checkpoint)
            : undefined;
        if (early && 'report' in early) return ended(early);
        pages = early?.pages;
        round = await beginRound(database, lease, {
          ...{ stream, dryRun, fingerprint: settings.fingerprints[stream], ...chosen.begin },
          settingsVersion: settings.version,
        });
      }
      if (!round) throw new Error('no round to walk');
      return ended(await runRound(context, parts, inputs, checkpoint, round, pages, advance));
    } catch (error) {
      const next = await afterFailure(context, parts, inputs, { kind, pagesBefore, round, error }, tried);
      if (next === 'give_up') {
        // A resumed loop of links would fail at the same page for ever.
        if (isEndless(error) && round) await dropRound(database, lease, round.round_id);
        throw error instanceof DeadToken ? deadAgain(error) : error;
      }
      if (next === 'same_round') continue;
      if (next.next === 'restart') restart = true;
      else fullReason = next.reason;
    }
  }
}

/** A round as it stood when `error` stopped it. */
type Walk = {
  readonly kind: RoundKind;
  readonly pagesBefore: number;
  readonly round: Round | undefined;
  readonly error: unknown;
};

// `same_round`: Graph as a whole had failed and answers again.
async function afterFailure<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
  inputs: CycleInputs,
  walk: Walk,
  tried: Set<Once>,
): Promise<NextTry | 'give_up' | 'same_round'> {
  const { kind, round, error } = walk;
  const log = context.log.child({ stream: parts.stream, round: kind, pages: round?.pages ?? 0 });
  if (error instanceof DeadToken) log.info({ requestId: error.requestId }, 'dead token');
  const start = kind === 'incremental' ? inputs.streams[parts.stream].checkpoint?.delta_link : undefined;
  const asked = round?.resume_link ?? start;
  const stopped = stoppedBy(context, parts, walk, asked);
  for (;;) {
    const next = nextTry(stopped, tried);
    if (next === 'give_up') return next;
    tried.add(next.once);
    if (next.ifAnswers === undefined) {
      if (stopped.failure === 'link_refused') log.info('kept link refused, round starts over');
      return next;
    }
    const links = {
      failed: isEndless(error) ? undefined : asked,
      other: next.ifAnswers === 'start' ? start : undefined,
    };
    const found = await compareLinks(context, parts, inputs.settings, links);
    const what = next.next === 'restart' ? 'kept link keeps failing' : 'checkpoint keeps failing';
    if (found !== 'none answers') log.info({ found }, what);
    if (found === 'both answer') return 'same_round';
    if (found === 'other answers') return next;
  }
}

function stoppedBy<Page extends DeltaPage>(
  { dryRun, resync, inputs, reader }: StreamContext,
  { stream }: StreamParts<Page>,
  { kind, pagesBefore, round, error }: Walk,
  asked: string | undefined,
): Stopped {
  const pages = round?.pages ?? 0;
  const pulled = round !== undefined && round.delta_link !== null;
  return {
    failure: failureOf(error),
    keptLink: pagesBefore > 0 && pages === pagesBefore && !pulled,
    ofThisGraph: asked === undefined || isOfOrigin(asked, reader.origin),
    before: inputs.streams[stream].failures,
    ...{ kind, pages, pulled, dryRun, resync },
  };
}

function failureOf(error: unknown): Stopped['failure'] {
  if (error instanceof DeadToken) return 'dead_token';
  if (error instanceof ExpectedError && error.code === 'round_changed') return 'settings_changed';
  if (isRefusedLink(error)) return 'link_refused';
  return isFromLink(error) ? 'link_failed' : 'other';
}

function mayBeIdle<Page extends DeltaPage>(
  { dryRun }: StreamContext,
  { settings, streams }: CycleInputs,
  { stream }: StreamParts<Page>,
): boolean {
  return !dryRun && !streams[stream].open && !hasScopeGroups(settings);
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
