// Merges a page's occurrences with known objects. Absent, null and a value differ (rule 3), and the last occurrence
// wins.
import type { Json, Occurrence, OddProperties, Removal, Source } from './decode.ts';
import { managerProperty } from './managers.ts';

/** A listing shows whole documents, as a full round does, but an object that it lacks is not thereby removed. */
export type RoundKind = 'full' | 'incremental' | 'listing';

/**
 * A known object before a page: from this round's stage, else (later rounds) from its account. A released account's
 * document is out of date, so it is not merged.
 */
export type KnownObject = {
  readonly origin: 'stage' | 'account' | 'released';
  readonly source: Source;
  readonly removed: Removal | null;
  readonly doubt: string | null;
  /** A group that is not copied: it has no stored document. */
  readonly leftOut?: boolean;
};

/** An object for the stage, with a complete document. `doubt` says why it is asked for before the commit (rule 22). */
export type MergedObject = {
  readonly id: string;
  readonly source: Source;
  readonly removed: Removal | null;
  readonly doubt: string | null;
};

export const doubts = {
  bothWays: 'came both live and removed in one round',
  restored: 'was removed and is live again',
  released: 'was released and is live again',
  partial: 'is unknown and came with a partial body',
  lacking: 'lacks a property that it had',
  setAside: 'was set aside before',
  otherManager: 'lost a manager that it was not known to have',
  unknownManager: 'is unknown and came without its manager',
} as const;

/**
 * Merges a page's occurrences in order over the known objects and returns each object once.
 *
 * Full round: the document starts empty and is the union of the round's occurrences. Absent means no value, unless the
 * stored document has one: then GET decides before the commit (src/store/stage/partial-objects.ts), since later pages may still bring
 * it. Later round: absent means unchanged, null means cleared, in the default and the minimal form of answers
 * (learn.microsoft.com/graph/api/user-delta). Applying a page twice gives the same result (rule 4). An unknown object
 * that lacks one of `requiredProperties` came in part. `stored` has the last known documents of objects with unreadable
 * properties, which keep their known values (rule 19).
 */
export function mergeObjects(
  kind: RoundKind,
  known: ReadonlyMap<string, KnownObject>,
  occurrences: readonly Occurrence[],
  requiredProperties: readonly string[],
  stored: ReadonlyMap<string, Source> = new Map(),
): MergedObject[] {
  const merged = new Map<string, MergedObject>();
  for (const occurrence of occurrences) {
    const onPage = merged.get(occurrence.id);
    const before = onPage ? { ...onPage, origin: 'stage' as const } : usable(kind, known.get(occurrence.id));
    merged.set(occurrence.id, mergeOne(kind, before, occurrence, requiredProperties, stored.get(occurrence.id)));
  }
  return [...merged.values()];
}

// A full round or listing starts empty, without the account's earlier values.
function usable(kind: RoundKind, known: KnownObject | undefined): KnownObject | undefined {
  if (kind !== 'incremental' && known?.origin !== 'stage') return undefined;
  return known?.origin === 'released' ? { ...known, source: {} } : known;
}

function mergeOne(
  kind: RoundKind,
  before: KnownObject | undefined,
  occurrence: Occurrence,
  requiredProperties: readonly string[],
  stored: Source | undefined,
): MergedObject {
  const { id } = occurrence;
  const inThisRound = before?.origin === 'stage' ? before : undefined;
  if ('removed' in occurrence) {
    const doubt = inThisRound?.removed === null ? doubts.bothWays : (inThisRound?.doubt ?? null);
    return { id, source: before?.source ?? {}, removed: occurrence.removed, doubt };
  }
  const merged = keepKnown(overlay(before?.source ?? {}, occurrence.patch), occurrence.odd, stored);
  const { source, isDoubtful } = withoutFormer(merged, occurrence.formerManager);
  const doubt = doubtOfLive(kind, before, source, requiredProperties);
  return { id, source, removed: null, doubt: doubt ?? (isDoubtful ? doubts.otherManager : null) };
}

// Only the end of the link that is known ends it. Entries come on several pages, in any order, and two links may have ended.
function withoutFormer(source: Source, former: string | undefined): { source: Source; isDoubtful: boolean } {
  const { [managerProperty]: manager, ...rest } = source;
  if (former === undefined || manager === undefined) return { source, isDoubtful: false };
  return manager === former ? { source: rest, isDoubtful: false } : { source, isDoubtful: true };
}

function doubtOfLive(
  kind: RoundKind,
  before: KnownObject | undefined,
  source: Source,
  requiredProperties: readonly string[],
): string | null {
  if (before?.origin === 'stage') return before.removed === null ? before.doubt : doubts.bothWays;
  if (kind !== 'incremental') return null;
  if (before?.origin === 'released') return doubts.released;
  if (before) return before.removed === null ? null : doubts.restored;
  return requiredProperties.every((property) => property in source) ? null : doubts.partial;
}

/** Returns `source` with the known values of the unreadable properties. */
export function keepKnown(source: Source, odd: OddProperties | undefined, known: Source | undefined): Source {
  if (!odd || !known) return source;
  const kept = Object.keys(odd).filter((property) => !(property in source) && property in known);
  return { ...source, ...Object.fromEntries(kept.map((property) => [property, known[property] as Json])) };
}

/**
 * Applies `patch` to `source`. Null clears a property. So does an empty list, since a listing has one where a round may
 * have nothing.
 */
export function overlay(source: Source, patch: { readonly [property: string]: Json }): Source {
  const kept = Object.entries(source).filter(([property]) => !Object.hasOwn(patch, property));
  const set = Object.entries(patch).filter(
    ([, value]) => value !== null && !(Array.isArray(value) && value.length === 0),
  );
  return Object.fromEntries([...kept, ...set]);
}
