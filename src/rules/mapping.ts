// Maps a source document to the profile fields and to the columns by which a user is found.
import type { Json, Source } from './decode.ts';
import { type Expression, evaluate, rootsOf, valueAt } from './expressions.ts';
import { managerProperty } from './managers.ts';
import { propertiesOfScope, type Scope } from './scope.ts';

/** A profile field and its expression; null: it is not in the directory. */
export type MappedField = { readonly field: string; readonly from: Expression | null };

/** Properties that are always selected: ids, match keys and scope depend on them. */
export const alwaysSelected = ['id', 'userPrincipalName', 'mail', 'displayName', 'accountEnabled', 'userType'] as const;

/** Returns the properties that the users stream selects, without duplicates, in a stable order. */
export function selectedProperties({ fields, scope }: { fields: readonly MappedField[]; scope: Scope }): string[] {
  const mapped = [...fields.flatMap(({ from }) => (from ? rootsOf(from) : [])), ...propertiesOfScope(scope)].sort();
  return [...new Set([...alwaysSelected, ...mapped])];
}

/** Returns the names in `$select` of the users stream: the properties, and the manager if managers are kept. */
export function trackedProperties(
  settings: Parameters<typeof selectedProperties>[0] & { readonly managers: boolean },
): string[] {
  return [...selectedProperties(settings), ...(settings.managers ? [managerProperty] : [])];
}

/** Returns the profile fields of a source document, without fields that have no value. */
export function mapUser(source: Source, fields: readonly MappedField[]): { [field: string]: Json } {
  const mapped = fields.flatMap(({ field, from }): [string, Json][] => {
    const value = from ? evaluate(from, source) : undefined;
    return value === undefined ? [] : [[field, value]];
  });
  // An assignment would set the prototype for a field called __proto__.
  return Object.fromEntries(mapped);
}

/** Returns the profile fields that come from the document of the user's manager; without one: none. */
export function mapFromManager(manager: Source | null, fields: readonly MappedField[]): { [field: string]: Json } {
  const values = fields.flatMap(({ field, from }): [string, Json][] => {
    const value = manager && from && 'manager' in from ? valueAt(manager, from.manager) : undefined;
    return value === undefined ? [] : [[field, value]];
  });
  return Object.fromEntries(values);
}

/** A property by which a manual account can match a user. */
export type MatchKey = 'mail' | 'userPrincipalName';

/**
 * Properties that every user has: an unknown user without one of them came in part. Without this check, a guest shown
 * with a name alone would count as a Member.
 */
export const requiredUserProperties: readonly string[] = ['userPrincipalName', 'accountEnabled'];

/** {@link requiredUserProperties}, and those that the scope's conditions ask for. */
export function requiredForScope(scope: Scope): readonly string[] {
  return [...requiredUserProperties, ...propertiesOfScope(scope)];
}

export type UserKeys = { userPrincipalName: string | null; mail: string | null; enabled: boolean };

/** Returns the columns kept beside the document. A user without accountEnabled counts as enabled. */
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
