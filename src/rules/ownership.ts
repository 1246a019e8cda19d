// Derives the owner and the editors of each profile field from the settings.
import { type Expression, type ValueType, valueTypeOf } from './expressions.ts';
import { pathText } from './graph-paths.ts';
import type { MappedField } from './mapping.ts';

export const roles = ['user', 'manager'] as const;
export const owners = ['directory', 'user'] as const;
export const sourcesOfTruth = ['directory', 'user', 'hybrid'] as const;

/** Languages of the words of a field. */
export const languages = ['en', 'de'] as const;

/** Kinds of input that a form shows for a field. */
export const fieldKinds = ['text', 'tel', 'url', 'mail', 'list'] as const;

export type Role = (typeof roles)[number];
export type Owner = (typeof owners)[number];
export type SourceOfTruth = (typeof sourcesOfTruth)[number];

export type FieldKind = (typeof fieldKinds)[number];

/** A text by its language. */
export type Words = { readonly [language in (typeof languages)[number]]?: string | undefined };

/** How a field is shown. It changes no value and no right. */
export type FieldLook = {
  readonly label: Words | null;
  readonly help: Words | null;
  /** As the settings say it; null: by the type of the values. */
  readonly kind: FieldKind | null;
  /** Fields are shown from the smallest on, those without a number last. */
  readonly order: number | null;
  /** Earlier values are for the person alone. */
  readonly private: boolean;
  readonly shown: boolean;
};

/** A profile field in the settings. `owner` counts only if the source of truth is hybrid. */
export type Field = MappedField & {
  readonly owner: Owner;
  readonly editableBy: readonly Role[];
  /** What an edit may have at most, in characters, and has to match as a whole; without one: no bound of the settings. */
  readonly max?: number;
  readonly pattern?: string;
  readonly look: FieldLook;
};

/** The fields of manual accounts that can be edited, and the roles that may. */
export type ManualEditing = { readonly editable: 'all' | readonly string[]; readonly editableBy: readonly Role[] };

/** The settings that decide the ownership of fields. */
export type OwnershipSettings = {
  readonly fields: readonly Field[];
  readonly sourceOfTruth: SourceOfTruth;
  readonly manual: ManualEditing;
};

/** The rule for one field of a tenant. */
export type FieldRule = FieldLook & {
  readonly field: string;
  /** The owner in effect under the source of truth. */
  readonly owner: Owner;
  /** Roles that may edit it on a managed account; none if the directory owns it. */
  readonly editableBy: readonly Role[];
  /** Roles that may edit it on a manual account. */
  readonly manualEditableBy: readonly Role[];
  readonly valueType: ValueType;
  readonly max: number | null;
  readonly pattern: string | null;
  /** The path in the manager's document where the value comes from; null: not from the manager. */
  readonly managerPath: readonly string[] | null;
  /** The mapping in words; null: the field is not in the directory. */
  readonly mappedFrom: string | null;
  readonly kind: FieldKind;
};

/** Returns the rule of each field, in the order of the fields. */
export function fieldRules({ fields, sourceOfTruth, manual }: OwnershipSettings): FieldRule[] {
  return fields.map(({ field, from, owner, editableBy, max, pattern, look }) => {
    const effective = sourceOfTruth === 'hybrid' ? owner : sourceOfTruth;
    const editableWhenManual = manual.editable === 'all' || manual.editable.includes(field);
    const valueType = from ? valueTypeOf(from) : look.kind === 'list' ? 'text[]' : 'text';
    return {
      ...look,
      field,
      kind: valueType === 'text[]' ? 'list' : (look.kind ?? 'text'),
      owner: effective,
      editableBy: effective === 'user' ? editableBy : [],
      manualEditableBy: editableWhenManual ? manual.editableBy : [],
      valueType,
      max: max ?? null,
      pattern: pattern ?? null,
      mappedFrom: from ? describeMapping(from) : null,
      managerPath: from && 'manager' in from ? from.manager.map(String) : null,
    };
  });
}

/** Describes a mapping in words: `businessPhones[0], else mobilePhone`. */
export function describeMapping(expression: Expression): string {
  if ('path' in expression) return pathText(expression.path);
  if ('manager' in expression) return `${pathText(expression.manager)} of the manager`;
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

// A compound part goes into brackets.
function asPart(expression: Expression): string {
  const text = describeMapping(expression);
  return 'path' in expression || 'constant' in expression ? text : `(${text})`;
}

/** Roles that gain the right to edit a field, and roles that lose it. */
type RightsChange = { readonly gain: readonly Role[]; readonly lose: readonly Role[] };

/** How the rule of a field differs between two settings. */
export type RuleChange = {
  readonly field: string;
  /** Null: there is no such field before, or after. */
  readonly owner: { readonly before: Owner | null; readonly after: Owner | null };
  readonly managed: RightsChange;
  readonly manual: RightsChange;
};

/** Returns the fields whose owner or editors differ, by name. */
export function ruleChanges(before: OwnershipSettings, after: OwnershipSettings): RuleChange[] {
  const [old, now] = [before, after].map((one) => new Map(fieldRules(one).map((rule) => [rule.field, rule])));
  const names = [...new Set([...(old?.keys() ?? []), ...(now?.keys() ?? [])])].sort();
  return names.flatMap((field): RuleChange[] => {
    const [one, other] = [old?.get(field), now?.get(field)];
    const owner = { before: one?.owner ?? null, after: other?.owner ?? null };
    const managed = rightsChange(one?.editableBy, other?.editableBy);
    const manual = rightsChange(one?.manualEditableBy, other?.manualEditableBy);
    const isSame = [managed, manual].every(({ gain, lose }) => gain.length + lose.length === 0);
    return isSame && owner.before === owner.after ? [] : [{ field, owner, managed, manual }];
  });
}

function rightsChange(before: readonly Role[] = [], after: readonly Role[] = []): RightsChange {
  return {
    gain: after.filter((role) => !before.includes(role)),
    lose: before.filter((role) => !after.includes(role)),
  };
}
