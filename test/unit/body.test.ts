// Reading the body of an answer: only UTF-8, up to a limit, in any chunks.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BodyNotUtf8, BodyTooLarge, readBody } from '../../src/graph/body.ts';

const most = 1024 * 1024;

/** Makes a body in chunks of a given size that counts how many were read. */
function chunked(bytes: Uint8Array, size: number): AsyncIterable<Uint8Array> & { taken: number } {
  return {
    taken: 0,
    async *[Symbol.asyncIterator]() {
      for (let start = 0; start < bytes.length; start += size) {
        this.taken += 1;
        yield bytes.subarray(start, start + size);
      }
    },
  };
}

describe('rule 16: the body of an answer', () => {
  test('is the same text for any chunk size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.string({ unit: 'grapheme', maxLength: 60 }),
        fc.integer({ min: 1, max: 7 }),
        async (text, size) => {
          expect(await readBody(chunked(Buffer.from(text), size), most)).toBe(text.replace(/^\uFEFF/, ''));
        },
      ),
    );
  });

  test('is empty if there is none', async () => {
    expect(await readBody(null, most)).toBe('');
  });

  test.each([
    ['a byte of Latin-1', [0x4d, 0xfc, 0x6c, 0x6c, 0x65, 0x72]],
    ['half a character at the end', [0x4d, 0xc3]],
    ['half a surrogate pair', [0xed, 0xa0, 0x80]],
    ['a character in more bytes than it needs', [0xc0, 0xaf]],
  ])('with %s is rejected, not repaired', async (_, bytes) => {
    await expect(readBody(chunked(Uint8Array.from(bytes), 2), most)).rejects.toThrow(BodyNotUtf8);
  });

  test('is read up to the limit and no chunk further', async () => {
    const whole = chunked(Buffer.alloc(most, 'a'), 64 * 1024);
    expect((await readBody(whole, most)).length).toBe(most);
    const larger = chunked(Buffer.alloc(8 * most, 'a'), 64 * 1024);
    await expect(readBody(larger, most)).rejects.toThrow(BodyTooLarge);
    expect(larger.taken).toBe(17);
  });
});
