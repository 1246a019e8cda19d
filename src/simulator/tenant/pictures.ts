// Pictures by a seed: a mosaic of coloured squares, as a JPEG or a PNG of any size.
import { crc32, deflateSync } from 'node:zlib';
import { createRandom } from './random.ts';

export type Picture = { contentType: 'image/jpeg' | 'image/png'; bytes: Buffer };

type Colour = readonly [red: number, green: number, blue: number];
type Mosaic = (x: number, y: number) => Colour;

const squares = 5;

/** Returns the colour of each place (0 to 1), mirrored left to right like a face. */
function mosaicOf(seed: string): Mosaic {
  const random = createRandom(`picture ${seed}`);
  const shade = (low: number) => [0, 1, 2].map(() => low + random.below(90)) as unknown as Colour;
  const [paper, ink] = [shade(165), shade(20)];
  const isInk = Array.from({ length: squares * Math.ceil(squares / 2) }, () => random.chance(0.5));
  return (x, y) => {
    const [column, row] = [x, y].map((place) => Math.min(squares - 1, Math.floor(place * squares))) as [number, number];
    return isInk[row * Math.ceil(squares / 2) + Math.min(column, squares - 1 - column)] ? ink : paper;
  };
}

/** Returns the picture of a seed. The same seed, type and size give the same bytes. */
export function drawPicture(
  seed: string,
  { type, width, height }: { type: 'jpeg' | 'png'; width: number; height: number },
): Picture {
  const mosaic = mosaicOf(seed);
  if (type === 'png') return { contentType: 'image/png', bytes: png(mosaic, width, height) };
  return { contentType: 'image/jpeg', bytes: jpeg(mosaic, width, height, seed) };
}

function chunk(type: string, data: Uint8Array): Buffer {
  const body = Buffer.concat([Buffer.from(type, 'latin1'), data]);
  const ends = Buffer.alloc(8);
  ends.writeUInt32BE(data.length, 0);
  ends.writeUInt32BE(crc32(body), 4);
  return Buffer.concat([ends.subarray(0, 4), body, ends.subarray(4)]);
}

function png(mosaic: Mosaic, width: number, height: number): Buffer {
  // Rows of one square are alike.
  const rows = Array.from({ length: squares }, (_, row) => {
    const pixels = Array.from({ length: width }, (_, x) => mosaic(x / width, (row + 0.5) / squares));
    return Buffer.from([0, ...pixels.flat()]);
  });
  const image = Buffer.concat(
    Array.from({ length: height }, (_, y) => rows[Math.floor((y / height) * squares)] ?? Buffer.alloc(0)),
  );
  const head = Buffer.alloc(13);
  head.writeUInt32BE(width, 0);
  head.writeUInt32BE(height, 4);
  // Eight bits a channel, true colour.
  head.set([8, 2], 8);
  const signature = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
  const parts = [chunk('IHDR', head), chunk('IDAT', deflateSync(image, { level: 1 })), chunk('IEND', Buffer.alloc(0))];
  return Buffer.concat([signature, ...parts]);
}

const marker = (code: number, data: readonly number[]) =>
  Buffer.from([0xff, code, (data.length + 2) >> 8, (data.length + 2) & 0xff, ...data]);

// ITU-T T.81, Annex K.3: the lengths of the codes for differences of a first coefficient.
const lengthsOfCodes = [0, 1, 5, 1, 1, 1, 1, 1, 1, 0, 0, 0, 0, 0, 0, 0];

/** Code and length of each category of a difference. */
const codes = (() => {
  const found: (readonly [code: number, length: number])[] = [];
  let code = 0;
  for (const [index, count] of lengthsOfCodes.entries()) {
    for (let number = 0; number < count; number += 1) {
      found.push([code, index + 1]);
      code += 1;
    }
    code <<= 1;
  }
  return found;
})();

// Each block of 8 by 8 pixels has one colour: its first coefficient alone, and the end of the block.
function jpeg(mosaic: Mosaic, width: number, height: number, seed: string): Buffer {
  const bytes: number[] = [];
  let [held, heldBits] = [0, 0];
  const write = (value: number, length: number) => {
    held = (held << length) | value;
    heldBits += length;
    while (heldBits >= 8) {
      const byte = (held >> (heldBits - 8)) & 0xff;
      bytes.push(byte);
      if (byte === 0xff) bytes.push(0);
      heldBits -= 8;
      held &= (1 << heldBits) - 1;
    }
  };
  const before = [0, 0, 0];
  const [across, down] = [Math.ceil(width / 8), Math.ceil(height / 8)];
  for (let block = 0; block < across * down; block += 1) {
    const channels = lightAndColour(mosaic((block % across) / across, Math.floor(block / across) / down));
    for (const [index, value] of channels.entries()) {
      const difference = value - (before[index] ?? 0);
      before[index] = value;
      const category = difference === 0 ? 0 : Math.floor(Math.log2(Math.abs(difference))) + 1;
      const [code, length] = codes[category] ?? [0, 0];
      write(code, length);
      if (category > 0) write(difference < 0 ? difference + (1 << category) - 1 : difference, category);
      // The only code of the other coefficients: the block ends.
      write(0, 1);
    }
  }
  if (heldBits > 0) write((1 << (8 - heldBits)) - 1, 8 - heldBits);
  const size = [height >> 8, height & 0xff, width >> 8, width & 0xff];
  return Buffer.concat([
    Buffer.from([0xff, 0xd8]),
    marker(0xe0, [...Buffer.from('JFIF\0', 'latin1'), 1, 1, 0, 0, 1, 0, 1, 0, 0]),
    // A comment as long as the details of a real photo.
    marker(0xfe, [...Buffer.alloc(Math.round((width * height) / 8), `${seed} `)].slice(0, 60_000)),
    // Dividing by 8 makes the first coefficient the colour itself.
    marker(0xdb, [0, 8, ...Array.from({ length: 63 }, () => 1)]),
    marker(0xc0, [8, ...size, 3, ...[1, 2, 3].flatMap((id) => [id, 0x11, 0])]),
    marker(0xc4, [0x00, ...lengthsOfCodes, ...codes.map((_, category) => category)]),
    marker(0xc4, [0x10, 1, ...Array.from({ length: 15 }, () => 0), 0]),
    marker(0xda, [3, ...[1, 2, 3].flatMap((id) => [id, 0x00]), 0, 63, 0]),
    Buffer.from(bytes),
    Buffer.from([0xff, 0xd9]),
  ]);
}

// JFIF's colour space, each value around zero.
const lightAndColour = ([red, green, blue]: Colour) => [
  Math.round(0.299 * red + 0.587 * green + 0.114 * blue) - 128,
  Math.round(-0.1687 * red - 0.3313 * green + 0.5 * blue),
  Math.round(0.5 * red - 0.4187 * green - 0.0813 * blue),
];
