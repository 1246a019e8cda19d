// `/console/t/ID/assignments`: slots, the rules of each in their order, and how many people each reaches.
import { z } from 'zod';
import { count, people, plural } from '../../rules/numbers.ts';
import {
  type ListedAssignment,
  type ListedItem,
  type ListedSlot,
  listAssignments,
  listItems,
  listSlots,
} from '../../store/accounts/assignment-lists.ts';
import { storedSettings } from '../../store/settings/versions.ts';
import { type Html, html, nothing } from '../html.ts';
import { page, type View } from '../page.ts';
import { type Column, csvLink, listTable } from '../table.ts';
import { zoneOf } from '../zone.ts';
import { ruleState, ruleTarget } from './assignment-words.ts';
import { byWhom } from './change-words.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';

const shownRules = 500;
const countedPeople = 1_000;

export const assignmentsPage = page({
  route: 'GET /console/t/:tenant/assignments',
  query: { done: z.coerce.number().int().min(0).max(10_000_000) },
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    if (!tenant) return undefined;
    return {
      tenant,
      slots: await listSlots(read, tenant.tenant_id),
      items: await listItems(read, tenant.tenant_id),
      rules: await listAssignments(read, tenant.tenant_id, { perSlot: shownRules, counted: countedPeople + 1 }),
      zone: zoneOf(await storedSettings(read, tenant.tenant_id)),
    };
  },
  render: ({ tenant, slots, items, rules, zone }, view) => ({
    title: `Assignments · ${tenant.name}`,
    section: 'tenants',
    content: html`${tenantHead(view, tenant, '/assignments', { title: 'Assignments' })}
${view.query.done === undefined || view.form ? nothing : html`<p class="done" role="status">Done. ${view.query.done === 0 ? 'No person gets anything else.' : `${people(view.query.done)} ${view.query.done === 1 ? 'changes' : 'change'}.`}</p>`}
<p class="lead">An exception beats everything; then a person before a group, a group before a field, a field before everyone; then the higher priority, then the older rule.</p>
${acts(view)}
<form class="search" role="search" method="get" action="${view.href(`${view.path}/people`)}">
<label for="q">Why does a person get what it gets? <input type="search" inputmode="search" id="q" name="q" autocomplete="off" placeholder="Part of a name"></label><button>Find</button></form>
${
  slots.length === 0
    ? html`<p class="empty">There is no slot yet: a kind of thing that people get, such as a banner. ${mayAssign(view) ? html`<a href="${view.href(`${view.path}/slot`)}">Make the first slot</a>` : html`<code>entra-sync slots put banner --title "Banner"</code> makes the first.`}</p>`
    : nothing
}
${ownSlots(slots).map((slot) => slotOf(slot, items, rules, { view, zone }))}
${rules.length === 0 ? nothing : csvLink(view, `${view.path}.csv`)}`,
  }),
});

const mayAssign = (view: View<unknown>) => view.may('POST /console/t/:tenant/assignments/new');

function acts(view: View<unknown>): Html {
  if (!mayAssign(view)) return nothing;
  return html`<div class="acts"><a class="button" href="${view.href(`${view.path}/new`)}">Assign</a><a class="button" href="${view.href(`${view.path}/slot`)}">New slot</a></div>`;
}

/** A tenant's slot shadows the one of all tenants with its name. */
function ownSlots(slots: readonly ListedSlot[]): ListedSlot[] {
  const byName = new Map<string, ListedSlot>();
  for (const slot of slots) if (!byName.has(slot.slot) || slot.tenant_id !== null) byName.set(slot.slot, slot);
  return [...byName.values()];
}

function slotOf(
  slot: ListedSlot,
  items: readonly ListedItem[],
  rules: readonly ListedAssignment[],
  { view, zone }: { view: View<unknown>; zone: string },
): Html {
  const own = rules.filter((one) => one.slot === slot.slot);
  const known = new Map<string, ListedItem>();
  for (const one of items.filter((item) => item.slot === slot.slot))
    if (!known.has(one.item) || one.tenant_id !== null) known.set(one.item, one);
  const titles = new Map([...known.values()].map((one) => [one.item, one.title]));
  const title = slot.title ?? slot.slot;
  return html`<h2>${title}</h2>
<p class="lead">${slot.winners === 1 ? 'Each person gets one item' : `Each person gets up to ${slot.winners} items`}; ${plural(known.size, 'item')}: ${itemsOf([...known.values()], view)}.</p>
${
  mayAssign(view)
    ? html`<div class="acts"><a class="button" href="${view.href(`${view.path}/new`, { slot: slot.slot })}">Assign<span class="hidden"> in ${title}</span></a><a href="${view.href(`${view.path}/item`, { slot: slot.slot })}">New item<span class="hidden"> of ${title}</span></a><a href="${view.href(`${view.path}/slot`, { slot: slot.slot })}">Change the slot<span class="hidden"> ${title}</span></a></div>`
    : nothing
}
${own.length === 0 ? html`<p class="empty">No rule gives anything to anybody.</p>` : listTable(title, columns(view, zone, titles), own)}
${slot.assignments > own.length ? html`<p class="lead">The first ${count(own.length)} of ${count(slot.assignments)} rules.</p>` : nothing}`;
}

function itemsOf(items: readonly ListedItem[], view: View<unknown>): Html {
  if (items.length === 0) return html`none yet`;
  return html`${items.map((one, at) => {
    const name = one.title ?? one.item;
    const path = view.href(`${view.path}/item`, { slot: one.slot, item: one.item });
    return html`${at > 0 ? ', ' : ''}${mayAssign(view) ? html`<a href="${path}">${name}</a>` : name}`;
  })}`;
}

const columns = (
  view: View<unknown>,
  zone: string,
  titles: ReadonlyMap<string, string | null>,
): readonly Column<ListedAssignment>[] => [
  {
    title: 'Item',
    head: true,
    cell: (one) =>
      html`${one.except ? html`<b>not</b> ` : nothing}<a href="${view.href(`${view.path}/${one.assignment_id}`)}">${titles.get(one.item) ?? one.item}</a>`,
  },
  { title: 'For', cell: (one) => ruleTarget(one, view) },
  { title: 'Priority', number: true, cell: (one) => one.priority },
  { title: 'State', cell: (one) => ruleState(one, zone) },
  { title: 'Reaches', number: true, cell: (one) => (one.except ? '' : people(one.accounts, countedPeople)) },
  { title: 'By', cell: (one) => byWhom(view, one.created_by) },
];
