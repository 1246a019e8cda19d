// Times as people read them.
import { duration } from '../rules/numbers.ts';

/** "3 min ago" or "in 40 min", relative to `now`; "never" for null. */
export function when(time: Date | null, now: Date = new Date()): string {
  if (!time) return 'never';
  const seconds = Math.round((time.getTime() - now.getTime()) / 1000);
  const span = duration(Math.abs(seconds));
  return seconds > 0 ? `in ${span}` : `${span} ago`;
}
