// Objects shown otherwise than they are, as Graph has been seen to do: in part, with properties of another type, with numbers
// that no double holds. The truth of the tenant stays as it is.
import type { Simulator } from './simulator.ts';

type Item = Record<string, unknown> & { id?: unknown };
type Collection = 'users' | 'groups';
/** The objects that are shown oddly; undefined: all. */
type Ids = readonly string[] | undefined;

/**
 * Pages of delta and of listings show these objects with no more than the properties in `kept`; removed ones, and what GET
 * shows of each, stay as they are. Gives the function that ends it.
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

/** Pages and GET show these objects with `odd` laid over what they are; undefined leaves a property out. Gives the function that ends it. */
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

/** A number in JSON by its digits, whatever a double makes of them: 9223372036854775807. */
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
