// The fields of the settings: from a document to the fields in force, and what a release adds to stored ones.
import { isDeepStrictEqual } from 'node:util';
import type { z } from 'zod';
import { parseExpression, type ValueType, valueTypeOf } from '../rules/expressions.ts';
import { type Field, type FieldLook, roles, type Words } from '../rules/ownership.ts';
import { expressionProblems } from './expressions.ts';
import type { fieldSchema } from './field-schema.ts';
import type { Mistake } from './lines.ts';
import type { SettingsDocument } from './schema.ts';

type Written = z.infer<typeof fieldSchema>;

/** Returns the fields of a complete, checked document, sorted by name. */
export function fieldsOf(document: SettingsDocument): Field[] {
  return Object.entries(document.fields ?? {})
    .flatMap(([name, one]): Field[] => (one ? [fieldOf(name, one)] : []))
    .sort((one, other) => (one.field < other.field ? -1 : 1));
}

function fieldOf(field: string, one: Written): Field {
  return {
    field,
    from: one.from === undefined ? null : parseExpression(one.from),
    owner: one.owner ?? 'directory',
    editableBy: roles.filter((role) => (one.editableBy ?? roles).includes(role)),
    ...(typeof one.max === 'number' && { max: one.max }),
    ...(typeof one.pattern === 'string' && { pattern: one.pattern }),
    look: lookOf(one),
  };
}

function lookOf({ label, help, kind, order, private: isPrivate, shown }: Written): FieldLook {
  return {
    label: wordsOf(label),
    help: wordsOf(help),
    kind: kind ?? null,
    order: order ?? null,
    private: isPrivate ?? false,
    shown: shown ?? true,
  };
}

const wordsOf = (words: Words | null | undefined) => (words && Object.keys(words).length > 0 ? words : null);

/** The keys of a field that say how it is shown: a release may add them to a stored field. */
const looks = ['label', 'help', 'kind', 'order', 'private', 'shown'] as const;

/**
 * Returns the defaults that lie below stored documents. A stored list of fields is complete, so that a release adds no
 * field; to a stored field that comes from the same property it adds how the field is shown.
 */
export function belowStored(defaults: SettingsDocument, stored: readonly SettingsDocument[]): SettingsDocument {
  const [installation] = stored;
  if (!installation) return defaults;
  const fields = Object.entries(installation.fields ?? {}).flatMap(([name, one]) => {
    const shipped = Object.hasOwn(defaults.fields ?? {}, name) ? defaults.fields?.[name] : undefined;
    if (!one || !shipped || !isDeepStrictEqual(one.from, shipped.from)) return [];
    return [[name, Object.fromEntries(looks.flatMap((key) => (key in shipped ? [[key, shipped[key]]] : [])))]];
  });
  return { ...defaults, fields: Object.fromEntries(fields) };
}

/**
 * Returns a problem for each field of which `document` says a kind that its values, by the layers `merged` with it, do not
 * have. Accepts any document, also an invalid one.
 */
export function kindProblems(document: readonly [string, unknown][], merged: ReadonlyMap<string, unknown>): Mistake[] {
  return document.flatMap(([name, written]) => {
    const kind = keyOf(written, 'kind');
    const from = keyOf(merged.get(name), 'from');
    if (typeof kind !== 'string' || from === undefined || expressionProblems(from, []).length > 0) return [];
    const type = valueTypeOf(parseExpression(from as Parameters<typeof parseExpression>[0]));
    const path = ['fields', name, 'kind'];
    if (type === 'text[]' && kind !== 'list')
      return [{ path, text: `fields.${name}.kind: the field holds a list: write list, or take one of it in from` }];
    return kind === 'list' && isSingle(type)
      ? [{ path, text: `fields.${name}.kind: the field holds one value, and no list: write text, tel, url or mail` }]
      : [];
  });
}

const isSingle = (type: ValueType) => type !== 'text[]' && type !== 'any';

function keyOf(value: unknown, key: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, key)
    ? (value as Record<string, unknown>)[key]
    : undefined;
}
