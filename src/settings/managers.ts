// The settings of managers: whether they are kept, and the groups that manage other groups.
import { z } from 'zod';
import type { Mistake } from './lines.ts';

/** Maximum number of entries in `managedBy`: each is tried for every edit by a manager. */
export const maxManagedBy = 100;

const group = z.guid('is not an object id: write the GUID that Entra shows for the group');

/** The entry of `managedBy`: the members of one group manage those of another, or everyone. */
export const managedBySchema = z
  .strictObject({
    managers: group.meta({ description: 'The object id of the group whose members manage.' }),
    people: z
      .union([
        z.literal('everyone'),
        z.guid('is neither everyone nor an object id: write the GUID that Entra shows for the group'),
      ])
      .meta({ description: 'everyone, or the object id of the group whose members they manage.' }),
  })
  .meta({ description: 'Members count through nested groups, and no account manages itself.' });

export const managersSchemas = {
  managers: z.boolean().meta({
    description:
      "Whether each user's manager is kept, for directory.managers and for fields that come from the manager.",
  }),
  managedBy: z.array(managedBySchema).max(maxManagedBy).meta({
    description: 'Groups whose members manage other people, beside the managers that Entra ID names. At most 100.',
  }),
};

/** The members of the group `managers` manage those of the group `people`; null: every account. Object ids. */
export type ManagedBy = { readonly managers: string; readonly people: string | null };

/** Returns an entry of `managedBy` in its stored form. */
export function managedByOf({ managers, people }: z.infer<typeof managedBySchema>): ManagedBy {
  return { managers: managers.toLowerCase(), people: people === 'everyone' ? null : people.toLowerCase() };
}

/** Returns a problem for each field that comes from the manager although managers are not kept. */
export function problemsOfManagers(managers: unknown, fields: readonly [string, unknown][]): Mistake[] {
  if (managers === true) return [];
  return fields.flatMap(([name, field]) => {
    const from = (field as { from?: unknown } | null)?.from;
    if (typeof from !== 'object' || from === null || !Object.hasOwn(from, 'manager')) return [];
    const text = `fields.${name} comes from the manager, and managers is false: set managers: true, or take the field out`;
    return [{ path: ['fields', name, 'from'], text }];
  });
}
