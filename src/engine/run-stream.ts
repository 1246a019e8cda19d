// The rounds that one stream walks in one cycle: the chosen one, and what is done about one that cannot go on.
import { ExpectedError } from '../errors.ts';
import { DeadToken } from '../graph/reader.ts';
import type { DeltaPage } from '../rules/decode.ts';
import { beginRound, dropRound } from '../store/rounds.ts';
import { inSpan } from '../tracing.ts';
import { chooseRound } from './choose-round.ts';
import { type Pages, type Walked, walkIdle } from './first-page.ts';
import type { StreamContext, StreamParts, StreamResult } from './stream.ts';
import { hasScopeGroups, walkRound } from './walk.ts';

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
