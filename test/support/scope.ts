// A scope that takes every user; and scopes to draw, with the users that they take, by no rule of the product.
import fc from 'fast-check';
import type { Scope } from '../../src/rules/scope.ts';
import type { SettingsDocument } from '../../src/settings/settings.ts';
import type { User } from '../../src/simulator/index.ts';

export const anyScope = {
  ...{ userTypes: 'any', accountEnabled: 'any', external: 'include', agents: 'include' },
  ...{ domains: [], where: [], except: [], groups: [] },
} as const satisfies Scope;

type WrittenScope = NonNullable<SettingsDocument['scope']>;
type Where = NonNullable<WrittenScope['where']>;

/** The scope as written, without scope groups. `kept` are the conditions with a test of their own. */
export type DrawnScope = {
  readonly userType: 'any' | ('Member' | 'Guest')[];
  readonly external: 'include' | 'exclude';
  readonly agents: 'include' | 'exclude';
  readonly conditions: readonly (keyof typeof conditions)[];
};

const text = (user: User, name: string) => {
  const value = user.properties[name];
  return typeof value === 'string' ? value.toLowerCase() : '';
};
const licences = ({ properties }: User) =>
  ((properties.assignedLicenses ?? []) as { skuId: string }[]).map(({ skuId }) => skuId);

const conditions = {
  jobs: { where: { property: 'jobTitle', exists: true }, takes: (user: User) => text(user, 'jobTitle') !== '' },
  noJob: { where: { property: 'jobTitle', exists: false }, takes: (user: User) => text(user, 'jobTitle') === '' },
  notNull: {
    where: { property: 'department', notIn: ['NULL', 'Sales', '{"a":null}'] },
    takes: (user: User) => !['null', 'sales', '{"a":null}'].includes(text(user, 'department')),
  },
  mails: { where: { property: 'mail', matches: '*E*' }, takes: (user: User) => text(user, 'mail').includes('e') },
  licensed: {
    where: { property: 'assignedLicenses[*].skuId', in: ['sku0', 'SKU2'] },
    takes: (user: User) => licences(user).some((sku) => sku === 'sku0' || sku === 'sku2'),
  },
} as const satisfies Record<string, { where: Where[number]; takes: (user: User) => boolean }>;

export const drawnScope: fc.Arbitrary<DrawnScope> = fc.record({
  userType: fc.constantFrom<DrawnScope['userType']>('any', 'any', ['Member']),
  external: fc.constantFrom('include' as const, 'include' as const, 'exclude' as const),
  agents: fc.constantFrom('include' as const, 'exclude' as const),
  conditions: fc.shuffledSubarray(Object.keys(conditions) as (keyof typeof conditions)[], { maxLength: 2 }),
});

export const widest: DrawnScope = { userType: 'any', external: 'include', agents: 'include', conditions: [] };

/** Returns the scope as a settings file has it. */
export function writtenScope({ conditions: chosen, ...scope }: DrawnScope): WrittenScope {
  return {
    ...scope,
    where: chosen.map((name): Where[number] => structuredClone(conditions[name].where) as Where[number]),
  };
}

/** Whether a user of the simulated tenant is in scope. */
export function isTaken(user: User, scope: DrawnScope): boolean {
  const { userType, userPrincipalName, creationType, externalUserState, identityParentId } = user.properties;
  if (scope.userType !== 'any' && !(scope.userType as string[]).includes(String(userType ?? 'Member'))) return false;
  if (scope.agents === 'exclude' && identityParentId !== undefined) return false;
  const isInvited = creationType === 'Invitation' && externalUserState !== undefined;
  if (scope.external === 'exclude' && (String(userPrincipalName).includes('#EXT#') || isInvited)) return false;
  return scope.conditions.every((name) => conditions[name].takes(user));
}
