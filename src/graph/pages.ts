// Yields the pages of a round, for every stream.

import { setImmediate as yieldToEventLoop } from 'node:timers/promises';
import { ExpectedError, roundEndless } from '../errors.ts';
import { type DeltaPage, openPage } from '../rules/decode.ts';
import type { Stream } from '../rules/streams.ts';
import { describeAddress, isOfOrigin, requireOrigin } from './client.ts';
import type { GraphReader } from './reader.ts';

export type FetchedPage<Page extends DeltaPage> = { readonly url: string; readonly page: Page };

/**
 * Yields the pages of a round, from `start` to the delta link, and fetches the next one while this one is decoded and
 * staged. `decode` must accept every body that {@link openPage} accepts. `startCarriesToken` is false only for the
 * first URL of a full round. Throws what {@link GraphReader.getJson} throws.
 */
export async function* deltaPages<Page extends DeltaPage>(
  reader: GraphReader,
  options: {
    start: string;
    startCarriesToken: boolean;
    collection: Stream;
    decode: (body: unknown) => Page | { readonly malformed: string };
    headers?: Record<string, string>;
  },
): AsyncGenerator<FetchedPage<Page>> {
  const { decode, headers = {} } = options;
  const fetchPage = async (url: string, carriedToken: boolean) => {
    const parse = (body: unknown) => {
      const opened = openPage(body);
      return 'malformed' in opened ? opened : { link: opened.link, body };
    };
    const fetched = await reader.getJson<{ link: DeltaPage['link']; body: unknown }>(url, {
      carriedToken,
      headers,
      parse,
    });
    // Checked before the link is staged: it would fail at every resume.
    const link = 'next' in fetched.link ? fetched.link.next : fetched.link.delta;
    requireOrigin(link, reader.origin);
    requireStream(link, options.collection);
    return { url, ...fetched };
  };
  const decoded = ({ url, body }: { url: string; body: unknown }): FetchedPage<Page> => {
    const page = decode(body);
    if ('malformed' in page) throw new Error(`a page that could be opened is malformed: ${page.malformed}`);
    return { url, page };
  };
  if (!isOfOrigin(options.start, reader.origin)) {
    throw new ExpectedError(
      'foreign_link',
      `the stored link of this tenant is one ${describeAddress(options.start)} but ${reader.origin} is configured now`,
      { cure: 'set GRAPH_BASE_URL or ENTRA_SYNC_CLOUD back, or run entra-sync resync to start over with this one' },
    );
  }
  let ahead = fetchPage(options.start, options.startCarriesToken);
  for (;;) {
    const fetched = await ahead;
    if ('delta' in fetched.link) {
      yield decoded(fetched);
      return;
    }
    // Rule 14: a page links to itself. Longer loops are found when their pages are staged.
    if (fetched.link.next === fetched.url) {
      yield decoded(fetched);
      throw roundEndless('a page links to itself');
    }
    ahead = fetchPage(fetched.link.next, true);
    // The failure is thrown when the page is awaited. If it never is, the failure does not matter.
    ahead.catch(() => {});
    // Sends the request before this page keeps the processor busy.
    await yieldToEventLoop();
    yield decoded(fetched);
  }
}

/**
 * Yields the pages in groups: those that arrived while the caller staged the previous group, at most `most`, which are
 * in memory at a time and read again after a crash. A page with problems ends its group, because a later page may
 * depend on them being staged.
 */
export async function* gatherPages<Page extends DeltaPage>(
  pages: AsyncGenerator<FetchedPage<Page>>,
  most: number,
): AsyncGenerator<FetchedPage<Page>[]> {
  const waiting: FetchedPage<Page>[] = [];
  let ended: { readonly failure?: unknown } | undefined;
  let wanted = true;
  let wakeTaker = () => {};
  let wakeReader = () => {};
  const read = async () => {
    try {
      for await (const page of pages) {
        waiting.push(page);
        wakeTaker();
        if (wanted && waiting.length >= most) {
          await new Promise<void>((wake) => {
            wakeReader = wake;
          });
        }
        if (!wanted) return;
      }
      ended = {};
    } catch (failure) {
      ended = { failure };
    }
    wakeTaker();
  };
  void read();
  try {
    for (;;) {
      if (waiting.length === 0) {
        if (ended && 'failure' in ended) throw ended.failure;
        if (ended) return;
        await new Promise<void>((wake) => {
          wakeTaker = wake;
        });
        continue;
      }
      const bad = waiting.findIndex(({ page }) => page.problems.length > 0);
      const lot = waiting.splice(0, bad < 0 ? most : bad + 1);
      wakeReader();
      yield lot;
    }
  } finally {
    wanted = false;
    wakeReader();
  }
}

/**
 * Counts the objects, for a progress bar only: the count comes from an index that lags
 * (learn.microsoft.com/graph/aad-advanced-queries). Returns undefined if it fails.
 */
export async function countObjects(reader: GraphReader, collection: Stream): Promise<number | undefined> {
  const count = await reader.tryJson(`${reader.origin}/v1.0/${collection}/$count`, { ConsistencyLevel: 'eventual' });
  return typeof count === 'number' && count >= 0 ? count : undefined;
}

/** {@link countObjects} without waiting: `now` is undefined until the count arrives. */
export function totalOf(reader: GraphReader, collection: Stream): { now: number | undefined } {
  const total: { now: number | undefined } = { now: undefined };
  void countObjects(reader, collection).then((count) => {
    total.now = count;
  });
  return total;
}

// A link to another collection would end the round early, or fill it with other objects.
function requireStream(link: string, collection: Stream): void {
  const { pathname } = new URL(link);
  if (new RegExp(`/${collection}/(microsoft\\.graph\\.)?delta(\\(\\))?$`, 'i').test(pathname)) return;
  throw new ExpectedError(
    'graph_answer_invalid',
    `Graph answered a round of ${collection} with a link to something else`,
    {
      cure: 'check for a proxy between here and Graph, then run the command again',
    },
  );
}
