// A rule of an assignment in words: its target, and whether it is in force.
import type { ListedAssignment } from '../../store/accounts/assignment-lists.ts';
import { type Html, html, nothing } from '../html.ts';
import type { View } from '../page.ts';
import { shownIn } from '../zone.ts';

const words: Readonly<Record<ListedAssignment['state'], string>> = {
  active: 'In force',
  scheduled: 'Begins later',
  ended: 'Ended',
  dormant: 'Its group or person is removed, and may come back',
  orphaned: 'Its group or person is gone',
};
const marks: Readonly<Record<ListedAssignment['state'], string>> = {
  active: '',
  scheduled: 'held',
  ended: 'off',
  dormant: 'off',
  orphaned: 'fail',
};

/** Returns the state of a rule, with begin and end in a time zone. */
export function ruleState({ state, starts_at: from, ends_at: to }: ListedAssignment, zone: string): Html {
  return html`<span class="state ${marks[state]}">${words[state]}</span>${from === null ? nothing : html`<small>from ${shownIn(from, zone, 'start')}</small>`}${to === null ? nothing : html`<small>until ${shownIn(to, zone, 'end')}</small>`}`;
}

/** Returns the target of a rule, with a link where the viewer may follow it. */
export function ruleTarget(one: ListedAssignment, view: View<unknown>): Html {
  const base = `/console/t/${one.tenant_id}`;
  switch (one.target) {
    case 'everyone':
      return html`everyone`;
    case 'field':
      return html`${one.field ?? ''} is ${(one.field_values ?? []).join(' or ')}`;
    case 'group':
      return html`the group ${groupLink(view, one.group_id ?? '', one.group_name ?? 'that is gone')}`;
    case 'account': {
      const name = one.account_name ?? 'a person who is gone';
      if (one.account_name === null) return html`${name}`;
      const path = view.may('GET /console/t/:tenant/people/:account') ? 'people' : 'assignments/people';
      return html`<a href="${view.href(`${base}/${path}/${one.account_id}`)}">${name}</a>`;
    }
  }
}

/** Returns a group's name, with a link where the viewer may follow it. */
export function groupLink(view: View<unknown>, groupId: string, name: string): Html {
  if (!view.may('GET /console/t/:tenant/groups/:group')) return html`${name}`;
  return html`<a href="${view.href(`/console/t/${view.params.tenant}/groups/${groupId}`)}">${name}</a>`;
}
