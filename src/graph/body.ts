// Reads the body of an answer in chunks, up to a limit, and only as UTF-8.
import { isUtf8 } from 'node:buffer';

/** Maximum unpacked bytes of one answer of Graph. Its largest real pages stay below 10 MiB. */
export const maxGraphBytes = 64 * 1024 * 1024;

/** Maximum unpacked bytes of one answer of the identity platform: metadata, keys and tokens have a few kilobytes. */
export const maxIdentityBytes = 1024 * 1024;

/** The answer is larger than the limit. The rest of it was not read. */
export class BodyTooLarge extends Error {
  readonly code = 'BODY_TOO_LARGE';

  constructor(most: number) {
    super(`more than ${most / 1024 / 1024} MiB`);
    this.name = 'BodyTooLarge';
  }
}

/** The answer has bytes that are not UTF-8. */
export class BodyNotUtf8 extends Error {
  constructor() {
    super('bytes that are not UTF-8');
    this.name = 'BodyNotUtf8';
  }
}

/**
 * Reads an unpacked body as text. Counts the bytes as they arrive and stops at `most`, since a small gzip can unpack to
 * gigabytes. Bad bytes are not replaced: that would store text that the directory lacks. Throws {@link BodyTooLarge},
 * {@link BodyNotUtf8}, or the error that broke the body.
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
  // As fetch does: drop a byte order mark.
  return bytes.toString('utf8').replace(/^\uFEFF/, '');
}

/** Reads an answer to fetch with {@link readBody} and returns an answer with that body. */
export async function withinLimit(answer: Response, most: number): Promise<Response> {
  const text = await readBody(answer.body, most);
  const { status, statusText, headers } = answer;
  // A status without a body accepts none, not even an empty one.
  return new Response(text === '' ? null : text, { status, statusText, headers });
}
