// Times as people type them.
import { InvalidArgumentError } from 'commander';
import { durationMs } from '../settings/durations.ts';

// Postgres has no year 0 and no zone beyond 15:59.
const iso = /^(?!0000)\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-5]):[0-5]\d)?)?$/;

/** The words for the help of an option that takes a time. */
export const timeHelp = '2026-11-28, 2026-11-28T09:30Z, or a span back from now: 90m, 3h, 2d';

/**
 * Returns the time that `text` names as Postgres reads it: a date or time (UTC unless it says otherwise), or a span back
 * from `now`. Throws `InvalidArgumentError` for anything else.
 */
export function timeOf(text: string, now: Date, help = timeHelp): string {
  const word = text.trim();
  const back = durationMs(word);
  if (back !== undefined && back <= now.getTime()) return new Date(now.getTime() - back).toISOString();
  if (iso.test(word)) {
    const full = word.length === 10 ? `${word}T00:00` : word.replace(' ', 'T');
    const zoned = /(Z|[+-]\d\d:\d\d)$/.test(full) ? full : `${full}Z`;
    if (!Number.isNaN(Date.parse(zoned)) && isDay(word.slice(0, 10))) return zoned;
  }
  throw new InvalidArgumentError(`write a time like ${help}`);
}

// Date.parse takes February 30 for March 2.
const isDay = (day: string) => new Date(`${day}T00:00Z`).toISOString().startsWith(day);

/** Returns a time of {@link timeOf} without fractions of a second, for people. */
export const toSecond = (time: string): string => time.replace(/\.\d{3}Z$/, 'Z');

/** Returns a time to the minute, for people. */
export const toMinute = (time: Date): string => `${time.toISOString().slice(0, 16)}Z`;

/** Returns the milliseconds of a span such as `90d`, for an option. */
export function parseSpan(text: string): number {
  const ms = durationMs(text.trim());
  if (ms !== undefined && ms > 0 && ms <= longestMs) return ms;
  throw new InvalidArgumentError('write a span like 90d, 12h or 30m, at most 3650d');
}

const longestMs = 3650 * 86_400_000;

/** {@link timeOf} for an option. */
export const parseTime = (text: string): string => timeOf(text, new Date());

/** The words for the help of an option that takes a time to come. */
export const timeAheadHelp = '2026-12-01, 2026-12-01T08:00Z, or a span from now: 90m, 3h, 2d';

/** {@link timeOf}, with a span from now on. */
export function timeAhead(text: string): string {
  const ahead = durationMs(text.trim());
  const now = Date.now();
  if (ahead === undefined) return timeOf(text, new Date(now), timeAheadHelp);
  if (ahead <= longestMs) return new Date(now + ahead).toISOString();
  throw new InvalidArgumentError('write a span of at most 3650d, or a date');
}
