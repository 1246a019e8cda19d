// Whether settings differ by a narrower scope, or by fewer copied groups, alone.
import { narrowsGroups } from '../rules/copied-groups.ts';
import { narrowing, narrowsScopeGroups } from '../rules/scope.ts';
import type { Settings } from './settings.ts';

/** Returns where each condition went, if `after` differs from `before` by a narrower scope alone; else undefined. */
export function narrowedTo(before: Settings, after: Settings): readonly number[] | undefined {
  return before.reading === after.reading ? narrowing(before.scope, after.scope) : undefined;
}

/** Whether `after` differs from `before` for the groups stream by fewer copied groups, or scope groups that let in fewer users, alone. */
export function copiesFewer(before: Settings, after: Settings): boolean {
  return narrowsScopeGroups(before.scope, after.scope) && narrowsGroups(before.groups, after.groups);
}
