// `/console/t/ID`: one tenant: a sentence of state, what waits, its last cycles.
import { z } from 'zod';
import { count, duration, plural } from '../../rules/numbers.ts';
import { countTenant } from '../../store/console/tenants.ts';
import { storedSettings } from '../../store/settings/versions.ts';
import {
  type CycleRow,
  readCycles,
  readStatus,
  readStreams,
  type StreamState,
  type TenantStatus,
} from '../../store/tenants/status.ts';
import { describeErasure, describeNotice, describeTrouble } from '../../words/trouble.ts';
import { bars, fullChart } from '../chart.ts';
import { ago, type Html, html, nothing } from '../html.ts';
import { page, type View } from '../page.ts';
import { csvLink, listTable } from '../table.ts';
import { cycleChanges, cycleColumns, cycleFailed, cycleOrder, orderedCycles, usualCycles } from './cycle-words.ts';
import { fieldLabels } from './field-labels.ts';
import { permissionsOf } from './permissions.ts';
import { settingsSummary } from './settings-summary.ts';
import { actsOfPage } from './tenant-acts.ts';
import { tenantHead } from './tenant-frame.ts';

const cyclesShown = 50;

/** The acts after which the page says what they did. */
const outcomes = ['asked', 'paused', 'resumed', 'acknowledged'] as const;

export const tenantPage = page({
  route: 'GET /console/t/:tenant',
  query: { done: z.enum(outcomes), order: cycleOrder },
  load: async (read, view) => {
    const [tenant] = await readStatus(read, view.params.tenant ?? '');
    if (!tenant) return undefined;
    return {
      tenant,
      cycles: await readCycles(read, tenant.tenant_id, cyclesShown),
      streams: await readStreams(read, tenant.tenant_id),
      counts: await countTenant(read, tenant.tenant_id),
      stored: await storedSettings(read, tenant.tenant_id),
      labels: await fieldLabels(read, tenant.tenant_id),
    };
  },
  render: ({ tenant, cycles, streams, counts, stored, labels }, view) => ({
    title: tenant.name,
    section: 'tenants',
    content: html`${tenantHead(view, tenant, '')}
${done(tenant, view)}
${troubles(tenant)}
${actsOfPage(tenant, view)}
${facts(tenant, counts, view)}
<h2>${cycles.length === 0 ? 'Cycles' : `Last ${plural(cycles.length, 'cycle')}`}</h2>
${cycles.length === 0 ? html`<p class="empty">No cycle has run yet. A worker runs the first one as soon as it sees the tenant.</p>` : html`${cyclesOf(tenant, cycles, view)}${csvLink(view, `${view.path}/cycles.csv`)}`}
<h2>Streams</h2>
${streams.length === 0 ? html`<p class="empty">Nothing is read yet.</p>` : listTable('Streams', streamColumns(view.now), streams)}
${permissionsOf(tenant, stored, view)}
${settingsSummary(view, stored, labels)}`,
  }),
});

function done(
  { paused, status }: TenantStatus,
  view: View<{ readonly done: (typeof outcomes)[number] | undefined }>,
): Html {
  const outcome = view.query.done;
  if (outcome === undefined || view.form) return nothing;
  const says = {
    asked: `A cycle is asked for. ${paused ? 'It waits until the tenant is resumed.' : 'A worker begins it within seconds; without a worker it waits.'}`,
    paused: 'Paused. The worker leaves the tenant alone until it is resumed; edits go on.',
    resumed: `Resumed.${status === 'disconnected' ? '' : ' The worker reads the tenant again as soon as it is due.'}`,
    acknowledged: 'The mass change is marked as right.',
  };
  return html`<p class="done" role="status">${says[outcome]}</p>`;
}

/** Returns a panel for each trouble and notice, in the words of `status`. */
function troubles(tenant: TenantStatus): Html {
  const bad = describeTrouble(tenant);
  const others = [describeNotice(tenant), describeErasure(tenant)].filter((one) => one !== undefined);
  return html`${bad === undefined ? nothing : html`<div class="panel need bad"><p>${bad}</p></div>`}${others.map(
    (one) => html`<div class="panel need"><p>${one}</p></div>`,
  )}`;
}

type Counts = { readonly groups: number; readonly outside: number; readonly memberships: number };

function facts(tenant: TenantStatus, { groups, outside, memberships }: Counts, view: View<unknown>): Html {
  const base = `/console/t/${tenant.tenant_id}`;
  const link = (path: string, value: number) =>
    html`<b><a href="${view.href(`${base}${path}`)}">${count(value)}</a></b>`;
  return html`<ul class="facts">
<li>${link('/people', tenant.accounts)}<span>people${outside > 0 ? `, ${plural(outside, 'user')} outside the scope` : ''}</span></li>
<li>${link('/groups', groups)}<span>groups, ${plural(memberships, 'membership')}</span></li>
<li>${link('/removals', tenant.held_removals)}<span>removals held</span></li>
<li><b>${count(tenant.suspended)}</b><span>suspended</span></li>
<li><b>${count(tenant.removed)}</b><span>removed, kept until their purge</span></li>
<li><b>${count(tenant.set_aside)}</b><span>set aside</span></li>
</ul>`;
}

function cyclesOf(
  tenant: TenantStatus,
  cycles: readonly CycleRow[],
  view: View<{ readonly order: z.output<typeof cycleOrder> | undefined }>,
): Html {
  const current = view.query.order ?? usualCycles;
  const oldest = cycles.at(-1);
  const shown = cycles.toReversed().map((cycle) => ({
    value: cycleChanges(cycle),
    bad: cycleFailed(cycle),
    says: `Cycle ${cycle.cycle_id}: ${plural(cycleChanges(cycle), 'change')}${cycle.finished_at ? `, ${secondsOf(cycle)}` : ''}`,
  }));
  const most = Math.max(...shown.map((one) => one.value));
  const failed = shown.filter((one) => one.bad).length;
  const label = `Changes of the last ${plural(cycles.length, 'cycle')}, oldest first: most ${count(most)}${failed > 0 ? `, ${count(failed)} failed` : ''}`;
  return html`<div class="panel">${bars(shown, { width: 720, height: 96, label, wide: true })}
<p class="axis"><span>${oldest ? ago(oldest.started_at, view.now) : ''}</span><span>bars are changes; a darker one is the last, a red one failed</span>${cycles.length < fullChart ? nothing : html`<span>now</span>`}</p></div>
<br>${listTable('Cycles', cycleColumns(view, tenant.tenant_id), orderedCycles(cycles, current), {
    caption: html`${view.query.order === undefined ? 'Newest first. ' : ''}A row leads to what its cycle did.`,
    ordered: { view, current, usual: usualCycles, label: 'Order by' },
  })}`;
}

const secondsOf = ({ started_at: from, finished_at: to }: CycleRow) =>
  to ? `${((to.getTime() - from.getTime()) / 1000).toFixed(1)} s` : '';

const streamColumns = (now: Date) => [
  { title: 'Stream', head: true as const, cell: (one: StreamState) => one.stream },
  {
    title: 'Checkpoint',
    cell: (one: StreamState) => (one.committed_at ? ago(one.committed_at, now) : 'none: its first round is not done'),
  },
  { title: 'Last full round', cell: (one: StreamState) => (one.full_at ? ago(one.full_at, now) : 'none yet') },
  {
    title: 'Under way',
    cell: (one: StreamState) => (one.open_pages === null ? '' : `${plural(one.open_pages, 'page')} read`),
  },
  {
    title: 'The checkpoint ends',
    cell: (one: StreamState) =>
      one.committed_at
        ? `in ${duration(Math.max(0, checkpointDays * 86_400 - (now.getTime() - one.committed_at.getTime()) / 1000))}, unless a cycle renews it`
        : '',
  },
];

/** Days that Entra ID keeps a delta token at least (learn.microsoft.com/graph/delta-query-overview). */
const checkpointDays = 7;
