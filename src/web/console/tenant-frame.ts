// The head of every page of one tenant: its name, one sentence of state, the ways to its other pages.
import { count, plural } from '../../rules/numbers.ts';
import type { Transaction } from '../../store/database/pool.ts';
import { readState, type TenantState } from '../../store/tenants/status.ts';
import { when } from '../../words/times.ts';
import type { Route } from '../access.ts';
import { ago, type Html, html, nothing } from '../html.ts';
import type { View } from '../page.ts';

/** Returns the tenant of the route; undefined, which is a 404, if it is not registered. */
export async function tenantOf(
  read: Transaction,
  { params }: { readonly params: Readonly<Record<string, string>> },
): Promise<TenantState | undefined> {
  return readState(read, params.tenant ?? '');
}

const tabs: readonly { readonly path: string; readonly label: string; readonly route: Route }[] = [
  { path: '', label: 'Overview', route: 'GET /console/t/:tenant' },
  { path: '/removals', label: 'Removals', route: 'GET /console/t/:tenant/removals' },
  { path: '/people', label: 'People', route: 'GET /console/t/:tenant/people' },
  { path: '/groups', label: 'Groups', route: 'GET /console/t/:tenant/groups' },
  { path: '/assignments', label: 'Assignments', route: 'GET /console/t/:tenant/assignments' },
  { path: '/changes', label: 'Changes', route: 'GET /console/t/:tenant/changes' },
  { path: '/settings', label: 'Settings', route: 'GET /console/t/:tenant/settings' },
  { path: '/audit', label: 'Audit', route: 'GET /console/t/:tenant/audit' },
];

/** Returns the head of a page below `tab`, the path of its entry. `title` is the page's heading. */
export function tenantHead(
  view: View<unknown>,
  tenant: TenantState,
  tab: string,
  { title = tenant.name, crumbs = [] }: { title?: string; crumbs?: readonly { path: string; label: string }[] } = {},
): Html {
  const base = `/console/t/${tenant.tenant_id}`;
  const own = view.may('GET /console/t/:tenant')
    ? html`<a href="${view.href(base)}">${tenant.name}</a>`
    : html`${tenant.name}`;
  const ways = [
    ...(view.may('GET /console') ? [html`<a href="${view.href('/console')}">Tenants</a>`] : []),
    ...(title === tenant.name ? [] : [own]),
    ...crumbs.map(({ path, label }) => html`<a href="${view.href(`${base}${path}`)}">${label}</a>`),
  ].map((way, index) => (index === 0 ? way : html` / ${way}`));
  const reference = tenant.external_ref ?? tenant.tenant_id;
  const links = tabs
    .filter(({ route }) => view.may(route))
    .map(({ path, label }) => {
      const number = path === '/removals' && tenant.held_removals > 0 ? ` (${count(tenant.held_removals)})` : '';
      return html`<a href="${view.href(`${base}${path}`)}"${path === tab ? html` aria-current="page"` : nothing}>${label}${number}</a>`;
    });
  return html`<p class="crumb">${ways}${ways.length > 0 ? ' · ' : ''}${reference}</p>
<h1>${title}</h1>
${tab === '' && title === tenant.name ? html`<p class="lead">${stateLine(tenant, view.now)}</p>` : nothing}
<nav class="tabs" aria-label="${tenant.name}">${links}</nav>`;
}

type State = Pick<
  TenantState,
  | 'status'
  | 'paused'
  | 'provisional'
  | 'held_removals'
  | 'failing'
  | 'stale'
  | 'running'
  | 'last_error_message'
  | 'last_success_at'
>;

/** Returns a tenant's state in a few words, with a mark of its kind: good, held, failing or off. */
export function stateWords(tenant: Pick<State, Exclude<keyof State, 'last_success_at'>>): Html {
  if (tenant.status === 'disconnected')
    return html`<span class="state off">Disconnected; its accounts are manual</span>`;
  if (tenant.paused) return html`<span class="state off">Paused</span>`;
  if (tenant.held_removals > 0)
    return html`<span class="state held">${plural(tenant.held_removals, 'removal')} wait${tenant.held_removals === 1 ? 's' : ''} for a person</span>`;
  if (tenant.status === 'pending' && !tenant.failing)
    return html`<span class="state held">${tenant.running ? 'Being read for the first time' : 'Waits for its first cycle'}</span>`;
  if (tenant.failing)
    return html`<span class="state fail">${tenant.status === 'quarantined' ? 'In quarantine' : 'The last cycle failed'}</span>`;
  if (tenant.stale) return html`<span class="state fail">Not read for more than two intervals</span>`;
  if (tenant.provisional)
    return html`<span class="state held">${tenant.running ? 'Being read for the first time' : 'Waits for its first round'}</span>`;
  return html`<span class="state">${tenant.running ? 'Current, and being read now' : 'Current'}</span>`;
}

function stateLine(tenant: TenantState, now: Date): Html {
  const read = tenant.last_success_at ? html`read ${ago(tenant.last_success_at, now)}` : html`never read`;
  const next =
    tenant.status === 'disconnected' || tenant.paused
      ? nothing
      : html` The next cycle is ${tenant.next_cycle_at === null || tenant.next_cycle_at <= now ? 'due now' : when(tenant.next_cycle_at, now)}.`;
  return html`${stateWords(tenant)}: ${read}.${next}`;
}
