// Pages that arrive meanwhile are returned together, in order, up to one with problems.
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type FetchedPage, gatherPages } from '../../src/graph/pages.ts';
import type { DeltaPage } from '../../src/rules/decode.ts';

type Fetched = FetchedPage<DeltaPage>;

const page = (n: number, bad = false): Fetched => ({
  url: `page ${n}`,
  page: { occurrences: [], problems: bad ? [{ key: 'x', reason: 'odd' }] : [], link: { next: `page ${n + 1}` } },
});

async function* reading(pages: readonly (Fetched | Error)[], read: string[] = []): AsyncGenerator<Fetched> {
  for (const one of pages) {
    if (one instanceof Error) throw one;
    read.push(one.url);
    yield one;
  }
}

/** Returns the groups of pages for a caller that is so slow that all pages have arrived. */
async function lotsOf(pages: readonly (Fetched | Error)[]): Promise<string[][]> {
  const lots: string[][] = [];
  try {
    for await (const lot of gatherPages(reading(pages), 8)) {
      lots.push(lot.map(({ url }) => url));
      for (let turns = 0; turns < 50; turns += 1) await turn();
    }
  } catch (error) {
    lots.push([String(error)]);
  }
  return lots;
}

test('all pages come in order, at most eight at a time', async () => {
  const pages = Array.from({ length: 20 }, (_, n) => page(n));
  const lots = await lotsOf(pages);
  expect(lots.flat()).toEqual(pages.map(({ url }) => url));
  expect(Math.max(...lots.map((lot) => lot.length))).toBe(8);
});

test('a page with problems ends its group', async () => {
  const lots = await lotsOf([page(0), page(1), page(2, true), page(3), page(4, true), page(5)]);
  for (const bad of ['page 2', 'page 4']) expect(lots.find((lot) => lot.includes(bad))?.at(-1)).toBe(bad);
  expect(lots.flat()).toHaveLength(6);
});

test('pages before a failure are returned before it is thrown', async () => {
  const lots = await lotsOf([page(0), page(1), page(2), new Error('cut')]);
  expect(lots.flat()).toEqual(['page 0', 'page 1', 'page 2', 'Error: cut']);
});

test('reading stops when the caller stops, and runs ahead only to a limit', async () => {
  const read: string[] = [];
  const lots = gatherPages(
    reading(
      Array.from({ length: 100 }, (_, n) => page(n)),
      read,
    ),
    8,
  );
  await lots.next();
  for (let turns = 0; turns < 200; turns += 1) await turn();
  expect(read.length).toBeLessThan(12);
  await lots.return(undefined);
  for (let turns = 0; turns < 50; turns += 1) await turn();
  expect(read.length).toBeLessThan(13);
});
