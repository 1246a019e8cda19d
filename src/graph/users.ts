// Reads the users of a tenant: first URL, listing, and single users.
import { asGuid, decodeObject, type Occurrence, type Problem, type SelectedProperties } from '../rules/decode.ts';
import { listPages } from './lists.ts';
import { readObjects, type SingleObject } from './objects.ts';
import type { GraphReader } from './reader.ts';

/** Returns the first URL of a full round. `$select` is explicit, since Graph's documents disagree on the default. */
export function firstUsersUrl(origin: string, properties: readonly string[]): string {
  return `${origin}/v1.0/users/delta?$select=${properties.join(',')}`;
}

/** Reads single users, 20 per `$batch`. */
export async function readUsers(
  reader: GraphReader,
  ids: readonly string[],
  properties: readonly string[],
  selected: SelectedProperties,
): Promise<Map<string, SingleObject>> {
  return readObjects(reader, 'users', ids, properties, (item) => decodeObject(item, selected));
}

/** Returns the first URL of a listing of all users. Graph allows at most 999 per page. */
export function usersListUrl(origin: string, properties: readonly string[]): string {
  return `${origin}/v1.0/users?$select=${properties.join(',')}&$top=999`;
}

/** Lists all users without delta, 999 per page. */
export async function* listUsers(
  reader: GraphReader,
  properties: readonly string[],
  selected: SelectedProperties,
): AsyncGenerator<(Occurrence | Problem)[]> {
  const first = usersListUrl(reader.origin, properties);
  for await (const page of listPages(reader, first)) yield page.map((item) => decodeObject(item, selected));
}

/**
 * Reads one user by object id or user principal name; `not_found`: 404. A name that starts with `$` needs quotes, and the
 * `#` in a guest's name must be encoded (learn.microsoft.com/graph/api/user-get).
 */
export async function readUser(
  reader: GraphReader,
  word: string,
  properties: readonly string[],
  selected: SelectedProperties,
): Promise<SingleObject> {
  const key = encodeURIComponent(word);
  const path = word.startsWith('$') ? `users('${key.replaceAll("'", "''")}')` : `users/${key}`;
  return reader.getJson<SingleObject>(`${reader.origin}/v1.0/${path}?$select=${properties.join(',')}`, {
    carriedToken: false,
    absent: () => 'not_found',
    parse: (body) => {
      const decoded = decodeObject(body, selected);
      if ('removed' in decoded) return { malformed: 'it is a removed object' };
      if (!decoded.id) return { malformed: 'it is not a user' };
      return asGuid(word) && decoded.id !== word.toLowerCase() ? { malformed: 'it is another user' } : decoded;
    },
  });
}
