// Rows for jsonb_to_recordset, in lots that one jsonb value can hold (256 MB) and one text of the program too.

// At most three bytes each.
const maxCharacters = 32 * 1_048_576;

/** The items as texts of JSON arrays, each below `most` characters unless it holds a single item. */
export function* jsonChunks(items: readonly unknown[], most = maxCharacters): Generator<string> {
  let lot: string[] = [];
  let size = 0;
  for (const item of items) {
    const text = JSON.stringify(item);
    if (lot.length > 0 && size + text.length > most) {
      yield `[${lot.join(',')}]`;
      lot = [];
      size = 0;
    }
    lot.push(text);
    size += text.length + 1;
  }
  if (lot.length > 0) yield `[${lot.join(',')}]`;
}
