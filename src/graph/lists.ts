// Listings, page by page: what delta is compared with, and member lists that are read whole.

import { ExpectedError } from '../errors.ts';
import { isPrintable } from '../rules/decode.ts';
import type { Stream } from '../rules/streams.ts';
import { askApart, isUnserved } from './apart.ts';
import { requireOrigin } from './client.ts';
import { type GraphReader, refusedStatus } from './reader.ts';

/** One page of a listing, each entry as Graph sent it. `next` is where it goes on; undefined: this was the last one. */
export type ListPage = { readonly url: string; readonly value: readonly unknown[]; readonly next: string | undefined };

// Far beyond any directory at 999 a page; a listing that goes on is an endless loop (rule 14).
const mostListPages = 50_000;

/** What a body says as a page of a listing, or why it is none. */
export function takeListPage(body: unknown, url: string, origin: string): ListPage | { readonly malformed: string } {
  const { value, '@odata.nextLink': next } = (body ?? {}) as { value?: unknown; '@odata.nextLink'?: unknown };
  if (!Array.isArray(value)) return { malformed: 'the body has no value array' };
  if (typeof next !== 'string') return { url, value, next: undefined };
  if (!isPrintable(next)) return { malformed: 'the link is no printable text' };
  requireOrigin(next, origin);
  return { url, value, next };
}

/**
 * The pages of a listing from `start` on; the next one is fetched while the caller takes this one. `faults` is how many
 * each page may have, as for {@link GraphReader.getJson}. Throws what
 * {@link GraphReader.getJson} throws, and `graph_answer_invalid` for a listing that leads in a circle.
 */
export async function* listingPages(reader: GraphReader, start: string, faults?: number): AsyncGenerator<ListPage> {
  const asked = new Set<string>();
  const fetchPage = async (url: string): Promise<ListPage> => {
    requireOrigin(url, reader.origin);
    if (asked.has(url) || asked.size >= mostListPages) throw endless();
    asked.add(url);
    return reader.getJson<ListPage>(url, {
      // A dead page link of a listing is no dead delta token: the whole listing is simply not to be had.
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
    // Its failure is thrown when its turn comes; if that never comes, nobody needs to know.
    ahead.catch(() => {});
    yield page;
  }
}

class EndlessListing extends ExpectedError {}

function endless(): ExpectedError {
  return new EndlessListing('graph_answer_invalid', 'Graph leads a listing in a circle', {
    cure: 'check what stands between here and Graph, then run the command again',
  });
}

/** The entries of a listing, page by page. Throws what {@link listingPages} throws. */
export async function* listPages(reader: GraphReader, first: string): AsyncGenerator<readonly unknown[]> {
  for await (const page of listingPages(reader, first)) yield page.value;
}

/**
 * A whole listing of what belongs to one object, or the status of the answer that refused it; a part of a list is none. One
 * that keeps failing while Graph answers for others of its collection is refused as well, and one that leads in a circle.
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
    const entries = await askApart(reader, collection, readAll);
    return isUnserved(entries) ? { refused: entries.unserved } : entries;
  } catch (error) {
    if (error instanceof EndlessListing) return { refused: 'it leads in a circle' };
    const refused = refusedStatus(error);
    if (refused === undefined) throw error;
    return { refused: String(refused) };
  }
}
