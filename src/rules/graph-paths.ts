// Parses paths into a Graph user, like businessPhones[0] or employeeOrgData.division, and checks that they exist.
import type { Json, Source } from './decode.ts';
import { nearestName, type PropertyType, propertyOf, userProperties } from './graph-properties.ts';

/** A property of the user, then names within objects and positions (from 0) within lists. */
export type Path = readonly [string, ...(string | number)[]];

/** A path of a condition, where `*` stands for every item of a list. */
export type ConditionPath = readonly [string, ...(string | number)[]];

/** The parts of the objects that a user holds. */
const partsOfObjects: { readonly [property: string]: { readonly [part: string]: PropertyType } } = {
  assignedLicenses: { disabledPlans: 'string[]', skuId: 'string' },
  assignedPlans: { assignedDateTime: 'string', capabilityStatus: 'string', service: 'string', servicePlanId: 'string' },
  employeeOrgData: { costCenter: 'string', division: 'string' },
  identities: { issuer: 'string', issuerAssignedId: 'string', signInType: 'string' },
  onPremisesExtensionAttributes: Object.fromEntries(
    Array.from({ length: 15 }, (_, index) => [`extensionAttribute${index + 1}`, 'string'] as const),
  ),
  onPremisesProvisioningErrors: {
    category: 'string',
    occurredDateTime: 'string',
    propertyCausingError: 'string',
    value: 'string',
  },
  provisionedPlans: { capabilityStatus: 'string', provisioningStatus: 'string', service: 'string' },
  serviceProvisioningErrors: { createdDateTime: 'string', isResolved: 'boolean', serviceInstance: 'string' },
};

/** Parses a path; undefined if the syntax is invalid. Does not check that Graph has it. */
export function parsePath(text: string): Path | undefined {
  if (!/^[A-Za-z_]\w*(\.[A-Za-z_]\w*|\[(0|[1-9]\d{0,3})\])*$/.test(text)) return undefined;
  const [root = '', ...steps] = text.match(/\w+/g) ?? [];
  const isPlace = (step: string) => /^\d/.test(step);
  return [root, ...steps.map((step) => (isPlace(step) ? Number(step) : step))];
}

/** Parses a path that may have `[*]`: every item of a list. */
export function parseConditionPath(text: string): ConditionPath | undefined {
  const plain = text.replaceAll('[*]', '');
  if (plain.includes('*') || parsePath(plain) === undefined) return undefined;
  const [root = '', ...steps] = text.match(/\w+|\*/g) ?? [];
  return [root, ...steps.map((step) => (/^\d/.test(step) ? Number(step) : step))];
}

/** Returns the values at a path, of lists their items. Own properties only: "constructor" is not one. */
export function valuesAt(source: Source, path: ConditionPath): Json[] {
  let values: Json[] = [source as { [property: string]: Json }];
  for (const step of path) values = values.flatMap((value) => inValue(value, step));
  return values.flatMap((value) => (Array.isArray(value) ? value : [value]));
}

function inValue(value: Json, step: string | number): Json[] {
  if (typeof value !== 'object' || value === null) return [];
  if (Array.isArray(value)) return step === '*' ? value : typeof step === 'number' ? value.slice(step, step + 1) : [];
  return typeof step === 'string' && Object.hasOwn(value, step) ? [value[step] ?? null] : [];
}

/** Returns a path as the settings write it. */
export function pathText([root, ...steps]: Path): string {
  return root + steps.map((step) => (typeof step === 'number' || step === '*' ? `[${step}]` : `.${step}`)).join('');
}

/** Returns the type of the value at a path; `any` if the catalogue does not have it. */
export function typeOfPath(path: Path): PropertyType {
  const walked = walk(path);
  return 'type' in walked ? walked.type : 'any';
}

/** Returns why a profile field cannot come from the path `text`; undefined if it can. */
export function pathProblem(text: string): string | undefined {
  return problemOf(text, parsePath);
}

/** Returns why a condition of the scope cannot name the path `text`. `isCompared`: its values are compared with texts. */
export function conditionProblem(text: string, isCompared: boolean): string | undefined {
  const problem = problemOf(text, parseConditionPath);
  const path = parseConditionPath(text);
  if (problem || !path || !isCompared) return problem;
  const type = typeOfPath(path);
  const whole = `${text} is ${type === 'object' ? 'an object' : 'a list of objects'}`;
  const example = type === 'object' ? `${text}.` : `${text}[*].`;
  return type === 'object' || type === 'object[]'
    ? `${whole}: name a part of it (${example}${Object.keys(partsOfObjects[path[0]] ?? { name: '' })[0]}), or use exists`
    : undefined;
}

function problemOf(text: string, parse: (text: string) => Path | undefined): string | undefined {
  const root = /^[^.[]*/.exec(text)?.[0] ?? '';
  if (root === 'id') return 'the id of a user is entra_object_id of directory.accounts, not a field';
  const property = propertyOf(root);
  if (!property) {
    return `a Graph user has no property ${JSON.stringify(root)}${didYouMean(nearestName(root, propertyNames()))}`;
  }
  if (!property.trackable) return `${root} cannot be synced by delta: ${property.why}`;
  const path = parse(text);
  if (!path)
    return `${JSON.stringify(text)} is not a path: write it like businessPhones[0] or employeeOrgData.division`;
  const walked = walk(path);
  return 'problem' in walked ? walked.problem : undefined;
}

/** Returns `, did you mean NAME?`, or an empty text without a name. */
export function didYouMean(near: string | undefined): string {
  return near === undefined ? '' : `, did you mean ${near}?`;
}

function propertyNames(): string[] {
  // The first of equally near names wins, so names that can be mapped come first.
  const names = Object.keys(userProperties);
  return [
    ...names.filter((name) => userProperties[name]?.trackable),
    ...names.filter((name) => !userProperties[name]?.trackable),
  ];
}

function walk([root, ...steps]: Path): { readonly type: PropertyType } | { readonly problem: string } {
  let type: PropertyType = propertyOf(root)?.type ?? 'any';
  let before: Path = [root];
  for (const step of steps) {
    const next = typeof step === 'number' || step === '*' ? itemOf(type, before) : partOf(type, before, step);
    if (typeof next !== 'string') return next;
    type = next;
    before = [...before, step];
  }
  return { type };
}

function itemOf(type: PropertyType, path: Path): PropertyType | { readonly problem: string } {
  if (type === 'any') return 'any';
  if (type === 'string[]') return 'string';
  if (type === 'object[]') return 'object';
  return { problem: `${pathText(path)} is not a list, so it has no numbered items` };
}

function partOf(type: PropertyType, path: Path, part: string): PropertyType | { readonly problem: string } {
  const written = pathText(path);
  if (type === 'object[]' || type === 'string[]') {
    return { problem: `${written} is a list: name the position in it, like ${written}[0]` };
  }
  if (type !== 'object') return { problem: `${written} has no parts, so there is no ${JSON.stringify(part)} in it` };
  const parts = partsOfObjects[path[0]] ?? {};
  if (Object.hasOwn(parts, part)) return parts[part] ?? 'any';
  const names = Object.keys(parts);
  const near = didYouMean(nearestName(part, names));
  return { problem: `${written} has no ${JSON.stringify(part)}${near || ` (there are ${names.join(', ')})`}` };
}
