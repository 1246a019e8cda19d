// The fields of a person as the contract tells them: value, where it comes from, who may edit it, how a form shows it.
import type { Contract } from '../contract-page.ts';
import type { View } from '../page.ts';
import { textsOf, wordsOf } from './language.ts';

export type PersonField = {
  readonly field: string;
  readonly value: unknown;
  readonly origin: 'directory' | 'user' | 'none';
  readonly editableBy: readonly string[];
  /** What the settings make it of; null: it is not in the directory at all. */
  readonly mappedFrom: string | null;
  readonly directoryValue: unknown;
  readonly since: Date;
  /** `account:ID` of a person, or another name. */
  readonly changedBy: string | null;
  readonly max: number | null;
  readonly pattern: string | null;
  /** The value matches the pattern. */
  readonly matches: boolean;
  readonly label: Readonly<Record<string, string>> | null;
  readonly help: Readonly<Record<string, string>> | null;
  readonly kind: 'text' | 'tel' | 'url' | 'mail' | 'list';
  /** Earlier values are for the person alone. */
  readonly isPrivate: boolean;
};

/** The state of an account at which its fields were read. */
export type Person = {
  /** `updated_at`, which an edit names again. */
  readonly at: string;
  /** In the order of the settings, without those that pages leave out. */
  readonly fields: readonly PersonField[];
};

/**
 * Returns the fields of a live account that pages show, and those that `role` may edit all the same; undefined without one.
 * Throws `ContractRefusal`.
 */
export async function readPerson(contract: Contract, accountId: string, role?: 'manager'): Promise<Person | undefined> {
  // Read first: a commit in between then shows as a conflict that is none, and never as none where there is one.
  const [account] = await contract.rows<{ at: Date }>(
    'select a.updated_at as at from directory.accounts a where a.account_id = :accountId',
    { accountId },
  );
  if (!account) return undefined;
  const fields = await contract.rows<PersonField>(
    `select x.field, x.value, x.origin, x.editable_by as "editableBy", x.mapped_from as "mappedFrom",
            x.directory_value as "directoryValue", x.since, x.changed_by as "changedBy",
            f.max, f.pattern, coalesce((x.value #>> '{}') ~ ('^(' || f.pattern || ')$'), true) as matches,
            f.label, f.help, f.kind, f.private as "isPrivate"
       from directory.explain_account(:accountId) x join directory.fields f on f.field = x.field
      where f.shown or :role = any(x.editable_by) order by f.sort_order nulls last, x.field`,
    { accountId, role: role ?? null },
  );
  return { at: account.at.toISOString(), fields };
}

/** Returns the name of a field in the language of the page. */
export const labelOf = (field: Pick<PersonField, 'field' | 'label'>, view: View<unknown>) =>
  wordsOf(field.label, view) ?? field.field;

/** The inputs that there are: a line, several lines, a text a line, a number, yes or no. */
export type Widget = 'line' | 'lines' | 'list' | 'number' | 'choice';

const isTexts = (value: unknown) => Array.isArray(value) && value.every((one) => typeof one === 'string');

/** Returns the input that fits a field; undefined where no input of a page can hold its value. */
export function widgetOf({ value, directoryValue, kind }: PersonField): Widget | undefined {
  const known = [value, directoryValue].filter((one) => one !== null);
  if (kind === 'list' || (known.length > 0 && known.every(isTexts))) return known.every(isTexts) ? 'list' : undefined;
  // An input of one line takes line breaks out.
  if (known.every((one) => typeof one === 'string')) return /[\r\n]/.test(String(value)) ? 'lines' : 'line';
  if (known.every((one) => typeof one === 'number')) return 'number';
  return known.every((one) => typeof one === 'boolean') ? 'choice' : undefined;
}

/** Returns whether a page has an input of the field for this role. */
export const isEditable = (field: PersonField, role: 'user' | 'manager') =>
  field.editableBy.includes(role) && widgetOf(field) !== undefined;

/** Returns a value as the text of its input; empty for none. */
export function inputText(value: unknown): string {
  if (value === null || value === undefined) return '';
  return isTexts(value) ? (value as string[]).join('\n') : lines(String(value));
}

/** Returns a text as a form sends it back: browsers send line breaks of two characters. */
export const lines = (text: string) => text.replaceAll(/\r\n?/g, '\n');

/** Returns the value that a text of an input means; null for none. A text that fits no number stays one, to be refused. */
export function meaningOf(field: PersonField, typed: string): unknown {
  const text = lines(typed).trim();
  if (text === '') return null;
  switch (widgetOf(field)) {
    case 'list':
      return text.split('\n').flatMap((one) => one.trim() || []);
    case 'number':
      return Number.isFinite(Number(text)) ? Number(text) : text;
    case 'choice':
      return text === 'true';
    default:
      return text;
  }
}

/** Returns a value as a page shows it; empty for none. */
export function shownText(value: unknown, view: View<unknown>): string {
  if (value === null || value === undefined) return '';
  if (typeof value === 'boolean') return value ? textsOf(view).values.yes : textsOf(view).values.no;
  if (isTexts(value)) return (value as string[]).join(', ');
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
