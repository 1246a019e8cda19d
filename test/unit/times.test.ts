// Times as people type them.
import { expect, test } from 'vitest';
import { timeOf, toSecond } from '../../src/cli/times.ts';

const now = new Date('2026-11-28T12:00:00Z');

test.each([
  ['2026-11-01', '2026-11-01T00:00Z'],
  ['2026-11-01T09:30', '2026-11-01T09:30Z'],
  ['2026-11-01 09:30:15', '2026-11-01T09:30:15Z'],
  ['2026-11-01T09:30:15.123456Z', '2026-11-01T09:30:15.123456Z'],
  ['2026-11-01T09:30+02:00', '2026-11-01T09:30+02:00'],
  [' 90m ', '2026-11-28T10:30:00.000Z'],
  ['2d', '2026-11-26T12:00:00.000Z'],
])('%j is %s', (text, time) => {
  expect(timeOf(text, now)).toBe(time);
});

test.each(['', 'yesterday', '2026-13-01', '2026-11-01T25:00', '11/01/2026', '-2d', '2', '999999999d', "now'; --"])(
  '%j is refused',
  (text) => {
    expect(() => timeOf(text, now)).toThrow(/write a time like/);
  },
);

test('a span is shown to the second, and a time as it was given', () => {
  expect(toSecond(timeOf('90m', new Date('2026-11-28T12:00:00.304Z')))).toBe('2026-11-28T10:30:00Z');
  expect(toSecond('2026-11-01T09:30:15.123456Z')).toBe('2026-11-01T09:30:15.123456Z');
});
