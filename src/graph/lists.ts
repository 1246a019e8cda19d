// Reads listings page by page, for comparison with delta and for complete member lists.

import { ExpectedError } from '../errors.ts';
import { isPrintable } from '../rules/decode.ts';
import type { Stream } from '../rules/streams.ts';
import { requireOrigin } from './client.ts';
import { type GraphReader, refusedStatus } from './reader.ts';
import { askWithProof, isUnanswered } from './single-faults.ts';

/** One page of a listing, each entry as Graph sent it. `next` is the next link; undefined: this is the last page. */
export type ListPage = { readonly url: string; readonly value: readonly unknown[]; readonly next: string | undefined };

// Far beyond any directory at 999 per page. A longer listing is an endless loop (rule 14).
const maxListPages = 50_000;

/** Decodes a body as a page of a listing, or returns why it is malformed. */
export function takeListPage(body: unknown, url: string, origin: string): ListPage | { readonly malformed: string } {
  const { value, '@odata.nextLink': next } = (body ?? {}) as { value?: unknown; '@odata.nextLink'?: unknown };
  if (!Array.isArray(value)) return { malformed: 'the body has no value array' };
  if (typeof next !== 'string') return { url, value, next: undefined };
  if (!isPrintable(next)) return { malformed: 'the link is not printable text' };
  requireOrigin(next, origin);
  return { url, value, next };
}

/**
 * Yields the pages of a listing from `start` on, and prefetches the next one. `faults` is per page. Throws what {@link
 * GraphReader.getJson} throws, and `graph_answer_invalid` for a loop of links.
 */
export async function* listingPages(reader: GraphReader, start: string, faults?: number): AsyncGenerator<ListPage> {
  const asked = new Set<string>();
  const fetchPage = async (url: string): Promise<ListPage> => {
    requireOrigin(url, reader.origin);
    if (asked.has(url) || asked.size >= maxListPages) throw endless();
    asked.add(url);
    return reader.getJson<ListPage>(url, {
      // A dead page link of a listing is not a dead delta token: the listing just fails.
      carriedToken: false,
      ...(faults !== undefined && { faults }),
      parse: (body) => takeListPage(body, url, reader.origin),
    });
  };
  let ahead = fetchPage(start);
  for (;;) {
    const page = await ahead;
    if (page.next === undefined) {
      yield page;
      return;
    }
    ahead = fetchPage(page.next);
    // The failure is thrown when the page is awaited. If it never is, the failure does not matter.
    ahead.catch(() => {});
    yield page;
  }
}

class EndlessListing extends ExpectedError {}

function endless(): ExpectedError {
  return new EndlessListing('graph_answer_invalid', 'the links of a listing form a loop', {
    cure: 'check for a proxy between here and Graph, then run the command again',
  });
}

/** Yields the entries of a listing, page by page. Throws what {@link listingPages} throws. */
export async function* listPages(reader: GraphReader, first: string): AsyncGenerator<readonly unknown[]> {
  for await (const page of listingPages(reader, first)) yield page.value;
}

/**
 * Reads the complete list of one object, or returns the status of the refusal. A list that keeps failing while Graph
 * answers for others, or whose links form a loop, counts as refused.
 */
export async function readList(
  reader: GraphReader,
  collection: Stream,
  first: string,
): Promise<unknown[] | { readonly refused: string }> {
  const readAll = async (faults: number) => {
    const entries: unknown[] = [];
    for await (const { value } of listingPages(reader, first, faults)) entries.push(...value);
    return entries;
  };
  try {
    const entries = await askWithProof(reader, collection, readAll);
    return isUnanswered(entries) ? { refused: entries.unserved } : entries;
  } catch (error) {
    if (error instanceof EndlessListing) return { refused: 'its links form a loop' };
    const refused = refusedStatus(error);
    if (refused === undefined) throw error;
    return { refused: String(refused) };
  }
}
