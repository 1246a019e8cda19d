// What a settings change comes to, in words: for `settings apply` and `tenant set`, done or rehearsed.
import type { TenantPreview } from '../engine/preview.ts';
import { count, plural } from './format.ts';
import { table } from './terminal.ts';

const shownFields = 12;

/** The outcome for one tenant, line by line; nothing for a tenant that it leaves as it is. */
export function describeOutcome(one: TenantPreview, name: string): string[] {
  const lines = [
    one.shelved > 0 &&
      `${plural(one.shelved, 'edit')} shelved: kept, and not in force while the directory owns the field`,
    one.unshelved > 0 && `${plural(one.unshelved, 'edit')} back in force`,
    one.leaving.out_of_scope > 0 && `${people(one.leaving.out_of_scope)} the scope`,
    one.leaving.disabled > 0 && `${plural(one.leaving.disabled, 'disabled account')} removed`,
    one.suspended > 0 && `${plural(one.suspended, 'account')} suspended`,
    one.resumed > 0 && `${plural(one.resumed, 'account')} no longer suspended`,
    one.pendingVersion !== null &&
      `version ${one.pendingVersion} still waits for its full round: this counts what comes of both`,
    one.missingGroups.length > 0 &&
      `scope group ${one.missingGroups.join(', ')} is not among the synced groups: as long as one is missing or cannot be read, nobody is removed by groups`,
    one.mayEnter && 'who enters the scope is known after the full round: of people outside only ids are kept',
    ...Object.entries(one.unread).map(
      ([property, fields]) => `${property} was never read: ${fields.join(', ')} known after the full round`,
    ),
  ].filter((line) => line !== false);
  const fields = Object.entries(one.fields);
  const shown = fields.slice(0, shownFields).map(([field, changed]) => [field, count(changed)]);
  const changes =
    fields.length > 0
      ? `${plural(one.profiles, 'profile')} change:\n${table([{ title: 'field' }, { title: 'accounts', right: true }], shown)}`
      : 'no profile changes';
  const more =
    fields.length > shownFields ? [`… and ${count(fields.length - shownFields)} more fields (--json shows them)`] : [];
  return [`${name}: ${changes}`, ...more, ...lines];
}

function people(number: number): string {
  return number === 1 ? '1 person leaves' : `${count(number)} people leave`;
}

/** When it acts. */
export function whenItActs(tenants: readonly TenantPreview[]): string {
  const full = tenants.filter((one) => one.fullRound).length;
  if (full === 0) return 'It acts at once.';
  return `Owners and editors act at once; mapping and scope with the next cycle, which is a full one${tenants.length > 1 ? ` for ${plural(full, 'tenant')}` : ''}.`;
}
