// The outcome of a change of settings in words that terminal and pages share.
import { count, plural } from '../rules/numbers.ts';
import type { Role, RuleChange } from '../rules/ownership.ts';
import type { ForeseenVerdict } from '../store/commit/guard.ts';
import type { TenantPreview } from '../store/preview/settings.ts';

const shownFields = 12;

/** Returns the changes of owners and editors, fields with the same change together. */
export function describeRules(rules: readonly RuleChange[]): string[] {
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

/** Returns the number of photos that go because they are read no more; none: nothing. */
export function describePhotos(photos: number): string[] {
  return photos > 0 ? [`${plural(photos, 'photo')} will be deleted: photos are read no more`] : [];
}

/** Returns what the guard would do with the accounts and groups that leave: hold them, or nothing to tell. */
export function describeHeld({ leaving, suspended, guard, groups }: TenantPreview): string[] {
  const removals = leaving.out_of_scope + leaving.disabled > 0;
  const what = removals ? `removals${suspended > 0 ? ' and suspensions' : ''}` : 'suspensions';
  return [
    ...heldText(guard, `the ${what} of these users`),
    ...(groups ? heldText(groups.guard, 'the removals of these groups') : []),
  ];
}

function heldText({ why, waiting }: ForeseenVerdict, what: string): string[] {
  return [
    ...(why === null ? [] : [`the next cycle would hold ${what} until a person decides: ${why}`]),
    ...(waiting === 0 ? [] : [`${count(waiting)} of ${what} ${waiting === 1 ? 'is' : 'are'} held already`]),
  ];
}

/** Returns a sentence on when the change takes effect, or would. */
export function whenItActs(tenants: readonly TenantPreview[], dryRun: boolean): string {
  const full = tenants.filter((one) => one.fullRound).length;
  const subject = dryRun ? 'Applied, owners' : 'Owners';
  const but = tenants.some(isHeld) ? ', but for the removals that it would hold' : '';
  if (full === 0 && tenants.some((one) => one.narrower))
    return `${subject} and editors take effect at once; the narrower scope${tenants.some((one) => one.groups) ? ' or choice of groups' : ''} with the next cycle, which is no full one${but}.`;
  if (full === 0) return dryRun ? 'Applied, it takes effect at once.' : 'It takes effect at once.';
  const of = tenants.length > 1 ? ` for ${plural(full, 'tenant')}` : '';
  return `${subject} and editors take effect at once; mapping and scope with the next cycle, which is a full one${of}${but}.`;
}

const isHeld = ({ guard, groups }: TenantPreview) => guard.why !== null || (groups?.guard.why ?? null) !== null;
