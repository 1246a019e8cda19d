// Times as people type them.
import { expect, test } from 'vitest';
import { timeAhead, timeOf, toSecond } from '../../src/cli/times.ts';

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

// Postgres refuses the days, years and zones that Date.parse takes.
const wrong = [
  '',
  'yesterday',
  '2026-13-01',
  '2026-02-30',
  '2025-02-29T10:00Z',
  '0000-01-01',
  '2026-11-01T25:00',
  '2026-11-01T09:30+16:00',
];
test.each([...wrong, '11/01/2026', '-2d', '2', '999999999d', "now'; --"])('%j is refused', (text) => {
  expect(() => timeOf(text, now)).toThrow(/write a time like/);
});

test('a leap day is a day', () => {
  expect(timeOf('2028-02-29', now)).toBe('2028-02-29T00:00Z');
});

test('a time to come is refused with words for one, and a span is at most ten years', () => {
  expect(timeAhead('3650d')).toMatch(/^20\d\d-/);
  for (const text of ['3651d', '999999999d']) expect(() => timeAhead(text)).toThrow(/at most 3650d/);
  expect(() => timeAhead('2027-02-30')).toThrow(/or a span from now/);
});

test('a span is shown to the second, and a time as it was given', () => {
  expect(toSecond(timeOf('90m', new Date('2026-11-28T12:00:00.304Z')))).toBe('2026-11-28T10:30:00Z');
  expect(toSecond('2026-11-01T09:30:15.123456Z')).toBe('2026-11-01T09:30:15.123456Z');
});
