// Changes and values as people read them.
import { count } from '../rules/numbers.ts';
import { shortened } from './shortened.ts';

/** A change row on one line: `jobTitle: "Clerk" -> "Head of Sales"`. */
export function describeChange(kind: string, before: unknown, after: unknown): string {
  // Values may contain line breaks and escape codes.
  return describe(kind, before, after).replaceAll(/\p{Cc}+/gu, ' ');
}

/** A change of a membership on one line: `joins All Staff`. */
export function describeMembership(kind: string, group: string | null): string {
  return `${kind === 'membership.added' ? 'joins' : 'leaves'} ${cut(group ?? 'a group without a name').replaceAll(/\p{Cc}+/gu, ' ')}`;
}

function describe(kind: string, before: unknown, after: unknown): string {
  const old = flat(before);
  const now = flat(after);
  if (kind === 'group.created' || kind === 'group.restored') return texts(now.get('display_name'), now.get('kind'));
  if (kind === 'account.created' || kind === 'account.restored')
    return texts(now.get('user_principal_name'), now.get('displayName'));
  if (kind === 'account.removed' || kind === 'group.removed')
    return now.size === 0 ? '' : `reason: ${String(now.get('removed'))}`;
  // Without the list's number: in a dry run it is rolled back, and `removals list` shows it.
  if (kind.startsWith('removal.')) return now.has('reason') ? `reason: ${String(now.get('reason'))}` : '';
  const parts = [...stateChange(kind), ...differences(old, now), ...underEdits(before, after)];
  if (kind === 'tenant.settings_changed') return `settings ${parts.join('; ')}`;
  return parts.join('; ');
}

function texts(...values: unknown[]): string {
  return values
    .filter((value) => typeof value === 'string')
    .map((value) => cut(value))
    .join(', ');
}

function stateChange(kind: string): string[] {
  if (kind.endsWith('.adopted')) return ['managed by the directory from now on'];
  return kind.endsWith('.released') ? ['manual from now on, with these values'] : [];
}

function differences(old: ReadonlyMap<string, unknown>, now: ReadonlyMap<string, unknown>): string[] {
  return [...new Set([...old.keys(), ...now.keys()])].map((key) => {
    const [one, other] = [old.get(key) ?? null, now.get(key) ?? null];
    const name = cut(key);
    // An edit to the value already shown makes it the person's own.
    if (isPrivate(one) || isPrivate(other)) return `${name}: private`;
    return JSON.stringify(one) === JSON.stringify(other)
      ? `${name}: ${showValue(one)}, as before`
      : `${name}: ${showValue(one)} -> ${showValue(other)}`;
  });
}

function underEdits(before: unknown, after: unknown): string[] {
  const fieldsOf = (facts: unknown) => new Map(Object.entries(part(facts, 'directory')));
  const [old, now] = [fieldsOf(before), fieldsOf(after)];
  const names = [...new Set([...old.keys(), ...now.keys()])];
  return names.map((name) => `${name}, under an edit: ${showValue(old.get(name))} -> ${showValue(now.get(name))}`);
}

function flat(facts: unknown): Map<string, unknown> {
  if (typeof facts !== 'object' || facts === null) return new Map();
  const columns = Object.entries(facts).filter(([name]) => !shownElsewhere.has(name));
  return new Map([...columns, ...Object.entries(part(facts, 'profile'))]);
}

// The kind of the change names the new state, and a profile may have a field called state.
const shownElsewhere: ReadonlySet<string> = new Set(['profile', 'directory', 'profile_stays', 'state']);

function part(facts: unknown, name: string): Record<string, unknown> {
  return ((facts as Record<string, unknown> | null | undefined)?.[name] ?? {}) as Record<string, unknown>;
}

/** Returns whether a value of a private field stands here, which is told to the person alone. */
export const isPrivate = (value: unknown) =>
  typeof value === 'object' && value !== null && 'private' in value && value.private === true;

/** A value as a change shows it: `"Clerk"`, `["+1"]`, or none; cut if it is long. */
export function showValue(value: unknown): string {
  if (value === undefined || value === null) return 'none';
  if (isPrivate(value)) return 'private';
  return typeof value === 'string' ? cut(value, '"') : cut(JSON.stringify(value));
}

/** The columns of a value in a table: a person may give a field 32,768 characters. */
const longest = 120;
/** Returns a value, or a name, for a table: a long one is cut, and says how long it is. */
export function cut(text: string, quote = ''): string {
  const shown = shortened(text, longest);
  const quoted = `${quote}${shown}${quote}`;
  return shown === text ? quoted : `${quoted} (${count([...text].length)} characters)`;
}
