// `/console/t/ID/groups/ID`: one group: its members, the groups around it, what hangs on it, what happened to it.
import { z } from 'zod';
import { asGuid } from '../../rules/decode.ts';
import { people, plural } from '../../rules/numbers.ts';
import { listChanges } from '../../store/console/changes.ts';
import {
  type AssignedByGroup,
  assignmentsOfGroup,
  groupsById,
  type ListedGroup,
  type Member,
  membersOf,
  type Relative,
  relativesOf,
} from '../../store/console/groups.ts';
import { removalText } from '../../words/removals.ts';
import { ago, type Html, html, nothing } from '../html.ts';
import { page, type View } from '../page.ts';
import { position, positionOf } from '../query.ts';
import { type Column, csvLink, filterLinks, listTable, pager } from '../table.ts';
import { changesTable } from './changes-list.ts';
import { namesOf } from './field-labels.ts';
import { groupKind, membersText } from './groups.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';
import type { Titles } from './titles.ts';

const shownMembers = 50;
const shownRelatives = 50;
const shownChanges = 10;

/** Which members of a group to list, as its page and its download take it; without a value those of nested groups too. */
export const membersQuery = { members: z.enum(['direct']) };

export const groupPage = page({
  route: 'GET /console/t/:tenant/groups/:group',
  query: { ...membersQuery, after: position('number') },
  load: async (read, view) => {
    const id = asGuid(view.params.group ?? '');
    const tenant = id === undefined ? undefined : await tenantOf(read, view);
    if (!tenant || id === undefined) return undefined;
    const [group] = await groupsById(read, tenant.tenant_id, [id]);
    if (!group) return undefined;
    const after = Number(view.query.after?.keys[0] ?? 0);
    const history = view.may('GET /console/t/:tenant/changes');
    return {
      ...{ tenant, group },
      members: await membersOf(read, id, { direct: view.query.members === 'direct', after, limit: shownMembers + 1 }),
      holders: await relativesOf(read, id, 'holders', shownRelatives),
      held: await relativesOf(read, id, 'held', shownRelatives),
      assignments: await assignmentsOfGroup(read, id),
      changes: history
        ? await listChanges(read, { tenantId: tenant.tenant_id, groupId: id }, { after: null, limit: shownChanges })
        : [],
      names: await namesOf(read, tenant.tenant_id),
    };
  },
  render: ({ tenant, group, members, holders, held, assignments, changes, names }, view) => {
    const last = members.length > shownMembers ? members[shownMembers - 1] : undefined;
    const name = group.display_name ?? 'A group without a name';
    return {
      title: `${name} · ${tenant.name}`,
      section: 'tenants',
      content: html`${tenantHead(view, tenant, '/groups', { title: name, crumbs: [{ path: '/groups', label: 'Groups' }] })}
<p class="lead">${
        group.removed_at === null
          ? html`${groupKind(group)}${group.state === 'manual' ? ', kept by people' : ''}. ${membersOfGroup(group)}.`
          : html`<span class="state off">Removed ${ago(group.removed_at, view.now)}</span>: ${removalText(group.removed_reason ?? '')}. What hangs on it stays${group.purge_at ? html`; its purge is ${ago(group.purge_at, view.now)}` : nothing}.`
      }</p>
${group.description === null ? nothing : html`<p>${group.description}</p>`}
<p class="crumb">${group.mail ?? ''} ${group.entra_object_id ?? ''}</p>
<h2>Members</h2>
${filterLinks(view, { name: 'members', label: 'Members', current: view.query.members }, [
  { value: undefined, label: 'With nested groups' },
  { value: 'direct', label: 'Direct' },
])}
${members.length === 0 ? html`<p class="empty">It has no members.</p>` : html`${listTable('Members', memberColumns(view), members.slice(0, shownMembers))}${csvLink(view, `${view.path}/members.csv`, { members: view.query.members })}`}
${pager(view, view.query.after, last && positionOf([last.account_no]))}
<h2>Nested</h2>
${holders.length + held.length === 0 ? html`<p class="empty">It holds no group, and no group holds it.</p>` : html`${tree('Is in', holders, view)}${tree('Holds', held, view)}`}
<h2>Assignments</h2>
${assignments.length === 0 ? html`<p class="empty">Nothing hangs on it.</p>` : listTable('Assignments', assignmentColumns(view, names.titles), assignments)}
${group.removed_at === null && view.may('GET /console/t/:tenant/assignments/new') ? html`<div class="acts"><a class="button" href="${view.href(`/console/t/${tenant.tenant_id}/assignments/new`, { group: group.group_id })}">Assign to this group</a></div>` : nothing}
${changes.length === 0 ? nothing : html`<h2>Last changes</h2>${changesTable(view, changes, names)}`}`,
    };
  },
});

const membersOfGroup = ({ direct, all }: ListedGroup) =>
  direct === null
    ? `${membersText(all)} people with nested groups`
    : `${plural(direct, 'direct member')}, ${people(all)} with nested groups`;

const memberColumns = (view: View<unknown>): readonly Column<Member>[] => [
  {
    title: 'Person',
    head: true,
    cell: (one) =>
      html`<a href="${view.href(`/console/t/${view.params.tenant}/people/${one.account_id}`)}">${one.display_name ?? one.user_principal_name ?? 'without a name'}</a><small>${one.user_principal_name ?? ''}</small>`,
  },
  { title: 'How', cell: (one) => (one.is_direct ? 'directly' : 'through nested groups') },
  {
    title: 'State',
    cell: (one) =>
      one.enabled ? html`<span class="state">Live</span>` : html`<span class="state held">Suspended</span>`,
  },
];

/** Returns groups above or below as a tree of two levels: itself, and through others. */
function tree(label: string, relatives: readonly Relative[], view: View<unknown>): Html {
  if (relatives.length === 0) return nothing;
  const link = (one: Relative) =>
    html`<li><a href="${view.href(`/console/t/${view.params.tenant}/groups/${one.group_id}`)}">${one.display_name ?? 'a group without a name'}</a></li>`;
  const near = relatives.filter((one) => one.direct);
  const far = relatives.filter((one) => !one.direct);
  return html`<div class="panel"><p><b>${label}</b></p><ul class="tree">${near.map(link)}${
    far.length === 0 ? nothing : html`<li>through these<ul class="tree">${far.map(link)}</ul></li>`
  }</ul></div>`;
}

const assignmentColumns = (view: View<unknown>, titles: Titles): readonly Column<AssignedByGroup>[] => [
  { title: 'Slot', head: true, cell: (one) => titles.slot(one.slot) },
  {
    title: 'Item',
    cell: (one) =>
      html`${one.except ? 'not ' : ''}<a href="${view.href(`/console/t/${view.params.tenant}/assignments/${one.assignment_id}`)}">${titles.item(one.slot, one.item)}</a>`,
  },
  { title: 'Priority', number: true, cell: (one) => one.priority },
  { title: 'State', cell: (one) => one.state },
];
