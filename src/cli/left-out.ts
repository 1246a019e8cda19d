// Groups that the settings leave out, as explain, find and history tell of them.

import { choosesGroups, type GroupChoice, isGroupId, leftOutOf } from '../rules/copied-groups.ts';
import type { SettingsDocument } from '../settings/settings.ts';
import type { Database } from '../store/database/pool.ts';
import { describeLeftOut } from '../store/preview/groups.ts';
import { settingsInForce } from '../store/settings/versions.ts';

/** Returns why a group that is stored without its name is not copied, and the cure, in words. */
export async function whyNotCopied(
  database: Database,
  defaults: SettingsDocument,
  group: { readonly tenant_id: string; readonly entra_object_id: string },
): Promise<string> {
  const { groups } = await settingsInForce(database, group.tenant_id, defaults);
  return `not copied: ${reasonOf(groups, group.entra_object_id)}. Its id and members are kept, no name -> entra-sync settings show`;
}

function reasonOf(choice: GroupChoice, id: string): string {
  const isNamed = (entries: readonly string[]) => entries.includes(id);
  if (isNamed(choice.always) || !choosesGroups(choice)) return 'the settings take it now, and the next cycle shows it';
  if (isNamed(choice.except)) return `groups.except: ${JSON.stringify(id)}`;
  const mayExcept = choice.except.some((entry) => !isGroupId(entry));
  if (isNamed(choice.only) && !mayExcept) return 'the settings take it now, and the next cycle shows it';
  if (choice.only.length === 0 || isNamed(choice.only)) return 'a glob of groups.except fits its name';
  return mayExcept
    ? 'groups.only does not take it, or a glob of groups.except fits its name'
    : 'groups.only: no entry takes it';
}

/** Returns a remark where a group of this name would not be copied; else "". */
export async function leftOutRemark(
  database: Database,
  defaults: SettingsDocument,
  tenantId: string,
  name: string,
): Promise<string> {
  const { groups } = await settingsInForce(database, tenantId, defaults);
  const out = leftOutOf(groups, '', name);
  return out ? `; a group of that name is not copied (${describeLeftOut(out)})` : '';
}
