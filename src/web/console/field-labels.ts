// The fields of the profile as people read them: the settings give each a label, and a setting or verb takes its name.
import type { Database, Transaction } from '../../store/database/pool.ts';
import { storedSettings } from '../../store/settings/versions.ts';
import { type Html, html } from '../html.ts';
import { type Titles, titled, titlesOf } from './titles.ts';

export type FieldLabels = ReadonlyMap<string, string>;

/** The words by which changes name what changed. */
export type Names = { readonly labels: FieldLabels; readonly titles: Titles };

/** Returns the words of a tenant. */
export async function namesOf(read: Transaction, tenantId: string): Promise<Names> {
  return { labels: await fieldLabels(read, tenantId), titles: await titlesOf(read, tenantId) };
}

/** Facts of accounts and groups, which are no fields of the profile. */
const facts: ReadonlyMap<string, string> = new Map([
  ['description', 'Description'],
  ['display_name', 'Name'],
  ['enabled', 'Enabled'],
  ['entra_object_id', 'Object in Entra ID'],
  ['kind', 'Kind'],
  ['mail', 'Mail'],
  ['state', 'Account'],
  ['user_principal_name', 'User principal name'],
]);

/** Returns the English labels of a tenant's fields by name, where the settings have one. */
export function fieldLabels(on: Database | Transaction, tenantId: string): Promise<FieldLabels> {
  return fieldWords(on, tenantId, 'label');
}

/** Returns the English sentences on what belongs into a tenant's fields, by the field's name. */
export function fieldHelps(on: Database | Transaction, tenantId: string): Promise<FieldLabels> {
  return fieldWords(on, tenantId, 'help');
}

export type FieldKinds = ReadonlyMap<string, string>;

/** Returns the kinds of a tenant's fields by name, where the settings have one: text, tel, url, mail or list. */
export async function fieldKinds(on: Database | Transaction, tenantId: string): Promise<FieldKinds> {
  const found = new Map<string, string>();
  for (const { document } of await storedSettings(on, tenantId))
    for (const [field, written] of Object.entries(document.fields ?? {}))
      if (typeof written?.kind === 'string') found.set(field, written.kind);
  return found;
}

async function fieldWords(on: Database | Transaction, tenantId: string, kind: 'label' | 'help'): Promise<FieldLabels> {
  const found = new Map<string, string>();
  for (const { document } of await storedSettings(on, tenantId)) {
    for (const [field, written] of Object.entries(document.fields ?? {})) {
      const words = Object.entries(written?.[kind] ?? {});
      const english = new Map(words).get('en') ?? words[0]?.[1];
      if (english !== undefined) found.set(field, english);
    }
  }
  return found;
}

/** Returns a field as a list names it: its label, and beneath it the name that settings and verbs take. */
export function named(field: string, labels: FieldLabels): Html {
  const label = labels.get(field);
  return label === undefined ? html`${field}` : html`${label}<small>${field}</small>`;
}

/** Returns `fields` in the order of their labels. */
export function byLabel<Field extends { readonly field: string }>(
  fields: readonly Field[],
  labels: FieldLabels,
): readonly Field[] {
  const label = ({ field }: Field) => labels.get(field) ?? field;
  return fields.toSorted((one, other) => label(one).localeCompare(label(other), 'en'));
}

/** Returns the label of a changed thing: `profile.X`, `directory.X` beneath an edit, `assigned.SLOT`, or a fact. */
export function labelOf(path: string, { labels, titles }: Names): string {
  const [, root, name = ''] = /^(profile|directory|assigned)\.(.*)$/s.exec(path) ?? [];
  if (root === undefined) return facts.get(path) ?? path;
  const label = root === 'assigned' ? titles.slot(name) : (labels.get(name) ?? name);
  return root === 'directory' ? `${label}, under an edit` : label;
}

/** Returns a value of a changed thing as people read it: items by their titles. */
export function shownValue(path: string, value: unknown, { titles }: Names): unknown {
  return path.startsWith('assigned.') ? titled(value, path.slice('assigned.'.length), titles) : value;
}
