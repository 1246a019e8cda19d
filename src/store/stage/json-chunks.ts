// Rows for jsonb_to_recordset, in chunks below the limits of jsonb (256 MB) and of JavaScript strings.

// UTF-8 takes at most three bytes per character.
const maxCharacters = 32 * 1_048_576;

/** Yields the items as JSON arrays below `most` characters, or of a single item. */
export function* jsonChunks(items: readonly unknown[], most = maxCharacters): Generator<string> {
  let chunk: string[] = [];
  let size = 0;
  for (const item of items) {
    const text = JSON.stringify(item);
    if (chunk.length > 0 && size + text.length > most) {
      yield `[${chunk.join(',')}]`;
      chunk = [];
      size = 0;
    }
    chunk.push(text);
    size += text.length + 1;
  }
  if (chunk.length > 0) yield `[${chunk.join(',')}]`;
}
