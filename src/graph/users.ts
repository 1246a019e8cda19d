// The users of a tenant: the first URL, and single users.
import { decodeObject, type Occurrence, type Problem, type SelectedProperties } from '../rules/decode.ts';
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

/** All users by listing, not delta, 999 a page. */
export async function* listUsers(
  reader: GraphReader,
  properties: readonly string[],
  selected: SelectedProperties,
): AsyncGenerator<(Occurrence | Problem)[]> {
  const first = `${reader.origin}/v1.0/users?$select=${properties.join(',')}&$top=999`;
  for await (const page of listPages(reader, first)) yield page.map((item) => decodeObject(item, selected));
}
