// `/console/t/ID/assignments/new`: an item for a group, people, the values of a field, or everyone.
import { z } from 'zod';
import { people } from '../../rules/numbers.ts';
import { type ListedItem, listItems, listSlots } from '../../store/accounts/assignment-lists.ts';
import { assign, previewAssignment, type Target } from '../../store/accounts/assignments.ts';
import { fieldsOf } from '../../store/console/settings.ts';
import type { Database } from '../../store/database/pool.ts';
import { storedSettings } from '../../store/settings/versions.ts';
import { type Html, html, nothing, postForm } from '../html.ts';
import { page, type View } from '../page.ts';
import { typedText } from '../typed.ts';
import { shownIn, zoneOf } from '../zone.ts';
import { none, optionField, optionFields, optionInputs, optionsIn } from './assignment-form.ts';
import { chosenInputs, type Picked, pickGroup, pickPeople } from './assignment-pick.ts';
import { assignmentAct } from './assignment-plan.ts';
import { byLabel, fieldLabels } from './field-labels.ts';
import { fieldLine, lookButtons } from './form-parts.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';
import { titlesOf } from './titles.ts';

const text = z.string().max(300);

export const newAssignmentPage = page({
  route: 'GET /console/t/:tenant/assignments/new',
  query: { slot: text, item: text, group: text, person: text },
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    if (!tenant) return undefined;
    return {
      tenant,
      items: ownItems(await listItems(read, tenant.tenant_id)),
      slots: await listSlots(read, tenant.tenant_id),
      fields: await fieldsOf(read, tenant.tenant_id),
      labels: await fieldLabels(read, tenant.tenant_id),
      zone: zoneOf(await storedSettings(read, tenant.tenant_id)),
    };
  },
  render: ({ tenant, items, slots, fields, labels, zone }, view) => ({
    title: `Assign · ${tenant.name}`,
    section: 'tenants',
    content: html`${tenantHead(view, tenant, '/assignments', { title: 'Assign', crumbs: [{ path: '/assignments', label: 'Assignments' }] })}
${
  items.length === 0
    ? html`<p class="empty">There is no item yet. <a href="${view.href(`/console/t/${tenant.tenant_id}/assignments/${slots.length === 0 ? 'slot' : 'item'}`)}">Make the first ${slots.length === 0 ? 'slot' : 'item'}</a></p>`
    : postForm(
        view,
        view.path,
        html`<div class="panel">${itemSelect(items, view)}
${targetInputs(
  view,
  byLabel(fields, labels).map(({ field }) => ({ field, label: labels.get(field) ?? field })),
)}
${optionInputs(view.form, zone, none)}</div>
${lookButtons(view.form)}`,
      )
}`,
  }),
});

/** A tenant's item shadows the one of all tenants with its name. */
function ownItems(items: readonly ListedItem[]): ListedItem[] {
  const byName = new Map<string, ListedItem>();
  for (const one of items) {
    const key = JSON.stringify([one.slot, one.item]);
    if (!byName.has(key) || one.tenant_id !== null) byName.set(key, one);
  }
  return [...byName.values()];
}

function itemSelect(
  items: readonly ListedItem[],
  view: View<{ slot?: string | undefined; item?: string | undefined }>,
) {
  const { slot, item } = view.query;
  const chosen = typedText(view.form, 'item') ?? JSON.stringify([slot ?? '', item ?? '']);
  const options = [...new Set(items.map((one) => one.slot))].map((name) => {
    const own = items.filter((one) => one.slot === name);
    return html`<optgroup label="${name}">${own.map((one) => {
      const value = JSON.stringify([one.slot, one.item]);
      const marked = value === chosen || (item === undefined && one.slot === slot && one === own[0] && !view.form);
      return html`<option value="${value}"${marked ? html` selected` : nothing}>${one.title ?? one.item}</option>`;
    })}</optgroup>`;
  });
  return fieldLine(
    view.form,
    { id: 'item', label: 'Item' },
    (more) => html`<select id="item" name="item" autocomplete="off"${more}>${options}</select>`,
  );
}

const targets = ['group', 'people', 'field', 'everyone'] as const;

function targetInputs(
  view: View<{ group?: string | undefined; person?: string | undefined }>,
  fields: readonly { readonly field: string; readonly label: string }[],
): Html {
  const { form, query } = view;
  const target = typedText(form, 'target') ?? (query.person === undefined ? 'group' : 'people');
  const radio = (value: (typeof targets)[number], label: string) =>
    html`<label><input type="radio" name="target" value="${value}"${target === value ? html` checked` : nothing}${value === 'group' ? html` id="target"` : nothing}> ${label}</label>`;
  const wide = view.may('GET /console/t/:tenant/people');
  const value = (name: string, stored = '') => typedText(form, name) ?? stored;
  return html`<fieldset class="targets"><legend>For</legend>
<div class="filters">${radio('group', 'a group')}${radio('people', 'people')}${radio('field', 'a field')}${radio('everyone', 'everyone')}</div>
${fieldLine(
  form,
  { id: 'group', label: 'Group', under: html`Its name or id. Members through nested groups count.` },
  (more) =>
    html`<input type="text" inputmode="text" id="group" name="group" autocomplete="off" value="${value('group', query.group)}"${more}>`,
)}
${fieldLine(
  form,
  { id: 'people', label: 'People', under: html`${wide ? 'Name, address or id' : 'Name or id'}, one a line.` },
  (more) =>
    html`<textarea inputmode="text" id="people" name="people" rows="3" autocomplete="off"${more}>\n${value('people', query.person)}</textarea>`,
)}
${fieldLine(
  form,
  { id: 'field', label: 'Field' },
  (more) =>
    html`<select id="field" name="field" autocomplete="off"${more}>${fields.map((one) => html`<option value="${one.field}"${one.field === value('field') ? html` selected` : nothing}>${one.label}</option>`)}</select>`,
)}
${fieldLine(
  form,
  { id: 'values', label: 'is one of', under: html`One value a line; upper and lower case are the same.` },
  (more) =>
    html`<textarea inputmode="text" id="values" name="values" rows="2" autocomplete="off"${more}>\n${value('values')}</textarea>`,
)}</fieldset>`;
}

const long = z.string().max(40_000).default('');
const ids = z.union([z.array(z.guid()), z.guid().transform((id) => [id])]).default([]);

const form = {
  ...optionFields,
  item: z.string().max(1_000),
  target: z.enum(targets, 'Choose who gets it.'),
  group: long,
  group_id: z.guid().optional(),
  people: long,
  account_id: ids,
  field: z.string().max(200).default(''),
  values: long,
};
type Sent = z.output<z.ZodObject<typeof form>>;

type Meant = { readonly target: Target; readonly says: Html; readonly carries?: Html };

async function targetOf(database: Database, view: View<Sent>): Promise<Picked<Meant>> {
  const sent = view.query;
  const tenantId = view.params.tenant ?? '';
  switch (sent.target) {
    case 'everyone':
      return { meant: { target: { everyone: true }, says: html`everyone` } };
    case 'field': {
      const values = sent.values.split(/[\r\n]+/).map((one) => one.trim());
      const given = [...new Set(values)].filter((one) => one !== '');
      if (given.length === 0)
        return { problems: [{ field: 'values', message: 'Write a value, or several, one a line.' }] };
      const says = html`people whose ${sent.field} is ${given.join(' or ')}`;
      return { meant: { target: { field: sent.field, in: given }, says } };
    }
    case 'group': {
      const asked = { word: sent.group, chosen: sent.group_id, field: 'group', input: 'group_id' };
      const picked = await pickGroup(database, tenantId, asked);
      if (!('meant' in picked)) return picked;
      const carries = chosenInputs('group_id', sent.group_id === undefined ? [] : [picked.meant.id]);
      return { meant: { target: { group: picked.meant.id }, says: html`the group ${picked.meant.name}`, carries } };
    }
    case 'people': {
      const asked = { text: sent.people, chosen: sent.account_id, field: 'people', input: 'account_id' };
      const picked = await pickPeople(database, view, asked);
      if (!('meant' in picked)) return picked;
      const names = picked.meant.slice(0, 5).map(({ name }) => name);
      const more = picked.meant.length - names.length;
      return {
        meant: {
          target: { accounts: picked.meant.map(({ id }) => id) },
          says: html`${names.join(', ')}${more > 0 ? ` and ${people(more)} more` : ''}`,
          carries: chosenInputs('account_id', sent.account_id),
        },
      };
    }
  }
}

function itemOf(text: string): { slot: string; item: string } | undefined {
  try {
    const [slot, item]: unknown[] = JSON.parse(text);
    return typeof slot === 'string' && typeof item === 'string' ? { slot, item } : undefined;
  } catch {
    return undefined;
  }
}

export const makeAssignment = assignmentAct({
  route: 'POST /console/t/:tenant/assignments/new',
  form,
  audit: 'assignment.made',
  again: newAssignmentPage,
  plan: async (database, view) => {
    const tenantId = view.params.tenant ?? '';
    const item = itemOf(view.query.item);
    if (!item) return { problems: [{ field: 'item', message: 'Choose an item.' }] };
    const zone = zoneOf(await storedSettings(database, tenantId));
    const read = await optionsIn(database, zone, view.query);
    if ('problems' in read) return read;
    const target = await targetOf(database, view as View<Sent>);
    if (!('meant' in target)) return target;
    const given = { tenantId, ...item, target: target.meant.target, options: read.options };
    const { starts_at: from, ends_at: to, except } = read.options;
    const titles = await titlesOf(database, tenantId);
    return {
      means: given,
      run: (on) => assign(on, given, view.viewer.actor),
      preview: () => previewAssignment(database, given),
      says: html`${except ? html`<b>Not</b> ` : nothing}${titles.item(item.slot, item.item)}, slot ${titles.slot(item.slot)}, for ${target.meant.says}${from ? html`, from ${shownIn(new Date(from), zone, 'start')}` : nothing}${to ? html`, until ${shownIn(new Date(to), zone, 'end')}` : nothing}.`,
      carries: target.meant.carries ?? nothing,
      button: except ? 'Make the exception' : 'Assign',
      to: `/console/t/${tenantId}/assignments`,
      detail: { ...item, target: view.query.target },
      fieldOf: (argument, code) =>
        optionField(argument) ??
        (argument === 'slot' || argument === 'item'
          ? 'item'
          : code === 'ES002'
            ? 'field'
            : argument === 'target'
              ? { group: 'group', people: 'people', field: 'values', everyone: 'target' }[view.query.target]
              : code === 'ES004' && view.query.target !== 'everyone'
                ? view.query.target
                : undefined),
    };
  },
});
