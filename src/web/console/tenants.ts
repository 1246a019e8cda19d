// `/console`: the tenants, a row each; those that need a person first.
import { z } from 'zod';
import { count, plural } from '../../rules/numbers.ts';
import { commandWord } from '../../rules/shell.ts';
import { type FirstSteps, readFirstSteps } from '../../store/console/first-steps.ts';
import {
  countTenants,
  type ListedTenant,
  listTenants,
  mostCounted,
  type TenantFilter,
  tenantFilters,
} from '../../store/console/tenants.ts';
import { when } from '../../words/times.ts';
import { bars } from '../chart.ts';
import { ago, type Html, html, nothing } from '../html.ts';
import { page, type View } from '../page.ts';
import { order, orderBy, position, positionOf } from '../query.ts';
import { clearSearch, csvLink, emptyList, filterLinks, keptInputs, listTable, pager } from '../table.ts';
import { firstSteps } from './first-steps.ts';
import { actsOfRow } from './tenant-acts.ts';
import { stateWords } from './tenant-frame.ts';

const rowsOfPage = 50;
const needingShown = 5;

/** The filters and the order of the list, as its page and its download take them. */
export const tenantQuery = { show: z.enum(tenantFilters), q: z.string().max(200), order: order('name', 'fresh') };
export const usualTenants = orderBy('name');

export const tenantsPage = page({
  route: 'GET /console',
  query: { ...tenantQuery, after: position('text', 'id') },
  load: async (read, { query }) => {
    const filter = { filter: query.show, words: query.q?.trim(), order: query.order ?? usualTenants };
    const found = await listTenants(read, { ...filter, after: query.after?.keys ?? null, limit: rowsOfPage + 1 });
    const needing = await listTenants(read, {
      ...{ filter: 'need', order: usualTenants, after: null },
      limit: needingShown + 1,
    });
    const totals = await countTenants(read);
    return { totals, found, needing, steps: totals.tenants === 0 ? await readFirstSteps(read) : undefined };
  },
  render: ({ totals, found, needing, steps }, view) => {
    if (steps) return { title: 'Tenants', section: 'tenants', content: nothingYet(steps) };
    const shown = found.slice(0, rowsOfPage);
    const last = found.length > rowsOfPage ? shown.at(-1) : undefined;
    const { show, q, order, after } = view.query;
    return {
      title: 'Tenants',
      section: 'tenants',
      content: html`<h1>Tenants</h1>
<p class="lead">${sentenceOf(totals, needing.length)}</p>
${view.may('POST /console/invitations') ? html`<div class="acts"><a class="button" href="${view.href('/console/invitations')}">Invite a customer</a></div>` : nothing}
${needing.slice(0, needingShown).map((one) => needOf(one, view))}
${needing.length > needingShown ? html`<p class="lead"><a href="${view.href('/console', { show: 'need' })}">All that need a person</a></p>` : nothing}
${searchForm(view, q, keptInputs({ show, order }))}
${filterLinks(view, { name: 'show', label: 'Show', current: show }, filters)}
${
  shown.length === 0
    ? emptyList(view, show !== undefined || q !== undefined, { show: undefined, q: undefined }, nothing)
    : listTable('Tenants', columns(view), shown, {
        ordered: { view, current: order ?? usualTenants, usual: usualTenants, label: 'Order by' },
      })
}
${shown.length === 0 ? nothing : csvLink(view, '/console/tenants.csv', { show, q, order })}
${pager(view, after, last && positionOf([last.sort_key, last.tenant_id]))}`,
    };
  },
});

const nothingYet = (steps: FirstSteps): Html => html`<h1>Tenants</h1>
<p class="lead">Nothing is connected yet. These steps lead to the first customer.</p>
<div class="panel">${firstSteps(steps)}</div>`;

const filters: readonly { value: TenantFilter | undefined; label: string }[] = [
  { value: undefined, label: 'All' },
  { value: 'need', label: 'Need a person' },
  { value: 'held', label: 'Held' },
  { value: 'failing', label: 'Failing' },
  { value: 'stale', label: 'Stale' },
  { value: 'first_load', label: 'First load' },
  { value: 'paused', label: 'Paused' },
  { value: 'disconnected', label: 'Disconnected' },
];

function sentenceOf({ tenants, customers }: { tenants: number; customers: number }, needing: number): string {
  const all = `${plural(tenants, 'tenant')} of ${plural(customers, 'customer')}.`;
  if (needing === 0) return `${all} None needs a person.`;
  if (needing > needingShown) return `${all} More than ${needingShown} need a person.`;
  return `${all} ${needing === 1 ? 'One needs' : `${needing} need`} a person.`;
}

/** Returns the panel of a tenant that needs a person: the trouble, its cure, and what happens otherwise. */
function needOf(tenant: ListedTenant, view: View<unknown>): Html {
  const base = `/console/t/${tenant.tenant_id}`;
  const name = html`<b><a href="${view.href(base)}">${tenant.name}</a></b>`;
  if (tenant.held_removals > 0)
    return html`<div class="panel need"><p>${name}: ${plural(tenant.held_removals, 'removal')} wait for a person. <a href="${view.href(`${base}/removals`)}">Look at them</a></p>
<p>Everything else of that round is committed. If no person decides, they stay as they are.</p></div>`;
  if (tenant.failing || tenant.stale)
    return html`<div class="panel need bad"><p>${name}: ${tenant.last_error_message ?? (tenant.failing ? 'the last cycle failed.' : 'no cycle has succeeded for more than two intervals.')}</p>
<p>No person is removed meanwhile; values are those of ${tenant.last_success_at ? ago(tenant.last_success_at, view.now) : 'the first load, which is not done'}. ${tenant.next_cycle_at ? `Tried again ${when(tenant.next_cycle_at, view.now)}.` : ''}</p></div>`;
  return html`<div class="panel need"><p>${name}: ${tenant.notice ?? ''}</p><p>It is committed. <a href="${view.href(base)}">Look whether Entra ID is right</a></p></div>`;
}

function searchForm(view: View<unknown>, q: string | undefined, kept: Html): Html {
  return html`<form class="search" role="search" method="get" action="${view.href('/console')}">${kept}
<label for="q">Find a tenant <input type="search" inputmode="search" id="q" name="q" autocomplete="off" value="${q ?? ''}" placeholder="Name, reference or id"></label><button>Find</button>${clearSearch(view, q)}</form>`;
}

const many = (number: number) => (number > mostCounted ? `over ${count(mostCounted)}` : count(number));

const columns = (view: View<unknown>) => [
  {
    title: 'Tenant',
    order: 'name',
    head: true as const,
    cell: (one: ListedTenant) =>
      html`<a href="${view.href(`/console/t/${one.tenant_id}`)}">${one.name}</a><small>${one.external_ref ?? ''}</small>`,
  },
  {
    title: 'State',
    cell: (one: ListedTenant) =>
      html`${stateWords(one)}${errorOf(one)}${one.set_aside > 0 ? html`<small>${count(one.set_aside)} set aside</small>` : nothing}${one.notice === null ? nothing : html`<small>a mass change to look at</small>`}`,
  },
  {
    title: 'Fresh',
    order: '-fresh',
    cell: (one: ListedTenant) =>
      html`${one.last_success_at ? ago(one.last_success_at, view.now) : 'never read'}<small>${one.next_cycle_at ? html`next ${one.next_cycle_at <= view.now ? 'now' : when(one.next_cycle_at, view.now)}` : nothing}</small>`,
  },
  {
    title: 'People',
    number: true as const,
    cell: (one: ListedTenant) =>
      html`<a href="${view.href(`/console/t/${one.tenant_id}/people`)}">${many(one.people)}</a>`,
  },
  {
    title: 'Groups',
    number: true as const,
    cell: (one: ListedTenant) =>
      html`<a href="${view.href(`/console/t/${one.tenant_id}/groups`)}">${many(one.groups)}</a>`,
  },
  {
    title: 'Last 30 cycles',
    cell: (one: ListedTenant) => (one.bars.length === 0 ? 'none yet' : sparkline(one)),
  },
  { title: 'Act', cell: (one: ListedTenant) => actsOfRow(one, view) },
];

/** Returns the last error of a failing tenant, and the command that names its cure. */
const errorOf = ({ failing, name, last_error_message: message }: ListedTenant): Html =>
  failing && message !== null
    ? html`<small class="note">${message}. <code>entra-sync doctor ${commandWord(name)}</code> names the cure.</small>`
    : nothing;

function sparkline({ name, bars: cycles }: ListedTenant): Html {
  const all = cycles.reduce((sum, one) => sum + one.changes, 0);
  const failed = cycles.filter((one) => one.failed).length;
  const label = `The last ${plural(cycles.length, 'cycle')} of ${name}: ${plural(all, 'change')}, most ${count(Math.max(...cycles.map((one) => one.changes)))}${failed > 0 ? `, ${count(failed)} failed` : ''}`;
  return bars(
    cycles.map(({ changes, failed: bad }) => ({ value: changes, bad })),
    { width: 120, height: 26, label },
  );
}
