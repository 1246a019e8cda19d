// Reads the first page of a later round, which most often is empty and needs no round.
import { deltaPages, type FetchedPage } from '../graph/pages.ts';
import type { DeltaPage } from '../rules/decode.ts';
import type { RoundKind } from '../rules/merge.ts';
import type { Settings } from '../settings/settings.ts';
import type { ChangeSample } from '../store/commit/change-sample.ts';
import { commitIdle, reportOfIdle } from '../store/commit/idle.ts';
import type { StreamReport } from '../store/cycle/cycles.ts';
import type { Checkpoint } from '../store/stage/rounds.ts';
import { inSpan } from '../tracing.ts';
import type { Progress, StreamContext, StreamParts } from './stream.ts';

export type Pages<Page extends DeltaPage> = AsyncGenerator<FetchedPage<Page>>;
/** The report of a committed round, with a sample of its changes. */
export type RoundOutcome = { report: StreamReport; sample: readonly ChangeSample[] };

/** Opens the pages of a round at `start`, or at the first URL. */
export function openPages<Page extends DeltaPage>(
  { reader }: StreamContext,
  parts: StreamParts<Page>,
  settings: Settings,
  kind: RoundKind,
  start: string | undefined,
): Pages<Page> {
  return deltaPages(reader, {
    start: start ?? parts.firstUrl(reader.origin, settings),
    startCarriesToken: start !== undefined,
    collection: parts.stream,
    decode: parts.decode(settings),
    // Small reads go before full rounds (learn.microsoft.com/graph/throttling-limits).
    headers: kind === 'full' ? { 'x-ms-throttle-priority': 'low' } : {},
  });
}

/**
 * Reads the first page of a later round. If it is empty and ends the round, moves the checkpoint and returns a report;
 * otherwise, or if a commit would have more to do, returns the pages for the round.
 */
export async function tryEmptyRound<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
  settings: Settings,
  checkpoint: Checkpoint,
): Promise<RoundOutcome | { pages: Pages<Page> }> {
  const { stream } = parts;
  const attributes = { 'entra_sync.stream': stream };
  const tell = (phase: Progress['phase'], pages: number) =>
    context.onProgress({ stream, phase, pages, objects: 0, total: undefined });
  tell('pull', 0);
  const pages = openPages(context, parts, settings, 'incremental', checkpoint.delta_link);
  const { value: first } = await inSpan('pull', attributes, () => pages.next());
  if (!first) throw new Error('a round without a page');
  context.signal.throwIfAborted();
  const { link, occurrences, problems } = first.page;
  if ('delta' in link && occurrences.length + problems.length === 0) {
    tell('commit', 1);
    const idle = {
      stream,
      asked: checkpoint.delta_link,
      delta: link.delta,
      fingerprint: settings.fingerprints[stream],
      settingsVersion: settings.version,
      cycleId: context.cycleId,
      requests: context.reader.requestCount(),
    };
    const commit = () => commitIdle(context.database, context.lease, idle);
    if (await inSpan('commit', attributes, commit)) return { report: reportOfIdle(idle.requests), sample: [] };
  }
  return { pages: withFirst(first, pages) };
}

async function* withFirst<Page extends DeltaPage>(first: FetchedPage<Page>, rest: Pages<Page>): Pages<Page> {
  yield first;
  yield* rest;
}
