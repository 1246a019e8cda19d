// The counts of a stream's commit, written once: the commit fills them, the cycle's row keeps them, the reports show them.
import type { ScopeGap } from './scope.ts';

/** The counts of a commit that changed nothing. Objects are users or groups. */
export const noCounts = {
  distinct: 0,
  created: 0,
  adopted: 0,
  updated: 0,
  suspended: 0,
  resumed: 0,
  removed: 0,
  restored: 0,
  purged: 0,
  memberships_added: 0,
  memberships_removed: 0,
  held: 0,
} as const;

export type CountName = keyof typeof noCounts;

/** The names of what a commit did. Left out is `distinct`, which counts what the round showed. */
export const effects = (Object.keys(noCounts) as CountName[]).filter((name) => name !== 'distinct');

/** The effect of a stream's commit, in objects and memberships. */
export type StreamCounts = { [name in CountName]: number } & {
  /** Groups of the scope whose members are not known: until they are, no account is removed for being in none of them. */
  scope_gaps?: readonly ScopeGap[];
  /** In a users round: how many users each condition keeps out, under its name in the settings. */
  outside?: Readonly<Record<string, number>>;
  /** In a groups round: how many groups of Graph the settings leave out. */
  not_copied?: number;
  /** In a users round that changed very many profiles: how many, in words. */
  notice?: string;
  /** In a dry run of a reconnect: live accounts that were managed once and would still be manual. */
  still_manual?: number;
};

/** How many objects and memberships the commit changed; what is held did not change. */
export function changesOf(counts: StreamCounts): number {
  return effects.filter((name) => name !== 'held').reduce((sum, name) => sum + counts[name], 0);
}

/** The same with the number of objects and properties that the round set aside. */
export type CommitCounts = StreamCounts & { set_aside: number };
