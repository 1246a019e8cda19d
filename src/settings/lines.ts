// Where each setting stands in its YAML file, so that a mistake names its line.
import { type Document, isAlias, isMap, isScalar, isSeq, type LineCounter, type Node } from 'yaml';

/** A mistake in a settings document, and the path of the setting that it is about. */
export type Mistake = { readonly path: readonly PropertyKey[]; readonly text: string };

type Source = { readonly document: Document; readonly lines: LineCounter };

const sources = new WeakMap<object, Source>();

/** Returns a path as every message writes it: scope.where[1].in; "" for the file itself. */
export function placeText(path: Mistake['path']): string {
  return path
    .map((part, depth) => (typeof part === 'number' ? `[${part}]` : `${depth > 0 ? '.' : ''}${String(part)}`))
    .join('');
}

/** Remembers the file that `value` was parsed from. */
export function rememberSource(value: unknown, source: Source): void {
  if (typeof value === 'object' && value !== null) sources.set(value, source);
}

/** Lets `copy` have the lines of `original`. */
export function keepLines<Copy extends object>(original: object, copy: Copy): Copy {
  const source = sources.get(original);
  if (source) sources.set(copy, source);
  return copy;
}

/** Returns the mistakes in the order of the file, each with its line where `document` was read from one. */
export function inFileOrder(document: unknown, mistakes: readonly Mistake[]): string[] {
  const source = typeof document === 'object' && document !== null ? sources.get(document) : undefined;
  if (!source) return mistakes.map(({ text }) => text);
  return mistakes
    .map(({ path, text }) => ({ text, at: offsetOf(source.document, path) }))
    .sort((one, other) => one.at - other.at)
    .map(({ text, at }) => `line ${source.lines.linePos(at).line}: ${text}`);
}

/** The offset of the setting, or of the nearest one above it that is there. */
function offsetOf(document: Document, path: readonly PropertyKey[]): number {
  let node: Node | null | undefined = document.contents;
  let offset = node?.range?.[0] ?? 0;
  for (const part of path) {
    const within = isAlias(node) ? node.resolve(document) : node;
    if (isMap(within)) {
      const pair = within.items.find(({ key }) => (isScalar(key) ? String(key.value) : undefined) === String(part));
      if (!pair) return offset;
      offset = (pair.key as Node).range?.[0] ?? offset;
      node = pair.value as Node | null;
    } else {
      const item = isSeq(within) ? within.items[Number(part)] : undefined;
      if (item === undefined) return offset;
      node = item as Node;
      offset = node.range?.[0] ?? offset;
    }
  }
  return offset;
}
