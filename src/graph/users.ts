// The users of a tenant: the first URL, and single users.
import { asGuid, decodeObject, type Occurrence, type Problem, type SelectedProperties } from '../rules/decode.ts';
import { listPages } from './lists.ts';
import { readObjects, type SingleObject } from './objects.ts';
import type { GraphReader } from './reader.ts';

/** Where a full round starts. `$select` is explicit: without it the pages of Graph disagree on what is tracked. */
export function firstUsersUrl(origin: string, properties: readonly string[]): string {
  return `${origin}/v1.0/users/delta?$select=${properties.join(',')}`;
}

/** Reads users one by one, 20 in a `$batch`. */
export async function readUsers(
  reader: GraphReader,
  ids: readonly string[],
  properties: readonly string[],
  selected: SelectedProperties,
): Promise<Map<string, SingleObject>> {
  return readObjects(reader, 'users', ids, properties, (item) => decodeObject(item, selected));
}

/** Where a listing of all users starts; 999 is the most that Graph gives on a page. */
export function usersListUrl(origin: string, properties: readonly string[]): string {
  return `${origin}/v1.0/users?$select=${properties.join(',')}&$top=999`;
}

/** All users by listing, not delta, 999 a page. */
export async function* listUsers(
  reader: GraphReader,
  properties: readonly string[],
  selected: SelectedProperties,
): AsyncGenerator<(Occurrence | Problem)[]> {
  const first = usersListUrl(reader.origin, properties);
  for await (const page of listPages(reader, first)) yield page.map((item) => decodeObject(item, selected));
}

/**
 * Reads one user by object id or user principal name: whole, a problem, or `gone` (404). A name that begins with `$` needs
 * quotes, and the `#` of a guest's must be encoded (learn.microsoft.com/graph/api/user-get).
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
    absent: () => 'gone',
    parse: (body) => {
      const decoded = decodeObject(body, selected);
      if ('removed' in decoded) return { malformed: 'it is a removed object' };
      if (!decoded.id) return { malformed: 'it is no user' };
      return asGuid(word) && decoded.id !== word.toLowerCase() ? { malformed: 'it is another user' } : decoded;
    },
  });
}
