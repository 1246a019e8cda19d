// The outcome of `settings apply` and `tenant set` in words.
import type { TenantPreview } from '../engine/preview.ts';
import type { Role, RuleChange } from '../rules/ownership.ts';
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

/** Returns the changes of owners and editors, fields with the same change together. */
function describeRules(rules: readonly RuleChange[]): string[] {
  const fieldsOf = new Map<string, string[]>();
  for (const textOf of ruleTexts) {
    for (const { field, ...rule } of rules) {
      const change = textOf(rule);
      if (change !== undefined) fieldsOf.set(change, [...(fieldsOf.get(change) ?? []), field]);
    }
  }
  return [...fieldsOf].map(([change, fields]) => {
    const shown = fields.slice(0, shownFields).join(', ');
    const more = fields.length - shownFields;
    return `${change}: ${shown}${more > 0 ? ` and ${count(more)} more (--json shows them)` : ''}`;
  });
}

// In the order in which they are told.
const ruleTexts: readonly ((rule: Omit<RuleChange, 'field'>) => string | undefined)[] = [
  ({ owner }) => ownerText(owner),
  ({ managed: { gain } }) => gainText(gain, ''),
  ({ managed: { lose } }) => loseText(lose, ''),
  ({ manual: { gain } }) => gainText(gain, ' on manual accounts'),
  ({ manual: { lose } }) => loseText(lose, ' on manual accounts'),
];

function ownerText({ before, after }: RuleChange['owner']): string | undefined {
  if (before === after) return undefined;
  if (after === null) return 'no longer a field';
  return before === null ? `new, owned by the ${after}` : `owned by the ${after} from now on`;
}

function gainText(roles: readonly Role[], where: string): string | undefined {
  return roles.length === 0 ? undefined : `${roleText(roles)} may edit${where} from now on`;
}

function loseText(roles: readonly Role[], where: string): string | undefined {
  return roles.length === 0 ? undefined : `${roleText(roles)} may no longer edit${where}`;
}

const roleText = (roles: readonly Role[]) =>
  roles.length === 1 ? `the role ${roles[0]}` : `the roles ${roles.join(' and ')}`;

/** Returns a sentence on when the change takes effect, or would. */
export function whenItActs(tenants: readonly TenantPreview[], dryRun: boolean): string {
  const full = tenants.filter((one) => one.fullRound).length;
  const subject = dryRun ? 'Applied, owners' : 'Owners';
  if (full === 0 && tenants.some((one) => one.narrower))
    return `${subject} and editors take effect at once; the narrower scope with the next cycle, which is no full one.`;
  if (full === 0) return dryRun ? 'Applied, it takes effect at once.' : 'It takes effect at once.';
  const of = tenants.length > 1 ? ` for ${plural(full, 'tenant')}` : '';
  return `${subject} and editors take effect at once; mapping and scope with the next cycle, which is a full one${of}.`;
}
