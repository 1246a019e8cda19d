// A change in words, with the difference: what was, and what is.
import type { FoundChange } from '../../store/feed/changes.ts';
import { cut, describeMembership, isPrivate, showValue } from '../../words/changes.ts';
import { removalText } from '../../words/removals.ts';
import { type Html, html, nothing } from '../html.ts';
import type { View } from '../page.ts';
import { labelOf, type Names, shownValue } from './field-labels.ts';

const verbs: Readonly<Record<string, string>> = {
  'account.created': 'appeared',
  'account.adopted': 'is managed by the directory from now on',
  'account.updated': 'changed in the directory',
  'account.edited': 'was edited',
  'account.suspended': 'was suspended: disabled in Entra ID',
  'account.resumed': 'is enabled again',
  'account.removed': 'was removed',
  'account.restored': 'is shown again',
  'account.released': 'is manual from now on',
  'account.purged': 'was purged',
  'group.created': 'appeared',
  'group.updated': 'changed',
  'group.removed': 'was removed',
  'group.restored': 'is shown again',
  'group.purged': 'was purged',
  'group.adopted': 'is managed by the directory from now on',
  'group.released': 'is manual from now on',
  'removal.held': 'would be removed: a person decides',
  'removal.approved': 'was removed by a decision',
  'removal.rejected': 'was kept by a decision',
  'tenant.connected': 'was connected',
  'tenant.disconnected': 'was disconnected',
  'tenant.reconnected': 'was reconnected',
  'tenant.settings_changed': 'has other settings',
  'tenant.failing': 'cannot be read',
  'tenant.recovered': 'is read again',
  'tenant.noticed': 'changed very many profiles at once',
  'tenant.removals_held': 'has removals that wait for a decision',
  'tenant.waiting': 'has a consent that waits for approval',
  'tenant.credential_expires': 'has a certificate that ends soon',
  'assigned.changed': 'gets other items',
};

/** Returns what happened in words: "joins All Staff", "was edited". */
export function happened({
  kind,
  group_name: group,
  before,
  after,
}: Pick<FoundChange, 'kind' | 'group_name' | 'before' | 'after'>): string {
  if (kind === 'account.photo_changed') {
    const [was, is] = [before, after].map((one) => (objectOf(one).photo ?? null) !== null);
    return is ? `has ${was ? 'another' : 'a'} photo` : 'has no photo any more';
  }
  if (kind === 'membership.added' || kind === 'membership.removed') return describeMembership(kind, group);
  return verbs[kind] ?? kind.replace('.', ' ');
}

type Facts = Readonly<Record<string, unknown>>;

const objectOf = (value: unknown): Facts =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Facts) : {};

/** Returns the fields of a change's side; those of the profile beside the others. */
function fieldsOf(value: unknown): Map<string, unknown> {
  const { profile, directory, profile_stays, state, ...rest } = objectOf(value);
  const below = (root: string, held: unknown) =>
    Object.entries(objectOf(held)).map(([name, one]): [string, unknown] => [`${root}.${name}`, one]);
  return new Map([...Object.entries(rest), ...below('profile', profile), ...below('directory', directory)]);
}

/** Returns the differing fields of a change as a list: was, is. A long value is cut. */
export function difference(
  { kind, before, after }: Pick<FoundChange, 'kind' | 'before' | 'after'>,
  names: Names,
): Html {
  const [old, now] = [fieldsOf(before), fieldsOf(after)];
  const reason = now.get('removed') ?? (kind.startsWith('removal.') ? now.get('reason') : undefined);
  if (typeof reason === 'string') return html`<small>${removalText(reason)}</small>`;
  // A photo is told by its hash, which says nothing to people.
  if (kind === 'account.photo_changed') return nothing;
  // A new account has all its values in `after`; the page of the person shows them.
  if (kind.endsWith('.created') || kind.endsWith('.restored') || /^(membership|removal)\./.test(kind)) return nothing;
  const paths = [...new Set([...old.keys(), ...now.keys()])];
  // The change row of assigned items has the slots alone.
  const path = (one: string) => (kind === 'assigned.changed' ? `assigned.${one}` : one);
  const shown = (one: string, value: unknown) => shownValue(path(one), value, names);
  return html`${paths.map((one) => html`<p class="change"><small>${labelOf(path(one), names)}</small> ${values(shown(one, old.get(one)), shown(one, now.get(one)))}</p>`)}`;
}

/** Returns an old value and a new one; those who do not see strokes hear the words. */
export function values(was: unknown, is: unknown): Html {
  if (isPrivate(was) || isPrivate(is)) return html`<small>private</small>`;
  const empty = (value: unknown) =>
    value === undefined || value === null || (Array.isArray(value) && value.length === 0);
  const shown = (value: unknown) =>
    typeof value === 'string'
      ? cut(value)
      : Array.isArray(value) && value.every((one) => typeof one === 'string')
        ? cut(value.join(', '))
        : showValue(value);
  const old = empty(was) ? nothing : html`<del><span class="hidden">was </span>${shown(was)}</del> `;
  const now = empty(is) ? html`<small>cleared</small>` : html`<ins><span class="hidden">now </span>${shown(is)}</ins>`;
  return html`${old}${now}`;
}

/** Returns the account or group of a change, with a link where the viewer may follow it. */
export function subject(view: View<unknown>, change: FoundChange): Html {
  const base = `/console/t/${change.tenant_id}`;
  if (change.account_id !== null)
    return html`<a href="${view.href(`${base}/people/${change.account_id}`)}">${change.display_name ?? 'an account without a name'}</a>`;
  if (change.member_group_id !== null)
    return html`<a href="${view.href(`${base}/groups/${change.member_group_id}`)}">${change.display_name ?? 'a group without a name'}</a>`;
  if (change.group_id !== null)
    return html`<a href="${view.href(`${base}/groups/${change.group_id}`)}">${change.group_name ?? 'a group without a name'}</a>`;
  return html`${change.tenant_name ?? ''}`;
}

/**
 * Returns who did it to `accountId`. Only ids are kept of people who signed in, so their words lead to the account, or to
 * all that this actor did.
 */
export function byWhom(view: View<unknown>, actor: string, accountId: string | null = null): Html {
  const [, home, account] = /^(?:entra:([0-9a-f-]{36})\/|account:([0-9a-f-]{36})$)/.exec(actor) ?? [];
  const { tenant = '' } = view.params;
  if (account !== undefined && account === accountId) return html`the person`;
  if (account === undefined && home === undefined) return html`${actor}`;
  const isViewer = actor === view.viewer.actor;
  if (account !== undefined) {
    const words = isViewer ? 'you' : 'another person';
    if (tenant === '' || !view.may('GET /console/t/:tenant/people/:account')) return html`${words}`;
    return html`<a href="${view.href(`/console/t/${tenant}/people/${account}`)}">${words}</a>`;
  }
  const words = isViewer ? 'you' : home === tenant ? 'an administrator' : 'the vendor';
  if (tenant === '' || !view.may('GET /console/t/:tenant/changes')) return html`${words}`;
  return html`<a href="${view.href(`/console/t/${tenant}/changes`, { actor })}">${words}</a>`;
}
