// When removals wait for a person: the limits of rule 10, for accounts and for groups.

export type RemovalLimits = {
  /** Most removals in one round; 0: none are allowed. */
  readonly max: number;
  /** The same in percent of what there was before the round; 0: none are allowed. */
  readonly percent: number;
  /** From how many on the two count; below it, more than half within seven days is too many. */
  readonly floor: number;
};

export type RemovalCounts = {
  /** Live and managed before the round. */
  readonly before: number;
  /** What this round wants to remove or suspend and is not held already. */
  readonly wanted: number;
  /** Already held for a person's decision. */
  readonly held: number;
  /** Others that cycles removed or suspended within seven days, still so, and not approved. */
  readonly week: number;
  /** Of those, the removed: they were there when the week began. */
  readonly weekRemoved: number;
  readonly full: boolean;
  /** Live objects that the round showed. */
  readonly seen: number;
};

// Of smaller groups a few members are many percent.
const largeGroup = 20;

/** Why the memberships of one group that a sweep would end are held, in words; null: they are within the limits. */
export function whyGroupHeld(wanted: number, size: number, { max, percent }: RemovalLimits): string | null {
  if (size <= largeGroup || wanted === 0) return null;
  if (wanted <= max && wanted * 100 <= size * percent) return null;
  return `${wanted} of the ${size} members of one group would leave it`;
}

/**
 * From how many live and managed before the round on {@link whyHeld} says the same, however many more there are: so many
 * need to be counted.
 */
export function enoughBefore(
  { wanted, held, week }: Pick<RemovalCounts, 'wanted' | 'held' | 'week'>,
  { percent, floor }: RemovalLimits,
): number {
  const ofPercent = percent === 0 ? 0 : Math.ceil((Math.max(wanted, (week + wanted) / 2) * 100) / percent);
  return Math.max(floor, wanted + held + 1, ofPercent);
}

/** Why these removals are held, in words; null: they are within the limits. */
export function whyHeld(counts: RemovalCounts, { max, percent, floor }: RemovalLimits): string | null {
  const { before, wanted, held, week, weekRemoved, full, seen } = counts;
  const weekAgo = before + weekRemoved;
  if (wanted === 0) return null;
  if (full && seen === 0) return 'a full round showed nobody at all';
  if (full && wanted + held >= before) return 'a full round would remove everybody';
  if (max === 0 || percent === 0) return 'the settings allow no removal without a person';
  const weekly = week + wanted;
  // Of few people a handful is many percent, so only half counts: of those who were there when the week began.
  if (weekAgo < floor) {
    if (weekly * 2 <= weekAgo) return null;
    return `${weekly} of ${weekAgo}${week > 0 ? ' within seven days' : ''} are more than half`;
  }
  if (wanted > max) return `${wanted} in one round are more than ${max}`;
  if (wanted * 100 > before * percent) return `${wanted} of ${before} in one round are more than ${percent} %`;
  if (weekly > 2 * max) return `${weekly} within seven days are more than twice ${max}`;
  if (weekly * 100 > 2 * percent * weekAgo)
    return `${weekly} of ${weekAgo} within seven days are more than twice ${percent} %`;
  return null;
}
