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
  const type = typeof source.userType === 'string' ? source.userType.toLowerCase() : 'member';
  if (scope.userTypes !== 'any' && !scope.userTypes.includes(type)) return false;
  return scope.accountEnabled === 'any' || scope.accountEnabled === (source.accountEnabled !== false);
}
