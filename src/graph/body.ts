// The body of an answer, read in chunks: up to a limit, and as UTF-8 alone.
import { isUtf8 } from 'node:buffer';

/** Most bytes of one answer of Graph, unpacked. Its largest real pages stay below 10 MiB. */
export const mostGraphBytes = 64 * 1024 * 1024;

/** Most bytes of one answer of the identity platform, unpacked: metadata, keys or tokens, all of a few kilobytes. */
export const mostIdentityBytes = 1024 * 1024;

/** The answer is larger than its reader takes. The rest of it was not read. */
export class BodyTooLarge extends Error {
  readonly code = 'BODY_TOO_LARGE';

  constructor(most: number) {
    super(`more than ${most / 1024 / 1024} MiB`);
    this.name = 'BodyTooLarge';
  }
}

/** The answer holds bytes that are no UTF-8. */
export class BodyNotUtf8 extends Error {
  constructor() {
    super('bytes that are no UTF-8');
    this.name = 'BodyNotUtf8';
  }
}

/**
 * Reads an unpacked body as text. A few hundred kilobytes of gzip can unfold to gigabytes, so the bytes are counted as they
 * come and reading ends at `most`. A decoder that replaces bad bytes would store what the directory does not hold. Throws
 * {@link BodyTooLarge}, {@link BodyNotUtf8}, or what breaks the body.
 */
export async function readBody(body: AsyncIterable<Uint8Array> | null, most: number): Promise<string> {
  if (body === null) return '';
  const chunks: Uint8Array[] = [];
  let size = 0;
  // Leaving the loop cancels the body, and with it the connection.
  for await (const chunk of body) {
    size += chunk.byteLength;
    if (size > most) throw new BodyTooLarge(most);
    chunks.push(chunk);
  }
  const bytes = Buffer.concat(chunks, size);
  if (!isUtf8(bytes)) throw new BodyNotUtf8();
  // As fetch does: a byte order mark is no part of the text.
  return bytes.toString('utf8').replace(/^\uFEFF/, '');
}

/** {@link readBody} of an answer to fetch, as an answer whose body is at hand. */
export async function withinLimit(answer: Response, most: number): Promise<Response> {
  const text = await readBody(answer.body, most);
  const { status, statusText, headers } = answer;
  // A status that has no body takes none, not even an empty one.
  return new Response(text === '' ? null : text, { status, statusText, headers });
}
