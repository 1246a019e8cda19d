// `/console/t/ID/assignments/slot` and `…/item`: the kinds of things that people get, and the things.
import { z } from 'zod';
import { type ListedItem, type ListedSlot, listItems, listSlots } from '../../store/accounts/assignment-lists.ts';
import { dropItem, dropSlot, putItem, putSlot } from '../../store/accounts/assignments.ts';
import { type Html, html, nothing, postForm } from '../html.ts';
import { page, type View } from '../page.ts';
import { besidePreview } from '../preview.ts';
import { typedText } from '../typed.ts';
import { assignmentAct } from './assignment-plan.ts';
import { fieldLine, lookButtons } from './form-parts.ts';
import { itemPreviewPanel } from './item-preview.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';
import { newerThan, wasInput } from './thing-since.ts';

const name = z.string().max(300);

/** The tenant's own one shadows that of all tenants. */
const ownFirst = <Row extends { readonly tenant_id: string | null }>(found: readonly Row[]): Row | undefined =>
  found.find((one) => one.tenant_id !== null) ?? found[0];

const crumbs = [{ path: '/assignments', label: 'Assignments' }];

export const slotPage = page({
  route: 'GET /console/t/:tenant/assignments/slot',
  query: { slot: name },
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    if (!tenant) return undefined;
    const wanted = typedText(view.form, 'known') ?? view.query.slot ?? '';
    const slot = ownFirst((await listSlots(read, tenant.tenant_id)).filter((one) => one.slot === wanted));
    return { tenant, slot };
  },
  render: ({ tenant, slot }, view) => ({
    title: `${slot?.slot ?? 'New slot'} · ${tenant.name}`,
    section: 'tenants',
    content: html`${tenantHead(view, tenant, '/assignments', { title: slot ? `Slot ${slot.title ?? slot.slot}` : 'New slot', crumbs })}
${shared(slot, 'slot')}
${postForm(
  view,
  view.path,
  html`<input type="hidden" name="known" value="${slot?.slot ?? ''}">${wasInput(view, slot)}<div class="panel">${nameLine(view, 'slot', slot?.slot)}
${line(view, { id: 'title', label: 'Title', under: 'For people.', stored: slot?.title ?? '' })}
${fieldLine(
  view.form,
  { id: 'winners', label: 'Items each person gets', under: html`1 to 100, the first in order.` },
  (more) =>
    html`<input type="text" id="winners" name="winners" inputmode="numeric" autocomplete="off" value="${typedText(view.form, 'winners') ?? String(slot?.winners ?? 1)}"${more}>`,
)}${dropBox(slot, view, 'slot')}</div>
${lookButtons(view.form)}`,
)}`,
  }),
});

export const itemPage = page({
  route: 'GET /console/t/:tenant/assignments/item',
  query: { slot: name, item: name },
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    if (!tenant) return undefined;
    const slot = typedText(view.form, 'slot') ?? view.query.slot;
    const wanted = typedText(view.form, 'known') ?? view.query.item ?? '';
    const items = (await listItems(read, tenant.tenant_id)).filter((one) => one.slot === slot && one.item === wanted);
    return { tenant, slot, item: ownFirst(items), slots: await listSlots(read, tenant.tenant_id) };
  },
  render: ({ tenant, slot, item, slots }, view) => ({
    title: `${item?.item ?? 'New item'} · ${tenant.name}`,
    section: 'tenants',
    content: html`${tenantHead(view, tenant, '/assignments', { title: item ? `Item ${item.title ?? item.item}` : 'New item', crumbs })}
${shared(item, 'item')}
${postForm(
  view,
  view.path,
  html`<input type="hidden" name="known" value="${item?.item ?? ''}">${wasInput(view, item)}${besidePreview(
    html`<div class="panel">${item ? html`<input type="hidden" name="slot" value="${item.slot}">` : slotSelect(slots, slot, view)}
${nameLine(view, 'item', item?.item)}
${line(view, { id: 'title', label: 'Title', under: 'For people.', stored: item?.title ?? '' })}
${fieldLine(
  view.form,
  {
    id: 'html',
    label: 'Template',
    under: html`HTML. <code>{{field}}</code> is a value of the profile, <code>{{#field}}…{{/field}}</code> stands only where there is one.`,
  },
  (more) =>
    html`<textarea inputmode="text" id="html" name="html" rows="10" autocapitalize="none" spellcheck="false" autocomplete="off"${more}>
${typedText(view.form, 'html') ?? item?.html ?? ''}</textarea>`,
)}${dropBox(item, view, 'item')}</div>
${lookButtons(view.form)}`,
    itemPreviewPanel(view, { slot: item?.slot ?? '', item: item?.item ?? '' }),
  )}`,
)}`,
  }),
});

type Thing = ListedSlot | ListedItem;

function shared(thing: Thing | undefined, what: string): Html {
  if (!thing || thing.tenant_id !== null) return nothing;
  return html`<p class="lead">This ${what} is of all tenants. Saved here, the tenant gets one of its own, which goes before it.</p>`;
}

function nameLine(view: View<unknown>, id: 'slot' | 'item', stored: string | undefined): Html {
  if (stored !== undefined)
    return html`<input type="hidden" name="${id}" value="${stored}"><div class="field"><b>Name</b><span>${stored}</span></div>`;
  return line(view, { id, label: 'Name', under: "The product's own id of it, which stays.", stored: '' });
}

function line(
  view: View<unknown>,
  { id, label, under, stored }: { id: string; label: string; under: string; stored: string },
): Html {
  return fieldLine(
    view.form,
    { id, label, under: html`${under}` },
    (more) =>
      html`<input type="text" inputmode="text" id="${id}" name="${id}" autocomplete="off" value="${typedText(view.form, id) ?? stored}"${more}>`,
  );
}

function slotSelect(slots: readonly ListedSlot[], chosen: string | undefined, view: View<unknown>): Html {
  const names = [...new Set(slots.map((one) => one.slot))];
  return fieldLine(
    view.form,
    { id: 'slot', label: 'Slot' },
    (more) =>
      html`<select id="slot" name="slot" autocomplete="off"${more}>${names.map((one) => html`<option${one === chosen ? html` selected` : nothing}>${one}</option>`)}</select>`,
  );
}

/** Returns the box that drops a slot or item of the tenant's own instead. */
function dropBox(thing: Thing | undefined, view: View<unknown>, what: string): Html {
  if (!thing || thing.tenant_id === null) return nothing;
  const checked = typedText(view.form, 'drop') === 'yes' ? html` checked` : nothing;
  return fieldLine(
    view.form,
    { id: 'drop', label: 'Drop it', under: html`Ticked, the ${what} goes away. It must not be in use.` },
    (more) => html`<input type="checkbox" id="drop" name="drop" value="yes"${checked}${more}>`,
  );
}

const drop = z.literal('yes').optional();
const was = z.string().max(40).optional();
const title = z.string().max(2_000);
const orNone = (text: string) => (text.trim() === '' ? null : text.trim());

const putSlotAct = assignmentAct({
  route: 'POST /console/t/:tenant/assignments/slot',
  form: {
    ...{ slot: name, known: name, was, title, drop },
    winners: z.string().regex(/^\s*\d{1,3}\s*$/, 'Write a whole number from 1 to 100.'),
  },
  audit: 'slot.changed',
  again: slotPage,
  plan: async (database, view) => {
    const { slot: given, winners, title, drop } = view.query;
    const tenantId = view.params.tenant ?? '';
    const { actor } = view.viewer;
    const slot = given.trim();
    const stored = { tenant_id: tenantId, slot, winners: Number(winners), title: orNone(title) };
    const now = ownFirst((await listSlots(database, tenantId)).filter((one) => one.slot === slot));
    const newer = newerThan(view.query.was, now, stored);
    if (newer) return newer;
    return {
      means: [stored, drop],
      run: (on) => (drop ? dropSlot(on, tenantId, slot, actor) : putSlot(on, stored, actor)),
      says: drop ? html`The slot ${slot} goes away.` : html`The slot ${slot} is saved.`,
      button: drop ? 'Drop the slot' : 'Save the slot',
      to: `/console/t/${tenantId}/assignments`,
      detail: { slot, ...(drop && { dropped: true }) },
      fieldOf: (argument) => (drop ? 'drop' : argument),
    };
  },
});

const putItemAct = assignmentAct({
  route: 'POST /console/t/:tenant/assignments/item',
  form: { slot: name, item: name, known: name, was, title, drop, html: z.string().max(60_000) },
  audit: 'item.changed',
  again: itemPage,
  plan: async (database, view) => {
    const { slot, item: given, title, drop, html: template } = view.query;
    const tenantId = view.params.tenant ?? '';
    const { actor } = view.viewer;
    const item = given.trim();
    // A form sends a line break as two characters.
    const text = template.replaceAll(/\r\n?/g, '\n');
    const stored = { tenant_id: tenantId, slot, item, title: orNone(title), html: text.trim() === '' ? null : text };
    const now = ownFirst((await listItems(database, tenantId)).filter((one) => one.slot === slot && one.item === item));
    const newer = newerThan(view.query.was, now, stored);
    if (newer) return newer;
    return {
      means: [stored, drop],
      run: (on) => (drop ? dropItem(on, { tenantId, slot, item }, actor) : putItem(on, stored, actor)),
      says: drop ? html`The item ${item} goes away.` : html`The item ${item} of ${slot} is saved.`,
      button: drop ? 'Drop the item' : 'Save the item',
      to: `/console/t/${tenantId}/assignments`,
      detail: { slot, item, ...(drop && { dropped: true }) },
      fieldOf: (argument) => (drop ? 'drop' : argument),
    };
  },
});

export const thingPages = [slotPage, putSlotAct, itemPage, putItemAct];
