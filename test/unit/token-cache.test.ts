// Which tokens outlive a cycle, and for how long they are kept.
import { expect, test } from 'vitest';
import { openTokenCache } from '../../src/graph/token-cache.ts';

const source = () => ({ token: async () => 'a token' });

test('a tenant’s source is the one before under the same mark, and a new one under another', () => {
  const cache = openTokenCache();
  const first = cache.take('a', 'mark', source);
  expect(cache.take('a', 'mark', source)).toBe(first);
  expect(cache.take('b', 'mark', source)).not.toBe(first);
  const other = cache.take('a', 'another', source);
  expect(other).not.toBe(first);
  expect(cache.take('a', 'mark', source), 'what was replaced is gone').not.toBe(first);
});

test('what was dropped is gone, and nobody else', () => {
  const cache = openTokenCache();
  const [a, b] = [cache.take('a', 'mark', source), cache.take('b', 'mark', source)];
  cache.drop('a');
  expect(cache.take('a', 'mark', source)).not.toBe(a);
  expect(cache.take('b', 'mark', source)).toBe(b);
});

test('beyond the most that are kept, whoever was not taken for longest goes', () => {
  const cache = openTokenCache({ keptMs: 60_000, mostKept: 2 });
  const [a, b] = [cache.take('a', 'mark', source), cache.take('b', 'mark', source)];
  cache.take('a', 'mark', source);
  cache.take('c', 'mark', source);
  expect(cache.take('a', 'mark', source)).toBe(a);
  expect(cache.take('b', 'mark', source)).not.toBe(b);
});

test('whoever is not taken any more is let go of when another one is', () => {
  const cache = openTokenCache({ keptMs: -1, mostKept: 10 });
  const a = cache.take('a', 'mark', source);
  cache.take('b', 'mark', source);
  expect(cache.take('a', 'mark', source)).not.toBe(a);
});
