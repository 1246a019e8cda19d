// Who is away: the list of what was deleted and can be restored.

import { asGuid } from '../rules/decode.ts';
import type { Stream } from '../rules/streams.ts';
import { readList } from './lists.ts';
import type { GraphReader } from './reader.ts';

/**
 * The object ids of the persons or groups that are deleted and can be restored (directory-deleteditems-list: the roles of
 * delta are enough); undefined where Graph refuses the list, or fails at it alone.
 */
export async function readDeletedIds(reader: GraphReader, collection: Stream): Promise<string[] | undefined> {
  const type = collection === 'users' ? 'user' : 'group';
  const url = `${reader.origin}/v1.0/directory/deletedItems/microsoft.graph.${type}?$select=id&$top=999`;
  const entries = await readList(reader, collection, url);
  if ('refused' in entries) return undefined;
  return entries.flatMap((entry) => {
    const { id } = (entry ?? {}) as { id?: unknown };
    return (typeof id === 'string' && asGuid(id)) || [];
  });
}
