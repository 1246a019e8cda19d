// Why an account has left the scope: the condition, and the value that failed it, from the stored document.
import { conditionName, outsideOf } from '../rules/scope.ts';
import type { SettingsDocument } from '../settings/settings.ts';
import { documentOf } from '../store/accounts/explain.ts';
import type { Database } from '../store/database/pool.ts';
import { settingsInForce } from '../store/settings/versions.ts';

/** Returns the condition of the settings in force that keeps the account's user outside, with its value. */
export async function whyOutside(
  database: Database,
  defaults: SettingsDocument,
  account: { readonly account_id: string; readonly tenant_id: string; readonly entra_object_id: string | null },
): Promise<string | undefined> {
  const source = await documentOf(database, account.account_id);
  const settings = await settingsInForce(database, account.tenant_id, defaults);
  const { scope, disabledAccounts } = settings;
  const outside = outsideOf({ id: account.entra_object_id ?? '', source }, scope, disabledAccounts);
  if (outside) return `${conditionName(outside.condition)}: ${outside.why}`;
  return scope.groups.length > 0 ? 'scope.groups: in none of the scope groups' : undefined;
}
