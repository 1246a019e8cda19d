// Numbers, times and changes as people read them.

import { count, duration } from '../rules/numbers.ts';
import { shortened } from './layout.ts';

export { count, duration, plural } from '../rules/numbers.ts';

/** "3 min ago" or "in 40 min", relative to `now`; "never" for null. */
export function when(time: Date | null, now: Date = new Date()): string {
  if (!time) return 'never';
  const seconds = Math.round((time.getTime() - now.getTime()) / 1000);
  const span = duration(Math.abs(seconds));
  return seconds > 0 ? `in ${span}` : `${span} ago`;
}

/** The time of a tenant's next cycle; without one it is due at once, like the first. */
export function dueIn(tenant: { status: string; paused: boolean; next_cycle_at: Date | null }): string {
  if (tenant.next_cycle_at) return when(tenant.next_cycle_at);
  return tenant.status === 'disconnected' || tenant.paused ? 'none' : 'at once';
}

/** A change row on one line: `jobTitle: "Clerk" -> "Head of Sales"`. */
export function describeChange(kind: string, before: unknown, after: unknown): string {
  // Values may contain line breaks and escape codes.
  return describe(kind, before, after).replaceAll(/\p{Cc}+/gu, ' ');
}

/** A change of a membership on one line: `joins All Staff`. */
export function describeMembership(kind: string, group: string | null): string {
  return `${kind === 'membership.added' ? 'joins' : 'leaves'} ${(group ?? 'a group without a name').replaceAll(/\p{Cc}+/gu, ' ')}`;
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
  if (kind.startsWith('removal.')) return now.size === 0 ? '' : `reason: ${String(now.get('reason'))}`;
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
  return [...new Set([...old.keys(), ...now.keys()])].map((name) => {
    const [one, other] = [old.get(name) ?? null, now.get(name) ?? null];
    // An edit to the value already shown makes it the person's own.
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

/** A value as a change shows it: `"Clerk"`, `["+1"]`, or none; cut if it is long. */
export function showValue(value: unknown): string {
  if (value === undefined || value === null) return 'none';
  return typeof value === 'string' ? cut(value, '"') : cut(JSON.stringify(value));
}

/** The columns of a value in a table: a person may give a field 32,768 characters. */
const longest = 120;
const cutMark = /…"? \([\d,]+ characters\)/;

/** Returns a value, or a name, for a table: a long one is cut, and says how long it is. */
export function cut(text: string, quote = ''): string {
  const shown = shortened(text, longest);
  const quoted = `${quote}${shown}${quote}`;
  return shown === text ? quoted : `${quoted} (${count([...text].length)} characters)`;
}

/** Returns a table with a remark below it if values in it are cut. */
export function withCutRemark(shown: string): string {
  // Lines that were broken to fit the terminal.
  return cutMark.test(shown.replaceAll(/\s+/g, ' '))
    ? `${shown}\n\nValues that end in … are cut -> --json shows them whole`
    : shown;
}

/** Names a tenant with its id beside the name. A tenant that `sync` registered has its id as its name: shown once. */
export function nameWithId(name: string, tenantId: string): string {
  return name === tenantId ? name : `${name} (${tenantId})`;
}
