// The limits of rule 10: a table of cases, and properties that hold for any numbers.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { enoughBefore, type RemovalCounts, type RemovalLimits, whyHeld } from '../../src/rules/guard.ts';

const limits: RemovalLimits = { max: 500, percent: 20, floor: 20 };
const counts = (one: Partial<RemovalCounts>): RemovalCounts => ({
  before: 1_000,
  wanted: 0,
  held: 0,
  week: 0,
  weekRemoved: 0,
  full: false,
  seen: 1,
  ...one,
});

describe('rule 10: which removals are held', () => {
  test.each<[what: string, counts: Partial<RemovalCounts>, limits: Partial<RemovalLimits>, why: RegExp | null]>([
    ['nothing wanted', {}, {}, null],
    ['nothing wanted, although nothing was seen', { full: true, seen: 0 }, {}, null],
    ['at the percentage', { wanted: 200 }, {}, null],
    ['beyond the percentage', { wanted: 201 }, {}, /201 of 1,000 in one round are more than 20 %/],
    ['at the maximum', { before: 100_000, wanted: 500 }, {}, null],
    ['beyond the maximum', { before: 100_000, wanted: 501 }, {}, /501 in one round are more than 500/],
    ['half below the floor', { before: 19, wanted: 9 }, {}, null],
    ['more than half below the floor', { before: 19, wanted: 10 }, {}, /10 of 19 are more than half/],
    ['below the floor, half of the week', { before: 15, wanted: 5, week: 4, weekRemoved: 4 }, {}, null],
    [
      'below the floor, more than half within the week',
      { before: 15, wanted: 6, week: 4, weekRemoved: 4 },
      {},
      /10 of 19 within seven days are more than half/,
    ],
    ['below the floor, suspended ones are still there', { before: 10, wanted: 2, week: 3 }, {}, null],
    [
      'below the floor, suspended ones count in the week',
      { before: 10, wanted: 3, week: 3 },
      {},
      /6 of 10 within seven days are more than half/,
    ],
    ['one of two, and none before', { before: 2, wanted: 1 }, {}, null],
    [
      'the second of two within the week',
      { before: 1, wanted: 1, week: 1, weekRemoved: 1 },
      {},
      /2 of 2 within seven days/,
    ],
    ['a third of three within the week', { before: 2, wanted: 1, week: 1, weekRemoved: 1 }, {}, /2 of 3 within/],
    ['at the floor the percentage counts', { before: 20, wanted: 5 }, {}, /5 of 20 in one round/],
    ['at the floor, within it', { before: 20, wanted: 4 }, {}, null],
    ['the week, at twice the maximum', { before: 100_000, wanted: 400, week: 600 }, {}, null],
    ['the week, beyond twice the maximum', { before: 100_000, wanted: 401, week: 600 }, {}, /1,001 within seven days/],
    [
      'the week, at twice the percentage of the accounts before',
      { before: 700, wanted: 100, week: 300, weekRemoved: 300 },
      {},
      null,
    ],
    [
      'the week, suspended ones are still there',
      { before: 700, wanted: 100, week: 300 },
      {},
      /400 of 700 within seven days/,
    ],
    [
      'below the floor, but not when the week began',
      { before: 15, wanted: 6, week: 8, weekRemoved: 8 },
      {},
      /6 of 15 in one round/,
    ],
    [
      'the week, beyond it',
      { before: 700, wanted: 101, week: 300, weekRemoved: 300 },
      {},
      /401 of 1,000 within seven days are more than twice 20 %/,
    ],
    ['a full round that showed nothing', { before: 3, wanted: 1, full: true, seen: 0 }, {}, /nothing at all/],
    ['a full round that would remove everything', { before: 1, wanted: 1, full: true }, {}, /remove everything/],
    [
      'everything, with the objects already held',
      { before: 10, wanted: 1, held: 9, full: true },
      {},
      /remove everything/,
    ],
    ['the last one, removed by a tombstone', { before: 2, wanted: 1 }, {}, null],
    ['0 as the maximum', { wanted: 1 }, { max: 0 }, /no removal without approval/],
    ['0 as the percentage', { wanted: 1 }, { percent: 0 }, /no removal without approval/],
    ['a fraction of a percent', { before: 1_000, wanted: 6 }, { percent: 0.5 }, /more than 0.5 %/],
  ])('%s', (_what, some, other, why) => {
    const found = whyHeld(counts(some), { ...limits, ...other });
    if (why === null) expect(found).toBeNull();
    else expect(found).toMatch(why);
  });

  const anyCounts = fc.record({
    before: fc.nat(5_000),
    wanted: fc.nat(5_000),
    held: fc.nat(100),
    week: fc.nat(2_000),
    weekRemoved: fc.nat(2_000),
    full: fc.boolean(),
    seen: fc.nat(5_000),
  });
  const anyLimits = fc.record({ max: fc.nat(1_000), percent: fc.nat(100), floor: fc.nat(100) });

  test('held removals stay held if more are wanted or the limits are narrower', () => {
    fc.assert(
      fc.property(anyCounts, anyLimits, fc.nat(50), (some, limit, more) => {
        fc.pre(whyHeld(some, limit) !== null);
        expect(whyHeld({ ...some, wanted: some.wanted + more }, limit)).not.toBeNull();
        const narrower = { ...limit, max: Math.max(0, limit.max - more), percent: Math.max(0, limit.percent - more) };
        expect(whyHeld(some, narrower)).not.toBeNull();
      }),
    );
  });

  test('counting only as many as needed gives the same reason', () => {
    fc.assert(
      fc.property(anyCounts, anyLimits, fc.nat(2_000), (some, limit, more) => {
        const enough = enoughBefore(some, limit);
        expect(whyHeld({ ...some, before: enough + more }, limit)).toBe(whyHeld({ ...some, before: enough }, limit));
      }),
    );
  });

  test('below the floor a tenant cannot be drained in portions: at most half is removed within a week', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 19 }),
        fc.array(fc.integer({ min: 1, max: 19 }), { maxLength: 12 }),
        (there, portions) => {
          let gone = 0;
          for (const wanted of portions) {
            if (wanted > there - gone) continue;
            if (whyHeld(counts({ before: there - gone, wanted, week: gone, weekRemoved: gone }), limits) === null)
              gone += wanted;
          }
          expect(gone * 2).toBeLessThanOrEqual(there);
        },
      ),
    );
  });

  test('at or above the floor no round exceeds either limit', () => {
    fc.assert(
      fc.property(anyCounts, anyLimits, (some, limit) => {
        fc.pre(some.before + some.weekRemoved >= limit.floor && whyHeld(some, limit) === null);
        expect(some.wanted).toBeLessThanOrEqual(limit.max);
        expect(some.wanted * 100).toBeLessThanOrEqual(some.before * limit.percent);
      }),
    );
  });
});
