// The pace of a listing: it grows with good answers, shrinks with bad ones, and stays within its limits.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { answered, openPace, type Pace, spend, throttled } from '../../src/rules/pace.ts';

/** Applies `count` good answers of the same speed, one after another. */
function manyAnswers(pace: Pace, count: number, ms = 100, from = 0): Pace {
  let now = pace;
  for (let index = 0; index < count; index += 1) now = answered(now, 'page', from + index, from + index + ms);
  return now;
}

test('starts with a few, and adds one request after as many good answers', () => {
  const first = openPace(0);
  expect([0, 6, 13, 21].map((answers) => manyAnswers(first, answers).atOnce)).toEqual([6, 7, 8, 9]);
});

test('never has more than 16 in flight', () => {
  expect(manyAnswers(openPace(0), 10_000).atOnce).toBe(16);
});

describe('throttled', () => {
  test('half as many, and none before the time that Graph asked for', () => {
    const pace = throttled(openPace(0), 2_000, 10, 100);
    expect(pace.atOnce).toBe(3);
    expect(spend(pace, 1, 0, 1_100)).toEqual({ waitMs: 1_000 });
    expect(spend(pace, 1, 0, 2_100)).toHaveProperty('pace');
  });

  test('several refusals of requests in flight together count once, with the longest wait', () => {
    const pace = [50, 3_000, 20].reduce((now, waitMs) => throttled(now, waitMs, 10, 100), openPace(0));
    expect(pace).toMatchObject({ atOnce: 3, notBeforeMs: 3_100 });
  });

  test('a request that started after the last refusal counts again', () => {
    const pace = throttled(throttled(openPace(0), 0, 10, 100), 0, 101, 200);
    expect(pace.atOnce).toBe(1);
  });
});

describe('slow answers', () => {
  test('three times the fastest and noticeably slower: fewer at once', () => {
    const pace = manyAnswers(openPace(0), 5);
    expect(answered(pace, 'page', 1_000, 1_401).atOnce).toBe(4);
  });

  test.each([
    ['a little slower', 'page', 399],
    ['slower only than answers of another kind', 'batch', 5_000],
  ] as const)('%s: as many as before', (_, kind, ms) => {
    const pace = manyAnswers(openPace(0), 5);
    expect(answered(pace, kind, 1_000, 1_000 + ms).atOnce).toBeGreaterThanOrEqual(6);
  });

  test('a few milliseconds instead of one do not matter', () => {
    const pace = manyAnswers(openPace(0), 5, 1);
    expect(answered(pace, 'page', 1_000, 1_300).atOnce).toBe(7);
  });
});

describe('resource units', () => {
  test('a burst, then no more per second than an application has in a small tenant', () => {
    let pace = openPace(0);
    let now = 0;
    let spent = 0;
    while (spent < 20_000) {
      const turn = spend(pace, 40, 0, now);
      if ('waitMs' in turn) now += turn.waitMs;
      else {
        pace = turn.pace;
        spent += 40;
      }
    }
    expect(now).toBeGreaterThanOrEqual(33_900);
    expect(now).toBeLessThanOrEqual(34_100);
  });

  test('a request that costs more than the maximum is sent once the maximum is available', () => {
    expect(spend(openPace(0), 1_000_000, 0, 0)).toHaveProperty('pace');
  });
});

test('for any history: between 1 and 16 at once, a wait always ends, and no request overtakes a wait', () => {
  const event = fc.record({
    what: fc.constantFrom('good', 'slow', 'throttled', 'ask'),
    ms: fc.integer({ min: 0, max: 5_000 }),
    units: fc.integer({ min: 1, max: 5_000 }),
    kind: fc.constantFrom('page' as const, 'batch' as const),
  });
  fc.assert(
    fc.property(fc.array(event, { maxLength: 60 }), (events) => {
      let pace = openPace(0);
      let now = 0;
      for (const { what, ms, units, kind } of events) {
        const started = now;
        now += ms;
        if (what === 'throttled') pace = throttled(pace, ms, started, now);
        else if (what !== 'ask') pace = answered(pace, kind, started, what === 'slow' ? now + 4_000 : now);
        expect(pace.atOnce).toBeGreaterThanOrEqual(1);
        expect(pace.atOnce).toBeLessThanOrEqual(16);
        expect(spend(pace, units, pace.atOnce, now)).toEqual({ waitMs: Number.POSITIVE_INFINITY });
        const turn = spend(pace, units, 0, now);
        if ('pace' in turn) expect(now).toBeGreaterThanOrEqual(pace.notBeforeMs);
        else {
          expect(turn.waitMs).toBeGreaterThan(0);
          expect(turn.waitMs).toBeLessThan(20_000);
          expect(spend(pace, units, 0, Math.max(pace.notBeforeMs, now + 10_000)), 'in the end').toHaveProperty('pace');
        }
      }
    }),
  );
});
