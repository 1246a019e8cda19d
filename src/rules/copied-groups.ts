// Decides which groups are copied (rule 43). A group that is not keeps its id, its members and its place in the nesting.
import { folded, matchesGlob } from './glob.ts';

/** Entries are object ids in lower case, or folded globs of the display name. */
export type GroupChoice = {
  /** Empty: all groups. */
  readonly only: readonly string[];
  /** Beats `only`. */
  readonly except: readonly string[];
  /** Object ids of groups that the settings name elsewhere: they are copied in any case. */
  readonly always: readonly string[];
};

const objectId = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** Whether an entry of `groups.only` or `groups.except` is an object id, not a glob. */
export function isGroupId(entry: string): boolean {
  return objectId.test(entry);
}

/** Whether the settings choose among the groups. */
export function choosesGroups({ only, except }: GroupChoice): boolean {
  return only.length + except.length > 0;
}

/** Why a group is not copied: the setting, and the entry that names it where there is one. */
export type LeftOut = { readonly setting: 'groups.only' | 'groups.except'; readonly entry: string | null };

/** Returns the setting that leaves a group out; null: the group is copied. A group without a name counts as "". */
export function leftOutOf(choice: GroupChoice, id: string, name: string | null): LeftOut | null {
  if (choice.always.includes(id)) return null;
  const text = folded(name ?? '');
  const names = (entry: string) => fits(entry, id, text);
  const except = choice.except.find(names);
  if (except !== undefined) return { setting: 'groups.except', entry: except };
  return choice.only.length === 0 || choice.only.some(names) ? null : { setting: 'groups.only', entry: null };
}

function fits(entry: string, id: string, text: string): boolean {
  return isGroupId(entry) ? entry === id : matchesGlob(text, entry);
}

/** Returns the globs of a choice that none of the names fits, by their place in the settings. */
export function globsWithoutGroup(choice: GroupChoice, names: readonly (string | null)[]): string[] {
  const texts = names.map((name) => folded(name ?? ''));
  return (['only', 'except'] as const).flatMap((key) =>
    choice[key]
      .filter((entry) => !isGroupId(entry) && !texts.some((text) => matchesGlob(text, entry)))
      .map((entry) => `groups.${key} ${JSON.stringify(entry)}`),
  );
}

/**
 * Whether `after` copies no group that `before` leaves out. It may call a narrower choice wider, never the other way
 * round: two globs are compared as texts.
 */
export function narrowsGroups(before: GroupChoice, after: GroupChoice): boolean {
  return (
    isPart(before.except, after.except) &&
    (before.only.length === 0 || (after.only.length > 0 && isPart(after.only, before.only))) &&
    (isPart(after.always, before.always) || !choosesGroups(before))
  );
}

function isPart(some: readonly string[], of: readonly string[]): boolean {
  const all = new Set(of);
  return some.every((one) => all.has(one));
}

/** The parts of a choice that a fingerprint holds, so that settings without a choice keep theirs. */
export function writtenChoice(choice: GroupChoice): readonly unknown[] {
  return choosesGroups(choice) ? [choice] : [];
}
