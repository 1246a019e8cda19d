// Who owns a profile field and who may edit it, as the settings make it.
import { type Expression, type ValueType, valueTypeOf } from './expressions.ts';
import { pathText } from './graph-paths.ts';
import type { MappedField } from './mapping.ts';

export const roles = ['user', 'manager'] as const;
export const owners = ['directory', 'user'] as const;
export const sourcesOfTruth = ['directory', 'user', 'hybrid'] as const;

export type Role = (typeof roles)[number];
export type Owner = (typeof owners)[number];
export type SourceOfTruth = (typeof sourcesOfTruth)[number];

/** A profile field as the settings define it: `owner` counts where the source of truth is hybrid. */
export type Field = MappedField & { readonly owner: Owner; readonly editableBy: readonly Role[] };

/** What of a manual account can be edited, and by whom. */
export type ManualEditing = { readonly editable: 'all' | readonly string[]; readonly editableBy: readonly Role[] };

/** The part of the settings that the ownership of fields rests on. */
export type OwnershipSettings = {
  readonly fields: readonly Field[];
  readonly sourceOfTruth: SourceOfTruth;
  readonly manual: ManualEditing;
};

/** The rule of one field of a tenant. */
export type FieldRule = {
  readonly field: string;
  /** The one in effect, whatever the source of truth is. */
  readonly owner: Owner;
  /** Who may edit it on a managed account: nobody where the directory owns it. */
  readonly editableBy: readonly Role[];
  /** Who may edit it on a manual account. */
  readonly manualEditableBy: readonly Role[];
  readonly valueType: ValueType;
  /** The mapping in words; null: the field is not in the directory at all. */
  readonly mappedFrom: string | null;
};

/** The rules that the settings come to, in the order of the fields. */
export function fieldRules({ fields, sourceOfTruth, manual }: OwnershipSettings): FieldRule[] {
  return fields.map(({ field, from, owner, editableBy }) => {
    const effective = sourceOfTruth === 'hybrid' ? owner : sourceOfTruth;
    const editableWhenManual = manual.editable === 'all' || manual.editable.includes(field);
    return {
      field,
      owner: effective,
      editableBy: effective === 'user' ? editableBy : [],
      manualEditableBy: editableWhenManual ? manual.editableBy : [],
      valueType: from ? valueTypeOf(from) : 'text',
      mappedFrom: from ? describeMapping(from) : null,
    };
  });
}

/** A mapping in words: `businessPhones[0], else mobilePhone`. */
export function describeMapping(expression: Expression): string {
  if ('path' in expression) return pathText(expression.path);
  if ('constant' in expression) return JSON.stringify(expression.constant);
  if ('first' in expression) return expression.first.map(asPart).join(', else ');
  if ('join' in expression) {
    return `${expression.join.map(asPart).join(' and ')} joined with ${JSON.stringify(expression.with)}`;
  }
  if ('lower' in expression) return `${asPart(expression.lower)} in lower case`;
  if ('trim' in expression) return `${asPart(expression.trim)} trimmed`;
  const { map, values, otherwise } = expression;
  const entries = Object.entries(values);
  const shown = entries.slice(0, 5).map(([key, value]) => `${JSON.stringify(key)} to ${JSON.stringify(value)}`);
  if (entries.length > shown.length) shown.push(`${entries.length - shown.length} more`);
  if (otherwise !== undefined) shown.push(`any other to ${JSON.stringify(otherwise)}`);
  return `${asPart(map)} mapped (${shown.join(', ')})`;
}

// One part alone reads as one; what is made of several is set in brackets.
function asPart(expression: Expression): string {
  const text = describeMapping(expression);
  return 'path' in expression || 'constant' in expression ? text : `(${text})`;
}
