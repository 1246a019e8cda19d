// Decides scope by a user's properties. Scope by groups is a rule about sets, in the commit.
import type { Source } from './decode.ts';

export type Scope = {
  /** In lower case. A user without userType counts as Member (older users have none). */
  readonly userTypes: 'any' | readonly string[];
  readonly accountEnabled: 'any' | boolean;
  /** Object ids of the groups whose members, nested ones too, are in scope; empty: all users. */
  readonly groups: readonly string[];
};

/** A scope group, or a group below one, whose members are not known here. */
export type ScopeGap = {
  readonly id: string;
  /** `not_there`: deleted or never seen. `set_aside`: it exists but cannot be read. */
  readonly why: 'not_there' | 'set_aside';
};

/** Describes the gaps in words, with their cures. */
export function explainGaps(gaps: readonly ScopeGap[]): { readonly what: string; readonly cure: string } {
  const shown = gaps
    .slice(0, 3)
    .map(({ id, why }) => `scope group ${id} ${why === 'not_there' ? 'is not there' : 'cannot be read'}`);
  const more = gaps.length > shown.length ? [`${gaps.length - shown.length} more`] : [];
  const cures = [
    ...(gaps.some(({ why }) => why === 'not_there') ? ['restore it in Entra ID, or take it out of scope.groups'] : []),
    ...(gaps.some(({ why }) => why === 'set_aside') ? ['see entra-sync status --set-aside'] : []),
  ];
  return { what: [...shown, ...more].join(', '), cure: cures.join('; ') };
}

/** The treatment of accounts whose user is disabled in Entra ID: suspend, remove, or treat as enabled. */
export type DisabledAccounts = 'suspend' | 'remove' | 'ignore';

export type Outside = { readonly reason: 'out_of_scope' | 'disabled'; readonly why: string };

/** Returns why a user's properties put it out of scope: the reason of the removal, and the property with its value. */
export function outsideOf(source: Source, scope: Scope, disabled: DisabledAccounts): Outside | null {
  const type = typeof source.userType === 'string' ? source.userType : 'Member';
  if (scope.userTypes !== 'any' && !scope.userTypes.includes(type.toLowerCase()))
    return { reason: 'out_of_scope', why: `userType is ${type}` };
  const enabled = source.accountEnabled !== false;
  if (scope.accountEnabled !== 'any' && scope.accountEnabled !== enabled)
    return { reason: 'out_of_scope', why: `accountEnabled is ${enabled}` };
  return disabled === 'remove' && !enabled ? { reason: 'disabled', why: 'the account is disabled' } : null;
}
