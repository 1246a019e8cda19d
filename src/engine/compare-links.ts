// Failures that may last: whether Graph caused them, and whether it answers another link of the stream.
import { ExpectedError } from '../errors.ts';
import { DeadToken } from '../graph/reader.ts';
import type { DeltaPage } from '../rules/decode.ts';
import type { Settings } from '../settings/settings.ts';
import { openPages } from './first-page.ts';
import type { StreamContext, StreamParts } from './stream.ts';

const graphSide: ReadonlySet<string> = new Set([
  'graph_unavailable',
  'graph_throttled',
  'graph_answer_invalid',
  'foreign_link',
  'round_endless',
  'property_refused',
  // A 403 at one link alone is the link's. With a permission that is missing the first URL answers 403 too.
  'permission_missing',
]);

/** Whether an error comes from Graph's answer or its lack, and may concern one link or object. */
export function isFromGraph(error: unknown): boolean {
  return error instanceof DeadToken || (error instanceof ExpectedError && graphSide.has(error.code));
}

/** Whether such an error may be the link's fault. Throttling never is: it concerns the application. */
export function isFromLink(error: unknown): boolean {
  return isFromGraph(error) && !(error instanceof ExpectedError && error.code === 'graph_throttled');
}

/** Whether a round's links form a loop. */
export function isEndless(error: unknown): boolean {
  return error instanceof ExpectedError && error.code === 'round_endless';
}

/**
 * Asks Graph at another link, and if it answers, at the failed one again: Graph may have failed as a whole and
 * recovered. `other`: undefined for the first URL. `failed`: undefined for a link that is answered but of no use.
 * Throws errors that are not Graph's.
 */
export async function compareLinks<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
  settings: Settings,
  links: { readonly failed: string | undefined; readonly other: string | undefined },
): Promise<'none answers' | 'other answers' | 'both answer'> {
  if (links.failed !== undefined && links.failed === links.other) return 'none answers';
  if (!(await answersAt(context, parts, settings, links.other))) return 'none answers';
  const again = links.failed !== undefined && (await answersAt(context, parts, settings, links.failed));
  return again ? 'both answer' : 'other answers';
}

async function answersAt<Page extends DeltaPage>(
  context: StreamContext,
  parts: StreamParts<Page>,
  settings: Settings,
  start: string | undefined,
): Promise<boolean> {
  try {
    const pages = openPages(context, parts, settings, 'incremental', start);
    await pages.next();
    await pages.return(undefined);
    return true;
  } catch (error) {
    context.signal.throwIfAborted();
    if (!isFromGraph(error)) throw error;
    return false;
  }
}
