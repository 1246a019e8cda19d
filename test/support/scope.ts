// A scope that takes every user.
import type { Scope } from '../../src/rules/scope.ts';

export const anyScope = {
  ...{ userTypes: 'any', accountEnabled: 'any', external: 'include', agents: 'include' },
  ...{ domains: [], where: [], except: [], groups: [] },
} as const satisfies Scope;
