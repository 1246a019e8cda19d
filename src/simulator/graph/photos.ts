// Answers `/users/{id}/photos/{size}/$value`, with the faults that tests ask for.
import { type Answer, denied, graphError, notFound } from '../answers.ts';
import { photoOf, widthOf } from '../tenant/photos.ts';
import { drawPicture } from '../tenant/pictures.ts';
import type { Truth } from '../tenant/truth.ts';

/**
 * A user whose photo is not answered as it should be. `cut`: half of its bytes. `noise`: bytes that are no picture. `gif`: a
 * picture of another type. `large`: 3 MiB. `json`: an object in its place. `empty`: no bytes. `refused`: a 403 for this mailbox
 * alone. `failing`: a 503. `throttled`: a 429.
 */
export type PhotoFault = {
  id: string;
  as: 'cut' | 'noise' | 'gif' | 'large' | 'json' | 'empty' | 'refused' | 'failing' | 'throttled';
};

const readers = /^(ProfilePhoto\.Read(Write)?\.All|User\.Read(Write)?\.All)$/;

// As observed of applications without the permission, or whose access to the mailbox Exchange limits.
const accessDenied = () => graphError(403, 'ErrorAccessDenied', 'Access is denied. Check credentials and try again.');

const smallestGif = Buffer.from('R0lGODlhAQABAAAAACH5BAEKAAEALAAAAAABAAEAAAICTAEAOw==', 'base64');

/** Answers one photo. Without `size` and `$value` at the end of the path nothing is served. */
export function answerPhoto(
  truth: Truth,
  roles: readonly string[],
  faults: readonly PhotoFault[],
  [key = '', , size = '', value]: readonly string[],
): Answer {
  const wanted = key.toLowerCase();
  const user = truth.users.records.get(truth.principals.get(wanted) ?? wanted);
  const width = widthOf(size);
  if (roles.length === 0) return denied();
  if (!roles.some((role) => readers.test(role))) return accessDenied();
  if (width === undefined || value !== '$value') {
    return graphError(400, 'ErrorInvalidImageId', `The size '${size}' is not supported, or $value is missing.`);
  }
  if (user?.state !== 'live') return notFound(key);
  const fault = faults.find(({ id }) => id === user.id)?.as;
  const photo = photoOf(truth, user.id, width);
  if (fault === undefined) {
    if (photo) return { status: 200, headers: { 'Content-Type': photo.contentType }, body: photo.bytes };
    const thrown = "Exception of type 'Microsoft.Fast.Profile.Core.Exception.ImageNotFoundException' was thrown.";
    return graphError(404, 'ImageNotFound', thrown);
  }
  return spoiled(fault, photo?.bytes ?? drawPicture(user.id, { type: 'jpeg', width, height: width }).bytes);
}

function spoiled(fault: PhotoFault['as'], bytes: Buffer): Answer {
  if (fault === 'refused') return accessDenied();
  if (fault === 'failing') return graphError(503, 'ErrorServerBusy', 'The server cannot service this request.');
  if (fault === 'throttled') return graphError(429, 'TooManyRequests', 'Too many requests.');
  if (fault === 'json') return { status: 200, body: { id: '240x240' } };
  const headers = { 'Content-Type': fault === 'gif' ? 'image/gif' : 'image/jpeg' };
  const bodies = {
    cut: bytes.subarray(0, Math.floor(bytes.length / 2)),
    noise: Buffer.alloc(5_000, 'no picture at all '),
    gif: smallestGif,
    // Bytes after the end of a picture are no fault of it.
    large: Buffer.concat([bytes, Buffer.alloc(3 * 1024 * 1024)]),
    empty: Buffer.alloc(0),
  };
  return { status: 200, headers, body: bodies[fault] };
}
