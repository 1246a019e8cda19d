// A photo is taken by its bytes alone (rule 56), and one refusal is not a missing permission.
import { Buffer } from 'node:buffer';
import { describe, expect, test } from 'vitest';
import { readPhotos } from '../../src/graph/photos.ts';
import type { GraphReader } from '../../src/graph/reader.ts';
import { lacksPermission, maxPhotoBytes, type PhotoAnswer } from '../../src/rules/photos.ts';
import { missingPhotoRoles } from '../../src/rules/roles.ts';
import { drawPicture } from '../../src/simulator/tenant/pictures.ts';

/** Answers a `$batch` of one with this body. */
function answering(body: unknown, status = 200): GraphReader {
  return {
    origin: 'https://graph.example',
    getJson: async (_url: string, { parse }: { parse: (body: unknown, answered: null) => unknown }) =>
      parse({ responses: [{ id: 'one', status, headers: { 'Content-Type': 'image/gif' }, body }] }, null),
  } as unknown as GraphReader;
}

const answerTo = async (body: unknown, status?: number) =>
  (await readPhotos(answering(body, status), ['one'], '240x240')).get('one');
const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
const picture = (type: 'jpeg' | 'png', width = 131, height = 67) => drawPicture('x', { type, width, height }).bytes;

test.each(['jpeg', 'png'] as const)('rule 56: a %s is known by its bytes, whatever its header says', async (type) => {
  expect(await answerTo(base64(picture(type)))).toEqual({
    photo: {
      content: picture(type),
      contentType: `image/${type}`,
      sha256: expect.stringMatching(/^[0-9a-f]{64}$/),
      width: 131,
      height: 67,
    },
  });
});

describe('rule 56: set aside', () => {
  const png = picture('png');
  const jpeg = picture('jpeg', 240, 240);
  const sized = (width: number, height: number) => {
    const bytes = Buffer.from(png);
    bytes.writeUInt32BE(width, 16);
    bytes.writeUInt32BE(height, 20);
    return bytes;
  };
  const scan = jpeg.indexOf(Buffer.from([0xff, 0xda]));
  test.each<[string, unknown, RegExp]>([
    ['a JPEG that ends in its picture', base64(jpeg.subarray(0, scan + 40)), /cut off/],
    ['a PNG without its end', base64(png.subarray(0, png.length - 8)), /cut off/],
    ['a JPEG that ends before its size', base64(jpeg.subarray(0, 40)), /damaged/],
    ['text', base64(Buffer.from('no picture at all')), /damaged/],
    ['a GIF', base64(Buffer.from('R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==', 'base64')), /gif/],
    ['an SVG with a script', base64(Buffer.from('<svg width="1" height="1"><script>1</script></svg>')), /svg|damaged/],
    [
      'one byte too many',
      base64(Buffer.concat([jpeg, Buffer.alloc(maxPhotoBytes + 1 - jpeg.length)])),
      /larger than 2 MiB/,
    ],
    ['a PNG wider than any column holds', base64(sized(0xffff_ffff, 1)), /larger than 4096 x 4096 pixels/],
    ['a PNG that unfolds to gigabytes', base64(sized(30_000, 30_000)), /larger than 4096 x 4096 pixels/],
    ['an object', { id: '240x240' }, /no picture/],
    ['nothing', null, /no picture/],
    ['no bytes', '', /no picture/],
    ['what is no base64', '<html>', /no picture/],
  ])('%s', async (_name, body, reason) => {
    expect(await answerTo(body)).toEqual({ fault: expect.stringMatching(reason), refused: false });
  });

  test('a long text of spaces, in no time that grows with its square', async () => {
    const began = performance.now();
    expect(await answerTo(`A${' '.repeat(50_000)}!`)).toMatchObject({ fault: expect.stringMatching(/no picture/) });
    expect(performance.now() - began).toBeLessThan(1_000);
  });

  test('but not the last byte that is allowed', async () => {
    const largest = Buffer.concat([jpeg, Buffer.alloc(maxPhotoBytes - jpeg.length)]);
    expect(await answerTo(base64(largest))).toHaveProperty('photo.content.length', maxPhotoBytes);
  });
});

test('a 404 is no photo, and a 403 says that it was refused', async () => {
  expect(await answerTo({ error: { code: 'ImageNotFound' } }, 404)).toEqual({ none: true });
  expect(await answerTo({ error: { code: 'ErrorAccessDenied' } }, 403)).toMatchObject({ refused: true });
});

const refused: PhotoAnswer = { fault: 'refused', refused: true };
const none: PhotoAnswer = { none: true };
const spoiled: PhotoAnswer = { fault: 'spoiled', refused: false };

test.each<[string, PhotoAnswer[], boolean, boolean, number?]>([
  ['nothing', [], false, false],
  ['one refusal before any answer', [refused], false, true],
  ['one refusal after an answer', [refused], true, false],
  ['many refusals after an answer', Array.from({ length: 5 }, () => refused), true, true],
  ['a few refusals after others', [refused], true, true, 4],
  ['a few refusals after fewer others', [refused], true, false, 3],
  ['an answer among refusals', [none, ...Array.from({ length: 19 }, () => refused)], false, false],
  ['spoiled photos', [spoiled, spoiled], false, false],
])('%s: permission missing', (_name, answers, everAnswered, missing, before = 0) => {
  expect(lacksPermission(answers, everAnswered, before)).toBe(missing);
});

test.each([
  [['User.Read.All'], undefined],
  [['Directory.Read.All', 'ProfilePhoto.Read.All'], undefined],
  [
    ['Directory.Read.All', 'GroupMember.Read.All'],
    ['User.Read.All', 'ProfilePhoto.Read.All'],
  ],
])('photos with the roles %s', (roles, missing) => {
  expect(missingPhotoRoles(roles)).toEqual(missing);
});
