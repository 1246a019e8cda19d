// Which users have a photo, and which one. No change of it is an edit: delta tells nothing of photos.
import { drawPicture, type Picture } from './pictures.ts';
import { createRandom } from './random.ts';
import { liveOf, type Truth } from './truth.ts';
import { entityIn } from './user-edits.ts';

/** The widths that are kept of a photo in a mailbox. One that was uploaded smaller has no larger one. */
const widths = [48, 64, 96, 120, 240, 360, 432, 504, 648];

/** Gives a share of the users of a new tenant a photo. */
export function populatePhotos(truth: Truth, share: number): void {
  // Its own numbers, so that users and groups of a seed stay as they are.
  const random = createRandom(`photos ${truth.seed}`);
  for (const user of liveOf(truth.users)) {
    if (random.next() < share) truth.photos.set(user.id, 1);
  }
}

/** Gives a live user another photo; null: none. */
export function setPhoto(truth: Truth, id: string, photo: 'another' | null): void {
  const user = entityIn(truth.users, id, ['live']);
  truth.drawn += 1;
  if (photo === null) truth.photos.delete(user.id);
  else truth.photos.set(user.id, truth.drawn + 1);
}

/** Returns the photo of a user as Graph gives it in a width; undefined: there is none, or none of this width. */
export function photoOf(truth: Truth, id: string, width: number): Picture | undefined {
  const version = truth.photos.get(id);
  if (version === undefined || !widths.includes(width)) return undefined;
  const random = createRandom(`photo ${truth.seed} ${id} ${version}`);
  const type = random.chance(0.2) ? 'png' : 'jpeg';
  const seed = `${truth.seed} ${id} ${version}`;
  // Photos that are kept in Entra ID itself have the size in which they came, whichever is asked for.
  if (random.chance(0.1)) {
    return drawPicture(seed, { type, width: 96 + random.below(200), height: 96 + random.below(200) });
  }
  const largest = random.pick([240, 360, 648, 648, 648]);
  return width > largest ? undefined : drawPicture(seed, { type, width, height: width });
}

/** Whether Graph knows a photo size, as `240x240`; returns its width. */
export function widthOf(size: string): number | undefined {
  return widths.find((width) => size.toLowerCase() === `${width}x${width}`);
}
