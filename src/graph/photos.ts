// Reads photos of users, 20 per `$batch`, and checks the bytes (learn.microsoft.com/graph/api/profilephoto-get).

import { createHash } from 'node:crypto';
import { imageSize } from 'image-size';
import {
  maxPhotoBytes,
  maxPhotoSide,
  type Photo,
  type PhotoAnswer,
  type PhotoSize,
  refusedFault,
} from '../rules/photos.ts';
import { readBatch } from './batch.ts';
import type { GraphReader } from './reader.ts';

/** The most bytes of one answer: its text, its base64 and its photos are in memory together. A larger one is halved. */
const mostBytes = 8 * 1024 * 1024;

/** Graph throttles these requests before any other (learn.microsoft.com/graph/throttling-limits). */
const lowPriority = { 'x-ms-throttle-priority': 'Low' };

/**
 * Reads the photos of at most 20 users, by object id. Answers go to `found` as they come, so they outlive an error. Throws what
 * {@link GraphReader.getJson} throws.
 */
export async function readPhotos(
  reader: GraphReader,
  ids: readonly string[],
  size: PhotoSize,
  found = new Map<string, PhotoAnswer>(),
): Promise<Map<string, PhotoAnswer>> {
  await readBatch<PhotoAnswer>(
    reader,
    new Map(ids.map((id) => [id, `/users/${id}/photos/${size}/$value`])),
    {
      body: (_, body) => photoOf(body),
      notFound: () => ({ none: true }),
      unread: (_, why, failing) => ({
        fault: why === '403' ? refusedFault : `Graph did not give it (${why})`,
        refused: why === '403' && !failing,
      }),
    },
    found,
    { headers: lowPriority, mostBytes },
  );
  return found;
}

const fault = (reason: string): PhotoAnswer => ({ fault: reason, refused: false });

/** Judges the body of one answer: base64 of a JPEG or PNG. */
function photoOf(body: unknown): PhotoAnswer {
  // One character at a time: a pattern of the whole would try each space of a long text as its end.
  if (typeof body !== 'string' || /[^\w+/=\s-]/.test(body)) return fault('the answer holds no picture');
  const content = Buffer.from(body, 'base64');
  if (content.length === 0) return fault('the answer holds no picture');
  if (content.length > maxPhotoBytes) return fault(`it is larger than ${maxPhotoBytes / 1024 / 1024} MiB`);
  const measured = measure(content);
  if ('problem' in measured) return fault(measured.problem);
  return { photo: { content, ...measured, sha256: createHash('sha256').update(content).digest('hex') } };
}

type Measured = Pick<Photo, 'contentType' | 'width' | 'height'>;

const typesOf: Readonly<Record<string, { contentType: Photo['contentType']; end: Buffer }>> = {
  jpg: { contentType: 'image/jpeg', end: Buffer.from([0xff, 0xd9]) },
  png: { contentType: 'image/png', end: Buffer.from('IEND', 'latin1') },
};

/** Returns the type and size that the bytes themselves show, whatever a header says of them. */
function measure(content: Buffer): Measured | { problem: string } {
  let shown: { type?: string | undefined; width?: number; height?: number };
  try {
    shown = imageSize(content);
  } catch {
    return { problem: 'it is no picture, or a damaged one' };
  }
  const { type = '', width = 0, height = 0 } = shown;
  const known = typesOf[type];
  if (!known) return { problem: `it is neither a JPEG nor a PNG (${type.slice(0, 20)})` };
  if (!(width > 0 && height > 0)) return { problem: 'it is no picture, or a damaged one' };
  if (Math.max(width, height) > maxPhotoSide)
    return { problem: `it is larger than ${maxPhotoSide} x ${maxPhotoSide} pixels` };
  if (!content.includes(known.end)) return { problem: 'it is cut off' };
  return { contentType: known.contentType, width, height };
}
