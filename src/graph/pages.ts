// The pages of a round as an async generator, the same for every stream.

import { setImmediate as turn } from 'node:timers/promises';
import { ExpectedError, roundEndless } from '../errors.ts';
import { type DeltaPage, openPage } from '../rules/decode.ts';
import type { Stream } from '../rules/streams.ts';
import { isOfOrigin, originOf, requireOrigin } from './client.ts';
import type { GraphReader } from './reader.ts';

export type FetchedPage<Page extends DeltaPage> = { readonly url: string; readonly page: Page };

/**
 * The pages of a round, from `start` to the delta link. The next page is asked for as soon as this one's link is known, and
 * comes while the objects of this one are decoded and the caller stages them. `decode` refuses no body that {@link openPage} takes.
 * `startCarriesToken` is false only for the first URL of a full round. Throws what {@link GraphReader.getJson} throws.
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
    // Before anybody follows or stages it: a foreign link that was once kept would be met again at every resume.
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
      `the stored link of this tenant belongs to ${originOf(options.start)}, but ${reader.origin} is configured now`,
      { cure: 'set GRAPH_BASE_URL or ENTRA_SYNC_CLOUD back, or run entra-sync resync to begin anew with this one' },
    );
  }
  let ahead = fetchPage(options.start, options.startCarriesToken);
  for (;;) {
    const fetched = await ahead;
    if ('delta' in fetched.link) {
      yield decoded(fetched);
      return;
    }
    // Rule 14: no request is the one before. Longer circles are met when their pages are staged.
    if (fetched.link.next === fetched.url) {
      yield decoded(fetched);
      throw roundEndless('a page links to itself');
    }
    ahead = fetchPage(fetched.link.next, true);
    // Its failure is thrown when its turn comes; if that never comes, nobody needs to know.
    ahead.catch(() => {});
    // The request goes out before the processor is busy with this page.
    await turn();
    yield decoded(fetched);
  }
}

/**
 * The same pages, each time those that have come while the caller staged what came before: one where Graph is the slower
 * one, several where it is not. Reading goes on meanwhile. A page with problems is the last of its lot, for what a later
 * one says of the same object has to find them staged. `most` are handed on together at most: they are in memory at one
 * time, and so many are read again after a crash.
 */
export async function* inLots<Page extends DeltaPage>(
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
 * How many objects there are, for a progress bar, or undefined where that cannot be had. Served from an index that lags
 * (learn.microsoft.com/graph/aad-advanced-queries), so nothing but the bar may rest on it.
 */
export async function countObjects(reader: GraphReader, collection: Stream): Promise<number | undefined> {
  const count = await reader.tryJson(`${reader.origin}/v1.0/${collection}/$count`, { ConsistencyLevel: 'eventual' });
  return typeof count === 'number' && count >= 0 ? count : undefined;
}

/** {@link countObjects} for whom nothing waits: `now` is undefined until it is known. */
export function totalOf(reader: GraphReader, collection: Stream): { now: number | undefined } {
  const total: { now: number | undefined } = { now: undefined };
  void countObjects(reader, collection).then((count) => {
    total.now = count;
  });
  return total;
}

// A link of another collection would end the round early, or fill it with something else.
function requireStream(link: string, collection: Stream): void {
  const { pathname } = new URL(link);
  if (new RegExp(`/${collection}/(microsoft\\.graph\\.)?delta(\\(\\))?$`, 'i').test(pathname)) return;
  throw new ExpectedError(
    'graph_answer_invalid',
    `Graph answered a round of ${collection} with a link that is none of theirs`,
    {
      cure: 'check what stands between here and Graph, then run the command again',
    },
  );
}
