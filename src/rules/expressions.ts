// The expressions of profile fields: parsed from the settings and evaluated over a source document.
import type { Json, Source } from './decode.ts';
import { type Path, parsePath, typeOfPath } from './graph-paths.ts';

/** A literal value in the settings. */
export type Constant = string | number | boolean | string[];

/** An expression as the settings write it. */
export type WrittenExpression =
  | string
  | { first: WrittenExpression[] }
  | { join: WrittenExpression[]; with?: string | undefined }
  | { constant: Constant }
  | { map: WrittenExpression; values: Record<string, Constant>; otherwise?: Constant | undefined }
  | { lower: WrittenExpression }
  | { trim: WrittenExpression }
  | { manager: string };

/** A parsed expression, in one canonical form; the keys of tables are sorted. */
export type Expression =
  | { readonly path: Path }
  | { readonly first: readonly Expression[] }
  | { readonly join: readonly Expression[]; readonly with: string }
  | { readonly constant: Constant }
  | { readonly map: Expression; readonly values: Readonly<Record<string, Constant>>; readonly otherwise?: Constant }
  | { readonly lower: Expression }
  | { readonly trim: Expression }
  /** A path in the document of the user's manager. It stands alone: the commit sets it, not the mapping of one user. */
  | { readonly manager: Path };

/** The type of an expression's values; `any` if unknown. */
export type ValueType = 'text' | 'text[]' | 'number' | 'boolean' | 'any';

/** Parses a checked expression; throws on an unchecked, invalid one. */
export function parseExpression(written: WrittenExpression): Expression {
  if (typeof written === 'string') {
    const path = parsePath(written);
    if (!path) throw new Error(`unchecked path ${JSON.stringify(written)}`);
    return { path };
  }
  if ('manager' in written) {
    const manager = parsePath(written.manager);
    if (!manager) throw new Error(`unchecked path ${JSON.stringify(written.manager)}`);
    return { manager };
  }
  if ('first' in written) return { first: written.first.map(parseExpression) };
  if ('join' in written) return { join: written.join.map(parseExpression), with: written.with ?? ' ' };
  if ('constant' in written) return { constant: written.constant };
  if ('lower' in written) return { lower: parseExpression(written.lower) };
  if ('trim' in written) return { trim: parseExpression(written.trim) };
  return {
    map: parseExpression(written.map),
    values: Object.fromEntries(Object.entries(written.values).sort(([one], [other]) => (one < other ? -1 : 1))),
    ...(written.otherwise !== undefined && { otherwise: written.otherwise }),
  };
}

/** Returns the properties to select for an expression, with duplicates. */
export function rootsOf(expression: Expression): string[] {
  if ('path' in expression) return [expression.path[0]];
  // Every user may be a manager.
  if ('manager' in expression) return [expression.manager[0]];
  return partsOf(expression).flatMap(rootsOf);
}

/**
 * Evaluates an expression over a source document; undefined: no value, also for a value of the manager's. Never throws.
 */
export function evaluate(expression: Expression, source: Source): Json | undefined {
  if ('path' in expression) return valueAt(source, expression.path);
  if ('manager' in expression) return undefined;
  if ('constant' in expression) return expression.constant;
  if ('first' in expression) return firstValue(expression.first, source);
  if ('join' in expression) {
    const texts = expression.join.flatMap((part) => textsOf(evaluate(part, source)));
    return texts.length > 0 ? texts.join(expression.with) : undefined;
  }
  if ('map' in expression) {
    const [text, ...more] = textsOf(evaluate(expression.map, source));
    if (text === undefined || more.length > 0) return undefined;
    return Object.hasOwn(expression.values, text) ? expression.values[text] : expression.otherwise;
  }
  if ('lower' in expression) return onTexts(evaluate(expression.lower, source), (text) => text.toLowerCase());
  return onTexts(evaluate(expression.trim, source), (text) => text.trim());
}

/** Returns the type of an expression's values, from the catalogue of properties and the expression itself. */
export function valueTypeOf(expression: Expression): ValueType {
  if ('path' in expression) return typeOfProperty[typeOfPath(expression.path)];
  if ('manager' in expression) return typeOfProperty[typeOfPath(expression.manager)];
  if ('constant' in expression) return typeOfConstant(expression.constant);
  if ('join' in expression) return 'text';
  if ('first' in expression) return commonType(expression.first.map(valueTypeOf));
  if ('lower' in expression) return valueTypeOf(expression.lower);
  if ('trim' in expression) return valueTypeOf(expression.trim);
  const outcomes = Object.values(expression.values);
  if (expression.otherwise !== undefined) outcomes.push(expression.otherwise);
  return commonType(outcomes.map(typeOfConstant));
}

const typeOfProperty = {
  string: 'text',
  'string[]': 'text[]',
  number: 'number',
  boolean: 'boolean',
  object: 'any',
  'object[]': 'any',
  any: 'any',
} as const;

function typeOfConstant(value: Constant): ValueType {
  if (typeof value === 'string') return 'text';
  if (Array.isArray(value)) return 'text[]';
  return typeof value === 'number' ? 'number' : 'boolean';
}

function commonType(types: readonly ValueType[]): ValueType {
  const [type = 'any', ...others] = new Set(types);
  return others.length === 0 ? type : 'any';
}

function partsOf(expression: Exclude<Expression, { path: Path } | { manager: Path }>): readonly Expression[] {
  if ('first' in expression) return expression.first;
  if ('join' in expression) return expression.join;
  if ('map' in expression) return [expression.map];
  if ('lower' in expression) return [expression.lower];
  return 'trim' in expression ? [expression.trim] : [];
}

/** Returns the value at a path; undefined: none. Own properties only: "constructor" is not one. */
export function valueAt(source: Source, path: Path): Json | undefined {
  let value: Json | undefined = source as { [property: string]: Json };
  for (const step of path) {
    if (typeof value !== 'object' || value === null) return undefined;
    if (typeof step === 'number') value = Array.isArray(value) ? value[step] : undefined;
    else value = !Array.isArray(value) && Object.hasOwn(value, step) ? value[step] : undefined;
  }
  return value ?? undefined;
}

function firstValue(parts: readonly Expression[], source: Source): Json | undefined {
  for (const part of parts) {
    const value = evaluate(part, source);
    if (value !== undefined && value !== '' && !(Array.isArray(value) && value.length === 0)) return value;
  }
  return undefined;
}

/** Returns the texts of a value: one per item of a list, none for an object or an empty text. */
function textsOf(value: Json | undefined): string[] {
  if (Array.isArray(value)) return value.flatMap((item) => (Array.isArray(item) ? [] : textsOf(item)));
  if (typeof value === 'number' || typeof value === 'boolean') return [String(value)];
  return typeof value === 'string' && value !== '' ? [value] : [];
}

function onTexts(value: Json | undefined, change: (text: string) => string): Json | undefined {
  if (typeof value === 'string') return change(value);
  if (Array.isArray(value)) return value.map((item) => (typeof item === 'string' ? change(item) : item));
  return value;
}
