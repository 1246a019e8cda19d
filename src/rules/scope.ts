// Decides scope by a user's properties. Scope by groups is a rule about sets, in the commit.
import { agentType, type Json, type Source, typeProperty } from './decode.ts';
import { folded, matchesGlob } from './glob.ts';
import { type ConditionPath, parseConditionPath, valuesAt } from './graph-paths.ts';

export type Scope = {
  /** In lower case. A user without userType counts as Member (older users have none). */
  readonly userTypes: 'any' | readonly string[];
  readonly accountEnabled: 'any' | boolean;
  /** Object ids of the groups whose members, nested ones too, are in scope; empty: all users. */
  readonly groups: readonly string[];
  /** Members and guests of other tenants. */
  readonly external: 'include' | 'exclude';
  /** AI agents' users. */
  readonly agents: 'include' | 'exclude';
  /** Folded domains of mail, else of the user principal name; empty: any. */
  readonly domains: readonly string[];
  /** All have to hold. */
  readonly where: readonly Condition[];
  /** Object ids, in lower case, of users who are never taken. */
  readonly except: readonly string[];
};

/** A condition on a property or path of the user. Its values are folded and sorted. */
export type Condition = { readonly property: string } & (
  | { readonly in: readonly string[] }
  | { readonly notIn: readonly string[] }
  | { readonly matches: string }
  | { readonly exists: boolean }
);

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

/** A user as the scope judges it. */
export type JudgedUser = { readonly id: string; readonly source: Source };

/** Why a user is outside: the condition by its number, and what of the user failed it, as `department is "Sales"`. */
export type Outside = {
  readonly reason: 'out_of_scope' | 'disabled';
  readonly condition: number;
  readonly why: string;
};

const named = [
  'scope.userType',
  'scope.accountEnabled',
  'scope.external',
  'scope.agents',
  'scope.domains',
  'scope.except',
  'disabledAccounts',
] as const;
const firstOfWhere = 100;

/** Returns a condition as the settings write it, such as `scope.where[1]`. */
export function conditionName(number: number): string {
  return number < firstOfWhere ? (named[number - 1] ?? 'scope') : `scope.where[${number - firstOfWhere}]`;
}

/** Returns the first condition that puts a user out of scope by its properties. */
export function outsideOf(user: JudgedUser, scope: Scope, disabled: DisabledAccounts): Outside | null {
  const { source } = user;
  const type = typeof source.userType === 'string' ? source.userType : 'Member';
  if (scope.userTypes !== 'any' && !scope.userTypes.includes(type.toLowerCase()))
    return outside('scope.userType', `userType is ${JSON.stringify(type)}`);
  const enabled = source.accountEnabled !== false;
  if (scope.accountEnabled !== 'any' && scope.accountEnabled !== enabled)
    return outside('scope.accountEnabled', `accountEnabled is ${enabled}`);
  const external = scope.external === 'exclude' ? externalBy(source) : undefined;
  if (external) return outside('scope.external', `the user is of another tenant: ${external}`);
  if (scope.agents === 'exclude' && source[typeProperty] === agentType)
    return outside('scope.agents', `the user is an agent: ${typeProperty} is ${JSON.stringify(agentType)}`);
  if (scope.domains.length > 0 && !scope.domains.includes(domainOf(source) ?? ''))
    return outside('scope.domains', `the domain is ${JSON.stringify(domainOf(source) ?? '')}`);
  const failed = scope.where.findIndex((condition) => !holds(condition, source));
  const condition = scope.where[failed];
  if (condition)
    return { reason: 'out_of_scope', condition: firstOfWhere + failed, why: describeValues(condition, source) };
  if (setOf(scope.except).has(user.id)) return outside('scope.except', 'the user is named there');
  return disabled === 'remove' && !enabled
    ? { ...outside('disabledAccounts', 'accountEnabled is false'), reason: 'disabled' }
    : null;
}

// A list of thousands is looked up for every user of a round.
const sets = new WeakMap<readonly string[], ReadonlySet<string>>();

function setOf(list: readonly string[]): ReadonlySet<string> {
  const made = sets.get(list) ?? new Set(list);
  sets.set(list, made);
  return made;
}

function outside(name: (typeof named)[number], why: string): Outside {
  return { reason: 'out_of_scope', condition: named.indexOf(name) + 1, why };
}

// Graph marks invited users of another tenant so; each mark may be missing (learn.microsoft.com/entra/external-id/user-properties).
function externalBy({ userPrincipalName, creationType, externalUserState }: Source): string | undefined {
  if (typeof userPrincipalName === 'string' && folded(userPrincipalName).includes('#ext#'))
    return `userPrincipalName is ${shownValue(userPrincipalName)}`;
  return creationType === 'Invitation' && typeof externalUserState === 'string' && externalUserState !== ''
    ? `creationType is "Invitation", externalUserState is ${shownValue(externalUserState)}`
    : undefined;
}

function domainOf({ mail, userPrincipalName }: Source): string | undefined {
  const address = [mail, userPrincipalName].find((text) => typeof text === 'string' && text.includes('@'));
  return typeof address === 'string' ? folded(address.slice(address.lastIndexOf('@') + 1)) : undefined;
}

/** Whether a document meets a condition. Absent, null and empty are one thing; of a list any item may meet `in` and `matches`. */
export function holds(condition: Condition, source: Source): boolean {
  return compiled(condition).meets(source);
}

type Compiled = { readonly path: ConditionPath; readonly meets: (source: Source) => boolean };

// Conditions are judged for every user of a round, so each is taken apart once.
const known = new WeakMap<Condition, Compiled>();

function compiled(condition: Condition): Compiled {
  const before = known.get(condition);
  if (before) return before;
  const path = parseConditionPath(condition.property) ?? [''];
  const made = { path, meets: compile(condition, path) };
  known.set(condition, made);
  return made;
}

function compile(condition: Condition, path: ConditionPath): Compiled['meets'] {
  const some = (test: (value: Json) => boolean) => someAt(path, test);
  if ('exists' in condition) {
    const isThere = some((value) => !isEmpty(value));
    return (source) => isThere(source) === condition.exists;
  }
  if ('matches' in condition)
    return some((value) => isText(value) && matchesGlob(foldedValue(value), condition.matches));
  const values = new Set('in' in condition ? condition.in : condition.notIn);
  const isAmong = some((value) => isText(value) && values.has(foldedValue(value)));
  return 'in' in condition ? isAmong : (source) => !isAmong(source);
}

/** Returns whether a test holds for some value at a path. Most paths are one property, and most values no list. */
function someAt(path: ConditionPath, test: (value: Json) => boolean): (source: Source) => boolean {
  const [root] = path;
  if (path.length > 1) return (source) => valuesAt(source, path).some(test);
  return (source) => {
    if (!Object.hasOwn(source, root)) return false;
    const value = source[root] ?? null;
    return Array.isArray(value) ? value.some(test) : test(value);
  };
}

function isText(value: Json): value is string | number | boolean {
  return value !== null && value !== '' && typeof value !== 'object';
}

function foldedValue(value: string | number | boolean): string {
  return folded(typeof value === 'string' ? value : String(value));
}

function isEmpty(value: Json): boolean {
  if (typeof value !== 'object' || value === null) return value === null || value === '';
  return Object.keys(value).length === 0;
}

const shownValues = 3;
const shownCharacters = 100;

function shownValue(value: Json): string {
  return JSON.stringify(value).slice(0, shownCharacters);
}

function describeValues(condition: Condition, source: Source): string {
  const values = valuesAt(source, compiled(condition).path).filter((value) => !isEmpty(value));
  if (values.length === 0) return `${condition.property} has no value`;
  const shown = values.slice(0, shownValues).map(shownValue);
  return `${condition.property} is ${shown.join(', ')}${values.length > shownValues ? ', …' : ''}`;
}

/** Returns the property that a condition reads. */
export function rootOfCondition(condition: Condition): string {
  return compiled(condition).path[0];
}

/** Returns the properties that only the scope needs, with duplicates. */
export function propertiesOfScope({ external, where }: Scope): string[] {
  return [...(external === 'exclude' ? ['creationType', 'externalUserState'] : []), ...where.map(rootOfCondition)];
}

/** The parts of a scope that differ from those before there were conditions, so that an upgrade changes no fingerprint. */
export function writtenScope(scope: Scope): unknown {
  const { userTypes, accountEnabled, groups, external, agents, domains, where, except } = scope;
  return {
    ...{ userTypes, accountEnabled, groups },
    ...(external === 'exclude' && { external }),
    ...(agents === 'include' && { agents }),
    ...(domains.length > 0 && { domains }),
    ...(where.length > 0 && { where }),
    ...(except.length > 0 && { except }),
  };
}

/**
 * Returns where each condition of `where` went, if `after` takes no user that `before` leaves out; else undefined. It may
 * call a narrower scope wider, never the other way round.
 */
export function narrowing(before: Scope, after: Scope): readonly number[] | undefined {
  const isNarrower =
    (before.userTypes === 'any' || (after.userTypes !== 'any' && isPart(after.userTypes, before.userTypes))) &&
    (before.accountEnabled === 'any' || before.accountEnabled === after.accountEnabled) &&
    (before.external === 'include' || after.external === 'exclude') &&
    (before.agents === 'include' || after.agents === 'exclude') &&
    (before.domains.length === 0 || (after.domains.length > 0 && isPart(after.domains, before.domains))) &&
    isPart(before.except, after.except) &&
    narrowsScopeGroups(before, after);
  if (!isNarrower) return undefined;
  const places = before.where.map((old) => after.where.findIndex((now) => implies(now, old)));
  return places.includes(-1) ? undefined : places;
}

/** Whether a user in some scope group of `after` is in scope by the groups of `before`. The memberships of all groups are stored. */
export function narrowsScopeGroups(before: Scope, after: Scope): boolean {
  return before.groups.length === 0 || (after.groups.length > 0 && isPart(after.groups, before.groups));
}

function isPart(some: readonly string[], of: readonly string[]): boolean {
  const all = new Set(of);
  return some.every((one) => all.has(one));
}

function implies(now: Condition, old: Condition): boolean {
  if (now.property !== old.property) return false;
  if ('in' in old) return 'in' in now && isPart(now.in, old.in);
  if ('notIn' in old) return 'notIn' in now && isPart(old.notIn, now.notIn);
  if ('matches' in old) return 'matches' in now && now.matches === old.matches;
  return 'exists' in now && now.exists === old.exists;
}

/** Returns the numbers of conditions that are others after a {@link narrowing}. */
export function movedConditions(places: readonly number[]): { readonly was: number; readonly now: number }[] {
  return places.flatMap((now, was) => (now === was ? [] : [{ was: firstOfWhere + was, now: firstOfWhere + now }]));
}
