// Merges what a page says of objects with what is known of them: the three-valued rule, and the last occurrence wins.
import type { Json, Occurrence, OddProperties, Removal, Source } from './decode.ts';

/** A listing shows whole documents, as a full round does, and is no basis for anything's absence. */
export type RoundKind = 'full' | 'incremental' | 'listing';

/**
 * What is known of an object before a page: from this round's stage, else (incremental rounds) from its account. What a
 * released account holds was not kept up with Graph, so nothing is laid over it.
 */
export type KnownObject = {
  readonly origin: 'stage' | 'account' | 'released';
  readonly source: Source;
  readonly removed: Removal | null;
  readonly doubt: string | null;
};

/** An object as it goes to the stage: a complete document. `doubt` says why it is read by GET before the commit (rule 22). */
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
} as const;

/**
 * Merges a page's occurrences, in the order in which they came, over what is known, and returns each object once.
 *
 * Full round: the document is the union of the round's occurrences, starting empty. Absent means no value, unless the
 * stored document has one: then GET decides (src/store/whole.ts), because later pages of the round may still bring it.
 * Later round: absent means unchanged, null means cleared, which holds for the default and for the minimal form of answers
 * (learn.microsoft.com/graph/api/user-delta). Applying the same page twice gives the same result (rule 4).
 * `marks` are properties that every object of the stream has: an unknown one that lacks any was not shown whole.
 * `stored` has the last known documents of objects with odd properties: those keep their known values (rule 19).
 */
export function mergeObjects(
  kind: RoundKind,
  known: ReadonlyMap<string, KnownObject>,
  occurrences: readonly Occurrence[],
  marks: readonly string[],
  stored: ReadonlyMap<string, Source> = new Map(),
): MergedObject[] {
  const merged = new Map<string, MergedObject>();
  for (const occurrence of occurrences) {
    const onPage = merged.get(occurrence.id);
    const before = onPage ? { ...onPage, origin: 'stage' as const } : usable(kind, known.get(occurrence.id));
    merged.set(occurrence.id, mergeOne(kind, before, occurrence, marks, stored.get(occurrence.id)));
  }
  return [...merged.values()];
}

// What an account holds from earlier rounds is no part of a full round's or a listing's document: that starts empty.
function usable(kind: RoundKind, known: KnownObject | undefined): KnownObject | undefined {
  if (kind !== 'incremental' && known?.origin !== 'stage') return undefined;
  return known?.origin === 'released' ? { ...known, source: {} } : known;
}

function mergeOne(
  kind: RoundKind,
  before: KnownObject | undefined,
  occurrence: Occurrence,
  marks: readonly string[],
  stored: Source | undefined,
): MergedObject {
  const { id } = occurrence;
  const inThisRound = before?.origin === 'stage' ? before : undefined;
  if ('removed' in occurrence) {
    const doubt = inThisRound?.removed === null ? doubts.bothWays : (inThisRound?.doubt ?? null);
    return { id, source: before?.source ?? {}, removed: occurrence.removed, doubt };
  }
  const source = keepKnown(overlay(before?.source ?? {}, occurrence.patch), occurrence.odd, stored);
  return { id, source, removed: null, doubt: doubtOfLive(kind, before, source, marks) };
}

function doubtOfLive(
  kind: RoundKind,
  before: KnownObject | undefined,
  source: Source,
  marks: readonly string[],
): string | null {
  if (before?.origin === 'stage') return before.removed === null ? before.doubt : doubts.bothWays;
  if (kind !== 'incremental') return null;
  if (before?.origin === 'released') return doubts.released;
  if (before) return before.removed === null ? null : doubts.restored;
  return marks.every((mark) => mark in source) ? null : doubts.partial;
}

/** `source` with the known values of properties that were sent and cannot be taken. */
export function keepKnown(source: Source, odd: OddProperties | undefined, known: Source | undefined): Source {
  if (!odd || !known) return source;
  const kept = Object.keys(odd).filter((property) => !(property in source) && property in known);
  return { ...source, ...Object.fromEntries(kept.map((property) => [property, known[property] as Json])) };
}

/**
 * `patch` laid over `source`: null takes a property away. So does an empty list: whether Graph writes one for a property that
 * has no value is not the same in a listing and in a round.
 */
export function overlay(source: Source, patch: { readonly [property: string]: Json }): Source {
  const kept = Object.entries(source).filter(([property]) => !Object.hasOwn(patch, property));
  const set = Object.entries(patch).filter(
    ([, value]) => value !== null && !(Array.isArray(value) && value.length === 0),
  );
  return Object.fromEntries([...kept, ...set]);
}
