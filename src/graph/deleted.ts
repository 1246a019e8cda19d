// Reads the ids of soft-deleted users and groups.

import { asGuid } from '../rules/decode.ts';
import type { Stream } from '../rules/streams.ts';
import { readList } from './lists.ts';
import type { GraphReader } from './reader.ts';

/**
 * Returns the object ids of soft-deleted users or groups (directory-deleteditems-list: the roles of delta suffice);
 * undefined if Graph refuses this list, or fails on it alone.
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
