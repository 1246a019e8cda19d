// Reads the query of a Graph request without touching tokens: their raw text is what counts.
import { type Answer, badRequest, graphError } from '../answers.ts';
import { isKnownProperty, type StreamName, schemas } from '../tenant/properties.ts';

export type Query = {
  /** The text between `?` and the end, as sent. */
  raw: string;
  /** Option names in lower case, with or without `$` as sent -> decoded value. */
  options: ReadonlyMap<string, string>;
  /** Tokens exactly as sent. */
  skipToken: string | undefined;
  deltaToken: string | undefined;
};

function decode(text: string): string {
  try {
    return decodeURIComponent(text.replaceAll('+', ' '));
  } catch {
    // A stray percent sign is no reason to fall over: the text stands as it came.
    return text;
  }
}

/** Takes the query of a URL apart. */
export function readQuery(url: string): Query {
  const mark = url.indexOf('?');
  const raw = mark < 0 ? '' : url.slice(mark + 1);
  const options = new Map<string, string>();
  let skipToken: string | undefined;
  let deltaToken: string | undefined;
  for (const part of raw.split('&')) {
    const [name = ''] = part.split('=', 1);
    const value = part.slice(name.length + 1);
    const key = decode(name).toLowerCase();
    if (key === '$skiptoken') {
      skipToken = value;
    } else if (key === '$deltatoken') {
      deltaToken = value;
    } else if (key !== '') {
      options.set(key, decode(value));
    }
  }
  return { raw, options, skipToken, deltaToken };
}

/** The names in `$select`, or undefined when there is none; `id` is not among them. */
export function selectOf(query: Query): string[] | undefined {
  const text = query.options.get('$select');
  if (text === undefined || text.trim() === '') {
    return undefined;
  }
  const names = text.split(',').map((name) => name.trim());
  return [...new Set(names)].filter((name) => name !== 'id' && name !== '');
}

/** The refusal of a `$select` that Graph would not take, or undefined when all is well. */
export function refuseSelect(stream: StreamName, select: readonly string[], isDelta: boolean): Answer | undefined {
  const { type, untracked } = schemas[stream];
  const unknown = select.find((name) => !isKnownProperty(stream, name));
  if (unknown !== undefined) {
    const message = `Could not find a property named '${unknown}' on type '${type}'.`;
    return isDelta
      ? graphError(400, 'BadRequest', `Parsing OData Select and Expand failed: ${message}`)
      : badRequest(message);
  }
  const outside = select.filter((name) => untracked.has(name));
  if (outside.length === 0) {
    return undefined;
  }
  if (!isDelta) {
    return graphError(501, 'NotImplemented', 'This operation target is not yet supported.');
  }
  return graphError(
    400,
    'BadRequest',
    `Invalid request for delta query: for this entity set, $expand/$select is not supported for the following properties: ${outside.join(', ')}`,
  );
}
