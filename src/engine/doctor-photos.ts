// Checks whether the photos of a tenant can be read, where its settings ask for them.
import { ExpectedError } from '../errors.ts';
import { readPhotos } from '../graph/photos.ts';
import type { GraphReader } from '../graph/reader.ts';
import { type PhotoSize, photosCure } from '../rules/photos.ts';
import { missingPhotoRoles } from '../rules/roles.ts';
import type { Finding } from './checklist.ts';

/** Asks for one user's photo. Throws `permission_missing` where the roles of the token do not suffice, or Graph refuses. */
export async function judgePhotos(
  reader: () => GraphReader,
  { roles, first, size }: { roles: readonly string[]; first: string | undefined; size: PhotoSize },
): Promise<Finding<true>> {
  const missing = missingPhotoRoles(roles);
  if (missing) {
    const held = roles.length === 0 ? 'no role' : roles.join(', ');
    throw new ExpectedError('permission_missing', `${held}, but not ${missing.join(' or ')}: photos cannot be read`, {
      cure: photosCure,
    });
  }
  if (first === undefined) return { says: 'not read: no user was on the first page', value: true };
  const answer = (await readPhotos(reader(), [first], size)).get(first);
  if (answer && 'photo' in answer) {
    const { width, height } = answer.photo;
    return { says: `of one user, ${width} x ${height}`, value: true };
  }
  if (answer && 'none' in answer) return { says: 'one user was asked for, who has none', value: true };
  if (answer?.refused) {
    throw new ExpectedError('permission_missing', 'of one user Graph refused it (403)', {
      cure: `${photosCure}; where other photos are read, Exchange Online limits the application to some mailboxes`,
    });
  }
  return { says: `of one user it would be set aside: ${answer?.fault ?? 'no answer'}`, value: true };
}
