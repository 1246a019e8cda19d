// The scope in force, from its written form.
import { folded } from '../rules/glob.ts';
import type { Condition, Scope } from '../rules/scope.ts';
import type { SettingsDocument } from './schema.ts';

/** Returns the scope of a complete, checked document. */
export function scopeOf(written: SettingsDocument['scope'] = {}): Scope {
  const { userType = 'any', accountEnabled = 'any', groups = [], domains = [], where = [], except = [] } = written;
  const { external = 'include', agents = 'exclude' } = written;
  return {
    external,
    agents,
    domains: unique(domains.map(folded)).sort(),
    where: where.map(conditionOf),
    except: unique(except.map((id) => id.toLowerCase())).sort(),
    userTypes: userType === 'any' ? 'any' : unique(userType.map((type) => type.toLowerCase())).sort(),
    accountEnabled,
    groups: unique(groups.map((group) => group.toLowerCase())).sort(),
  };
}

type WrittenCondition = NonNullable<NonNullable<SettingsDocument['scope']>['where']>[number];

function conditionOf(written: WrittenCondition): Condition {
  const values = (list: readonly (string | number | boolean)[]) =>
    unique(list.map((value) => folded(String(value)))).sort();
  const { property } = written;
  if ('in' in written) return { property, in: values(written.in) };
  if ('notIn' in written) return { property, notIn: values(written.notIn) };
  return 'matches' in written ? { property, matches: folded(written.matches) } : { property, exists: written.exists };
}

const unique = <Value>(list: readonly Value[]) => [...new Set(list)];
