// The schema of the groups that are copied, and the choice in force.
import { z } from 'zod';
import { type GroupChoice, isGroupId } from '../rules/copied-groups.ts';
import { folded } from '../rules/glob.ts';

/** Maximum number of entries in `groups.only` and in `groups.except`: each is tried on every group. */
export const maxGroupEntries = 1_000;

const entries = (description: string) =>
  z.array(z.string().min(1).max(256)).meta({
    description: `${description} Object ids, or globs of the display name. At most 1,000.`,
    maxItems: maxGroupEntries,
  });

export const groupsSchema = z
  .strictObject({
    only: entries('The groups that are copied; [] for all.'),
    except: entries('Groups that are not copied, whatever only says.'),
  })
  .meta({ description: 'The groups that are copied. Nested membership runs through the others, too.' });

type Written = { readonly [list in keyof z.infer<typeof groupsSchema>]?: readonly string[] | undefined };

/** Returns the choice in force. `always`: groups that other settings name. */
export function choiceOf({ only = [], except = [] }: Written = {}, always: readonly string[]): GroupChoice {
  return { only: normal(only), except: normal(except), always: [...new Set(always)].sort() };
}

const normal = (written: readonly string[]) =>
  [...new Set(written.map((entry) => (isGroupId(entry.toLowerCase()) ? entry.toLowerCase() : folded(entry))))].sort();
