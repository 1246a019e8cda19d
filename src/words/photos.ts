// How photos stand, in words: of a tenant and of one account.
import { count, plural } from '../rules/numbers.ts';
import { photosCure } from '../rules/photos.ts';
import type { AccountPhoto, PhotoState } from '../store/photos/state.ts';
import { when } from './times.ts';

/** Returns the line of `status` about the photos of a tenant that reads them, or has some left. */
export function describePhotos(state: PhotoState): string {
  const { read, photos, due, faults, trouble, trouble_message: message, trouble_since: since } = state;
  const held = plural(photos, 'photo');
  if (!read) return `${held}, which go with the next look of the worker: photos.read is false`;
  const aside = faults > 0 ? `, ${count(faults)} set aside` : '';
  const counts = `${held} (${state.size}), ${due === null ? 'not asked for yet' : `${count(due)} due`}${aside}`;
  if (trouble === null) return counts;
  const cure = trouble === 'permission_missing' ? ` -> ${photosCure}` : '';
  return `${counts}; none is read ${since ? `(since ${when(since)})` : ''}: ${message}${cure}`;
}

/** Returns the photo of an account in words; undefined where photos are not read and none is there. */
export function describeAccountPhoto(photo: AccountPhoto): string | undefined {
  const { read, read_at: asked, sha256, width, height, size, content_type: type, updated_at: since, fault } = photo;
  if (asked === null && !read) return undefined;
  if (asked === null) return fault === null ? 'not asked for yet' : `set aside: ${fault}`;
  const there =
    sha256 === null
      ? 'none in Entra ID'
      : `${type?.replace('image/', '').toUpperCase()}, ${width} x ${height}, ${count(Math.ceil((size ?? 0) / 1024))} KiB, since ${when(since)}`;
  const aside = fault === null ? '' : `; the newest is set aside: ${fault}`;
  return `${there}; last asked ${when(asked)}${aside}`;
}
