// Decides which removals are held: the limits of rule 10, for accounts and groups.
import { count } from './numbers.ts';

export type RemovalLimits = {
  /** Maximum number of removals in one round; 0: none are allowed. */
  readonly max: number;
  /** The same as a percentage of the objects before the round; 0: none are allowed. */
  readonly percent: number;
  /** The number of objects from which the two limits count. Below it, more than half within seven days is too many. */
  readonly floor: number;
};

export type RemovalCounts = {
  /** Objects that were live and managed before the round. */
  readonly before: number;
  /** Objects that this round would remove or suspend, without those already held. */
  readonly wanted: number;
  /** Objects already held for a person's decision. */
  readonly held: number;
  /** Other objects that cycles removed or suspended within seven days without approval, and that still are. */
  readonly week: number;
  /** The removed ones of `week`: they were live when the week began. */
  readonly weekRemoved: number;
  readonly full: boolean;
  /** Live objects that the round showed. */
  readonly seen: number;
};

// In a smaller group a few members are a large percentage.
const largeGroup = 20;

/** Returns why the memberships of one group that a sweep would end are held; null: they are within the limits. */
export function whyGroupHeld(wanted: number, size: number, { max, percent }: RemovalLimits): string | null {
  if (size <= largeGroup || wanted === 0) return null;
  if (wanted <= max && wanted * 100 <= size * percent) return null;
  return `${count(wanted)} of the ${count(size)} members of one group would leave it`;
}

/** Returns the `before` beyond which {@link whyHeld} no longer changes its answer, to limit counting. */
export function enoughBefore(
  { wanted, held, week }: Pick<RemovalCounts, 'wanted' | 'held' | 'week'>,
  { percent, floor }: RemovalLimits,
): number {
  const ofPercent = percent === 0 ? 0 : Math.ceil((Math.max(wanted, (week + wanted) / 2) * 100) / percent);
  return Math.max(floor, wanted + held + 1, ofPercent);
}

/** Returns why these removals are held; null: they are within the limits. */
export function whyHeld(counts: RemovalCounts, { max, percent, floor }: RemovalLimits): string | null {
  const { before, wanted, held, week, weekRemoved, full, seen } = counts;
  const weekAgo = before + weekRemoved;
  if (wanted === 0) return null;
  if (full && seen === 0) return 'a full round showed nothing at all';
  if (full && wanted + held >= before) return 'a full round would remove everything';
  if (max === 0 || percent === 0) return 'the settings allow no removal without approval';
  const weekly = week + wanted;
  // In a small tenant a few accounts are a large percentage, so half of the week's accounts is the limit.
  if (weekAgo < floor) {
    if (weekly * 2 <= weekAgo) return null;
    return `${count(weekly)} of ${count(weekAgo)}${week > 0 ? ' within seven days' : ''} are more than half`;
  }
  if (wanted > max) return `${count(wanted)} in one round are more than ${count(max)}`;
  if (wanted * 100 > before * percent)
    return `${count(wanted)} of ${count(before)} in one round are more than ${percent} %`;
  if (weekly > 2 * max) return `${count(weekly)} within seven days are more than twice ${count(max)}`;
  if (weekly * 100 > 2 * percent * weekAgo)
    return `${count(weekly)} of ${count(weekAgo)} within seven days are more than twice ${percent} %`;
  return null;
}
