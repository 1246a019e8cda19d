// `/console/t/ID/groups`: the groups of a tenant.
import { z } from 'zod';
import { count } from '../../rules/numbers.ts';
import { findByWords, mostSifted } from '../../store/accounts/find.ts';
import {
  type GroupFilter,
  groupFilters,
  groupsById,
  type ListedGroup,
  listGroups,
  mostMembers,
} from '../../store/console/groups.ts';
import { removalText } from '../../words/removals.ts';
import { ago, html, nothing } from '../html.ts';
import { page, type View } from '../page.ts';
import { order, orderBy, position, positionOf } from '../query.ts';
import { type Column, clearSearch, csvLink, emptyList, filterLinks, keptInputs, listTable, pager } from '../table.ts';
import { cutNote } from './find.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';

const shownGroups = 50;

/** The filter and the order of the list, as its page and its download take them. */
export const groupQuery = { show: z.enum(groupFilters), order: order('name') };
const usualGroups = orderBy('name');

export const groupsPage = page({
  route: 'GET /console/t/:tenant/groups',
  query: { q: z.string().max(200), ...groupQuery, after: position('text', 'id') },
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    if (!tenant) return undefined;
    const { q, show, order, after } = view.query;
    const tenantId = tenant.tenant_id;
    if (q === undefined || q.trim() === '') {
      const page = { after: after?.keys ?? null, limit: shownGroups + 1 };
      return {
        ...{ tenant, isCut: false },
        groups: await listGroups(read, { tenantId, filter: show, descending: order?.descending, ...page }),
      };
    }
    const found = await findByWords(read, tenantId, q, mostSifted);
    const ids = found.flatMap((one) => one.group_id ?? []);
    const groups = await groupsById(read, tenantId, ids, show);
    return {
      tenant,
      groups: groups.slice(0, shownGroups),
      isCut: groups.length > shownGroups || found.length === mostSifted,
    };
  },
  render: ({ tenant, groups, isCut }, view) => {
    const { q, show, order, after } = view.query;
    // Found groups are in the order of how well they fit.
    const current = q === undefined ? (order ?? usualGroups) : undefined;
    const last = groups.length > shownGroups ? groups[shownGroups - 1] : undefined;
    return {
      title: `Groups · ${tenant.name}`,
      section: 'tenants',
      content: html`${tenantHead(view, tenant, '/groups', { title: 'Groups' })}
<form class="search" role="search" method="get" action="${view.href(view.path)}">${keptInputs({ show, order })}
<label for="q">Find a group <input type="search" inputmode="search" id="q" name="q" autocomplete="off" value="${q ?? ''}" placeholder="Part of a name, mail or id"></label><button>Find</button>${clearSearch(view, q)}</form>
${filterLinks(view, { name: 'show', label: 'Kind', current: show }, filters)}
${
  groups.length === 0
    ? emptyList(
        view,
        q !== undefined || show !== undefined,
        { q: undefined, show: undefined },
        html`No group is here yet. The first cycle brings them.`,
      )
    : listTable('Groups', columns(view), groups.slice(0, shownGroups), {
        ordered: current && { view, current, usual: usualGroups, label: 'Order by' },
      })
}
${cutNote(isCut)}
${q !== undefined || groups.length === 0 ? nothing : csvLink(view, `${view.path}.csv`, { show, order })}
${pager(view, after, last && positionOf([last.sort_key, last.group_id]))}`,
    };
  },
});

const kinds: Readonly<Record<string, string>> = {
  security: 'Security',
  microsoft365: 'Microsoft 365',
  distribution: 'Distribution',
  mail_enabled_security: 'Mail-enabled security',
};

const filters: readonly { value: GroupFilter | undefined; label: string }[] = [
  { value: undefined, label: 'All' },
  ...groupFilters.map((value) => ({ value, label: kinds[value] ?? 'Removed' })),
];

/** Returns the kind of a group in words. */
export function groupKind({ kind, is_dynamic: dynamic }: Pick<ListedGroup, 'kind' | 'is_dynamic'>): string {
  return `${kinds[kind] ?? kind}${dynamic ? ', members by a rule' : ''}`;
}

/** Returns how many members a group has, as far as they are counted. */
export const membersText = (all: number) => (all > mostMembers ? `over ${count(mostMembers)}` : count(all));

const columns = (view: View<unknown>): readonly Column<ListedGroup>[] => [
  {
    title: 'Group',
    order: 'name',
    head: true,
    cell: (one) =>
      html`<a href="${view.href(`${view.path}/${one.group_id}`)}">${one.display_name ?? 'a group without a name'}</a><small>${one.mail ?? ''}</small>`,
  },
  {
    title: 'Kind',
    cell: (one) =>
      one.removed_at === null
        ? html`${groupKind(one)}${one.state === 'manual' ? html`<small>manual: kept by people</small>` : nothing}`
        : html`<span class="state off">Removed ${ago(one.removed_at, view.now)}</span><small>${removalText(one.removed_reason ?? '')}</small>`,
  },
  { title: 'Direct members', number: true, cell: (one) => (one.direct === null ? '' : count(one.direct)) },
  { title: 'With nested', number: true, cell: (one) => membersText(one.all) },
];
