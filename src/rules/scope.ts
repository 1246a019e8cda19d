// Who is in scope by what is said of the person. Scope by groups is a rule about sets and lives in the commit.
import type { Source } from './decode.ts';

export type Scope = {
  /** In lower case; a user without userType counts as Member (older accounts have none). */
  readonly userTypes: 'any' | readonly string[];
  readonly accountEnabled: 'any' | boolean;
  /** Object ids of the groups whose members, nested ones too, are in scope; empty: everybody. */
  readonly groups: readonly string[];
};

/** Whether userType and accountEnabled of a person are within the scope. */
export function isInScope(source: Source, scope: Scope): boolean {
  return whyOutside(source, scope) === null;
}

/** The property that puts a person outside the scope, with its value; null for who is inside as far as properties tell. */
export function whyOutside(source: Source, scope: Scope): string | null {
  const type = typeof source.userType === 'string' ? source.userType : 'Member';
  if (scope.userTypes !== 'any' && !scope.userTypes.includes(type.toLowerCase())) return `userType is ${type}`;
  const enabled = source.accountEnabled !== false;
  if (scope.accountEnabled === 'any' || scope.accountEnabled === enabled) return null;
  return `accountEnabled is ${enabled}`;
}
