// `/console/t/ID/changes`: the changes with their actors and differences.
import { z } from 'zod';
import { listChanges } from '../../store/console/changes.ts';
import type { ChangeFilter } from '../../store/feed/changes.ts';
import { html, nothing } from '../html.ts';
import { page } from '../page.ts';
import { day, dayAfter, position } from '../query.ts';
import { csvLink, emptyList, filterLinks, keptInputs, pager } from '../table.ts';
import { changesShown, changesTable, nextChanges } from './changes-list.ts';
import { namesOf } from './field-labels.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';

const kinds = ['account.*', 'group.*', 'membership.*', 'removal.*', 'assign*', 'tenant.*'] as const;

/** The filters of the list, as its page and its download take them. */
export const changeFilters = { kind: z.enum(kinds), actor: z.string().trim().max(200), since: day, until: day };

type Filters = { readonly [Name in keyof typeof changeFilters]: z.output<(typeof changeFilters)[Name]> | undefined };

/** Returns which changes of a tenant fit the filters. */
export const filterOf = (tenantId: string, { kind, actor, since, until }: Filters): ChangeFilter => ({
  ...{ tenantId, kind, actor, since },
  until: dayAfter(until),
});

export const changesPage = page({
  route: 'GET /console/t/:tenant/changes',
  query: { ...changeFilters, after: position('place', 'number') },
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    if (!tenant) return undefined;
    const filter = filterOf(tenant.tenant_id, view.query);
    const { after } = view.query;
    return {
      tenant,
      found: await listChanges(read, filter, { after: after?.keys ?? null, limit: changesShown + 1 }),
      names: await namesOf(read, tenant.tenant_id),
    };
  },
  asksReason: true,
  audit: () => [{ act: 'changes.viewed' }],
  render: ({ tenant, found, names }, view) => {
    const { kind, actor, since, until, after } = view.query;
    const filtered = [kind, actor, since, until].some((one) => one !== undefined);
    return {
      title: `Changes · ${tenant.name}`,
      section: 'tenants',
      content: html`${tenantHead(view, tenant, '/changes', { title: 'Changes' })}
<form class="search" method="get" action="${view.href(view.path)}">${keptInputs({ kind })}
<label for="actor">By <input type="text" inputmode="text" id="actor" name="actor" autocapitalize="none" spellcheck="false" autocomplete="off" value="${actor ?? ''}" placeholder="worker, a person"></label>
<label for="since">From <input type="date" id="since" name="since" autocomplete="off" value="${since ?? ''}"></label>
<label for="until">To, in UTC <input type="date" id="until" name="until" autocomplete="off" value="${until ?? ''}"></label>
<button>Show</button></form>
${filterLinks(view, { name: 'kind', label: 'Kind', current: kind }, [
  { value: undefined, label: 'All' },
  { value: 'account.*', label: 'People' },
  { value: 'group.*', label: 'Groups' },
  { value: 'membership.*', label: 'Memberships' },
  { value: 'removal.*', label: 'Held removals' },
  { value: 'assign*', label: 'Assignments' },
  { value: 'tenant.*', label: 'Tenant' },
])}
${
  found.length === 0
    ? emptyList(
        view,
        filtered,
        { kind: undefined, actor: undefined, since: undefined, until: undefined },
        html`Nothing has changed yet. The first cycle writes the first changes.`,
      )
    : changesTable(view, found, names)
}
${found.length === 0 ? nothing : csvLink(view, `${view.path}.csv`, { kind, actor, since, until })}
${pager(view, after, nextChanges(found))}`,
    };
  },
});
