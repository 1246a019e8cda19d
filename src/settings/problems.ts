// Finds every problem of a settings document at once and suggests the nearest valid names.
import type { z } from 'zod';
import { didYouMean } from '../rules/graph-paths.ts';
import { nearestName } from '../rules/graph-properties.ts';
import { lengthProblems, whereProblems } from './conditions.ts';
import { expressionProblems } from './expressions.ts';
import { mustBeWords } from './field-schema.ts';
import { isWords, knownKeys } from './known-keys.ts';
import { type Mistake, placeText } from './lines.ts';
import { problemsOfManagers } from './managers.ts';
import { type documentSchema, type installationSchema, type partialSchema, roleSettings } from './schema.ts';

/** Checks a document by itself: returns every problem, or the parsed document. */
export function checkShape(
  document: unknown,
  schema: typeof documentSchema | typeof partialSchema | typeof installationSchema,
): { readonly problems: readonly Mistake[] } | { readonly document: z.infer<typeof partialSchema> } {
  const ofTexts = textProblems(document, []);
  if (ofTexts.length > 0) return { problems: ofTexts };
  const scope = recordAt(document, 'scope');
  const ofScope = [...whereProblems(scope.where), ...lengthProblems(scope)];
  const ofFields = [...fieldProblems(document), ...ofScope];
  const checked = ofScope.length > 0 ? withoutConditions(document, scope) : document;
  const parsed = schema.safeParse(withoutExpressions(checked, ofFields.length > 0), { reportInput: true });
  const problems = [...(parsed.success ? [] : describeIssues(parsed.error.issues)), ...ofFields];
  return parsed.success && problems.length === 0 ? { document: parsed.data } : { problems };
}

/** Returns a problem for each field that `document` takes out although no layer `below` has it. */
export function problemsOfRemovals(document: unknown, below: unknown): Mistake[] {
  const known = Object.keys(recordAt(below, 'fields'));
  return Object.entries(recordAt(document, 'fields')).flatMap(([name, one]) =>
    one === null && !known.includes(name)
      ? [
          mistake(
            ['fields', name],
            `fields.${name}: there is no such field to take out${didYouMean(nearestName(name, known))}`,
          ),
        ]
      : [],
  );
}

/** Returns the problems of merged layers as a whole. Accepts any document, also an invalid one. */
export function problemsOfWhole(document: unknown): Mistake[] {
  const fields = Object.entries(recordAt(document, 'fields')).filter(([, one]) => one !== null);
  const names = fields.map(([name]) => name);
  const missing = fields.flatMap(([name, one]) =>
    isRecord(one) && !Object.hasOwn(one, 'from') && one.owner !== 'user'
      ? [
          mistake(
            ['fields', name],
            `fields.${name} has no from: say where it comes from, or "owner: user" when it is not in the directory`,
          ),
        ]
      : [],
  );
  const editable = recordAt(document, 'manual').editable;
  const unknown = (Array.isArray(editable) ? editable : []).flatMap((name, index) =>
    typeof name === 'string' && !names.includes(name)
      ? [
          mistake(
            ['manual', 'editable', index],
            `manual.editable: there is no field ${JSON.stringify(name)}${didYouMean(nearestName(name, names))}`,
          ),
        ]
      : [],
  );
  const ofManagers = problemsOfManagers(isRecord(document) ? document.managers : undefined, fields);
  return [...missing, ...unknown, ...ofManagers];
}

/** Whether a value is an object and not a list. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function recordAt(document: unknown, key: string): Record<string, unknown> {
  const value = isRecord(document) && Object.hasOwn(document, key) ? document[key] : undefined;
  return isRecord(value) ? value : {};
}

function mistake(path: Mistake['path'], text: string): Mistake {
  return { path, text };
}

function fieldProblems(document: unknown): Mistake[] {
  return Object.entries(recordAt(document, 'fields')).flatMap(([name, one]) => {
    // zod ignores this one key.
    if (name === '__proto__') return [mistake(['fields', name], noFieldName(`fields.${name}`))];
    return isRecord(one) && Object.hasOwn(one, 'from') ? expressionProblems(one.from, ['fields', name, 'from']) : [];
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
function textProblems(value: unknown, path: readonly PropertyKey[]): Mistake[] {
  if (typeof value === 'string') {
    const place = placeText(path) || 'the file';
    if (value.includes('\0')) return [mistake(path, `${place} holds a NUL character`)];
    return value.isWellFormed() ? [] : [mistake(path, `${place} holds half a surrogate pair`)];
  }
  if (Array.isArray(value)) return value.flatMap((item, index) => textProblems(item, [...path, index]));
  if (!isRecord(value)) return [];
  return Object.entries(value).flatMap(([key, item]) => [
    ...textProblems(key, path),
    ...textProblems(item, [...path, key]),
  ]);
}

function describeIssues(issues: readonly z.core.$ZodIssue[]): Mistake[] {
  const isBound = (issue: z.core.$ZodIssue) => issue.code === 'too_big' || issue.code === 'too_small';
  // A number beyond the safe integers is beyond its own bound too, which says more.
  const told = issues.filter(
    (issue) =>
      !(isBound(issue) && issue.origin === 'int') ||
      !issues.some((other) => other !== issue && isBound(other) && placeText(other.path) === placeText(issue.path)),
  );
  return told.flatMap(describeIssue);
}

function describeIssue(issue: z.core.$ZodIssue): Mistake[] {
  const place = placeText(issue.path);
  if (issue.code === 'unrecognized_keys')
    return issue.keys.map((key) => mistake([...issue.path, key], unknownKey(issue.path, key)));
  if (issue.code === 'invalid_union') return describeUnion(issue, place);
  return [mistake(issue.path, textOf(issue, place))];
}

function unknownKey(path: readonly PropertyKey[], key: string): string {
  if (path.length === 0 && ['credential', 'help', ...roleSettings].includes(key))
    return `${key} is a setting for a single tenant: entra-sync tenant set TENANT FILE`;
  const known = knownKeys(path.map(String));
  const near = didYouMean(nearestName(key, known));
  const where = path.length > 0 ? ` in ${placeText(path)}` : '';
  return `there is no setting ${JSON.stringify(key)}${where}${near || ` (there are ${known.join(', ')})`}`;
}

/** The texts of the checker itself are never shown: only those that settings/schema.ts gives it. */
function textOf(issue: z.core.$ZodIssue, place: string): string {
  const what = place || 'the file';
  switch (issue.code) {
    case 'invalid_key':
      return noFieldName(place);
    case 'invalid_type': {
      if (isWords(issue.path)) return `${place} must ${mustBeWords}`;
      const unit = Number.isInteger(issue.input) ? units[place] : undefined;
      if (unit) return `${place}: ${issue.input} has no unit: write one, as in ${issue.input}${unit}`;
      return `${what} must be ${article(issue.expected)}`;
    }
    case 'too_big':
    case 'too_small':
      return `${what} must be ${boundOf(issue)}`;
    case 'invalid_value':
      return `${what} must be ${oneOf(issue.values, issue.input)}`;
    case 'custom':
      return place ? `${place}: ${issue.message}` : issue.message;
    case 'invalid_format':
      // Reads on after the place: `allowRoles[0] is not a name`.
      return issue.message.startsWith('is ') ? `${what} ${issue.message}` : `${what} is not written as it must be`;
    default:
      return `${what} is not valid`;
  }
}

function boundOf(issue: z.core.$ZodIssueTooBig | z.core.$ZodIssueTooSmall): string {
  const isMost = issue.code === 'too_big';
  const bound = Number(isMost ? issue.maximum : issue.minimum);
  if (!isMost && issue.origin === 'array') return 'a list of one or more';
  if (!isMost && issue.origin === 'string' && bound === 1) return 'one character or more';
  const number = `${isMost ? 'at most' : 'at least'} ${bound.toLocaleString('en-US')}`;
  if (issue.origin === 'int') return 'a whole number of at most 15 digits';
  if (issue.origin === 'number') return number;
  return `${number} ${issue.origin === 'string' ? 'characters long' : 'entries'}`;
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
  'managedBy.people': {
    must: 'everyone, or the object id of a group',
    words: { everyone: 'everyone', all: 'everyone', any: 'everyone' },
  },
  'credential.secret': { must: whereSecretIs(), words: {} },
  'credential.certificate.password': { must: whereSecretIs(), words: {} },
};

function whereSecretIs(): string {
  return '{ env: NAME } or { file: /PATH }, never the secret itself';
}

function describeUnion(issue: z.core.$ZodIssueInvalidUnion, place: string): Mistake[] {
  // For a list with invalid items, report the items.
  const items = issue.errors.find((branch) => branch.length > 0 && branch.every((one) => one.path.length > 0));
  if (items) return items.flatMap((one) => describeIssue({ ...one, path: [...issue.path, ...one.path] }));
  const { must, words } = unions[place.replace(/\[\d+\]/g, '')] ?? { must: 'something else', words: {} };
  const near = typeof issue.input === 'string' ? nearestName(issue.input, Object.keys(words)) : undefined;
  return [mistake(issue.path, `${place} must be ${must}${didYouMean(near === undefined ? undefined : words[near])}`)];
}

function oneOf(values: readonly unknown[], input: unknown): string {
  const names = values.map(String);
  const last = names.pop();
  const near = typeof input === 'string' ? didYouMean(nearestName(input, values.map(String))) : '';
  return `${names.length > 0 ? `${names.join(', ')} or ${last}` : last}${near}`;
}

const articles: Readonly<Record<string, string>> = {
  record: 'a mapping',
  object: 'a mapping',
  array: 'a list',
  int: 'a whole number',
  string: 'a text',
  boolean: 'true or false',
};

function article(type: string): string {
  return articles[type] ?? `a ${type}`;
}
