// The way through a list by a sort key and an id, from the first row or from the last.

/** An order as a list is asked for: the column, and whether the last row by it comes first. */
export type ListOrder<Name extends string> = { readonly by: Name; readonly descending: boolean };

/** Returns the condition of the rows after the one with `:key` and `:id`, and their order. */
export function keyset(key: string, id: string, descending: boolean): { after: string; order: string } {
  const [beyond, way] = descending ? ['<', 'desc'] : ['>', 'asc'];
  return { after: `(${key}, ${id}) ${beyond} (:key, :id)`, order: `${key} ${way}, ${id} ${way}` };
}
