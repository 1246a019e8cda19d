// Objects that answers show differently from the truth, as Graph has done: in part, with properties of another type,
// or with numbers beyond a double.
import type { Simulator } from './simulator.ts';

type Item = Record<string, unknown> & { id?: unknown };
type Collection = 'users' | 'groups';
/** The objects to change; undefined: all. */
type Ids = readonly string[] | undefined;

/**
 * Delta pages and listings show these objects only with the properties in `kept`. Tombstones and single GETs do not
 * change. Returns the function that ends it.
 */
export function showInPart(
  simulator: Pick<Simulator, 'transform'>,
  collection: Collection,
  ids: Ids,
  kept: readonly string[],
): () => void {
  const part = (item: Item) =>
    '@removed' in item ? item : Object.fromEntries(Object.entries(item).filter(([name]) => kept.includes(name)));
  return simulator.transform(({ url }, body) => onPages(url, collection, ids, body, part));
}

/** Pages and GET show these objects with `odd` on top; undefined removes a property. Returns the function that ends it. */
export function showOdd(
  simulator: Pick<Simulator, 'transform'>,
  collection: Collection,
  ids: Ids,
  odd: Readonly<Record<string, unknown>>,
): () => void {
  const change = (item: Item) => ('@removed' in item ? item : { ...item, ...odd });
  return simulator.transform(({ url }, body) => {
    const single = new RegExp(`/${collection}/[0-9a-f-]{36}([?]|$)`).test(url);
    return single && isMeant(ids, body) ? change(body as Item) : onPages(url, collection, ids, body, change);
  });
}

/** Returns a number that JSON writes with exactly these digits, such as 9223372036854775807. */
export function exactNumber(digits: string): unknown {
  // Not in TypeScript's library yet.
  return (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON(digits);
}

function onPages(url: string, collection: Collection, ids: Ids, body: object, change: (item: Item) => Item): object {
  const { value } = body as { value?: Item[] };
  if (!new RegExp(`/${collection}(/delta)?([?]|$)`).test(url) || !Array.isArray(value)) return body;
  return { ...body, value: value.map((item) => (isMeant(ids, item) ? change(item) : item)) };
}

function isMeant(ids: Ids, item: Item | object): boolean {
  const { id } = item as Item;
  return ids === undefined || (typeof id === 'string' && ids.includes(id));
}
