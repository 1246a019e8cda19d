// Finds every problem of a settings document at once and suggests the nearest valid names.
import type { z } from 'zod';
import { didYouMean } from '../rules/graph-paths.ts';
import { nearestName } from '../rules/graph-properties.ts';
import { lengthProblems, whereProblems } from './conditions.ts';
import { expressionProblems } from './expressions.ts';
import {
  certificateSchema,
  credentialSchema,
  documentSchema,
  fieldSchema,
  type installationSchema,
  manualSchema,
  type partialSchema,
  scopeSchema,
} from './schema.ts';

/** Checks a document by itself: returns every problem, or the parsed document. */
export function checkShape(
  document: unknown,
  schema: typeof documentSchema | typeof partialSchema | typeof installationSchema,
): { readonly problems: readonly string[] } | { readonly document: z.infer<typeof partialSchema> } {
  const ofTexts = textProblems(document, '');
  if (ofTexts.length > 0) return { problems: ofTexts };
  const scope = recordAt(document, 'scope');
  const ofScope = [...whereProblems(scope.where), ...lengthProblems(scope)];
  const ofFields = [...fieldProblems(document), ...ofScope];
  const checked = ofScope.length > 0 ? withoutConditions(document, scope) : document;
  const parsed = schema.safeParse(withoutExpressions(checked, ofFields.length > 0), { reportInput: true });
  const problems = [...(parsed.success ? [] : parsed.error.issues.flatMap(describeIssue)), ...ofFields];
  return parsed.success && problems.length === 0 ? { document: parsed.data } : { problems };
}

/** Returns a problem for each field that `document` takes out although no layer `below` has it. */
export function problemsOfRemovals(document: unknown, below: unknown): string[] {
  const known = Object.keys(recordAt(below, 'fields'));
  return Object.entries(recordAt(document, 'fields')).flatMap(([name, one]) =>
    one === null && !known.includes(name)
      ? [`fields.${name}: there is no such field to take out${didYouMean(nearestName(name, known))}`]
      : [],
  );
}

/** Returns the problems of merged layers as a whole. Accepts any document, also an invalid one. */
export function problemsOfWhole(document: unknown): string[] {
  const fields = Object.entries(recordAt(document, 'fields')).filter(([, one]) => one !== null);
  const names = fields.map(([name]) => name);
  const missing = fields.flatMap(([name, one]) =>
    isRecord(one) && !Object.hasOwn(one, 'from') && one.owner !== 'user'
      ? [`fields.${name} has no from: say where it comes from, or "owner: user" when it is not in the directory`]
      : [],
  );
  const editable = recordAt(document, 'manual').editable;
  const unknown = (Array.isArray(editable) ? editable : []).flatMap((name) =>
    typeof name === 'string' && !names.includes(name)
      ? [`manual.editable: there is no field ${JSON.stringify(name)}${didYouMean(nearestName(name, names))}`]
      : [],
  );
  return [...missing, ...unknown];
}

/** Whether a value is an object and not a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function recordAt(document: unknown, key: string): Record<string, unknown> {
  const value = isRecord(document) && Object.hasOwn(document, key) ? document[key] : undefined;
  return isRecord(value) ? value : {};
}

function fieldProblems(document: unknown): string[] {
  return Object.entries(recordAt(document, 'fields')).flatMap(([name, one]) => {
    // zod ignores this one key.
    if (name === '__proto__') return [noFieldName(`fields.${name}`)];
    return isRecord(one) && Object.hasOwn(one, 'from') ? expressionProblems(one.from, `fields.${name}.from`) : [];
  });
}

// Invalid expressions are already described; zod would repeat them less clearly.
function withoutExpressions(document: unknown, wrong: boolean): unknown {
  if (!wrong || !isRecord(document)) return document;
  const fields = Object.entries(recordAt(document, 'fields')).map(([name, one]) =>
    isRecord(one) && Object.hasOwn(one, 'from') ? [name, { ...one, from: 'mail' }] : [name, one],
  );
  return { ...document, fields: Object.fromEntries(fields) };
}

// Likewise.
function withoutConditions(document: unknown, scope: Record<string, unknown>): unknown {
  return isRecord(document) ? { ...document, scope: { ...scope, where: [] } } : document;
}

// Postgres accepts neither in jsonb, so a constant with one of them would fail every page.
function textProblems(value: unknown, place: string): string[] {
  if (typeof value === 'string') {
    if (value.includes('\0')) return [`${place || 'the file'} holds a NUL character`];
    return value.isWellFormed() ? [] : [`${place || 'the file'} holds half a surrogate pair`];
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => textProblems(item, inside(place, String(index))));
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => [
    ...textProblems(key, place),
    ...textProblems(item, inside(place, key)),
  ]);
}

function inside(place: string, key: string): string {
  return place ? `${place}.${key}` : key;
}

function describeIssue(issue: z.core.$ZodIssue): string[] {
  const place = issue.path.join('.');
  if (issue.code === 'unrecognized_keys') {
    const known = knownKeys(issue.path.map(String));
    return issue.keys.map((key) => {
      if (!place && key === 'credential')
        return 'credential is a setting for a single tenant: entra-sync tenant set TENANT FILE';
      const near = didYouMean(nearestName(key, known));
      const where = place ? ` in ${place}` : '';
      return `there is no setting ${JSON.stringify(key)}${where}${near || ` (there are ${known.join(', ')})`}`;
    });
  }
  if (issue.code === 'invalid_key') return [noFieldName(place)];
  if (issue.code === 'invalid_type') {
    const unit = Number.isInteger(issue.input) ? units[place] : undefined;
    if (unit) return [`${place}: ${issue.input} has no unit: write one, as in ${issue.input}${unit}`];
    return [`${place || 'the file'} must be ${article(issue.expected)}`];
  }
  if (issue.code === 'too_big' && issue.origin === 'number') return [`${place} must be at most ${issue.maximum}`];
  if (issue.code === 'too_small' && issue.origin === 'number') return [`${place} must be at least ${issue.minimum}`];
  if (issue.code === 'too_small' && issue.origin === 'array') return [`${place} must be a list of one or more`];
  if (issue.code === 'invalid_value') return [`${place} must be ${oneOf(issue.values, issue.input)}`];
  if (issue.code === 'invalid_union') return describeUnion(issue, place);
  return [place ? `${place}: ${issue.message}` : issue.message];
}

function noFieldName(place: string): string {
  return `${place} is not a field name: use letters, digits and _, at most 63`;
}

// The unit that a number without one most likely has.
const units: Readonly<Record<string, string>> = {
  interval: 'm',
  fullEvery: 'd',
  retention: 'd',
  'changes.retention': 'd',
  'cycles.retention': 'd',
};

type Union = {
  readonly must: string;
  /** Words that a person may write, each with the valid one. */
  readonly words: Readonly<Record<string, string>>;
};

const unions: Readonly<Record<string, Union>> = {
  'scope.userType': {
    must: 'any, or a list of Member and Guest',
    words: { any: 'any', all: 'any', both: 'any', Member: '[Member]', Guest: '[Guest]' },
  },
  'scope.accountEnabled': {
    must: 'any, true or false',
    words: {
      any: 'any',
      both: 'any',
      true: 'true',
      yes: 'true',
      on: 'true',
      false: 'false',
      no: 'false',
      off: 'false',
    },
  },
  'manual.editable': {
    must: 'all, or a list of fields',
    words: { all: 'all', any: 'all', everything: 'all', none: '[]', nothing: '[]' },
  },
  'credential.secret': { must: whereSecretIs(), words: {} },
  'credential.certificate.password': { must: whereSecretIs(), words: {} },
};

function whereSecretIs(): string {
  return '{ env: NAME } or { file: /PATH }, never the secret itself';
}

function describeUnion(issue: z.core.$ZodIssueInvalidUnion, place: string): string[] {
  // For a list with invalid items, report the items.
  const items = issue.errors.find((branch) => branch.length > 0 && branch.every((one) => one.path.length > 0));
  if (items) return items.flatMap((one) => describeIssue({ ...one, path: [...issue.path, ...one.path] }));
  const { must, words } = unions[place] ?? { must: 'something else', words: {} };
  const near = typeof issue.input === 'string' ? nearestName(issue.input, Object.keys(words)) : undefined;
  return [`${place} must be ${must}${didYouMean(near === undefined ? undefined : words[near])}`];
}

function oneOf(values: readonly unknown[], input: unknown): string {
  const names = values.map(String);
  const last = names.pop();
  const near = typeof input === 'string' ? didYouMean(nearestName(input, values.map(String))) : '';
  return `${names.length > 0 ? `${names.join(', ')} or ${last}` : last}${near}`;
}

function knownKeys(path: readonly string[]): string[] {
  const [first, second] = path;
  if (first === undefined) return Object.keys(documentSchema.shape);
  if (first === 'fields') return Object.keys(fieldSchema.shape);
  if (first === 'scope') return Object.keys(scopeSchema.shape);
  if (first === 'credential') return Object.keys((second === undefined ? credentialSchema : certificateSchema).shape);
  if (first === 'manual') return Object.keys(manualSchema.shape);
  return ['retention'];
}

function article(type: string): string {
  return type === 'record' || type === 'object' ? 'a mapping' : type === 'array' ? 'a list' : `a ${type}`;
}
