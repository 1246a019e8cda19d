// The outcome of `settings apply` and `tenant set` in words.
import type { TenantPreview } from '../engine/preview.ts';
import { count, plural } from './format.ts';
import { table } from './layout.ts';

const shownFields = 12;

/** Returns the outcome for one tenant, line by line. */
export function describeOutcome(one: TenantPreview, name: string): string[] {
  const lines = [
    one.shelved > 0 &&
      `${plural(one.shelved, 'edit')} shelved: kept, and not in force while the directory owns the field`,
    one.unshelved > 0 && `${plural(one.unshelved, 'edit')} back in force`,
    one.leaving.out_of_scope > 0 &&
      `${users(one.leaving.out_of_scope)} the scope:\n${table(
        [{ title: 'condition' }, { title: 'accounts', right: true }],
        Object.entries(one.conditions).map(([name, left]) => [name, count(left)]),
      )}\n${table(
        [{ title: 'leaves' }, { title: 'because' }],
        one.leavers.slice(0, shownFields).map(({ display_name: name, account_id: id, why }) => [name ?? id, why]),
      )}`,
    one.leavers.length > shownFields && `… and more users (--json shows up to 1,000)`,
    one.leaving.disabled > 0 && `${plural(one.leaving.disabled, 'disabled account')} removed`,
    one.unmatched.length > 0 &&
      `warning: no stored user fits the glob of ${one.unmatched.join(', ')}: check how it is written`,
    one.suspended > 0 && `${plural(one.suspended, 'account')} suspended`,
    one.resumed > 0 && `${plural(one.resumed, 'account')} no longer suspended`,
    one.pendingVersion !== null &&
      `version ${one.pendingVersion} still waits for its full round: the numbers include both versions`,
    one.missingGroups.length > 0 &&
      `scope group ${one.missingGroups.join(', ')} is not among the synced groups: while one is missing or cannot be read, no account is removed for being outside the groups`,
    one.mayEnter && 'users who enter the scope are known after the full round: of users outside only ids are stored',
    ...Object.entries(one.unread).map(
      ([property, users]) => `${property} has never been read: ${knownLater(users)} after the full round`,
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

function knownLater(names: readonly string[]): string {
  const conditions = names.filter((name) => name.startsWith('scope.'));
  const fields = names.filter((name) => !conditions.includes(name));
  const values = fields.length > 0 ? [`the values of ${fields.join(', ')} are known`] : [];
  const leavers = conditions.length > 0 ? [`the users who fail ${conditions.join(', ')} are known`] : [];
  return [...values, ...leavers].join(', and ');
}

function users(number: number): string {
  return number === 1 ? '1 user leaves' : `${count(number)} users leave`;
}

/** Returns a sentence on when the change takes effect. */
export function whenItActs(tenants: readonly TenantPreview[]): string {
  const full = tenants.filter((one) => one.fullRound).length;
  if (full === 0 && tenants.some((one) => one.narrower))
    return 'Owners and editors take effect at once; the narrower scope with the next cycle, which is no full one.';
  if (full === 0) return 'It takes effect at once.';
  return `Owners and editors take effect at once; mapping and scope with the next cycle, which is a full one${tenants.length > 1 ? ` for ${plural(full, 'tenant')}` : ''}.`;
}
