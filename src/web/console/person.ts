// `/console/t/ID/people/ID`: one person now: each value and where it comes from, groups, what the person gets.
import { type ExplainedField, explainAccount } from '../../store/accounts/accounts.ts';
import type { FoundAccount } from '../../store/accounts/explain.ts';
import { type GroupOfAccount, groupsOfAccount } from '../../store/accounts/groups-of.ts';
import { type AssignedItem, assignedTo } from '../../store/console/people.ts';
import { type AccountPhoto, readAccountPhoto } from '../../store/photos/state.ts';
import { describeAccountPhoto } from '../../words/photos.ts';
import { ago, type Html, html, nothing } from '../html.ts';
import { page, type View } from '../page.ts';
import { photoPlace } from '../picture.ts';
import { type Column, listTable } from '../table.ts';
import { byWhom } from './change-words.ts';
import { byLabel, type FieldLabels, fieldKinds, fieldLabels, named } from './field-labels.ts';
import { editForm, text } from './person-edit.ts';
import { nameOf, personHead, personOf } from './person-head.ts';

const shownGroups = 100;

export const personPage = page({
  route: 'GET /console/t/:tenant/people/:account',
  query: {},
  asksReason: true,
  load: async (read, view) => {
    const found = await personOf(read, view);
    if (!found) return undefined;
    const { account_id: id } = found.account;
    return {
      ...found,
      fields: await explainAccount(read, id),
      groups: await groupsOfAccount(read, id),
      items: await assignedTo(read, id),
      labels: await fieldLabels(read, found.tenant.tenant_id),
      kinds: await fieldKinds(read, found.tenant.tenant_id),
      photo: await readAccountPhoto(read, id),
    };
  },
  audit: ({ account }) => [{ act: 'person.viewed', accountId: account.account_id }],
  render: ({ tenant, account, fields, groups, items, labels, kinds, photo }, view) => ({
    title: `${nameOf(account)} · ${tenant.name}`,
    section: 'tenants',
    content: html`${personHead(view, { tenant, account }, '')}
${photoOf(account, photo, view)}
${listTable('Identity', identityColumns, identityOf(account, photo))}
<h2>Fields</h2>
${fields.length === 0 ? html`<p class="empty">The settings name no field.</p>` : listTable('Fields', fieldColumns(account, labels, view), byLabel(fields, labels))}
${editForm(account, byLabel(fields, labels), { labels, kinds }, view)}
<h2>Groups</h2>
${groups.length === 0 ? html`<p class="empty">In no group.</p>` : listTable('Groups', groupColumns(view), groups.slice(0, shownGroups))}
${groups.length > shownGroups ? html`<p class="lead">The first ${shownGroups} of ${groups.length} groups.</p>` : nothing}
<h2>Gets</h2>
${items.length === 0 ? html`<p class="empty">Nothing is assigned.</p>` : listTable('Assigned', itemColumns(view), items)}
${account.removed_at === null ? html`<p class="crumb"><a href="${view.href(`/console/t/${tenant.tenant_id}/assignments/people/${account.account_id}`)}">Every rule that reaches this person, in order</a></p>` : nothing}`,
  }),
});

type Line = { readonly name: string; readonly value: string };

// Only where photos are read or one is there: elsewhere initials would be no more than a decoration.
function photoOf(account: FoundAccount, photo: AccountPhoto | undefined, view: View<unknown>): Html {
  if (!photo || (!photo.read && photo.sha256 === null)) return nothing;
  const name = nameOf(account);
  return photoPlace(view, {
    hasPhoto: photo.sha256 !== null && account.removed_at === null,
    path: `${view.path}/photo`,
    name,
    alt: `Photo of ${name}`,
  });
}

const identityOf = (account: FoundAccount, photo: AccountPhoto | undefined): readonly Line[] => [
  { name: 'User principal name', value: account.user_principal_name ?? 'none' },
  { name: 'Mail', value: account.mail ?? 'none' },
  { name: 'Object in Entra ID', value: account.entra_object_id ?? 'none: made by hand' },
  { name: 'Account', value: account.account_id },
  ...photoLine(photo),
];

function photoLine(photo: AccountPhoto | undefined): readonly Line[] {
  const value = photo && describeAccountPhoto(photo);
  return value === undefined ? [] : [{ name: 'Photo', value }];
}

const identityColumns: readonly Column<Line>[] = [
  { title: 'What', head: true, cell: (one) => one.name },
  { title: 'Value', cell: (one) => one.value },
];

const fieldColumns = (
  account: FoundAccount,
  labels: FieldLabels,
  view: View<unknown>,
): readonly Column<ExplainedField>[] => [
  { title: 'Field', head: true, cell: (one) => named(one.field, labels) },
  {
    title: 'Value',
    cell: (one) => html`${text(one.value)}${beneath(account, one)}`,
  },
  {
    title: 'From',
    cell: (one) =>
      one.origin === 'user'
        ? html`${one.value === null ? 'cleared' : 'edited'} by ${one.changed_by === null ? 'a person' : byWhom(view, one.changed_by, account.account_id)}<small>${ago(one.since, view.now)}</small>`
        : html`${one.origin === 'none' ? 'nowhere' : 'the directory'}<small>${one.mapped_from ?? (one.owner === null ? 'no longer in the settings' : 'not in Entra ID')}</small>`,
  },
  {
    title: 'May edit',
    cell: (one) =>
      one.editable_by.length > 0
        ? one.editable_by.join(', ')
        : account.state === 'managed' && one.owner === 'directory'
          ? 'only in Entra ID'
          : 'no role',
  },
];

/** Returns the value that is not in force: the directory's under an edit, or an edit that is shelved. */
function beneath(account: FoundAccount, one: ExplainedField): Html {
  if (one.origin === 'user')
    return one.mapped_from === null ? nothing : html`<small>directory: ${text(one.directory_value) || 'none'}</small>`;
  return Object.hasOwn(account.shelf, one.field)
    ? html`<small>shelved: ${text(account.shelf[one.field]) || 'none'}</small>`
    : nothing;
}

const groupColumns = (view: View<unknown>): readonly Column<GroupOfAccount>[] => [
  {
    title: 'Group',
    head: true,
    cell: (one) =>
      html`<a href="${view.href(`/console/t/${view.params.tenant}/groups/${one.group_id}`)}">${one.display_name ?? 'a group without a name'}</a>`,
  },
  {
    title: 'How',
    cell: (one) =>
      one.held_list === null
        ? one.is_direct
          ? 'directly'
          : 'through nested groups'
        : `directly; its end waits for a person in list ${one.held_list}`,
  },
];

const itemColumns = (view: View<unknown>): readonly Column<AssignedItem>[] => [
  { title: 'Slot', head: true, cell: (one) => one.slot_title ?? one.slot },
  {
    title: 'Item',
    cell: (one) =>
      html`${one.item_title ?? one.item}${one.rank > 1 ? html`<small>place ${one.rank}</small>` : nothing}`,
  },
  {
    title: 'Why',
    cell: (one) =>
      one.group_id !== null
        ? html`member of <a href="${view.href(`/console/t/${view.params.tenant}/groups/${one.group_id}`)}">${one.group_name ?? 'a group without a name'}</a>`
        : one.target === 'account'
          ? 'assigned to this person'
          : one.target === 'field'
            ? 'by a field of the profile'
            : 'everybody gets it',
  },
];
