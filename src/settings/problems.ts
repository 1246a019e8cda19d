// What is wrong with a settings document: all of it at once, with the nearest right names.
import type { z } from 'zod';
import { didYouMean } from '../rules/graph-paths.ts';
import { nearestName } from '../rules/graph-properties.ts';
import { expressionProblems } from './expressions.ts';
import { documentSchema, fieldSchema, manualSchema, type partialSchema, scopeSchema } from './schema.ts';

/** Every problem of a document by itself, or the document as the schema gives it. */
export function checkShape(
  document: unknown,
  schema: typeof documentSchema | typeof partialSchema,
): { readonly problems: readonly string[] } | { readonly document: z.infer<typeof partialSchema> } {
  const ofTexts = textProblems(document, '');
  if (ofTexts.length > 0) return { problems: ofTexts };
  const ofFields = fieldProblems(document);
  const parsed = schema.safeParse(withoutExpressions(document, ofFields.length > 0), { reportInput: true });
  const problems = [...(parsed.success ? [] : parsed.error.issues.flatMap(describeIssue)), ...ofFields];
  return parsed.success && problems.length === 0 ? { document: parsed.data } : { problems };
}

/** What is wrong with merged layers as a whole, each by itself in order; takes any document, in order or not. */
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

/** Something that can be indexed by name, or not. */
export function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function recordAt(document: unknown, key: string): Record<string, unknown> {
  const value = isRecord(document) && Object.hasOwn(document, key) ? document[key] : undefined;
  return isRecord(value) ? value : {};
}

function fieldProblems(document: unknown): string[] {
  return Object.entries(recordAt(document, 'fields')).flatMap(([name, one]) => {
    // zod passes over this one key in silence.
    if (name === '__proto__') return [noFieldName(`fields.${name}`)];
    return isRecord(one) && Object.hasOwn(one, 'from') ? expressionProblems(one.from, `fields.${name}.from`) : [];
  });
}

// Expressions that are wrong were described already; of a union zod tells only that nothing of it fits, however deep.
function withoutExpressions(document: unknown, wrong: boolean): unknown {
  if (!wrong || !isRecord(document)) return document;
  const fields = Object.entries(recordAt(document, 'fields')).map(([name, one]) =>
    isRecord(one) && Object.hasOwn(one, 'from') ? [name, { ...one, from: 'mail' }] : [name, one],
  );
  return { ...document, fields: Object.fromEntries(fields) };
}

// Postgres takes neither in jsonb, and a constant with one of them would fail every page.
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
      const near = didYouMean(nearestName(key, known));
      const where = place ? ` in ${place}` : '';
      return `there is no setting ${JSON.stringify(key)}${where}${near || ` (there are ${known.join(', ')})`}`;
    });
  }
  if (issue.code === 'invalid_key') return [noFieldName(place)];
  if (issue.code === 'invalid_type') return [`${place || 'the file'} must be ${article(issue.expected)}`];
  if (issue.code === 'invalid_value') return [`${place} must be ${oneOf(issue.values, issue.input)}`];
  if (issue.code === 'invalid_union') return [`${place} must be ${unions[place] ?? 'something else'}`];
  return [place ? `${place}: ${issue.message}` : issue.message];
}

function noFieldName(place: string): string {
  return `${place} is no name for a field: letters, digits and _ only, 63 at most`;
}

const unions: Readonly<Record<string, string>> = {
  'scope.userType': 'any, or a list of Member and Guest',
  'scope.accountEnabled': 'any, true or false',
  'manual.editable': 'all, or a list of fields',
};

function oneOf(values: readonly unknown[], input: unknown): string {
  const names = values.map(String);
  const last = names.pop();
  const near = typeof input === 'string' ? didYouMean(nearestName(input, values.map(String))) : '';
  return `${names.length > 0 ? `${names.join(', ')} or ${last}` : last}${near}`;
}

function knownKeys(path: readonly string[]): string[] {
  const [first] = path;
  if (first === undefined) return Object.keys(documentSchema.shape);
  if (first === 'fields') return Object.keys(fieldSchema.shape);
  if (first === 'scope') return Object.keys(scopeSchema.shape);
  if (first === 'manual') return Object.keys(manualSchema.shape);
  return ['retention'];
}

function article(type: string): string {
  return type === 'record' || type === 'object' ? 'a mapping' : type === 'array' ? 'a list' : `a ${type}`;
}
