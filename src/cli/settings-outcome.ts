// The outcome of `settings apply` and `tenant set` in words.
import type { GroupsPreview } from '../store/preview/groups.ts';
import type { TenantPreview } from '../store/preview/settings.ts';
import { describeHeld, describePhotos, describeRules } from '../words/settings-outcome.ts';
import { count, plural } from './format.ts';
import { table } from './layout.ts';

const shownFields = 12;
const shownOutcomes = 20;
const shownNames = 5;

/** Returns the outcome line by line: tenants with the same one together, in the order given. */
export function describeOutcomes(tenants: readonly TenantPreview[], nameOf: (tenantId: string) => string): string[] {
  const alike = new Map<string, TenantPreview[]>();
  for (const one of tenants) {
    const key = describeOutcome(one, '').join('\n');
    const same = alike.get(key);
    if (same) same.push(one);
    else alike.set(key, [one]);
  }
  const outcomes = [...alike.values()];
  const lines = outcomes.slice(0, shownOutcomes).flatMap((same) => {
    const names = same.slice(0, shownNames).map((one) => nameOf(one.tenantId));
    const more = same.length - names.length;
    const [first] = same;
    return first ? describeOutcome(first, `${names.join(', ')}${more > 0 ? ` and ${count(more)} more` : ''}`) : [];
  });
  const left = outcomes.slice(shownOutcomes).reduce((sum, same) => sum + same.length, 0);
  return left === 0 ? lines : [...lines, `… and ${plural(left, 'tenant')} more (--json shows them)`];
}

function describeOutcome(one: TenantPreview, name: string): string[] {
  const lines = [
    ...describeRules(one.rules),
    one.shelved > 0 &&
      `${plural(one.shelved, 'edit')} shelved: kept, and not in force while the directory owns the field`,
    one.unshelved > 0 && `${plural(one.unshelved, 'edit')} back in force`,
    one.leaving.out_of_scope > 0 &&
      `${users(one.leaving.out_of_scope)} the scope, ${count(one.staying)} ${one.staying === 1 ? 'stays' : 'stay'}:\n${table(
        [{ title: 'condition' }, { title: 'accounts', right: true }],
        Object.entries(one.conditions).map(([name, left]) => [name, count(left)]),
      )}\n${table(
        [{ title: 'leaves', long: true }, { title: 'because' }],
        one.leavers.slice(0, shownFields).map(({ display_name: name, account_id: id, why }) => [name ?? id, why]),
      )}`,
    one.leavers.length > shownFields && `… and more users (--json shows up to 1,000)`,
    one.leaving.disabled > 0 && `${plural(one.leaving.disabled, 'disabled account')} removed`,
    one.unmatched.length > 0 &&
      `warning: no stored user fits the glob of ${one.unmatched.join(', ')}: check how it is written`,
    ...describeGroups(one.groups),
    ...describePhotos(one.photos),
    one.suspended > 0 && `${plural(one.suspended, 'account')} suspended`,
    one.resumed > 0 && `${plural(one.resumed, 'account')} no longer suspended`,
    ...describeHeld(one).map((line) => `${line} -> entra-sync removals list`),
    one.pendingVersion !== null &&
      `no cycle has applied version ${one.pendingVersion} yet: the numbers include both versions`,
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

function describeGroups(groups: GroupsPreview | undefined): (string | false)[] {
  if (!groups) return [];
  const { staying, leaving, leavers, coming, unknown, unmatched } = groups;
  return [
    leaving > 0 &&
      `${plural(leaving, 'group')} no longer copied, ${count(staying)} ${staying === 1 ? 'stays' : 'stay'}:\n${table(
        [{ title: 'group', long: true }, { title: 'because' }],
        leavers.slice(0, shownFields).map(({ display_name: name, group_id: id, why }) => [name ?? id, why]),
      )}`,
    leavers.length > shownFields && '… and more groups (--json shows up to 1,000)',
    coming > 0 && `${plural(coming, 'group')} copied again, named by object id`,
    unknown > 0 &&
      `${plural(unknown, 'group')} not copied today: no name is kept, so the full round finds those that the settings take`,
    unmatched.length > 0 &&
      `warning: no copied group fits the glob of ${unmatched.join(', ')}: check how it is written${unknown > 0 ? ', unless groups that are not copied are meant' : ''}`,
  ];
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
