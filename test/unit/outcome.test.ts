// The outcome of a cycle, row by row, and over every way in which streams can end (rule 21).
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type CycleOutcome,
  type LeftOpen,
  outcomeOf,
  outcomeOfLeftOpen,
  type StreamsEnded,
} from '../../src/rules/outcome.ts';

const ended = (failed: number, more: Partial<StreamsEnded> = {}): StreamsEnded => ({
  ...{ ran: 2, failed, cancelled: false, held: false },
  ...more,
});

describe('rule 21: the outcome of a cycle', () => {
  test.each<[string, StreamsEnded, CycleOutcome]>([
    ['both streams are committed', ended(0), 'committed'],
    ['both are committed, removals wait for a person', ended(0, { held: true }), 'held'],
    ['one stream fails', ended(1), 'partial'],
    ['one stream fails, removals of the other one wait', ended(1, { held: true }), 'partial'],
    ['both streams fail', ended(2), 'failed'],
    ['both fail, removals of an earlier cycle wait', ended(2, { held: true }), 'failed'],
    ['the process is stopped in one stream', ended(1, { cancelled: true }), 'cancelled'],
    ['the process is stopped in both streams', ended(2, { cancelled: true }), 'cancelled'],
    ['a first load is stopped between its streams', ended(0, { cancelled: true }), 'cancelled'],
    ['the only listing of a first load fails', ended(1, { ran: 1 }), 'failed'],
  ])('%s', (_, streams, outcome) => {
    expect(outcomeOf(streams)).toBe(outcome);
  });

  test.each<[string, LeftOpen, CycleOutcome]>([
    ['nothing was committed', { committed: 0, missing: 2, held: false }, 'failed'],
    ['one stream was committed', { committed: 1, missing: 1, held: false }, 'partial'],
    ['both were committed', { committed: 2, missing: 0, held: false }, 'committed'],
    ['both were committed, removals wait for a person', { committed: 2, missing: 0, held: true }, 'held'],
    ['the only listing of a first load was committed', { committed: 1, missing: 0, held: false }, 'committed'],
    ['a first load had not begun', { committed: 0, missing: 0, held: false }, 'failed'],
  ])('a process ends without closing its cycle: %s', (_, leftOpen, outcome) => {
    expect(outcomeOfLeftOpen(leftOpen)).toBe(outcome);
  });

  test('a stream that failed is never reported as a success', () => {
    const any = fc.record({
      ...{ ran: fc.integer({ min: 1, max: 2 }), failed: fc.integer({ min: 1, max: 2 }) },
      ...{ cancelled: fc.boolean(), held: fc.boolean() },
    });
    fc.assert(fc.property(any, (streams) => !['committed', 'held'].includes(outcomeOf(streams))));
  });
});
