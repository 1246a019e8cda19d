// From a source document to the profile fields, and to the columns that a user is found by.
import type { Json, Source } from './decode.ts';
import { type Expression, evaluate, rootsOf } from './expressions.ts';

/** One profile field and what it is made of; null: it is not in the directory at all. */
export type MappedField = { readonly field: string; readonly from: Expression | null };

/** Always selected, whatever the mapping names: ids, match keys and scope rest on them. */
export const alwaysSelected = ['id', 'userPrincipalName', 'mail', 'displayName', 'accountEnabled', 'userType'] as const;

/** The properties that the users stream asks Graph for, without doubles, in a stable order. */
export function selectedProperties(fields: readonly MappedField[]): string[] {
  const mapped = fields.flatMap(({ from }) => (from ? rootsOf(from) : [])).sort();
  return [...new Set([...alwaysSelected, ...mapped])];
}

/** The profile fields that a source document gives. A field without a value is left out. */
export function mapUser(source: Source, fields: readonly MappedField[]): { [field: string]: Json } {
  const mapped = fields.flatMap(({ field, from }): [string, Json][] => {
    const value = from ? evaluate(from, source) : undefined;
    return value === undefined ? [] : [[field, value]];
  });
  // Not by assignment: that would take a field called __proto__ for the prototype.
  return Object.fromEntries(mapped);
}

/** What manual accounts can be recognised by. */
export type MatchKey = 'mail' | 'userPrincipalName';

/**
 * Every user has them, so an unknown user that comes without one of them was not shown whole: somebody outside the scope
 * whose name or state alone is told would otherwise be taken for a member.
 */
export const userMarks: readonly string[] = ['userPrincipalName', 'accountEnabled'];

export type UserKeys = { userPrincipalName: string | null; mail: string | null; enabled: boolean };

/** The columns kept beside the documents. A user whose accountEnabled was not shown counts as enabled. */
export function userKeys(source: Source): UserKeys {
  return {
    userPrincipalName: textOrNull(source.userPrincipalName),
    mail: textOrNull(source.mail),
    enabled: source.accountEnabled !== false,
  };
}

function textOrNull(value: Json | undefined): string | null {
  return typeof value === 'string' ? value : null;
}
