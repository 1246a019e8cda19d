// Decodes the JSON of a delta page into occurrences and never throws, whatever the JSON (rules 5, 16, 19).
import { longestOf, type PropertyType } from './graph-properties.ts';

export type Json = string | number | boolean | null | Json[] | { [key: string]: Json };

/** The properties of an object that have a value. Graph's null and "never set" are both absent. */
export type Source = { readonly [property: string]: Json };

/** The kind of a removal. Graph's `changed`, and any reason but `deleted`, count as restorable. */
export type Removal = 'deleted_restorable' | 'deleted';

/**
 * One appearance of an object on a page: live with the properties sent (null: cleared), or removed. `odd` has the
 * reasons of unreadable properties, which are not in `patch`. `formerManager`: a manager whose link has ended.
 */
export type Occurrence =
  | {
      readonly id: string;
      readonly patch: { readonly [property: string]: Json };
      readonly odd?: OddProperties;
      readonly formerManager?: string;
    }
  | { readonly id: string; readonly removed: Removal };

/** The reasons why properties are unreadable, by their names. */
export type OddProperties = { readonly [property: string]: string };

/**
 * An unreadable object, or property of one (`ID/property`). `key` is the id as sent, cut and cleaned; `id` is set if it
 * is a GUID.
 */
export type Problem = { readonly key: string; readonly id?: string; readonly reason: string };

export type DeltaPage = {
  readonly occurrences: readonly Occurrence[];
  readonly problems: readonly Problem[];
  /** Every page has exactly one link. Only a delta link ends a round (rule 5). */
  readonly link: { readonly next: string } | { readonly delta: string };
};

export type SelectedProperties = ReadonlyMap<string, PropertyType>;

/** If one of these is unreadable, so is the user: account, state and scope depend on them. */
const userKeys: ReadonlySet<string> = new Set(['userPrincipalName', 'mail', 'accountEnabled', 'userType']);

/** The property of a document that holds the type of an object that is more than its collection's. */
export const typeProperty = '@odata.type';

/** An AI agent's user (learn.microsoft.com/graph/api/resources/agentuser). */
export const agentType = '#microsoft.graph.agentUser';

/** Maximum text of a property, far above Graph's own limits (displayName 256, streetAddress 1024). */
const maxText = 32_768;
const largestObject = 262_144;
// \u0000, and -1.2345678901234567e-123 with room.
const longestEscape = 6;
const longestNumber = 32;
const deepestValue = 8;
const maxArrayItems = 2_000;

/**
 * Decodes a page. Unknown properties are ignored; an unreadable object is a problem of its own. Returns `malformed` for
 * a body that is not a delta page: Graph has been seen to break off a 200 body into an error object.
 */
export function decodePage(body: unknown, selected: SelectedProperties): DeltaPage | { readonly malformed: string } {
  return decodePageOf(body, (item) => decodeObject(item, selected));
}

/** {@link decodePage} with another decoder for the objects. */
export function decodePageOf(
  body: unknown,
  decodeItem: (item: unknown) => Occurrence | Problem,
): DeltaPage | { readonly malformed: string } {
  const opened = openPage(body);
  if ('malformed' in opened) return opened;
  const occurrences: Occurrence[] = [];
  const problems: Problem[] = [];
  for (const item of opened.items) {
    const decoded = decodeItem(item);
    if ('reason' in decoded) problems.push(decoded);
    else occurrences.push(decoded);
  }
  return { occurrences, problems: [...problems, ...oddProblems(occurrences)], link: opened.link };
}

/** Returns the unreadable properties as problems, by the last occurrence of each object. */
export function oddProblems(occurrences: readonly Occurrence[]): Problem[] {
  const problems = new Map<string, Problem>();
  for (const occurrence of occurrences) {
    if (!('patch' in occurrence)) continue;
    const keyOf = (property: string) => `${occurrence.id}/${property}`;
    if (problems.size > 0) for (const property of Object.keys(occurrence.patch)) problems.delete(keyOf(property));
    for (const [property, reason] of Object.entries(occurrence.odd ?? {}))
      problems.set(keyOf(property), { key: keyOf(property), reason });
  }
  return [...problems.values()];
}

/** Counts the objects of a page. An unreadable property does not count. */
export function objectsOf({ occurrences, problems }: Pick<DeltaPage, 'occurrences' | 'problems'>): number {
  return occurrences.length + problems.filter(({ key }) => !/^[0-9a-f-]{36}[/]/.test(key)).length;
}

/** Returns the link and the raw objects of a page, or `malformed`. */
export function openPage(
  body: unknown,
): { readonly link: DeltaPage['link']; readonly items: readonly unknown[] } | { readonly malformed: string } {
  if (!isRecord(body)) return { malformed: 'the body is not a JSON object' };
  if (isRecord(body.error)) return { malformed: 'the body holds an error object' };
  if (!Array.isArray(body.value)) return { malformed: 'the body has no value array' };
  const next = body['@odata.nextLink'];
  const delta = body['@odata.deltaLink'];
  const link =
    typeof next === 'string' && next !== ''
      ? { next }
      : typeof delta === 'string' && delta !== ''
        ? { delta }
        : undefined;
  if (!link) return { malformed: 'the body has neither a next link nor a delta link' };
  if (next != null && delta != null) return { malformed: 'the body has both a next link and a delta link' };
  if (!isPrintable('next' in link ? link.next : link.delta)) return { malformed: 'the link is not printable text' };
  return { link, items: body.value };
}

/** Joins pages in the given order. */
export function joinPages(pages: readonly DeltaPage[], last: DeltaPage): DeltaPage {
  return {
    occurrences: pages.flatMap((page) => page.occurrences),
    problems: pages.flatMap((page) => page.problems),
    link: last.link,
  };
}

/** Whether a decoded item is a live object. */
export function asPatch(decoded: Occurrence | Problem): decoded is Extract<Occurrence, { patch: unknown }> {
  return 'patch' in decoded;
}

/** Decodes one object. An unreadable property goes to `odd`; if it is one of `keys`, the whole object is a problem. */
export function decodeObject(
  item: unknown,
  selected: SelectedProperties,
  keys: ReadonlySet<string> = userKeys,
): Occurrence | Problem {
  if (!isRecord(item)) return { key: '(no object)', reason: 'it is not a JSON object' };
  if (typeof item.id !== 'string') return { key: '(no id)', reason: 'it has no id' };
  const id = asGuid(item.id);
  if (!id) return { key: cleanKey(item.id), reason: 'its id is not a GUID' };
  const removed = item['@removed'];
  if (isRecord(removed)) return { id, removed: removed.reason === 'deleted' ? 'deleted' : 'deleted_restorable' };
  if (removed !== undefined && removed !== null) return { key: id, id, reason: '@removed is not an object' };
  const patch: Record<string, Json> = {};
  const odd: Record<string, string> = {};
  const { [typeProperty]: ofType } = item;
  if (typeof ofType === 'string' && ofType.toLowerCase() === agentType.toLowerCase()) patch[typeProperty] = agentType;
  for (const [property, type] of selected) {
    if (!Object.hasOwn(item, property)) continue;
    const value = item[property];
    const fault =
      value === null ? undefined : (typeFault(value, type) ?? keyFault(property, value) ?? valueFault(value, 0));
    if (fault && keys.has(property)) return { key: id, id, reason: `${property} ${fault}` };
    if (fault) odd[property] = `${property} ${fault}`;
    else patch[property] = value as Json;
  }
  // A page of the largest objects must fit into one jsonb value (256 MB).
  if (lengthAtMost(patch) > largestObject) leaveOutLargest(patch, odd, keys);
  return Object.keys(odd).length === 0 ? { id, patch } : { id, patch, odd };
}

function leaveOutLargest(patch: Record<string, Json>, odd: Record<string, string>, keys: ReadonlySet<string>): void {
  const sizes = Object.entries(patch).map(([property, value]) => ({ property, size: JSON.stringify(value).length }));
  let left = JSON.stringify(patch).length;
  for (const { property, size } of sizes.sort((one, other) => other.size - one.size)) {
    if (left <= largestObject) return;
    if (keys.has(property)) continue;
    delete patch[property];
    odd[property] = `${property} makes the object larger than ${largestObject} characters`;
    left -= size;
  }
}

// An upper bound of a value's length as JSON, which nearly every object is far below: writing each one to see takes longer.
function lengthAtMost(value: Json): number {
  if (typeof value === 'string') return longestEscape * value.length + 2;
  if (typeof value !== 'object' || value === null) return longestNumber;
  if (Array.isArray(value)) return value.reduce<number>((sum, item) => sum + lengthAtMost(item) + 1, 2);
  let sum = 2;
  for (const key of Object.keys(value)) sum += longestEscape * key.length + 4 + lengthAtMost(value[key] ?? null);
  return sum;
}

/** Returns the id in lower case if it is a GUID, else undefined. */
export function asGuid(text: string): string | undefined {
  return text.length === 36 && /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i.test(text)
    ? text.toLowerCase()
    : undefined;
}

function typeFault(value: unknown, type: PropertyType): string | undefined {
  return fits[type](value) ? undefined : `is not of the type ${type}`;
}

function keyFault(property: string, value: unknown): string | undefined {
  const longest = longestOf.get(property);
  if (longest === undefined || typeof value !== 'string' || value.length <= longest) return undefined;
  return `has ${value.length} characters, more than ${longest}`;
}

const fits: Record<PropertyType, (value: unknown) => boolean> = {
  string: (value) => typeof value === 'string',
  boolean: (value) => typeof value === 'boolean',
  number: (value) => typeof value === 'number' || isDigits(value),
  'string[]': (value) => Array.isArray(value) && value.every((item) => typeof item === 'string'),
  object: isRecord,
  'object[]': (value) => Array.isArray(value) && value.every(isRecord),
  any: () => true,
};

// A number that does not fit a double arrives as the text of its digits (src/rules/json.ts).
function isDigits(value: unknown): boolean {
  return typeof value === 'string' && /^-?\d+(\.\d+)?([eE][+-]?\d+)?$/.test(value);
}

function valueFault(value: unknown, depth: number): string | undefined {
  if (depth > deepestValue) return 'is nested too deep';
  if (typeof value === 'string') return textFault(value);
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : 'has a number out of range';
  if (Array.isArray(value)) {
    if (value.length > maxArrayItems) return 'has too many items';
    return firstFault(value, (item) => valueFault(item, depth + 1));
  }
  if (isRecord(value)) {
    return firstFault(Object.entries(value), ([key, item]) => textFault(key) ?? valueFault(item, depth + 1));
  }
  return undefined;
}

function textFault(text: string): string | undefined {
  if (text.length > maxText) return `is longer than ${maxText} characters`;
  if (text.includes('\0')) return 'holds a NUL character';
  // Postgres refuses half a surrogate pair in JSON, and with it the whole page.
  return text.isWellFormed() ? undefined : 'holds half a surrogate pair';
}

function firstFault<Item>(items: readonly Item[], fault: (item: Item) => string | undefined): string | undefined {
  for (const item of items) {
    const found = fault(item);
    if (found) return found;
  }
  return undefined;
}

/** Whether a link can be stored: Postgres accepts neither a NUL nor half a surrogate pair. */
export function isPrintable(link: string): boolean {
  return link.isWellFormed() && !/\p{Cc}/u.test(link);
}

/** Cuts and cleans an id as sent, so that it can always be stored and shown. */
export function cleanKey(text: string, longest = 64): string {
  return (
    text
      .slice(0, longest)
      .toWellFormed()
      .replaceAll(/\p{Cc}/gu, '?') || '(empty id)'
  );
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
