// Numbers, times and changes as people read them.

/** 12345 -> 12,345 */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

/** "1 page", "2,000 objects"; `of` goes between number and word. */
export function plural(value: number, word: string, of = ''): string {
  return `${count(value)}${of} ${word}${value === 1 && of === '' ? '' : 's'}`;
}

/** A time as "3 min ago" or "in 40 min", measured from `now`; "never" for null. */
export function when(time: Date | null, now: Date = new Date()): string {
  if (!time) return 'never';
  const seconds = Math.round((time.getTime() - now.getTime()) / 1000);
  const span = duration(Math.abs(seconds));
  return seconds > 0 ? `in ${span}` : `${span} ago`;
}

/** Seconds as the largest unit that fits: 45 s, 12 min, 3 h, 5 d. */
export function duration(seconds: number): string {
  if (Math.round(seconds) < 60) return `${Math.round(seconds)} s`;
  if (Math.round(seconds / 60) < 60) return `${Math.round(seconds / 60)} min`;
  if (Math.round(seconds / 3600) < 48) return `${Math.round(seconds / 3600)} h`;
  return `${Math.round(seconds / 86_400)} d`;
}

/** What a change row says on one line, field by field: `jobTitle: "Clerk" -> "Head of Sales"`. */
export function describeChange(kind: string, before: unknown, after: unknown): string {
  // Addresses have line breaks, and a customer's directory may hold what a terminal would obey.
  return describe(kind, before, after).replaceAll(/\p{Cc}+/gu, ' ');
}

/** What became of a membership, on one line: `joins All Staff`. */
export function describeMembership(kind: string, group: string | null): string {
  return `${kind === 'membership.added' ? 'joins' : 'leaves'} ${(group ?? 'a group without a name').replaceAll(/\p{Cc}+/gu, ' ')}`;
}

function describe(kind: string, before: unknown, after: unknown): string {
  const old = flat(before);
  const now = flat(after);
  const names = [...new Set([...old.keys(), ...now.keys()])];
  if (kind.startsWith('group.') && (kind === 'group.created' || kind === 'group.restored')) {
    return [now.get('display_name'), now.get('kind')].filter((value) => typeof value === 'string').join(', ');
  }
  if (kind === 'account.created' || kind === 'account.restored') {
    return [now.get('user_principal_name'), now.get('displayName')]
      .filter((value) => typeof value === 'string')
      .join(', ');
  }
  if (names.length === 0) return '';
  if (kind === 'account.removed' || kind === 'group.removed') return `reason: ${String(now.get('removed'))}`;
  return names.map((name) => `${name}: ${show(old.get(name))} -> ${show(now.get(name))}`).join('; ');
}

function flat(facts: unknown): Map<string, unknown> {
  if (typeof facts !== 'object' || facts === null) return new Map();
  const { profile, ...columns } = facts as Record<string, unknown>;
  return new Map([...Object.entries(columns), ...Object.entries((profile ?? {}) as Record<string, unknown>)]);
}

function show(value: unknown): string {
  return value === undefined || value === null
    ? 'none'
    : typeof value === 'string'
      ? `"${value}"`
      : JSON.stringify(value);
}
