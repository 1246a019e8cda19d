// Reads the managers of single users, and the users that a user manages: a restored manager's links are in no page.
import { idOf } from '../rules/managers.ts';
import { batchSize, readBatch } from './batch.ts';
import { readList } from './lists.ts';
import type { GraphReader } from './reader.ts';

/** The object id of a manager, `none`, or why the manager cannot be read. */
export type ManagerAnswer = { readonly id: string } | 'none' | { readonly unread: string };

/** Reads the managers of users, 20 per `$batch`. A deleted manager is `none` (404), as no manager is. */
export async function readManagers(
  reader: GraphReader,
  userIds: readonly string[],
): Promise<Map<string, ManagerAnswer>> {
  const found = new Map<string, ManagerAnswer>();
  for (let start = 0; start < userIds.length; start += batchSize) {
    const urls = new Map(
      userIds.slice(start, start + batchSize).map((id) => [id, `/users/${id}/manager?$select=id`] as const),
    );
    await readBatch<ManagerAnswer>(
      reader,
      urls,
      {
        body: (_, body) => {
          const id = idOf(body);
          return id === undefined ? { malformed: 'the manager has no id' } : { id };
        },
        notFound: () => 'none',
        unread: (_, why) => ({ unread: `the manager cannot be read (${why})` }),
      },
      found,
    );
  }
  return found;
}

/** Reads the direct reports of a user, or returns why they cannot be read. */
export async function readReports(
  reader: GraphReader,
  userId: string,
): Promise<readonly string[] | { readonly unread: string }> {
  const entries = await readList(
    reader,
    'users',
    `${reader.origin}/v1.0/users/${userId}/directReports?$select=id&$top=999`,
  );
  if ('refused' in entries) return { unread: `the direct reports cannot be read (${entries.refused})` };
  return entries.flatMap((entry) => idOf(entry) ?? []);
}
