// The token of `web --local`.
import { expect, test } from 'vitest';
import { openLocalEntry } from '../../src/web/local.ts';

const tokenOf = (path: string) => path.slice('/enter/'.length);

test('a token is valid once', () => {
  const entry = openLocalEntry(() => 0);
  const token = tokenOf(entry.newPath());
  expect(token).toMatch(/^[\w-]{43}$/);
  expect(entry.redeem(token)).toBe(true);
  expect(entry.redeem(token)).toBe(false);
});

test('a token is valid for a minute', () => {
  let now = 1_000;
  const entry = openLocalEntry(() => now);
  const [early, late] = [tokenOf(entry.newPath()), () => tokenOf(entry.newPath())];
  now += 59_999;
  expect(entry.redeem(early)).toBe(true);
  const second = late();
  now += 60_000;
  expect(entry.redeem(second)).toBe(false);
});

test('a new token ends the one before it, and a wrong one ends none', () => {
  const entry = openLocalEntry(() => 0);
  const first = tokenOf(entry.newPath());
  const second = tokenOf(entry.newPath());
  expect(first).not.toBe(second);
  expect(entry.redeem(first)).toBe(false);
  expect(entry.redeem('')).toBe(false);
  expect(entry.redeem(second)).toBe(true);
});
