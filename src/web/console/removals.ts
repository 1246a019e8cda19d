// `/console/t/ID/removals`: the removals that wait for a person, and the decision about them.
import { z } from 'zod';
import { ExpectedError } from '../../errors.ts';
import { asGuid } from '../../rules/decode.ts';
import { count, plural } from '../../rules/numbers.ts';
import { decideRemovals } from '../../store/commit/held-removals.ts';
import {
  decidedRemovals,
  type HeldRemoval,
  heldIn,
  openLists,
  type RemovalList,
} from '../../store/commit/removal-lists.ts';
import { groupsById } from '../../store/console/groups.ts';
import { peopleById } from '../../store/console/people.ts';
import type { Database } from '../../store/database/pool.ts';
import { deciderOf, mayDecide, type Side } from '../../store/settings/deciders.ts';
import { removalText } from '../../words/removals.ts';
import { roleFor } from '../access.ts';
import { longActMs } from '../act-time.ts';
import { ago, type Html, html, nothing, postForm } from '../html.ts';
import { action, page, type View } from '../page.ts';
import { type Column, csvLink, listTable } from '../table.ts';
import { typedList, typedText } from '../typed.ts';
import { decisionColumns } from './removal-list.ts';
import { tenantHead, tenantOf } from './tenant-frame.ts';

// A page of 500 would weigh more than 300 kB; the file has all.
const shownOfList = 200;
const decisionsShown = 20;

export const removalsPage = page({
  route: 'GET /console/t/:tenant/removals',
  query: {},
  load: async (read, view) => {
    const tenant = await tenantOf(read, view);
    if (!tenant) return undefined;
    const lists = [];
    for (const list of await openLists(read, tenant.tenant_id))
      lists.push({ list, removals: await heldIn(read, list.list_id, shownOfList) });
    const decider = await deciderOf(read, tenant.tenant_id);
    return { tenant, lists, decider, decisions: await decidedRemovals(read, tenant.tenant_id, decisionsShown) };
  },
  render: ({ tenant, lists, decider, decisions }, view) => ({
    title: `Removals · ${tenant.name}`,
    section: 'tenants',
    content: html`${tenantHead(view, tenant, '/removals', { title: 'Removals that wait' })}
${mayDecide(decider, sideOf(view)) ? nothing : html`<p class="lead">${decider === 'customer' ? 'The administrators of the tenant decide about its removals; others look.' : 'The vendor decides about removals of this tenant; others look.'}</p>`}
${view.form?.shown ?? nothing}
${
  lists.length === 0
    ? html`<p class="empty">No removal waits. A cycle that would remove suspiciously many people or groups stops them here, and commits everything else.</p>`
    : html`${lists.map((one) => listOf(one, view, mayDecide(decider, sideOf(view))))}${csvLink(view, `${view.path}.csv`)}`
}
<h2>Decided</h2>
${decisions.length === 0 ? html`<p class="empty">Nothing was decided yet.</p>` : listTable('Decisions', decisionColumns(view), decisions)}`,
  }),
});

type ShownList = { readonly list: RemovalList; readonly removals: readonly HeldRemoval[] };

/** The vendor's people are of the vendor's side in every tenant. */
const sideOf = ({ viewer, params }: View<unknown>): Side =>
  roleFor(viewer, 'POST /console/t/:tenant/removals', params.tenant) === 'admin' ? 'customer' : 'vendor';

function listOf({ list, removals }: ShownList, view: View<unknown>, decides: boolean): Html {
  const tenantId = list.tenant_id;
  const may = decides && view.may('POST /console/t/:tenant/removals');
  const table = listTable(`List ${list.list_id}`, heldColumns(list, view, may), removals);
  return html`<section class="panel need" aria-labelledby="list-${list.list_id}">
<h2 id="list-${list.list_id}">List ${list.list_id}: ${plural(list.held, list.what)}, held ${ago(list.opened_at, view.now)}</h2>
<p>Because ${list.why}. Nothing of it is applied, and everything else of that round is committed. If no person decides, ${list.held === 1 ? 'it stays' : 'they stay'} as ${list.held === 1 ? 'it is' : 'they are'}.</p>
${list.unconfirmed > 0 ? html`<p>${count(list.unconfirmed)} of them ${list.unconfirmed === 1 ? 'was' : 'were'} missed by one full round only: the next cycle is full again, and what it does not see either can be approved.</p>` : nothing}
</section>
${
  may
    ? postForm(
        view,
        `/console/t/${tenantId}/removals`,
        html`<input type="hidden" name="list" value="${list.list_id}"><input type="hidden" name="shown" value="${removals.map(idOf).join(' ')}">
${table}
${removals.length < list.held ? html`<p class="lead">The first ${count(removals.length)} of ${count(list.held)} are shown; a decision about all is about those that are not shown too.</p>` : nothing}
<div class="panel"><p>Tick those that you mean, or none for all ${count(list.held)}. Type how many that is, so that a list that has changed meanwhile decides nothing.</p>
<div class="acts"><label for="typed-${list.list_id}">How many <input type="text" id="typed-${list.list_id}" name="typed" inputmode="numeric" autocomplete="off" size="8" maxlength="20" value="${typedIn(view, list)}"></label>
<button name="decision" value="reject">Keep ${list.what === 'membership' ? 'the memberships' : 'them, as manual'}</button>
<button name="decision" value="approve" class="main">Remove ${list.what === 'membership' ? 'the memberships' : 'them'}</button></div></div>`,
      )
    : table
}`;
}

// Enter in the field presses the first button: the one that takes nothing away.
const typedIn = ({ form }: View<unknown>, list: RemovalList) =>
  typedText(form, 'list') === list.list_id ? (typedText(form, 'typed') ?? '') : '';

const idOf = (one: HeldRemoval) => one.account_id ?? one.member_group_id ?? one.group_id ?? '';

function heldColumns(list: RemovalList, view: View<unknown>, may: boolean): readonly Column<HeldRemoval>[] {
  const base = `/console/t/${list.tenant_id}`;
  // A refused decision comes back with its ticks: without them its number could mean others.
  const ticked = new Set(typedText(view.form, 'list') === list.list_id ? typedList(view.form, 'id') : []);
  const named = (one: HeldRemoval) => one.display_name ?? 'without a name';
  const path = (one: HeldRemoval) =>
    one.account_id ? `${base}/people/${one.account_id}` : `${base}/groups/${one.member_group_id ?? one.group_id}`;
  // One member may leave several groups: the list then knows the pair only, so that all of it is decided together.
  const tick: readonly Column<HeldRemoval>[] =
    may && list.what !== 'membership'
      ? [
          {
            title: 'Only these',
            cell: (one) =>
              html`<input type="checkbox" name="id" value="${idOf(one)}" aria-label="Only ${[named(one), one.user_principal_name].filter(Boolean).join(', ')}"${ticked.has(idOf(one)) ? html` checked` : nothing}>`,
          },
        ]
      : [];
  return [
    ...tick,
    {
      title: list.what === 'group' ? 'Group' : 'Person',
      head: true,
      cell: (one) =>
        html`<a href="${view.href(path(one))}">${named(one)}</a><small>${one.user_principal_name ?? ''}</small>`,
    },
    ...(list.what === 'membership' ? [{ title: 'Would leave', cell: (one: HeldRemoval) => one.group_name ?? '' }] : []),
    { title: 'Why', cell: (one) => removalText(one.reason) },
    { title: 'Held', cell: (one) => ago(one.held_since, view.now) },
  ];
}

const ids = z.union([z.array(z.uuid()).max(shownOfList), z.uuid().transform((id) => [id])]).optional();

export const decideRemovalsAct = action({
  route: 'POST /console/t/:tenant/removals',
  form: {
    list: z.string().regex(/^\d{1,18}$/),
    decision: z.enum(['approve', 'reject']),
    typed: z.string().max(20),
    id: ids,
    shown: z
      .string()
      .max(40 * shownOfList)
      .optional(),
  },
  audit: 'removals.decided',
  statementMs: longActMs,
  act: async (database, view) => {
    const { list: listId, decision, typed, id: chosen } = view.query;
    const tenantId = view.params.tenant ?? '';
    const list = (await openLists(database, tenantId)).find((one) => one.list_id === listId);
    if (!list)
      return {
        problems: [{ message: `List ${listId} is no longer open: its removals are decided, or no longer wanted.` }],
        conflict: true,
      };
    const meant = chosen?.length ?? list.held;
    const shown = chosen === undefined ? await differenceSince(database, view, list, view.query.shown) : undefined;
    if (typed.replaceAll(/[\s,.]/g, '') !== String(meant)) {
      const field = `typed-${listId}`;
      return typed.trim() === ''
        ? { problems: [{ field, message: `Type ${count(meant)}, the number of removals that you decide about.` }] }
        : {
            problems: [
              {
                field,
                message: `You typed ${typed}, and it is about ${plural(meant, 'removal')}: look at the list again.`,
              },
            ],
            conflict: chosen === undefined,
            ...(shown && { shown }),
          };
    }
    if (shown) {
      const message = 'The list has changed since this page was loaded: look at who came and who went, then decide.';
      return { problems: [{ message }], conflict: true, shown };
    }
    try {
      const done = await decideRemovals(database, {
        tenantId,
        listId,
        ids: chosen ?? null,
        expected: meant,
        decision,
        side: sideOf(view),
        actor: view.viewer.actor,
      });
      const { skipped, ...counts } = done;
      return {
        to: `/console/t/${tenantId}/removals`,
        audited: { detail: { list: listId, decision, skipped: skipped.length, ...counts } },
      };
    } catch (error) {
      if (!(error instanceof ExpectedError) || !['usage', 'unknown_name'].includes(error.code)) throw error;
      return { problems: [{ message: `${error.message}.` }], conflict: error.code === 'unknown_name' };
    }
  },
  again: removalsPage,
});

const namedInDifference = 20;

/** Returns who came to a list and who went since its page was loaded; undefined if it is the same. */
async function differenceSince(
  database: Database,
  view: View<unknown>,
  list: RemovalList,
  shown: string | undefined,
): Promise<Html | undefined> {
  if (shown === undefined) return undefined;
  const before = new Set(shown.split(' ').filter((id) => asGuid(id) === id));
  const now = await heldIn(database, list.list_id, shownOfList);
  const here = new Set(now.map(idOf));
  const came = now.filter((one) => !before.has(idOf(one)));
  const gone = [...before].filter((id) => !here.has(id));
  if (came.length === 0 && gone.length === 0) return undefined;
  const tenantId = view.params.tenant ?? '';
  const accounts = await peopleById(database, tenantId, gone);
  const names = new Map<string, string | null>(accounts.map((one) => [one.account_id, one.display_name]));
  for (const one of await groupsById(database, tenantId, gone)) names.set(one.group_id, one.display_name);
  const lineOf = (words: string, found: readonly (string | null)[]) =>
    found.length === 0
      ? nothing
      : html`<p>${words}: ${found
          .slice(0, namedInDifference)
          .map((name) => name ?? 'without a name')
          .join(
            ', ',
          )}${found.length > namedInDifference ? ` and ${count(found.length - namedInDifference)} more` : ''}.</p>`;
  return html`<div class="panel need" role="group" aria-label="List ${list.list_id} since">${lineOf(
    'Came to the list since',
    came.map((one) => one.display_name),
  )}${lineOf(
    'Went from the list since',
    gone.map((id) => names.get(id) ?? null),
  )}</div>`;
}
