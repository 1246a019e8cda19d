// Who is in scope by what is said of the person. Scope by groups is a rule about sets and lives in the commit.
import type { Source } from './decode.ts';

export type Scope = {
  /** In lower case; a user without userType counts as Member (older accounts have none). */
  readonly userTypes: 'any' | readonly string[];
  readonly accountEnabled: 'any' | boolean;
  /** Object ids of the groups whose members, nested ones too, are in scope; empty: everybody. */
  readonly groups: readonly string[];
};

/** What becomes of accounts that are disabled in Entra ID: shown as suspended, removed, or as if they were not. */
export type DisabledAccounts = 'suspend' | 'remove' | 'ignore';

export type Outside = { readonly reason: 'out_of_scope' | 'disabled'; readonly why: string };

/** What puts a person outside, by properties alone: the reason that a removal is given, and the property with its value. */
export function outsideOf(source: Source, scope: Scope, disabled: DisabledAccounts): Outside | null {
  const type = typeof source.userType === 'string' ? source.userType : 'Member';
  if (scope.userTypes !== 'any' && !scope.userTypes.includes(type.toLowerCase()))
    return { reason: 'out_of_scope', why: `userType is ${type}` };
  const enabled = source.accountEnabled !== false;
  if (scope.accountEnabled !== 'any' && scope.accountEnabled !== enabled)
    return { reason: 'out_of_scope', why: `accountEnabled is ${enabled}` };
  return disabled === 'remove' && !enabled ? { reason: 'disabled', why: 'the account is disabled' } : null;
}
