// When a round changed so many profiles at once that a person should look, and how it is told. Names of people are in no text.
import { count, plural } from './numbers.ts';

export type MassChange = {
  /** Live managed accounts that were there before the round. */
  readonly accounts: number;
  /** How many of their profiles the round changed. */
  readonly changed: number;
  /** Per field: how many of them lost its value. */
  readonly cleared: ReadonlyArray<{ readonly field: string; readonly count: number }>;
};

const share = 0.3;
const least = 20;

/** The number of changed profiles from which a round can be a mass change. */
export const fewestNoticed = Math.floor(share * least) + 1;

const shownFields = 3;

/** Returns the notice of a round; undefined if it changed no more than usual. */
export function noticeOf({ accounts, changed, cleared }: MassChange, cycle: string | null): string | undefined {
  const isMany = (number: number) => accounts >= least && number > share * accounts;
  if (!isMany(changed)) return undefined;
  const lost = cleared.filter((one) => isMany(one.count));
  const fields = lost.slice(0, shownFields).map((one) => `${one.field} cleared for ${count(one.count)}`);
  const more = lost.length > fields.length ? [`${plural(lost.length - fields.length, 'more field')} cleared`] : [];
  const when = cycle === null ? 'in this cycle' : `in cycle ${cycle}`;
  return [`${count(changed)} of ${count(accounts)} profiles changed ${when}`, ...fields, ...more].join(', ');
}
