// The rounds that one stream walks in one cycle: the chosen one, and what is done about one that cannot go on.
import { ExpectedError } from '../errors.ts';
import { isOfOrigin } from '../graph/client.ts';
import { DeadToken } from '../graph/reader.ts';
import type { DeltaPage } from '../rules/decode.ts';
import type { RoundKind } from '../rules/merge.ts';
import { isCheckpointStuck, isLinkStuck } from '../rules/stuck.ts';
import { throwDefect } from '../store/pool.ts';
import { beginRound, dropRound, type Round } from '../store/rounds.ts';
import { countFailure } from '../store/stream-failures.ts';
import { inSpan } from '../tracing.ts';
import { walkBeside } from './beside.ts';
import { chooseRound } from './choose-round.ts';
import { type Pages, type Walked, walkIdle } from './first-page.ts';
import { compareLinks, isEndless, isGraphSide, isLinksOwn } from './lasting.ts';
import type { Footing, StreamContext, StreamParts, StreamResult } from './stream.ts';
import { hasScopeGroups, walkRound } from './walk.ts';

/**
 * Runs the stream's round to its commit. A dead link begins the same round anew, a dead checkpoint a full round, each
 * once (rules 14, 15), and so do a link and a checkpoint that keep failing cycle after cycle while Graph answers elsewhere;
 * settings that changed on the way begin the round anew once (rule 17). Beside a full round that cannot be finished the
 * changes are committed. What a dry run staged stays: the caller drops it.
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
    return await walkChosen(context, parts);
  } catch (error) {
    context.signal.throwIfAborted();
    if (!isGraphSide(error) || context.dryRun) throw error;
    // A count that cannot be kept is one cycle more; what failed has to reach the caller.
    await countFailure(context.database, context.lease, parts.stream).catch(throwDefect);
    const beside = await walkBeside(context, parts, error);
    if (beside) return beside;
    throw error;
  }
}

async function walkChosen<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
): Promise<StreamResult> {
  const { database, lease, reader, dryRun, trail } = context;
  const { stream } = parts;
  const { checkpoint } = context.footing.streams[stream];
  const once = new Set<string>();
  const firstTime = (what: string) => !once.has(what) && once.add(what) !== undefined;
  let fullBecause: string | undefined = context.resync ? 'resync' : undefined;
  let anew = false;
  for (let footing = context.footing; ; footing = await context.newFooting()) {
    const { settings } = footing;
    const chosen = chooseRound(footing.streams[stream], {
      ...{ fingerprint: parts.fingerprint(settings), fullBecause, anew, dryRun },
      settingsVersion: settings.version,
      fullEveryMs: settings.fullEveryMs,
      origin: reader.origin,
    });
    const { kind, reason } = 'open' in chosen ? chosen.open : chosen.begin;
    const pagesBefore = 'open' in chosen ? chosen.open.pages : 0;
    let round = 'open' in chosen ? chosen.open : undefined;
    const advance = (advanced: Round) => {
      round = advanced;
      trail.now = { round: kind, reason, pages: advanced.pages, seen: advanced.seen };
    };
    trail.now = { round: kind, reason, pages: pagesBefore, seen: round?.seen ?? 0 };
    const ended = (walked: Walked): StreamResult => ({ ...walked, round, checkpointAgeMs: checkpoint?.age_ms });
    try {
      let pages: Pages<Page> | undefined;
      if ('begin' in chosen) {
        const early =
          kind === 'incremental' && checkpoint && mayBeIdle(context, footing, parts)
            ? await walkIdle(context, parts, settings, checkpoint)
            : undefined;
        if (early && 'report' in early) return ended(early);
        pages = early?.pages;
        round = await beginRound(database, lease, {
          ...{ stream, dryRun, fingerprint: parts.fingerprint(settings), ...chosen.begin },
          settingsVersion: settings.version,
        });
      }
      if (!round) throw new Error('no round to walk');
      return ended(await walkRound(context, parts, settings, checkpoint, round, pages, advance));
    } catch (error) {
      const next = await afterFailure(context, parts, footing, { kind, pagesBefore, round }, error, firstTime);
      if (next === undefined) {
        // Gone on with, a round whose links lead in a circle would end at the same page for ever.
        if (isEndless(error) && round) await dropRound(database, lease, round.round_id);
        throw error instanceof DeadToken ? deadAgain(error) : error;
      }
      if (next === 'anew') anew = true;
      else if (next !== 'again') fullBecause = next;
    }
  }
}

/** A round that was stopped, as it stood. */
type Stopped = { readonly kind: RoundKind; readonly pagesBefore: number; readonly round: Round | undefined };

/** The stream goes on with what it has, begins the round anew, or begins a full one for the reason named. */
type Next = 'again' | 'anew' | 'token_expired' | 'checkpoint_refused';

// The next step after a round was stopped. Each step is taken once a cycle; undefined: there is none.
async function afterFailure<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
  footing: Footing,
  { kind, pagesBefore, round }: Stopped,
  error: unknown,
  firstTime: (what: string) => boolean,
): Promise<Next | undefined> {
  const { stream } = parts;
  const pages = round?.pages ?? 0;
  if (error instanceof DeadToken) {
    context.log.info({ stream, round: kind, pages, requestId: error.requestId }, 'dead token');
    if (pages > 0 && firstTime('round restarted')) return 'anew';
    return kind === 'incremental' && firstTime('full round') ? 'token_expired' : undefined;
  }
  if (error instanceof ExpectedError && error.code === 'round_changed' && firstTime('settings changed')) return 'anew';
  const isPulled = round !== undefined && round.delta_link !== null;
  const isKeptLink = pagesBefore > 0 && pages === pagesBefore && !isPulled;
  if (isRefusedLink(error) && isKeptLink && firstTime('round restarted')) {
    // A link that an earlier cycle kept is refused for a cause that the failure table does not know. From its own
    // beginning the round may well succeed; gone on with, it never would.
    context.log.info({ stream, pages }, 'kept link refused, round begins anew');
    return 'anew';
  }
  if (context.dryRun || isPulled || !isLinksOwn(error)) return undefined;
  const { failures } = context.footing.streams[stream];
  const start = kind === 'incremental' ? footing.streams[stream].checkpoint?.delta_link : undefined;
  const asked = round?.resume_link ?? start;
  // The checkpoint of another Graph: what is configured may be wrong, and then a full round would be too.
  if (asked !== undefined && !isOfOrigin(asked, context.reader.origin)) return undefined;
  const failed = isEndless(error) ? undefined : asked;
  // A person who asks for a full round again is not sent to the same link a third time.
  const isStuck = isLinkStuck(kind, failures) || (context.resync && failures.round > 0);
  if (isKeptLink && isStuck && firstTime('round restarted')) {
    const found = await compareLinks(context, parts, footing.settings, { failed, other: start });
    if (found !== 'none answers') context.log.info({ stream, round: kind, pages, found }, 'kept link keeps failing');
    if (found === 'both answer') return 'again';
    if (found === 'other answers') return 'anew';
  }
  if (kind === 'incremental' && isCheckpointStuck(failures) && firstTime('full round')) {
    const found = await compareLinks(context, parts, footing.settings, { failed, other: undefined });
    if (found !== 'none answers') context.log.info({ stream, pages, found }, 'checkpoint keeps failing');
    if (found === 'both answer') return 'again';
    if (found === 'other answers') return 'checkpoint_refused';
  }
  return undefined;
}

function mayBeIdle<Page extends DeltaPage>(
  { dryRun }: StreamContext,
  { settings, streams }: Footing,
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
