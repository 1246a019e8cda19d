// Pages that have come meanwhile are handed on together, in order, and never past one with problems.
import { setImmediate as turn } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { type FetchedPage, inLots } from '../../src/graph/pages.ts';
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

/** The lots that somebody gets who is so slow that everything has come meanwhile. */
async function lotsOf(pages: readonly (Fetched | Error)[]): Promise<string[][]> {
  const lots: string[][] = [];
  try {
    for await (const lot of inLots(reading(pages), 8)) {
      lots.push(lot.map(({ url }) => url));
      for (let turns = 0; turns < 50; turns += 1) await turn();
    }
  } catch (error) {
    lots.push([String(error)]);
  }
  return lots;
}

test('all pages, in order, eight at a time at most', async () => {
  const pages = Array.from({ length: 20 }, (_, n) => page(n));
  const lots = await lotsOf(pages);
  expect(lots.flat()).toEqual(pages.map(({ url }) => url));
  expect(Math.max(...lots.map((lot) => lot.length))).toBe(8);
});

test('a page with problems is the last of its lot', async () => {
  const lots = await lotsOf([page(0), page(1), page(2, true), page(3), page(4, true), page(5)]);
  for (const bad of ['page 2', 'page 4']) expect(lots.find((lot) => lot.includes(bad))?.at(-1)).toBe(bad);
  expect(lots.flat()).toHaveLength(6);
});

test('what came before a failure is handed on before it is thrown', async () => {
  const lots = await lotsOf([page(0), page(1), page(2), new Error('cut')]);
  expect(lots.flat()).toEqual(['page 0', 'page 1', 'page 2', 'Error: cut']);
});

test('reading stops when nobody takes any more, and does not run ahead without end', async () => {
  const read: string[] = [];
  const lots = inLots(
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
