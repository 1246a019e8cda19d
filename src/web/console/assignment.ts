// `/console/t/ID/assignments/ID`: one rule: change it, give it to another group, end it.
import { z } from 'zod';
import { asGuid } from '../../rules/decode.ts';
import { people } from '../../rules/numbers.ts';
import { type ListedAssignment, listAssignments } from '../../store/accounts/assignment-lists.ts';
import { changeAssignment, moveAssignments, unassign } from '../../store/accounts/assignments.ts';
import type { Database, Transaction } from '../../store/database/pool.ts';
import { storedSettings } from '../../store/settings/versions.ts';
import { ago, type Html, html, nothing, postForm } from '../html.ts';
import { page, type View } from '../page.ts';
import { listTable } from '../table.ts';
import { typedText } from '../typed.ts';
import { zoneOf } from '../zone.ts';
import { changedOptions, optionField, optionFields, optionInputs, optionsIn } from './assignment-form.ts';
import { chosenInputs, pickGroup } from './assignment-pick.ts';
import { assignmentAct } from './assignment-plan.ts';
import { ruleState, ruleTarget } from './assignment-words.ts';
import { byWhom } from './change-words.ts';
import { fieldLine, formNamed, lookButtons } from './form-parts.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';
import { type Titles, titlesOf } from './titles.ts';

const countedPeople = 10_000;

async function ruleOf(read: Database | Transaction, { params }: View<unknown>): Promise<ListedAssignment | undefined> {
  const id = asGuid(params.assignment ?? '');
  if (id === undefined) return undefined;
  const [rule] = await listAssignments(read, params.tenant ?? '', { ids: [id], counted: countedPeople + 1 });
  return rule;
}

export const assignmentPage = page({
  route: 'GET /console/t/:tenant/assignments/:assignment',
  query: {},
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    const rule = tenant && (await ruleOf(read, view));
    if (!tenant || !rule) return undefined;
    const titles = await titlesOf(read, tenant.tenant_id);
    return { tenant, rule, titles, zone: zoneOf(await storedSettings(read, tenant.tenant_id)) };
  },
  render: ({ tenant, rule, titles, zone }, view) => {
    const item = titles.item(rule.slot, rule.item);
    const acts = view.may('POST /console/t/:tenant/assignments/:assignment/change');
    return {
      title: `${item} · ${tenant.name}`,
      section: 'tenants',
      content: html`${tenantHead(view, tenant, '/assignments', { title: `${rule.except ? 'Not ' : ''}${item}`, crumbs: [{ path: '/assignments', label: 'Assignments' }] })}
${listTable('The rule', factColumns, factsOf(rule, view, zone, titles))}
${
  acts
    ? html`${changeForm(rule, view, zone)}
${rule.target === 'group' ? moveForm(rule, view) : nothing}
${endForm(view)}`
    : nothing
}`,
    };
  },
});

type Fact = { readonly name: string; readonly value: Html };

const factColumns = [
  { title: 'What', head: true as const, cell: (one: Fact) => one.name },
  { title: 'Value', cell: (one: Fact) => one.value },
];

const factsOf = (rule: ListedAssignment, view: View<unknown>, zone: string, titles: Titles): readonly Fact[] => [
  { name: 'Slot', value: html`${titles.slot(rule.slot)}` },
  { name: 'For', value: ruleTarget(rule, view) },
  { name: 'State', value: ruleState(rule, zone) },
  ...(rule.except ? [] : [{ name: 'Reaches', value: html`${people(rule.accounts, countedPeople)}` }]),
  { name: 'Made by', value: byWhom(view, rule.created_by) },
  { name: 'Changed', value: ago(rule.updated_at, view.now) },
];

function changeForm(rule: ListedAssignment, view: View<unknown>, zone: string): Html {
  const form = formNamed(view, 'change');
  return html`<h2>Change</h2>${postForm(
    view,
    `${view.path}/change`,
    html`<input type="hidden" name="form" value="change"><input type="hidden" name="was" value="${rule.updated_at.toISOString()}"><div class="panel">${optionInputs(form, zone, rule)}</div>
${lookButtons(form)}`,
  )}`;
}

function moveForm(rule: ListedAssignment, view: View<unknown>): Html {
  const form = formNamed(view, 'move');
  return html`<h2>Give to another group</h2><p class="lead">All rules of ${rule.group_name ?? 'the group that is gone'} go to the other group, such as the new one of the same name. Their ages stay.</p>
${postForm(
  view,
  `${view.path}/move`,
  html`<input type="hidden" name="form" value="move"><div class="panel">${fieldLine(
    form,
    { id: 'to', label: 'To the group', under: html`Its name or id.` },
    (more) =>
      html`<input type="text" inputmode="text" id="to" name="to" autocomplete="off" value="${typedText(form, 'to') ?? ''}"${more}>`,
  )}</div>
${lookButtons(form)}`,
)}`;
}

function endForm(view: View<unknown>): Html {
  const form = formNamed(view, 'end');
  return html`<h2>End</h2><p class="lead">The rule is taken back at once, and does not come again. A day under “Ends” above ends it later.</p>
${postForm(view, `${view.path}/end`, html`<input type="hidden" name="form" value="end">${lookButtons(form)}`)}`;
}

const toList = (view: View<unknown>) => `/console/t/${view.params.tenant}/assignments`;

const changeRule = assignmentAct({
  route: 'POST /console/t/:tenant/assignments/:assignment/change',
  form: { ...optionFields, form: z.literal('change'), was: z.string().max(40) },
  audit: 'assignment.changed',
  again: assignmentPage,
  plan: async (database, view) => {
    const rule = await ruleOf(database, view);
    if (!rule) return undefined;
    const zone = zoneOf(await storedSettings(database, rule.tenant_id));
    const read = await optionsIn(database, zone, view.query);
    if ('problems' in read) return read;
    if (view.query.was !== rule.updated_at.toISOString()) {
      const message =
        'The rule has changed since this page was loaded. Above it is as it is now, below as you typed it.';
      return { problems: [{ message }], conflict: true };
    }
    const options = changedOptions(view.query, read.options, rule, zone);
    return {
      means: [rule.assignment_id, options],
      run: (on) => changeAssignment(on, rule.assignment_id, options, view.viewer.actor),
      says: html`The rule is changed.`,
      button: 'Change',
      to: toList(view),
      detail: { assignment: rule.assignment_id },
      fieldOf: optionField,
    };
  },
});

const moveRules = assignmentAct({
  route: 'POST /console/t/:tenant/assignments/:assignment/move',
  form: { form: z.literal('move'), to: z.string().max(300), to_id: z.guid().optional() },
  audit: 'assignments.moved',
  again: assignmentPage,
  plan: async (database, view) => {
    const rule = await ruleOf(database, view);
    if (!rule || rule.group_id === null) return undefined;
    const { group_id: from } = rule;
    const asked = { word: view.query.to, chosen: view.query.to_id, field: 'to', input: 'to_id' };
    const picked = await pickGroup(database, rule.tenant_id, asked);
    if (!('meant' in picked)) return picked;
    const { id, name } = picked.meant;
    return {
      means: [from, id],
      run: (on) => moveAssignments(on, from, id, view.viewer.actor),
      says: html`All rules of ${rule.group_name ?? 'the group that is gone'} go to ${name}.`,
      carries: chosenInputs('to_id', view.query.to_id === undefined ? [] : [id]),
      button: 'Give to this group',
      to: toList(view),
      detail: { from, to: id },
      fieldOf: () => 'to',
    };
  },
});

const endRule = assignmentAct({
  route: 'POST /console/t/:tenant/assignments/:assignment/end',
  form: { form: z.literal('end') },
  audit: 'assignment.ended',
  again: assignmentPage,
  plan: async (database, view) => {
    const rule = await ruleOf(database, view);
    if (!rule) return undefined;
    return {
      means: rule.assignment_id,
      run: (on) => unassign(on, rule.assignment_id, view.viewer.actor),
      says: html`The rule is taken back.`,
      button: 'End this rule',
      to: toList(view),
      detail: { assignment: rule.assignment_id },
    };
  },
});

export const ruleActs = [changeRule, moveRules, endRule];
