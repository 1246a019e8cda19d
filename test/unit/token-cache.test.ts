// Tokens kept between cycles, and for how long.
import { expect, test } from 'vitest';
import { openTokenCache } from '../../src/graph/token-cache.ts';

const source = () => ({ token: async () => 'a token', access: () => undefined });

test('a tenant keeps its source under the same mark, and gets a new one under another', () => {
  const cache = openTokenCache();
  const first = cache.take('a', 'mark', source);
  expect(cache.take('a', 'mark', source)).toBe(first);
  expect(cache.take('b', 'mark', source)).not.toBe(first);
  const other = cache.take('a', 'another', source);
  expect(other).not.toBe(first);
  expect(cache.take('a', 'mark', source), 'what was replaced is gone').not.toBe(first);
});

test('only the dropped source is forgotten', () => {
  const cache = openTokenCache();
  const [a, b] = [cache.take('a', 'mark', source), cache.take('b', 'mark', source)];
  cache.drop('a');
  expect(cache.take('a', 'mark', source)).not.toBe(a);
  expect(cache.take('b', 'mark', source)).toBe(b);
});

test('beyond the maximum, the least recently used source is dropped', () => {
  const cache = openTokenCache({ keptMs: 60_000, maxKept: 2 });
  const [a, b] = [cache.take('a', 'mark', source), cache.take('b', 'mark', source)];
  cache.take('a', 'mark', source);
  cache.take('c', 'mark', source);
  expect(cache.take('a', 'mark', source)).toBe(a);
  expect(cache.take('b', 'mark', source)).not.toBe(b);
});

test('an unused source is dropped when another one is used', () => {
  const cache = openTokenCache({ keptMs: -1, maxKept: 10 });
  const a = cache.take('a', 'mark', source);
  cache.take('b', 'mark', source);
  expect(cache.take('a', 'mark', source)).not.toBe(a);
});
